"""How one number of a table is written in Markdown and in LaTeX, with everything that sets it off.

`layout` decides where an entry stands.
"""

from collections.abc import Sequence

from needlework.report.layout import Entry
from needlework.report.notes import entry_marks
from needlework.report.rendering import percent
from needlework.report.writing import Written

SIGNS = {
    "failed": "†",
    "mixed": "§",
    "short": "¶",
    "endless": "‖",
    "unverified": "‡",
    "missing": "—",
}
"""What points from a number or a model to its remark."""

LATEX_SIGNS = {
    "failed": r"$\dagger$",
    "mixed": r"\S{}",
    "short": r"\P{}",
    "endless": r"$\parallel$",
    "unverified": r"$\ddagger$",
}
LATEX_GAP = "{---}"


def signs(marks: Sequence[str]) -> str:
    """The signs of remarks in Markdown."""
    return "".join(SIGNS[mark] for mark in marks)


def latex_signs(marks: Sequence[str]) -> Written:
    """The signs of remarks in LaTeX: raised, but for a gap, which stands in place of a number."""
    return Written(
        "".join(
            r"--- " if mark == "missing" else rf"\textsuperscript{{{LATEX_SIGNS[mark]}}}"
            for mark in marks
        )
    )


def markdown(entry: Entry, *, intervals: bool) -> Written:
    """A number as Markdown shows it."""
    if entry.estimate is None:
        return Written(SIGNS["missing"])
    shown = percent(entry.estimate.mean)
    shown = f"<ins>{shown}</ins>" if entry.trained else shown
    shown = f"**{shown}**" if entry.best else shown
    tail = f" {_limits(entry)}" if intervals else ""
    return Written(f"{shown}{signs(entry_marks(entry))}{tail}")


def latex(entry: Entry) -> Written:
    r"""A number as an `S` column of siunitx reads it.

    The line below a number at the training length is drawn after it, to the left, by
    `\needleworktrained`: `\underline` would hide the number from siunitx, which then could not
    align it.
    """
    if entry.estimate is None:
        return Written(LATEX_GAP)
    shown = percent(entry.estimate.mean)
    weight = r"\bfseries " if entry.best else ""
    line = rf"{{\needleworktrained{{{weight}{shown}}}}}" if entry.trained else ""
    return Written(f"{weight}{shown}{line}{latex_signs(entry_marks(entry))}")


def latex_limits(entry: Entry) -> Written:
    """The interval of a number, for the line below it."""
    return Written("" if entry.estimate is None else rf"{{\scriptsize {_limits(entry)}}}")


def latex_columns(columns: Sequence[Sequence[Entry]]) -> Written:
    """The `S` columns of a table, each with room for its widest number and its signs."""
    return Written(" ".join(f"S[table-format={_room(column)}]" for column in columns))


def _room(column: Sequence[Entry]) -> str:
    """siunitx's description of the widest number in a column."""
    shown = [entry for entry in column if entry.estimate is not None]
    digits = max(
        (len(percent(entry.estimate.mean)) - 3 for entry in shown if entry.estimate), default=1
    )
    widest = max((latex_signs(entry_marks(entry)) for entry in shown), key=len, default="")
    return f"{digits}.2{{{widest}}}" if widest else f"{digits}.2"


def _limits(entry: Entry) -> str:
    """An interval with one decimal; both ends of the scale without."""
    assert entry.estimate is not None, "a missing number has no interval"
    low, high = (f"{100 * limit:.1f}" for limit in (entry.estimate.low, entry.estimate.high))
    ends = {"0.0": "0", "100.0": "100"}
    return f"[{ends.get(low, low)}, {ends.get(high, high)}]"
