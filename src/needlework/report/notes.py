"""The notes below a table: samples and intervals behind its numbers, failures, missing cells."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from needlework.errors import StudyError
from needlework.parsing import read
from needlework.records import Verification
from needlework.report.layout import Entry, Row, Table
from needlework.report.standing import SIGNIFICANCE, Samples
from needlework.study.grid import Cell, Grid
from needlework.study.served_records import ServedVerification, parse_verification
from needlework.study.shown import ShownModel
from needlework.study.variants import weights_of

Verified = Mapping[str, Verification | ServedVerification]
"""What was compared with a reference implementation, by model."""


TESTS = {
    "paired": "paired permutation test on the samples that both models answered",
    "apart": "95 % interval of the difference, where models answered different samples",
}
"""How a number was compared with the best of its column."""
MOST_REASONS = 3
"""Reasons of failures that a remark spells out; every one stands in the predictions."""
MOST_PLACES = 6
"""Tasks and lengths that a remark spells out."""


class Note(NamedTuple):
    """A remark below a table."""

    mark: str
    """What points to it: `failed`, `mixed`, `short`, `endless`, `unverified`, `missing`; empty for
    the whole table."""
    text: str


def read_verified(paths: Iterable[Path]) -> Verified:
    """The verifications in files, by the weights that models and their variants share.

    Raises:
        StudyError: a file is not one.
    """
    found = (parse_verification(read(path), where=str(path)) for path in paths)
    return {weights_of(one.model): one for one in found}


def entry_marks(entry: Entry) -> tuple[str, ...]:
    """What a number needs a remark for."""
    failed = entry.estimate is not None and entry.estimate.failed
    found = {"failed": failed, "mixed": entry.mixed, "short": entry.short}
    return tuple(name for name, holds in found.items() if holds)


def row_marks(row: Row, verified: Verified | None, samples: Samples) -> tuple[str, ...]:
    """What the model of a row needs a remark for."""
    found = {
        "endless": samples.endless(row.model),
        "unverified": bool(_doubt(row.model, verified)),
    }
    return tuple(name for name, holds in found.items() if holds)


def notes(table: Table, verified: Verified | None, samples: Samples) -> list[Note]:
    """Every remark, in the order in which they are printed."""
    return [
        *_missing(table),
        *_basis(table),
        Note("", _bold(table)),
        *_failures(table, samples),
        *_thoughts(table, samples),
        *_mixed(table, samples),
        *_short(table, samples),
        *_endless(table, samples),
        *_unverified(table, verified),
    ]


def missing_cells(table: Table) -> list[str]:
    """The cells that a table lacks, one line per model and suite."""
    cells = dict.fromkeys(
        cell for row in table.rows for entry in row.entries for cell in entry.missing
    )
    return named(cells, {row.model.name: row.model.label for row in table.rows})


def labels_of(models: Sequence[ShownModel], grid: Grid) -> dict[str, str]:
    """What tables and figures call each model of a study, by name.

    Raises:
        StudyError: nothing is said of a model that its grid has.
    """
    labels = {model.name: model.label for model in models}
    if unsaid := [name for name in grid.models if name not in labels]:
        raise StudyError(
            f"nothing says what to call {unsaid[0]}; name grid and models of one study, "
            "--grid FOLDER/plan/grid.json --models FOLDER/plan/models.json"
        )
    return labels


def named(cells: Iterable[Cell], labels: Mapping[str, str]) -> list[str]:
    """Cells in words, one line per model and suite; `labels` says what models are called."""
    lengths: dict[tuple[str, str], list[int]] = {}
    for cell in cells:
        lengths.setdefault((cell.model, cell.suite), []).append(cell.length)
    return [
        f"{labels[model]}, suite {suite}, at {_listed(map(str, sorted(found)))} tokens"
        for (model, suite), found in lengths.items()
    ]


def _missing(table: Table) -> Iterator[Note]:
    cells = missing_cells(table)
    if cells:
        yield Note(
            "missing",
            f"Not computed: {'; '.join(cells)}. No mean is taken over the remaining cells.",
        )


def _basis(table: Table) -> Iterator[Note]:
    """What the numbers rest on, if there are any."""
    entries = [entry for row in table.rows for entry in row.entries]
    found = [entry.estimate for entry in entries if entry.estimate is not None]
    counts = [
        entry.estimate.count
        for entry in entries
        if entry.estimate is not None and not entry.is_average
    ]
    if counts:
        widest = max(max(one.high - one.mean, one.mean - one.low) for one in found)
        yield Note(
            "",
            f"Scores in percent, each (averages aside) from {_range(counts)} samples; the widest "
            f"95 % interval is ±{100 * widest:.1f} points; all intervals are in the CSV file.",
        )


def _bold(table: Table) -> str:
    """How ties with the best were found, in the words that apply to this table."""
    kinds = {entry.test for row in table.rows for entry in row.entries} - {None}
    tests = [text for kind, text in TESTS.items() if kind in kinds]
    column = "column and length" if any(row.rivals for row in table.rows) else "column"
    level = f"{100 * SIGNIFICANCE:.0f} % level, Holm-corrected per column"
    how = f" ({' or '.join(tests)}; {level})" if tests else ""
    if not any(entry.best for row in table.rows for entry in row.entries):
        return f"No score is bold: in no {column} is one worse than another for certain{how}."
    equals = f", and every score not significantly different from it{how}" if tests else ""
    return (
        f"Bold: the best score of its {column}{equals}; zero is never bold, nor is any score where "
        f"none of its {column} is worse."
    )


def _failures(table: Table, samples: Samples) -> Iterator[Note]:
    """The samples without an answer, by row, and why."""
    lines = []
    for row in table.rows:
        own = [entry for entry in row.entries if not entry.is_average]
        parts = [entry.estimate for entry in own if entry.estimate is not None]
        failed = sum(part.failed for part in parts)
        if failed:
            count = sum(part.count for part in parts)
            reasons = samples.reasons(row.model, [each for one in own for each in one.sources])
            lines.append(f"{' '.join(row.heads)}: {failed} of {count} ({shown_reasons(reasons)})")
    if lines:
        yield Note("failed", f"Samples that failed and score zero: {'; '.join(lines)}.")


def _thoughts(table: Table, samples: Samples) -> Iterator[Note]:
    """The samples whose thoughts never ended, by row."""
    lines = []
    for row in table.rows:
        own = [entry for entry in row.entries if not entry.is_average]
        count = sum(entry.estimate.count for entry in own if entry.estimate is not None)
        lost = samples.thinking(row.model, [each for one in own for each in one.sources])
        if lost:
            lines.append(f"{' '.join(row.heads)}: {lost} of {count}")
    if lines:
        yield Note(
            "", f"Samples that never left their thoughts and score zero: {'; '.join(lines)}."
        )


def shown_reasons(reasons: Counter[str]) -> str:
    """The most frequent reasons; how often where there is more than one."""
    if len(reasons) == 1:
        return next(iter(reasons))
    often = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    lines = [f"{count} times: {reason}" for reason, count in often[:MOST_REASONS]]
    others = sum(count for _, count in often[MOST_REASONS:])
    return ", ".join([*lines, f"{others} times: others"] if others else lines)


def _mixed(table: Table, samples: Samples) -> Iterator[Note]:
    """The cells whose answers other versions computed, and which these are."""
    labels = {row.model.name: row.model.label for row in table.rows}
    shown = [(row.model, each.sources) for row in table.rows for each in row.entries if each.mixed]
    found = {
        cell: versions
        for model, sources in shown
        for cell, versions in samples.versions(model, sources).items()
    }
    if found:
        lines = [f"{named([cell], labels)[0]} ({'; '.join(told)})" for cell, told in found.items()]
        yield Note("mixed", f"Cells with answers of several versions: {', '.join(lines)}.")


def _short(table: Table, samples: Samples) -> Iterator[Note]:
    """The tasks whose material ends before the length that a number stands for."""
    shown = [(row.model, each.sources) for row in table.rows for each in row.entries if each.short]
    longest: dict[tuple[str, int], int] = {}
    for model, sources in shown:
        for source, tokens in samples.short(model, sources).items():
            place = (source.task, source.length)
            longest[place] = max(longest.get(place, 0), tokens)
    if longest:
        lines = [
            f"{task} at {length} tokens (the longest has {tokens})"
            for (task, length), tokens in sorted(longest.items())
        ]
        yield Note(
            "short", f"Prompts shorter than their length, as there is no more text: {_few(lines)}."
        )


def _endless(table: Table, samples: Samples) -> Iterator[Note]:
    """The models whose answers go on to their limit."""
    models = {row.model.name: row.model for row in table.rows}.values()
    labels = [model.label for model in models if samples.endless(model)]
    if labels:
        yield Note(
            "endless",
            f"No end token is known, so answers go on to their limit: {', '.join(labels)}.",
        )


def _few(lines: Sequence[str]) -> str:
    """The first lines, and how many more there are."""
    rest = len(lines) - MOST_PLACES
    return "; ".join(lines[:MOST_PLACES]) + (f" and {rest} more" if rest > 0 else "")


def _unverified(table: Table, verified: Verified | None) -> Iterator[Note]:
    models = {row.model.name: row.model for row in table.rows}.values()
    doubts = [(model.label, _doubt(model, verified)) for model in models]
    lines = [f"{label} ({doubt})" for label, doubt in doubts if doubt]
    if lines:
        yield Note(
            "unverified",
            f"Weights not compared with another implementation: {'; '.join(lines)}.",
        )


def _doubt(model: ShownModel, verified: Verified | None) -> str:
    """Why a model's weights may compute something else than they should; empty if nothing says so.

    None for `verified` makes no statement about any model.
    """
    if verified is None:
        return ""
    found = verified.get(model.weights)
    if found is None:
        return "not verified"
    return found.reason or ""


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
