"""What each published defect costs, as a page, a CSV table and a picture.

The costs are computed in `needlework.hazards.effects`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from needlework.analysis.findings import SIGNIFICANCE
from needlework.files import write_csv, write_text
from needlework.hazards.effects import INTERACTION, TOTAL, Breakdown, Cost, breakdowns
from needlework.hazards.forest import HEADS, hazard_forest
from needlework.report import charts
from needlework.report.rendering import p_value, render
from needlework.report.writing import Written, markdown
from needlework.scores.cells import read_parquet
from needlework.statistics.contrasts import Interval
from needlework.study.config import Study
from needlework.study.variants import StudiedModel

SUBJECTS = {
    "mamba-sampling": "sampling",
    "no-begin-token": "leaving the begin token out",
    "m2a-conv-state": "the wrong convolution state",
    "rg-window": "the shifted window",
    "uuid-numbers": "asking for numbers in place of UUIDs",
    "format-mix": "leaving essays out between the depths",
}
"""What is said to cost points."""
DEFECTS = {
    "mamba-sampling": "answers were drawn at random where those of other models were the likeliest",
    "no-begin-token": "prompts lacked the token with which every text of the training begins",
    "m2a-conv-state": "the model wrote from a wrong state of its convolutions after the prompt",
    "rg-window": "beyond its window, attention looked at shifted keys",
    "uuid-numbers": "tasks that ask for UUIDs hid and asked for numbers",
    "format-mix": "between depths 0, 50 and 100, the mean over formats held one format alone",
}
"""What each defect is, in a line."""
FIGURE = "hazard_forest"


def write_hazards(
    study: Study,
    models: Sequence[StudiedModel],
    folder: Path,
    *,
    scores: Path,
    templates: Path,
) -> None:
    """Write hazards.md, hazards.csv and the picture, with every suffix of a figure, to `folder`.

    Raises:
        RecordError: scores are damaged or missing.
        StudyError: the template is missing.
    """
    found = breakdowns(read_parquet(scores), models, seed=study.seed)
    asked = {cost.part for each in found for cost in each.costs}
    page = render(
        templates / "hazards.md.j2",
        study=study,
        figure=f"figures/{FIGURE}.svg",
        suites=_by_suite(found),
        certain_in=lambda rows: [row.model for row in rows if any(map(_is_certain, row.costs))],
        title=_title,
        heads=HEADS,
        defects={part: told for part, told in DEFECTS.items() if part in asked},
        tests=sum(cost.p_value is not None for each in found for cost in each.costs),
        significance=100 * SIGNIFICANCE,
        sentence=sentence,
        shown=_shown,
        cell=_cell,
        parts=_parts,
    )
    write_text(folder / "hazards.md", page)
    write_csv(folder / "hazards.csv", (line for row in found for line in _lines(row)))
    charts.save(hazard_forest(found, study=study.study), folder / "figures" / FIGURE)


def _title(row: Breakdown) -> Written:
    """What the scores of a suite are means over."""
    if row.asked.formats:
        return Written("One needle (mean over depths of the mean over formats)")
    name = markdown(charts.spoken(row.suite))
    tasks = len(row.asked.tasks)
    return Written(f"{name} (mean over the {tasks} tasks)" if tasks > 1 else name)


def sentence(row: Breakdown) -> Written:
    """What a model's breakdown says, in words."""
    alone = [cost for cost in row.costs if cost.part not in (INTERACTION, TOTAL)]
    told = [_told(cost) for cost in alone]
    certain = any(map(_is_certain, alone))
    told += [_together(cost, certain) for cost in row.costs if cost.part == INTERACTION]
    scores = f"{100 * row.all_defects:.1f} with all defects, {100 * row.no_defect:.1f} with none"
    text = "; ".join(told)
    return Written(f"**{markdown(row.label)}**: {scores}. {text[:1].upper()}{text[1:]}.")


def _told(cost: Cost) -> str:
    subject = SUBJECTS[cost.part]
    if cost.changed == 0:
        return f"{subject} changes no score"
    points, low, high = cost.points
    if not _is_certain(cost):
        return f"{subject} makes no certain difference ({_shown(cost.points)} points)"
    if points > 0:
        return f"{subject} costs {_shown(cost.points)} points"
    return f"{subject} flatters by {_shown(Interval(-points, -high, -low))} points"


def _is_certain(cost: Cost) -> bool:
    return cost.adjusted is not None and cost.adjusted < SIGNIFICANCE


def _together(cost: Cost, certain: bool) -> str:
    """How the defects act together, beside what each of them does alone.

    Where no defect makes a certain difference alone, an interaction that mirrors it is none either.
    """
    points, low, high = cost.points
    if low <= 0 <= high:
        return f"together they cost what they cost one by one (interaction {_shown(cost.points)})"
    if not certain:
        return f"what they do together is not certain either (interaction {_shown(cost.points)})"
    size = cost.points if points > 0 else Interval(-points, -high, -low)
    side = "more" if points > 0 else "less"
    return f"together they cost {_shown(size)} points {side} than one by one"


def _shown(points: Interval) -> str:
    """Points with their interval."""
    value, low, high = (f"{100 * number + 0.0:.1f}".replace("-0.0", "0.0") for number in points)
    return f"{value} [{low}, {high}]"


def _cell(row: Breakdown, part: str) -> Written:
    """What a table shows of a part; nothing where a model has no such defect."""
    found = next((cost for cost in row.costs if cost.part == part), None)
    if found is None:
        return Written("")
    if found.changed == 0:
        return Written("0")
    mark = "\\*" if _is_certain(found) else ""
    return Written(f"{_shown(found.points)}{mark}")


def _parts(rows: Sequence[Breakdown]) -> list[str]:
    """The defects that some row has, in the order of the rows; interaction and total last."""
    defects = dict.fromkeys(cost.part for row in rows for cost in row.costs)
    last = [part for part in (INTERACTION, TOTAL) if part in defects]
    return [part for part in defects if part not in last] + last


def _by_suite(found: Sequence[Breakdown]) -> dict[str, dict[int | None, list[Breakdown]]]:
    """Rows by suite and length, the mean over lengths first."""
    suites: dict[str, dict[int | None, list[Breakdown]]] = {}
    for row in found:
        suites.setdefault(row.suite, {}).setdefault(row.length, []).append(row)
    return suites


def _lines(row: Breakdown) -> Iterator[dict[str, str | int | float | None]]:
    """One line per part; costs are shares of 1, like every score in a CSV file."""
    for cost in row.costs:
        yield {
            "model": row.model,
            "label": row.label,
            "suite": row.suite,
            "length": "mean" if row.length is None else row.length,
            "all_defects": round(row.all_defects, 6),
            "no_defect": round(row.no_defect, 6),
            "part": cost.part,
            "cost": round(cost.points.value, 6),
            "low": round(cost.points.low, 6),
            "high": round(cost.points.high, 6),
            "changed": cost.changed,
            "samples": cost.samples,
            "p_value": p_value(cost.p_value),
            "adjusted": p_value(cost.adjusted),
        }
