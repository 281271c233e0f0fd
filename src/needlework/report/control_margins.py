"""The table `control_margins`: how much likelier than wrong values references are, beside controls.

Markdown and LaTeX show the tasks that have wrong values together, CSV every task and every number.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from needlework.analysis.control_margins import PAIRED, Beside, Margins, Nats, Place, Told
from needlework.analysis.controls import Controlled
from needlework.report.diagnoses import Listing
from needlework.report.margins import as_columns
from needlework.report.rendering import p_value
from needlework.statistics.contrasts import Interval
from needlework.study.controls import LABELS
from needlework.tasks.controls import Control

TITLE = "Margins of references over wrong values beside those of controls, in nats"
NOTE = (
    "Of the tasks that have wrong values. Margin: by how many nats the reference is likelier than "
    "the likeliest wrong value; below 0 a wrong value is likelier. Controls are compared with the "
    "same wrong values, sample by sample; without haystack, with those of the longest length. Last "
    "columns: the margin minus that of the control, over the samples that have both. Above 0 what "
    "the control lacks, the text before its end or the needle that is asked for, makes the "
    "reference likelier. Where wrong values are those of other needles, they stay in the prompt "
    "without the needle: there the difference says that the needle was read, and not that it was "
    "told from the others, which the margin itself says. Brackets hold 95 % intervals; samples "
    "that share a needle count as one cluster. Each task, with intervals, tests (Student's, "
    "corrected together by Holm's method), nats per token and how often the reference is first, "
    "is in the CSV file."
)


def by_place(found: Sequence[Controlled]) -> dict[Place, tuple[Margins, ...]]:
    """The margins of every model, suite and length that has some."""
    return {(each.model, each.suite, each.length): each.margins for each in found if each.margins}


def listing(
    found: Sequence[Controlled],
    asked: Sequence[Control],
    labels: Mapping[str, str],
    *,
    has_controls: bool,
) -> Listing:
    """The rows of a page, over all tasks that have wrong values; with the margin of each control,
    which has its interval in the CSV file, or with differences alone, for narrow pages."""
    alone = [LABELS[control].capitalize() for control in asked if has_controls]
    paired = [f"Margin - {LABELS[control]}" for control in asked if control in PAIRED]
    rows = []
    for (model, suite, length), line in _lines(found):
        if line.task is None:
            told = [f"{100 * line.score:.0f}", _limits(line.own.margin)]
            told += [_alone(each) for each in line.controls if has_controls]
            told += [_more(each) for each in line.controls if each.control in PAIRED]
            rows.append((suite, labels[model], str(length), *told))
    return Listing(("Score (%)", "Margin", *alone, *paired), tuple(rows))


def numbers(found: Sequence[Controlled], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The lines of the CSV file: every number, of all tasks together and of each."""
    return [
        _line(line, suite, model, labels[model], length)
        for (model, suite, length), line in _lines(found)
    ]


def _lines(found: Sequence[Controlled]) -> Iterator[tuple[Place, Margins]]:
    return ((place, line) for place, told in by_place(found).items() for line in told)


def _alone(beside: Beside) -> str:
    margin = beside.told.margin if beside.told and beside.state == "measured" else None
    return beside.state if margin is None else f"{margin.value:z.1f}"


def _limits(found: Nats | None) -> str:
    """A number of nats with its interval, with one decimal: a table has many of them."""
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.value:z.1f}"
    return f"{found.value:z.1f} [{found.low:z.1f}, {found.high:z.1f}]"


def _more(beside: Beside) -> str:
    if beside.more is not None:
        return _limits(beside.more.nats)
    return "no pairs" if beside.state == "measured" else ""


def _line(line: Margins, suite: str, model: str, label: str, length: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "suite": suite,
        "task": line.task or "all",
        "model": model,
        "label": label,
        "length": length,
        "score": round(line.score, 6),
        "chance": None if line.chance is None else round(line.chance, 6),
        **_numbers("", line.own),
    }
    for each in line.controls:
        name = each.control.replace("-", "_")
        row |= {name: each.state, **_numbers(f"{name}_", each.told)}
        if each.control in PAIRED:
            more = each.more
            row |= {
                **as_columns(f"more_than_{name}", _interval(more.nats if more else None)),
                f"{name}_pairs": more.pairs if more else None,
                f"{name}_p_value": p_value(more.p_value) if more else None,
                f"{name}_corrected": p_value(more.corrected) if more else None,
            }
    return row


def _numbers(before: str, told: Told | None) -> dict[str, float | None]:
    first = None if told is None or told.first is None else round(told.first, 6)
    return {
        f"{before}samples": told.samples if told else None,
        **as_columns(f"{before}nats_per_token", _interval(told.nats_per_token if told else None)),
        **as_columns(f"{before}margin", _interval(told.margin if told else None)),
        f"{before}first": first,
    }


def _interval(found: Nats | None) -> Interval | None:
    return None if found is None else found.interval
