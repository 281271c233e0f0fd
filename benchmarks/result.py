"""What was measured, as a file and as tables: medians over the rounds, ratios, equal answers."""

from collections.abc import Iterator
from statistics import median

from benchmarks.jobs import Contender, Run
from needlework.parsing import Closed

NAMES: dict[Contender, str] = {
    "one by one": "transformers, one by one",
    "harness": "lm-evaluation-harness, batched",
    "ours alone": "ours, nothing shared",
    "ours": "ours",
    "ours decided": "ours, stopping when decided",
}


class Turn(Closed):
    """One contender on one cell in one round."""

    number: int
    model: str
    contender: Contender
    run: Run


class Result(Closed):
    """Everything that was measured."""

    samples: int
    """Of each task."""
    harness_samples: int
    one_by_one_samples: int
    threads: int
    turns: tuple[Turn, ...]
    planning_seconds: float
    """CPU seconds to plan and schedule 100,000 prompts."""
    append_seconds: float
    """Seconds to append one answer to the journal."""
    peak_flops: float
    """Operations a second of one core in float32 matrix products."""


def markdown(result: Result) -> str:
    """The result as Markdown."""
    rounds = 1 + max(turn.number for turn in result.turns)
    lines = [
        f"Medians of {rounds} rounds, {result.threads} thread(s); samples a task: "
        f"{result.one_by_one_samples} one by one, {result.harness_samples} harness, "
        f"{result.samples} ours.",
        "",
        "| model | cell | contender | CPU ms a sample | wall ms a sample | faster than one by one, "
        "CPU | faster than the harness, CPU | same answers as ours |",
        "|---|---|---|--:|--:|--:|--:|--:|",
        *_speed_rows(result),
        "",
        "| model | cell | prompt tokens not read | CPU outside the forward calls "
        "| of that tokenizing | journal, wall | products alone, CPU ms a sample "
        "| so at most faster than one by one |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *_share_rows(result),
        "",
        f"Planning and scheduling 100,000 prompts of 256 tokens: {result.planning_seconds:.1f} "
        f"CPU s. One append to the journal: {1e6 * result.append_seconds:.0f} us. Float32 matrix "
        f"products on one core: {result.peak_flops / 1e9:.0f} GFLOP/s.",
    ]
    return "\n".join(lines) + "\n"


def _speed_rows(result: Result) -> Iterator[str]:
    for model, cell in _cells(result):
        runs = {name: _runs(result, model, cell, name) for name in NAMES}
        cost = {name: _cpu(found) for name, found in runs.items()}
        own = runs["ours"][0].answers.texts
        for name, found in runs.items():
            wall = median(1000 * run.wall / len(run.answers.texts) for run in found)
            texts = found[0].answers.texts
            same = sum(own[key] == text for key, text in texts.items())
            equal = "-" if name == "ours decided" else f"{same} of {len(texts)}"
            yield (
                f"| {model} | {cell} | {NAMES[name]} | {cost[name]:.1f} | {wall:.1f} "
                f"| {cost['one by one'] / cost[name]:.1f}x | {cost['harness'] / cost[name]:.1f}x "
                f"| {equal} |"
            )


def _share_rows(result: Result) -> Iterator[str]:
    for model, cell in _cells(result):
        runs = _runs(result, model, cell, "ours")
        alone = _runs(result, model, cell, "ours alone")[0].answers
        first = runs[0].answers
        saved = 1 - (first.read_tokens or 0) / (first.prompt_tokens or 1)
        outside = median(1 - (run.answers.forward or 0) / run.cpu for run in runs)
        tokenizing = median((run.answers.tokenizing or 0) / run.cpu for run in runs)
        journal = median(result.append_seconds * len(run.answers.texts) / run.wall for run in runs)
        least = 1000 * (alone.products or 0) / result.peak_flops / len(alone.texts)
        most = _cpu(_runs(result, model, cell, "one by one")) / (least * (1 - saved))
        yield (
            f"| {model} | {cell} | {saved:.1%} | {outside:.1%} | {tokenizing:.1%} "
            f"| {journal:.2%} | {least * (1 - saved):.1f} | {most:.1f}x |"
        )


def _cells(result: Result) -> list[tuple[str, str]]:
    """Every model on every cell, in the order of the first round."""
    return list(dict.fromkeys((turn.model, turn.run.cell) for turn in result.turns))


def _runs(result: Result, model: str, cell: str, contender: Contender) -> list[Run]:
    return [
        turn.run
        for turn in result.turns
        if (turn.model, turn.run.cell, turn.contender) == (model, cell, contender)
    ]


def _cpu(runs: list[Run]) -> float:
    """CPU milliseconds a sample, median of the rounds."""
    return median(1000 * run.cpu / len(run.answers.texts) for run in runs)
