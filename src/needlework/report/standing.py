"""Which numbers of a table are set in bold: the best of a column and its equals.

The tests and Holm's correction are in `needlework.analysis.comparisons`. Zero is never bold, and
nothing is where no number of the column is worse.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from needlework.analysis.comparisons import holm, interval_test, sign_flip_test
from needlework.report.layout import Entry, Row, Source, Table
from needlework.scores.remarks import Remark
from needlework.statistics.contrasts import difference, interval
from needlework.study.grid import Cell, Grid
from needlework.study.shown import ShownModel

SIGNIFICANCE = 0.05
"""Below it, corrected for all numbers of the column, a number is worse than the best."""


class Samples:
    """The score of every sample of a study."""

    def __init__(
        self,
        rows: pl.DataFrame,
        grid: Grid,
        mixed: Mapping[Cell, Sequence[str]] = MappingProxyType({}),
        remarks: Mapping[Cell, Remark] = MappingProxyType({}),
    ) -> None:
        self._mixed = mixed
        self._remarks = remarks
        place = ("model", "suite", "task", "length")
        groups = rows.sort("index").group_by(*place, maintain_order=True)
        self._scores: dict[tuple[str, Source], list[float]] = {
            (model, Source(*source)): scores
            for model, *source, scores in groups.agg(pl.col("score").fill_null(0.0)).iter_rows()
        }
        failed = rows.filter(pl.col("error").is_not_null())
        self._errors: dict[tuple[str, Source], list[str]] = {
            (model, Source(*source)): errors
            for model, *source, errors in failed.group_by(*place).agg("error").iter_rows()
        }
        lost = rows.filter(pl.col("stop_reason") == "thinking").group_by(*place).len()
        self._thinking: dict[tuple[str, Source], int] = {
            (model, Source(*source)): count for model, *source, count in lost.iter_rows()
        }
        self._questions = {
            (suite, task.name): task.questions
            for suite, asked in grid.suites.items()
            for task in asked.tasks
        }

    def reasons(self, model: ShownModel, sources: Iterable[Source]) -> Counter[str]:
        """Why samples of these tasks and lengths failed, with how many did."""
        places = [(model.name, source) for source in dict.fromkeys(sources)]
        return Counter(error for place in places for error in self._errors.get(place, []))

    def thinking(self, model: ShownModel, sources: Iterable[Source]) -> int:
        """How many samples of these tasks and lengths never left their thoughts."""
        return sum(self._thinking.get((model.name, source), 0) for source in dict.fromkeys(sources))

    def versions(self, model: ShownModel, sources: Iterable[Source]) -> dict[Cell, Sequence[str]]:
        """The cells behind these that hold answers of several versions of packages, with those."""
        cells = (Cell(model.name, source.suite, source.length) for source in sources)
        return {cell: self._mixed[cell] for cell in cells if cell in self._mixed}

    def short(self, model: ShownModel, sources: Iterable[Source]) -> dict[Source, int]:
        """Tasks and lengths behind these whose material ends early, with their longest prompts."""
        found = {}
        for source in sources:
            remark = self._remarks.get(Cell(model.name, source.suite, source.length), Remark())
            if source.task in remark.short:
                found[source] = remark.short[source.task]
        return found

    def endless(self, model: ShownModel) -> bool:
        """Whether nothing but their limit ends the answers of a model."""
        return any(each.endless for cell, each in self._remarks.items() if cell.model == model.name)

    def totals(self, model: ShownModel, sources: Sequence[Source]) -> list[float]:
        """One total per question over these tasks and lengths; empty where one has no samples.

        Samples of one index are one question, and no evidence of their own, at several lengths of a
        task and in tasks that ask the same questions: formats or depths of the same needle.
        """
        totals: dict[tuple[str, int], float] = {}
        for source in sources:
            scores = self._scores.get((model.name, source), [])
            if not scores:
                return []
            question = self._questions[source.suite, source.task]
            for index, score in enumerate(scores):
                totals[question, index] = totals.get((question, index), 0.0) + score
        return list(totals.values())


def mark(table: Table, samples: Samples) -> Table:
    """The table with the best numbers of each column marked, among rivals, and their equals."""
    rows = [list(row.entries) for row in table.rows]
    for column in range(len(table.columns)):
        for group in _rivals(table.rows):
            contest = [(table.rows[place], rows[place][column]) for place in group]
            for place, entry in zip(group, _marked(contest, samples), strict=True):
                rows[place][column] = entry
    marked = (
        replace(
            row,
            entries=tuple(
                replace(
                    entry,
                    mixed=bool(samples.versions(row.model, entry.sources)),
                    short=bool(samples.short(row.model, entry.sources)),
                )
                for entry in entries
            ),
        )
        for row, entries in zip(table.rows, rows, strict=True)
    )
    return replace(table, rows=tuple(marked))


def _rivals(rows: Sequence[Row]) -> list[list[int]]:
    """The places of rows that compete with one another."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.rivals, []).append(place)
    return list(groups.values())


def _marked(contest: Sequence[tuple[Row, Entry]], samples: Samples) -> Iterator[Entry]:
    """The entries of one column, marked where not significantly different from the best."""
    merits = [(row, entry) for row, entry in contest if entry.shown]
    top = max((entry.shown or 0.0 for _, entry in merits), default=0.0)
    best = next((one for one in merits if one[1].shown == top), None)
    others = [one for one in merits if one[1].shown != top]
    compared = [_compared(best, other, samples) for other in others] if best else []
    corrected = holm([entry.p_value or 0.0 for entry in compared])
    zeros = any(entry.shown == 0 for _, entry in contest)
    is_contest = zeros or any(p_value < SIGNIFICANCE for p_value in corrected)
    found = iter(zip(compared, corrected, strict=True))
    for _, entry in contest:
        if not entry.shown or entry.shown == top:
            yield replace(entry, best=bool(entry.shown) and is_contest)
        else:
            other, p_value = next(found)
            is_best = p_value >= SIGNIFICANCE and is_contest
            yield replace(other, best=is_best, p_value=p_value)


def _compared(best: tuple[Row, Entry], other: tuple[Row, Entry], samples: Samples) -> Entry:
    """The other entry with how often chance alone makes a difference as large to the best."""
    (first_row, first), (second_row, second) = best, other
    if first.sources == second.sources and _same_prompts(first_row.model, second_row.model):
        sides = [samples.totals(row.model, entry.sources) for row, entry in (best, other)]
        if sides[0] and len(sides[0]) == len(sides[1]):
            return replace(second, p_value=sign_flip_test(*sides), test="paired")
    assert first.estimate is not None, "it has a merit"
    assert second.estimate is not None, "it has a merit"
    gap = difference(interval(first.estimate), interval(second.estimate))
    return replace(second, p_value=interval_test(gap), test="apart")


def _same_prompts(one: ShownModel, other: ShownModel) -> bool:
    """Whether two models answered the same samples."""
    return (one.tokenizer, one.wrapper) == (other.tokenizer, other.wrapper)
