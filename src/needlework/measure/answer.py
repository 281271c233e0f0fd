"""The result of a measurement, in sentences: how far the model reads, and what to run next."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from needlework.analysis.effective_length import OWN_SHARE
from needlework.analysis.reading import MOST_SAMPLES, Kept, Reading, enough_samples, read
from needlework.measure.question import DEPTH, Question
from needlework.parsing import parse
from needlework.parsing import read as read_file
from needlework.report.how_far import percent, reliably
from needlework.report.summary import LARGE
from needlework.scores.cells import read_estimates
from needlework.scores.estimates import Scores
from needlework.statistics.contrasts import interval
from needlework.statistics.means import Estimate
from needlework.study.grid import Grid
from needlework.study.presentation import Shown
from needlework.study.shown import ShownModel

WEAKEST = 3
"""Tasks that are named."""
STEP = 64
"""Lengths to try next are multiples of it."""
PAGES = ("report.md", "findings.md", "explorer.html", "results.json")


class Measured(NamedTuple):
    """The results of a measurement."""

    scores: Scores
    model: ShownModel
    shown: Shown
    folder: Path
    question: Question

    def means(self) -> dict[int, Estimate]:
        """The score at every length."""
        names = self.scores.suite(self.question.suite).names()
        return {
            length: self.scores.mean(self.model, self.question.suite, names, length)
            for length in self.scores.computed(self.model, self.question.suite)
        }

    def by_task(self, length: int) -> dict[str, float]:
        """The score of every task at a length."""
        suite = self.question.suite
        return {
            name: self.scores.estimate(self.model, suite, name, length).mean
            for name in self.scores.suite(suite).names()
        }


def read_measured(folder: Path, question: Question) -> Measured:
    """The results in the folder of a study.

    Raises:
        RecordError: they are damaged, or of another study.
    """
    plan = folder / "plan"
    grid = parse(Grid, read_file(plan / "grid.json"), where=f"{plan}/grid.json")
    models = parse(
        tuple[ShownModel, ...], read_file(plan / "models.json"), where=f"{plan}/models.json"
    )
    shown = parse(Shown, read_file(plan / "shown.json"), where=f"{plan}/shown.json")
    scores = Scores(read_estimates(folder / "estimates.parquet"), grid)
    return Measured(scores, models[0], shown, folder, question)


def sentences(found: Measured) -> Iterator[str]:
    """The answer, a line each."""
    reading = read(found.means())
    if reading is None:
        shortest = min(found.means())
        yield (
            f"{found.question.model} scores 0 at {shortest:,} tokens, so there is nothing that it "
            "could keep; ask for easier tasks (--tasks niah_single_1) or shorter texts (--lengths)"
        )
    else:
        yield _how_far(found, reading)
        if reading.beyond is not None:
            yield _beyond(found, reading.beyond)
        yield from _by_length(reading)
    if found.question.depth:
        yield _by_depth(found)
    yield from _places(found)
    if reading is not None:
        yield f"next: {_next(found, reading)}"


def _how_far(found: Measured, reading: Reading) -> str:
    shortest = reading.kept[0].length
    if len(reading.kept) == 1:
        return (
            f"{found.question.model} was measured at {shortest:,} tokens alone; how far it reads "
            "takes more lengths (--lengths)"
        )
    alone = "; nothing longer is vouched for" if reading.reliable == shortest else ""
    return (
        f"{found.question.model} {reliably(reading, found.model.trained_length)} (keeps at least "
        f"{100 * OWN_SHARE:.0f} % of its own score at {shortest:,}, lower 95 % limit){alone}"
    )


def _beyond(found: Measured, beyond: Kept) -> str:
    """What is left at the first length where it is not enough, or may not be."""
    weakest = sorted(found.by_task(beyond.length).items(), key=lambda each: each[1])[:WEAKEST]
    named = ", ".join(f"{name} {100 * mean:.0f} %" for name, mean in weakest)
    kept = f"at {beyond.length:,} it keeps {percent(beyond.share)}; weakest: {named}"
    if beyond.verdict == "loses":
        return kept
    samples = found.question.samples
    enough = _enough(found, beyond)
    more = (
        f"about {enough:,} would tell"
        if enough
        else f"nor with {MOST_SAMPLES:,}, for it is too near to {100 * OWN_SHARE:.0f} %"
    )
    unsure = f"whether it reads to {beyond.length:,} cannot be told with {samples} samples"
    return f"{unsure}; {more}: {kept}"


def _enough(found: Measured, beyond: Kept) -> int | None:
    """Samples that would tell, in two digits, rounded up."""
    suite = found.scores.suite(found.question.suite)
    shortest = min(found.means())
    count = enough_samples(
        list(found.by_task(beyond.length).values()),
        list(found.by_task(shortest).values()),
        samples=found.question.samples,
        independent=suite.independent(suite.names()),
    )
    if count is None:
        return None
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit


def _by_length(reading: Reading) -> Iterator[str]:
    """A small table: score and share at every length."""
    yield f"{'length':>9}  {'score':<20}  kept of the score at {reading.kept[0].length:,}"
    for each in reading.kept:
        share = "" if each is reading.kept[0] else f"{percent(each.share)}  {each.verdict}"
        yield f"{each.length:>9,}  {_percent(each.score):<20}  {share}".rstrip()


def _by_depth(found: Measured) -> str:
    """Where in the longest text needles are found least."""
    suite = found.scores.suite(DEPTH)
    length = max(suite.lengths)
    means = {
        depth: found.scores.mean(
            found.model, DEPTH, [task.name for task in suite.tasks if task.depth == depth], length
        )
        for depth in sorted({task.depth for task in suite.tasks if task.depth is not None})
    }
    least = min(means, key=lambda depth: means[depth].mean)
    most = max(means, key=lambda depth: means[depth].mean)
    return (
        f"one needle in {length:,} tokens is found least at depth {least} % "
        f"({_percent(means[least])}), most at {most} % ({_percent(means[most])})"
    )


def _places(found: Measured) -> Iterator[str]:
    """Where table, figures and pages are."""
    folder, suites = found.folder, (found.question.suite, DEPTH)
    tables = [each for each in found.shown.tables if each.suite in suites and each.quoted]
    figures = [each for each in found.shown.figures if each.kind in LARGE]
    yield from (f"table     {folder / 'tables' / each.name}.md" for each in tables)
    yield from (f"figure    {folder / 'figures' / each.name}.svg" for each in figures)
    yield from (f"{Path(page).stem:<9} {folder / page}" for page in PAGES)


def _next(found: Measured, reading: Reading) -> str:
    """The command that says more."""
    question, lengths = found.question, tuple(each.length for each in reading.kept)
    beyond = reading.beyond
    if beyond is None:
        return question._replace(lengths=(*lengths, 2 * lengths[-1])).command
    if beyond.verdict == "cannot be told" and (enough := _enough(found, beyond)):
        return question._replace(samples=enough).command
    between = (reading.reliable + beyond.length) // 2 // STEP * STEP
    if between > reading.reliable:
        return question._replace(lengths=tuple(sorted({*lengths, between}))).command
    return question._replace(depth=True).command


def _percent(value: Estimate) -> str:
    return percent(interval(value))
