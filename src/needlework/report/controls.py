"""The tables of controls, and what pages say of controls.

Of scores, Markdown has groups of tasks, LaTeX the means over all of them, CSV every number; margins
are those of `control_margins`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from needlework.analysis.controls import Beside, Beyond, Controlled, Measured, controlled, whole
from needlework.files import write_csv, write_text
from needlework.parsing import parse, read
from needlework.report import control_margins
from needlework.report.diagnoses import Listing
from needlework.report.notes import labels_of
from needlework.report.rendering import p_value, render
from needlework.scores.cells import gathered
from needlework.study.config import Study
from needlework.study.controls import LABELS, ControlCell
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Grid
from needlework.study.shown import ShownModel
from needlework.tasks.controls import Control

HEADS = ("Suite", "Model", "Length")
TITLE = "Scores beside those of controls, in percent"
WORDS: Mapping[Control, str] = {
    "truncated": (
        "Truncated: the model with only the last tokens of each prompt, as many as its training "
        "length leaves beside the answer; up to that length the prompts are the same ones."
    ),
    "no-haystack": (
        "No haystack: the needles and the question alone, asked once; where a list of words is "
        "the task (cwe, fwe) there is no such control, and none of a mean over it."
    ),
    "no-needle": (
        "No needle: what guessing scores, the needles that are asked for taken out and hay in "
        "their place; in lists of words all come equally often."
    ),
}
BEYOND = (
    "Reads beyond a truncated copy, by the score minus that of the copy, in points. Yes: it scores "
    "more for certain. No: it scores less for certain, or less than 5 points more by an interval "
    "that holds for all lines together. Exact paired permutation tests, corrected together by "
    "Holm's method."
)
BRACKETS = (
    "Brackets hold 95 % intervals of a bootstrap of questions; groups of tasks and single numbers "
    "are in the CSV file."
)


def write_controlled(
    scores: Sequence[Path],
    output: Path,
    *,
    study: Study,
    grid: Grid,
    models: Sequence[ShownModel],
    cells: Sequence[ControlCell],
) -> None:
    """Write what score files, those of controls among them, say of every model, as JSON.

    Raises:
        RecordError: a file is damaged, or of another study.
    """
    found = controlled(
        gathered(scores),
        grid=grid,
        models=models,
        asked=study.controls,
        cells=cells,
        seed=study.seed,
    )
    lines = ",\n".join(each.model_dump_json() for each in found)
    write_text(output, f"[\n{lines}\n]\n")


def read_controlled(path: Path) -> tuple[Controlled, ...]:
    """What `write_controlled` wrote.

    Raises:
        StudyError: it is damaged.
    """
    return parse(tuple[Controlled, ...], read(path), where=str(path))


def write_controls(
    definition: TableDefinition,
    output: Path,
    found: Sequence[Controlled],
    *,
    grid: Grid,
    models: Sequence[ShownModel],
    templates: Path,
) -> None:
    """Write the table `controls`, or `control_margins`, as `output` with .md, .tex and .csv.

    Raises:
        StudyError: nothing is said of a model that the grid has.
    """
    labels = labels_of(models, grid)
    asked = list(dict.fromkeys(each.control for line in found for each in line.controls))
    are_margins = definition.value == "control_margins"
    for suffix in (".md", ".tex"):
        is_wide = suffix == ".md"
        page = render(
            templates / f"listing{suffix}.j2",
            name=definition.name,
            label=definition.label,
            title=definition.title or (control_margins.TITLE if are_margins else TITLE),
            heads=HEADS,
            listing=control_margins.listing(found, asked, labels, has_controls=is_wide)
            if are_margins
            else _listing(found, asked, labels, has_groups=is_wide),
            note=control_margins.NOTE if are_margins else _note(asked),
        )
        write_text(output.with_name(output.name + suffix), page)
    if are_margins:
        lines = control_margins.numbers(found, labels)
    else:
        lines = [_row(each, labels) for each in found]
    write_csv(output.with_name(output.name + ".csv"), lines)


def _note(asked: Sequence[Control]) -> str:
    notes = [BRACKETS, *(WORDS[control] for control in asked)]
    return " ".join([*notes, BEYOND] if "truncated" in asked else notes)


def _listing(
    found: Sequence[Controlled],
    asked: Sequence[Control],
    labels: Mapping[str, str],
    *,
    has_groups: bool,
) -> Listing:
    columns = ["Tasks"] if has_groups else []
    columns += ["Score", *(LABELS[control].capitalize() for control in asked)]
    columns += ["Score - truncated", "Reads beyond"] if "truncated" in asked else []
    rows = []
    for line in found if has_groups else whole(found):
        told = [line.group] if has_groups else []
        told += [limits(line.score), *map(_told, line.controls)]
        if truncated := line.beside("truncated"):
            told += _judged(line.beyond) if line.beyond else ["", truncated.state]
        rows.append((line.suite, labels[line.model], str(line.length), *told))
    return Listing(tuple(columns), tuple(rows))


def _told(beside: Beside) -> str:
    """What stands in a cell of the table."""
    if beside.score is None or beside.state == "same prompts":
        return beside.state
    return limits(beside.score)


def _judged(beyond: Beyond) -> list[str]:
    return [points(beyond.points), beyond.verdict]


def limits(found: Measured) -> str:
    """A score in whole percent with its interval."""
    return f"{100 * found.value:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def points(found: Measured) -> str:
    """A difference in whole points with its interval."""
    return f"{100 * found.value:+.0f} [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"


def _row(line: Controlled, labels: Mapping[str, str]) -> dict[str, Any]:
    """A line of the CSV file, in shares."""
    row: dict[str, Any] = {
        "suite": line.suite,
        "model": line.model,
        "label": labels[line.model],
        "length": line.length,
        "group": line.group,
        "tasks": line.tasks,
        **_numbers("score", line.score),
    }
    for each in line.controls:
        name = each.control.replace("-", "_")
        row |= {name: each.state, **_numbers(f"{name}_score", each.score)}
    if line.beside("truncated"):
        beyond = line.beyond
        row |= {
            **_numbers("beyond", beyond.points if beyond else None),
            "p_value": p_value(beyond.p_value) if beyond else None,
            "corrected": p_value(beyond.corrected) if beyond else None,
            "reads_beyond": beyond.verdict if beyond else None,
        }
    return row


def _numbers(name: str, found: Measured | None) -> dict[str, float | None]:
    return {
        name: None if found is None else round(found.value, 6),
        f"{name}_low": None if found is None else round(found.low, 6),
        f"{name}_high": None if found is None else round(found.high, 6),
    }


class Told(NamedTuple):
    """What is said of one model in a suite: at every length beyond its training."""

    model: ShownModel
    lines: tuple[Controlled, ...]


def told(found: Sequence[Controlled], models: Sequence[ShownModel]) -> dict[str, list[Told]]:
    """By suite, the models that have a truncated copy, with the lines about all of its tasks."""
    by_suite: dict[str, list[Told]] = {}
    lines = list(whole(found))
    for suite in dict.fromkeys(each.suite for each in lines):
        for model in models:
            own = [each for each in lines if (each.suite, each.model) == (suite, model.name)]
            if judged := tuple(each for each in own if each.beyond):
                by_suite.setdefault(suite, []).append(Told(model, judged))
    return by_suite
