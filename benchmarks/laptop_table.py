"""What was measured of a real model, as tables: medians of the rounds, ratios, scores."""

from collections.abc import Iterator
from statistics import median

from benchmarks.jobs import Answers, Contender
from benchmarks.laptop import Laptop, Round

NAMES: dict[Contender, str] = {
    "one by one": "transformers, one by one",
    "harness": "lm-evaluation-harness, batched",
    "llama.cpp f16": "llama.cpp, f16",
    "llama.cpp": "llama.cpp, the file itself",
    "ours alone": "ours, nothing shared",
    "ours": "ours",
    "ours decided": "ours, stopping when decided",
    "ours bfloat16": "ours, bfloat16",
}
RIVALS: tuple[Contender, ...] = ("one by one", "harness", "llama.cpp f16")


def markdown(found: Laptop) -> str:
    """The measurement as Markdown."""
    rounds = 1 + max(each.number for each in found.rounds)
    peaks = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in found.peak_flops.items())
    lines = [
        f"{found.checkpoint} on {found.processor}, {found.threads} thread(s), medians of {rounds} "
        f"round(s), {found.samples} samples of each of {', '.join(found.tasks)}.",
        "",
        "| prompts | contender | CPU s a sample | faster than one by one | than the harness "
        "| than llama.cpp, f16 | same answers as ours | score, % |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *_speed_rows(found),
        "",
        "| prompts | ours, nothing shared | reading, s a sample | GFLOP/s of it "
        "| share of the core's float32 rate | writing, s | all else, s |",
        "|---|---|--:|--:|--:|--:|--:|",
        *_reading_rows(found),
        "",
        f"Large matrix products on one core, GFLOP/s: {peaks}.",
    ]
    return "\n".join(lines) + "\n"


def _speed_rows(found: Laptop) -> Iterator[str]:
    for cell in _cells(found):
        rounds = {name: _of(found, cell, name) for name in NAMES}
        cost = {name: _cpu(own) for name, own in rounds.items() if own}
        ours = rounds["ours"][0].run.answers.texts
        for name, own in rounds.items():
            if not own:
                continue
            texts = own[0].run.answers.texts
            same = sum(ours[key] == text for key, text in texts.items())
            ratios = (
                f"{cost[rival] / cost[name]:.1f}x" if rival in cost else "-" for rival in RIVALS
            )
            score = own[0].score
            yield (
                f"| {cell} | {NAMES[name]} | {cost[name]:.2f} | {' | '.join(ratios)} "
                f"| {'-' if name == 'ours decided' else f'{same} of {len(texts)}'} "
                f"| {100 * score.mean:.1f} [{100 * score.low:.0f}, {100 * score.high:.0f}] |"
            )


def _reading_rows(found: Laptop) -> Iterator[str]:
    """Where the seconds of a sample go, and how near reading comes to what the core can."""
    for cell in _cells(found):
        own = _of(found, cell, "ours alone")
        count = len(own[0].run.answers.texts)
        reading = median(each.run.answers.reading or 0 for each in own)
        forward = median(each.run.answers.forward or 0 for each in own)
        rate = _operations(own[0].run.answers) / reading
        yield (
            f"| {cell} | {count} samples | {reading / count:.2f} | {rate / 1e9:.0f} "
            f"| {rate / found.peak_flops['float32']:.0%} | {(forward - reading) / count:.2f} "
            f"| {_cpu(own) - forward / count:.2f} |"
        )


def _operations(answers: Answers) -> float:
    return (answers.products or 0) + (answers.attending or 0)


def _cells(found: Laptop) -> list[str]:
    """The cells in the order of the first round."""
    return list(dict.fromkeys(each.run.cell for each in found.rounds))


def _of(found: Laptop, cell: str, contender: Contender) -> list[Round]:
    return [each for each in found.rounds if (each.run.cell, each.contender) == (cell, contender)]


def _cpu(rounds: list[Round]) -> float:
    """CPU seconds a sample, median of the rounds."""
    return median(each.run.cpu / len(each.run.answers.texts) for each in rounds)
