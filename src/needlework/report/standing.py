"""Which numbers of a table are set in bold: the best of a column and its equals.

Knows rows, entries and the samples behind them; which test is used is the business of
`needlework.comparisons`. Zero is no merit: it is never bold.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from needlework.comparisons import holm, interval_test, sign_flip_test
from needlework.contrasts import difference, interval
from needlework.report.layout import Entry, Row, Table
from needlework.study import ShownModel

SIGNIFICANCE = 0.05
"""Below it, corrected for all numbers of the column, a number is worse than the best."""


class Samples:
    """The score of every sample of a study."""

    def __init__(self, rows: pl.DataFrame) -> None:
        groups = rows.sort("index").group_by("model", "task", "length", maintain_order=True)
        found = groups.agg(pl.col("score").fill_null(0.0))
        self._scores: dict[tuple[str, str, int], list[float]] = {
            (row["model"], row["task"], row["length"]): row["score"]
            for row in found.iter_rows(named=True)
        }

        failed = rows.filter(pl.col("error").is_not_null())
        self._errors: dict[tuple[str, str, int], list[str]] = {
            (model, task, length): errors
            for model, task, length, errors in failed.group_by("model", "task", "length")
            .agg("error")
            .iter_rows()
        }

    def reasons(self, model: ShownModel, sources: Iterable[tuple[str, int]]) -> Counter[str]:
        """Why samples of these tasks and lengths failed, with how many did."""
        places = [(model.name, task, length) for task, length in dict.fromkeys(sources)]
        return Counter(error for place in places for error in self._errors.get(place, []))

    def totals(
        self, model: ShownModel, sources: Sequence[tuple[str, int]], *, one_needle: bool = False
    ) -> list[float]:
        """One total per question over these tasks and lengths; empty where one has no samples.

        Samples of one index are one question, and no evidence of their own, at several lengths of a
        task and, with `one_needle`, in several tasks: formats or depths of the same needle.
        """
        totals: dict[tuple[str, int], float] = {}
        for task, length in sources:
            scores = self._scores.get((model.name, task, length), [])
            if not scores:
                return []
            question = "" if one_needle else task
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
        replace(row, entries=tuple(entries)) for row, entries in zip(table.rows, rows, strict=True)
    )
    return replace(table, rows=tuple(marked))


def _rivals(rows: Sequence[Row]) -> list[list[int]]:
    """The places of rows that compete with one another."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.rivals, []).append(place)
    return list(groups.values())


def _marked(contest: Sequence[tuple[Row, Entry]], samples: Samples) -> Iterator[Entry]:
    """The entries of one column, with those marked that no test tells from the best."""
    merits = [(row, entry) for row, entry in contest if entry.shown]
    top = max((entry.shown or 0.0 for _, entry in merits), default=0.0)
    best = next((one for one in merits if one[1].shown == top), None)
    others = [one for one in merits if one[1].shown != top]
    compared = [_compared(best, other, samples) for other in others] if best else []
    corrected = iter(holm([entry.p_value or 0.0 for entry in compared]))
    found = iter(compared)
    for _, entry in contest:
        if not entry.shown or entry.shown == top:
            yield replace(entry, best=bool(entry.shown))
        else:
            p_value = next(corrected)
            yield replace(next(found), best=p_value >= SIGNIFICANCE, p_value=p_value)


def _compared(best: tuple[Row, Entry], other: tuple[Row, Entry], samples: Samples) -> Entry:
    """The other entry with how often chance alone makes a difference as large to the best."""
    (first_row, first), (second_row, second) = best, other
    if first.sources == second.sources and _same_prompts(first_row.model, second_row.model):
        sides = [
            samples.totals(row.model, entry.sources, one_needle=entry.task == "depth")
            for row, entry in (best, other)
        ]
        if sides[0] and len(sides[0]) == len(sides[1]):
            return replace(second, p_value=sign_flip_test(*sides), test="paired")
    assert first.estimate is not None, "it has a merit"
    assert second.estimate is not None, "it has a merit"
    gap = difference(interval(first.estimate), interval(second.estimate))
    return replace(second, p_value=interval_test(gap), test="apart")


def _same_prompts(one: ShownModel, other: ShownModel) -> bool:
    """Whether two models answered the same samples."""
    return (one.tokenizer, one.wrapper) == (other.tokenizer, other.wrapper)
