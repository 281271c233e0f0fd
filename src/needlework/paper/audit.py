"""What published tables cannot be, or hardly are, judged by their own numbers alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import comb
from typing import Literal

from needlework.paper.granularity import REFERENCES, is_possible, largest_possible, nearest, steps
from needlework.paper.published import DEPTH, OVERALL, Number
from needlework.study.paper import FORMATS, TASKS

Check = Literal["range", "granularity", "average", "identity", "bold", "format-mix"]
Grade = Literal["impossible", "unlikely"]

SIGNIFICANCE = 0.05
"""A pattern counts when chance makes it more rarely than this, all patterns looked at together."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One number, or one group of numbers, that does not add up."""

    check: Check
    grade: Grade
    where: str
    printed: str
    expected: str
    explanation: str
    place: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found, and how much was looked at."""

    findings: tuple[Finding, ...]
    checked: dict[Check, int]
    unchecked: tuple[str, ...]
    """What could not be looked at because a table is not there."""


def audit(numbers: Sequence[Number], *, samples: int) -> Audit:
    """Every check on every number that it applies to."""
    ordered = sorted(numbers, key=lambda number: number.table)
    cells = [number for number in ordered if not number.is_average]
    sums = list(_sums(cells))
    blocks = _blocks(cells, samples)
    marked = _marked_columns(ordered)
    results: dict[Check, tuple[int, Iterable[Finding]]] = {
        "range": (len(ordered), _outside(ordered)),
        "granularity": (_count_tests(cells), _granularity(cells, samples)),
        "average": (len(ordered) - len(cells), _averages(ordered)),
        "identity": (sum(_is_complete(*one) for one in sums), _identities(sums)),
        "bold": (len(marked), _bold(marked)),
        "format-mix": (len(blocks), _mixed(blocks, samples)),
    }
    return Audit(
        findings=tuple(finding for _, found in results.values() for finding in found),
        checked={check: count for check, (count, _) in results.items()},
        unchecked=tuple(_unchecked(sums)),
    )


def describe(number: Number) -> str:
    """Where a number stands, in words."""
    if number.task == DEPTH:
        column = "average" if number.depth is None else f"depth {number.depth}"
        at = f"{number.length} tokens, {column}"
        task = number.format
    else:
        at = "average" if number.length is None else f"{number.length} tokens"
        task = number.task
    return ", ".join(filter(None, (f"Table {number.table}", number.label, task, at)))


def _finding(number: Number, check: Check, *, expected: str, explanation: str) -> Finding:
    return Finding(
        check=check,
        grade="impossible",
        where=describe(number),
        printed=number.printed,
        expected=expected,
        explanation=explanation,
        place=number.place,
    )


def _outside(numbers: Iterable[Number]) -> Iterator[Finding]:
    for number in numbers:
        if not 0 <= number.value <= 100:
            yield _finding(
                number, "range", expected="0 to 100", explanation="A score is a share of samples."
            )


def _parts(number: Number, samples: int) -> int | None:
    """Into how many steps a cell's scale is divided; None where too fine to say anything."""
    if number.task == OVERALL:
        return None
    is_mean = _is_over_formats(number)
    return samples * len(FORMATS) if is_mean else steps(number.task, samples)


def _is_over_formats(number: Number) -> bool:
    """Whether a number at a depth is the mean over the formats."""
    return number.task == DEPTH and not number.format


def _count_tests(cells: Iterable[Number]) -> int:
    return sum(_parts(cell, 1) is not None for cell in cells)


def _granularity(cells: Iterable[Number], samples: int) -> Iterator[Finding]:
    for cell in cells:
        parts = _parts(cell, samples)
        in_range = 0 <= cell.value <= 100
        if parts and in_range and not is_possible(cell.value, cell.half_unit, parts=parts):
            below, above = nearest(cell.value, parts=parts)
            yield _finding(
                cell,
                "granularity",
                expected=f"{float(below):.{cell.decimals}f} or {float(above):.{cell.decimals}f}",
                explanation=_why_not(cell, parts, samples),
            )


def _why_not(cell: Number, parts: int, samples: int) -> str:
    step = f"give multiples of {100 / parts:.4g} %; the printed number is not one"
    if cell.task == DEPTH:
        return f"{samples} samples here {step}."
    references = REFERENCES.get(cell.task, 1)
    asked = f" with {references} references each" if references > 1 else ""
    fewer = largest_possible(cell.value, cell.half_unit, samples=samples, references=references)
    way_out = f"; at most {fewer} samples can give it" if fewer else ""
    return f"{samples} samples{asked} {step}{way_out}."


def _averages(numbers: Sequence[Number]) -> Iterator[Finding]:
    by_row = sorted(numbers, key=lambda number: str(number.row))
    for _, group in groupby(by_row, key=lambda number: number.row):
        row = list(group)
        cells = [number for number in row if not number.is_average]
        for average in (number for number in row if number.is_average):
            found = _mismatch(average, cells)
            if found is not None:
                yield _finding(
                    average,
                    "average",
                    expected=found,
                    explanation=f"The mean of the {len(cells)} numbers in its row is {found}.",
                )


def _mismatch(total: Number, parts: Sequence[Number]) -> str | None:
    """The mean of `parts` as text if rounding cannot explain its distance to `total`."""
    mean = sum((part.value for part in parts), Fraction()) / len(parts)
    slack = total.half_unit + max(part.half_unit for part in parts)
    return None if abs(mean - total.value) <= slack else f"{float(mean):.{total.decimals}f}"


def _sums(cells: Sequence[Number]) -> Iterator[tuple[Number, list[Number], int]]:
    """Each number that sums up others: the number, those printed, and how many there must be."""
    tasks = {(cell.model, cell.length, cell.task): cell for cell in cells if cell.task in TASKS}
    formats = {
        (cell.model, cell.length, cell.depth, cell.format): cell for cell in cells if cell.format
    }
    for cell in cells:
        if cell.task == OVERALL:
            found = [tasks.get((cell.model, cell.length, task)) for task in TASKS]
        elif _is_over_formats(cell):
            found = [formats.get((cell.model, cell.length, cell.depth, form)) for form in FORMATS]
        else:
            continue
        yield cell, [part for part in found if part is not None], len(found)


def _is_complete(_: Number, parts: Sequence[Number], wanted: int) -> bool:
    return len(parts) == wanted


def _identities(sums: Iterable[tuple[Number, list[Number], int]]) -> Iterator[Finding]:
    for total, parts, wanted in sums:
        found = _mismatch(total, parts) if _is_complete(total, parts, wanted) else None
        if found is not None:
            tables = sorted({part.table for part in parts})
            source = f"Table {tables[0]}" + (f" to {tables[-1]}" if len(tables) > 1 else "")
            yield _finding(
                total,
                "identity",
                expected=found,
                explanation=f"The mean of its {wanted} numbers in {source} is {found}.",
            )


def _unchecked(sums: Iterable[tuple[Number, list[Number], int]]) -> Iterator[str]:
    """One line per table with numbers whose parts are not printed."""
    for table, group in groupby(sums, key=lambda one: one[0].table):
        totals = list(group)
        without = [one[0] for one in totals if not _is_complete(*one)]
        if without:
            yield (
                f"Table {table}: {len(without)} of {len(totals)} numbers sum up numbers not all of "
                f"which are printed, so they were not compared (first: {describe(without[0])})."
            )


def _marked_columns(numbers: Iterable[Number]) -> list[list[Number]]:
    """The columns in which some number is printed in bold."""
    columns: dict[tuple[object, ...], list[Number]] = {}
    for number in numbers:
        fixed = None if _is_over_formats(number) else number.length
        key = (number.table, number.task, fixed, number.depth, number.is_average, number.format)
        columns.setdefault(key, []).append(number)
    return [column for column in columns.values() if any(number.bold for number in column)]


def _bold(columns: Iterable[Sequence[Number]]) -> Iterator[Finding]:
    """Bold numbers that are not the best, and columns whose best is not bold.

    Of several best numbers one may stand for all.
    """
    for column in columns:
        best = [one for one in column if one.value == max(number.value for number in column)]
        wrong = [number for number in column if number.bold and number not in best]
        forgotten = [] if any(number.bold for number in best) else best[:1]
        names = " and ".join(number.label for number in best)
        for number in wrong + forgotten:
            yield _finding(
                number,
                "bold",
                expected=f"bold: {names}",
                explanation=f"The best of its column is {float(best[0].value):g} ({names}).",
            )


def _blocks(cells: Sequence[Number], samples: int) -> list[list[Number]]:
    """Means over formats whose granularity distinguishes three formats from one, by block.

    The blocks are: models and depths that are shown by format, too, and those that it does not.
    Cells with so few decimals that several counts round to them tell nothing.
    """
    parts = samples * len(FORMATS)
    shown = [cell for cell in cells if cell.format]
    models, depths = {cell.model for cell in shown}, {cell.depth for cell in shown}
    blocks: dict[tuple[bool, bool], list[Number]] = {}
    for cell in cells:
        telling = 2 * cell.half_unit * parts < 100
        possible = is_possible(cell.value, cell.half_unit, parts=parts)
        if _is_over_formats(cell) and 0 < cell.value < 100 and telling and possible:
            key = (cell.model in models, cell.depth in depths)
            blocks.setdefault(key, []).append(cell)
    return list(blocks.values())


def _mixed(blocks: Sequence[Sequence[Number]], samples: int) -> Iterator[Finding]:
    """Blocks that look like the scores of one format in place of the mean of three.

    The mean of three formats is a multiple of the single format's step in one case of three; the
    more cells are, the less chance explains it. Near 100 % chance is even smaller than this. It
    holds for formats that fail independently; the explanation says so.
    """
    for block in blocks:
        single = [cell for cell in block if is_possible(cell.value, cell.half_unit, parts=samples)]
        chance = _tail(len(single), len(block), Fraction(1, len(FORMATS)))
        if chance * len(blocks) < SIGNIFICANCE:
            yield _mix_finding(block, len(single), chance=chance, samples=samples)


def _mix_finding(
    block: Sequence[Number], single: int, *, chance: Fraction, samples: int
) -> Finding:
    models = ", ".join(dict.fromkeys(cell.label for cell in block))
    depths = ", ".join(map(str, sorted({cell.depth for cell in block if cell.depth is not None})))
    tables = " and ".join(map(str, sorted({cell.table for cell in block})))
    return Finding(
        check="format-mix",
        grade="unlikely",
        where=f"Tables {tables}, {models}, depths {depths}",
        printed=", ".join(cell.printed for cell in block),
        expected=f"about {len(block) / len(FORMATS):.1f} of {len(block)}",
        explanation=(
            f"{single} of {len(block)} numbers between 0 and 100 are multiples of "
            f"{100 / samples:.4g} %, as the scores of one needle format are; means of "
            f"{len(FORMATS)} formats that fail independently would be so one time in "
            f"{len(FORMATS)} (chance {float(chance):.2g}). Consistent with columns of one format "
            "alone, or with needles that fail in every format alike."
        ),
        place=", ".join(dict.fromkeys(cell.place for cell in block)),
    )


def _tail(hits: int, trials: int, rate: Fraction) -> Fraction:
    """The chance of at least `hits` hits in `trials`."""
    return sum(
        (comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits, trials + 1)),
        Fraction(),
    )
