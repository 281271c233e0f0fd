"""The tables of diagnoses: what answers are, scores by the needle's distance, likelihoods.

Markdown and LaTeX show suites, models and lengths; CSV has every task with its interval beside.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from needlework.analysis.why import Range, Share, ranges, shares
from needlework.files import write_csv, write_text
from needlework.report.margins import COLUMNS, apart, listed
from needlework.report.notes import labels_of, named
from needlework.report.rendering import render
from needlework.scores.diagnoses import read_diagnoses, read_likelihoods
from needlework.scores.failures import KINDS
from needlework.statistics.means import Estimate
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel

HEADS = ("Suite", "Model", "Length")
TITLES = {
    "failures": "What the answers are, in percent of all",
    "distance": "Score by how many tokens before the question the needle begins",
    "likelihood": "How likely the reference is behind the prompt, and by how much the likeliest",
}
NOTES = {
    "failures": (
        "Told by rule from the answer, its references and the prompt: the value of another needle, "
        "a value from elsewhere in the prompt, a near miss (few characters changed, or broken "
        "off), an invented value of the right form, no value at all, repetition, a refusal or "
        "nothing. Each task, with counts and 95 % intervals, is in the CSV file."
    ),
    "distance": (
        "Scores in percent with 95 % intervals, of samples whose answer lies in one needle. "
        "Samples that share a needle count as one cluster. Each task, with the number of samples, "
        "is in the CSV file."
    ),
    "likelihood": (
        "Log-likelihood of the reference right behind the prompt, in nats per token; of several "
        "references the likeliest counts. Margin: by how many nats the whole reference is likelier "
        "than the likeliest wrong value; first: in how many samples it is likelier than all of "
        "them. Wrong values are at most four of the other needles' or, where there are none, one "
        "drawn from the same values; tasks without such have neither margin nor rank. 95 % "
        "intervals; samples that share a needle count as one cluster. Failed samples have no "
        "likelihood and are not first. Each task is in the CSV file."
    ),
}


class Listing(NamedTuple):
    """What is printed: a line is a suite, a model and a length."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_diagnoses(
    definition: TableDefinition,
    output: Path,
    diagnosis: Path,
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    templates: Path,
) -> None:
    """Write a table of diagnoses as `output` with the suffixes .md, .tex and .csv.

    Raises:
        RecordError: the diagnosis is damaged, of another study, or lacks what the table shows.
        StudyError: nothing is said of a model that the grid has.
    """
    labels = labels_of(models, grid)
    rows = READ[definition.value](diagnosis, grid)
    listing, lines = MAKE[definition.value](rows, grid, labels)
    more = apart(rows) if definition.value == "likelihood" else []
    for suffix in (".md", ".tex"):
        page = render(
            templates / f"listing{suffix}.j2",
            name=definition.name,
            label=definition.label,
            title=definition.title or TITLES[definition.value],
            heads=HEADS,
            listing=listing,
            note=" ".join([NOTES[definition.value], *more, *_missing(rows, grid, labels)]),
        )
        write_text(output.with_name(output.name + suffix), page)
    write_csv(output.with_name(output.name + ".csv"), lines)


def _missing(rows: pl.DataFrame, grid: Grid, labels: Mapping[str, str]) -> Iterator[str]:
    """A sentence that names the cells without a diagnosis, where there are some."""
    there = set(rows.select("model", "suite", "length").unique().iter_rows())
    cells = [each for each in grid.cells() if (each.model, each.suite, each.length) not in there]
    if cells:
        yield f"Not computed: {'; '.join(named(cells, labels))}."


def _failures(
    rows: pl.DataFrame, grid: Grid, labels: Mapping[str, str]
) -> tuple[Listing, list[dict[str, Any]]]:
    places: dict[tuple[str, str, str], list[str]] = {}
    for each in shares(rows, grid, by_task=False):
        place = (each.suite, labels[each.model], str(each.length))
        places.setdefault(place, []).append(f"{100 * each.share.mean:.1f}")
    listing = Listing(KINDS, tuple((*place, *told) for place, told in places.items()))
    both = (shares(rows, grid, by_task=by_task) for by_task in (False, True))
    return listing, [_share(each, labels) for found in both for each in found]


def _distance(
    rows: pl.DataFrame, grid: Grid, labels: Mapping[str, str]
) -> tuple[Listing, list[dict[str, Any]]]:
    whole = list(ranges(rows, grid, by_task=False))
    columns = dict.fromkeys((each.low, each.high) for each in sorted(whole, key=_by_distance))
    places: dict[tuple[str, str, str], dict[tuple[int, int], str]] = {}
    for each in whole:
        place = (each.suite, labels[each.model], str(each.length))
        places.setdefault(place, {})[each.low, each.high] = _limits(each.score)
    listing = Listing(
        tuple(f"{low}-{high}" for low, high in columns),
        tuple((*at, *(told.get(each, "") for each in columns)) for at, told in places.items()),
    )
    by_task = ranges(rows, grid, by_task=True)
    return listing, [_range(each, labels) for each in (*whole, *by_task)]


def _likelihood(
    rows: pl.DataFrame, grid: Grid, labels: Mapping[str, str]
) -> tuple[Listing, list[dict[str, Any]]]:
    shown, lines = listed(rows, grid, labels)
    return Listing(COLUMNS, tuple(shown)), lines


Make = Callable[[pl.DataFrame, Grid, Mapping[str, str]], tuple[Listing, list[dict[str, Any]]]]
MAKE: Mapping[str, Make] = {
    "failures": _failures,
    "distance": _distance,
    "likelihood": _likelihood,
}
READ = {"failures": read_diagnoses, "distance": read_diagnoses, "likelihood": read_likelihoods}


def _by_distance(found: Range) -> int:
    return found.low


def _limits(score: Estimate) -> str:
    """A score with its interval in whole percent."""
    return f"{100 * score.mean:.0f} [{100 * score.low:.0f}, {100 * score.high:.0f}]"


def _share(each: Share, labels: Mapping[str, str]) -> dict[str, Any]:
    place = _place(each.suite, each.task, each.model, labels, each.length)
    return place | {"kind": each.kind, "count": each.answers} | _estimate(each.share)


def _range(each: Range, labels: Mapping[str, str]) -> dict[str, Any]:
    place = _place(each.suite, each.task, each.model, labels, each.length)
    return place | {"from": each.low, "to": each.high} | _estimate(each.score)


def _place(
    suite: str, task: str | None, model: str, labels: Mapping[str, str], length: int
) -> dict[str, Any]:
    return {
        "suite": suite,
        "task": task or "all",
        "model": model,
        "label": labels[model],
        "length": length,
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    limits = {name: round(getattr(found, name), 6) for name in ("mean", "low", "high")}
    return limits | {"samples": found.count}
