"""What is said of controls: the table, marks in the length curve, sentences of pages."""

import csv
from pathlib import Path

from needlework.analysis.controls import Beside, Beyond, Controlled, Measured, groups
from needlework.report.controls import read_controlled, told, write_controlled, write_controls
from needlework.report.curves import length_curve
from needlework.scores.remarks import write
from needlework.study.definitions import FigureDefinition, TableDefinition
from tests.study_for_tests import scores_of, small_plan
from tests.unit.analysis.test_controls import FOUND, ROWS, STUDY, TASKS

TEMPLATES = Path(__file__).parents[3] / "reports/templates"
TABLE = TableDefinition(name="controls", value="controls")
CURVE = FigureDefinition(name="mine_length_curve", kind="length_curve", suite="mine")


def written(folder: Path) -> Path:
    """The table of the study of other tests, from its scores."""
    write(ROWS, folder / "scores.parquet")
    write_controlled(
        [folder / "scores.parquet"],
        folder / "controls.json",
        study=STUDY.study,
        grid=STUDY.grid(),
        models=STUDY.shown(),
        cells=STUDY.controls,
    )
    found = read_controlled(folder / "controls.json")
    assert found == tuple(FOUND)
    write_controls(
        TABLE,
        folder / "controls",
        found,
        grid=STUDY.grid(),
        models=STUDY.shown(),
        templates=TEMPLATES,
    )
    return folder


def test_the_table_has_every_score_with_its_interval(tmp_path: Path) -> None:
    folder = written(tmp_path)
    lines = (folder / "controls.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    heads, _, *cells = rows
    assert heads == [
        *("Suite", "Model", "Length", "Tasks", "Score", "Truncated", "No haystack", "No needle"),
        *("Score - truncated", "Reads beyond"),
    ]
    assert len(cells) == len(FOUND)
    for row, found in zip(cells, FOUND, strict=True):
        by_head = dict(zip(heads, row, strict=True))
        score = found.score
        assert by_head["Score"] == (
            f"{100 * score.value:.0f} [{100 * score.low:.0f}, {100 * score.high:.0f}]"
        )
        assert by_head["Reads beyond"] == (found.beyond.verdict if found.beyond else "same prompts")
        assert (by_head["No haystack"] == "none") == (found.group in ("all tasks", "aggregation"))
    printed = (folder / "controls.tex").read_text(encoding="utf-8")
    assert printed.count(r"\\") == 1 + len(FOUND) / len(groups(TASKS))


def test_the_csv_file_has_the_numbers(tmp_path: Path) -> None:
    with (written(tmp_path) / "controls.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row, found in zip(rows, FOUND, strict=True):
        assert float(row["score"]) == round(found.score.value, 6)
        assert row["reads_beyond"] == (found.beyond.verdict if found.beyond else "")
        assert row["truncated"] == ("measured" if found.beyond else "same prompts")
        assert row["no_haystack_score"] == "" or 0 <= float(row["no_haystack_score"]) <= 1


def test_the_length_curve_marks_what_is_measured() -> None:
    scores, models = scores_of(STUDY), STUDY.shown()
    rows = length_curve(scores, models, CURVE, FOUND).to_dict(validate=False)["data"]["values"]
    marks = {(row["length"], row["control"]) for row in rows if "control" in row}
    assert marks == {
        *((length, "truncated") for length in (512, 1024)),
        *((length, "no needle") for length in (256, 512, 1024)),
    }
    assert len(rows) - len(marks) == 3


def test_a_length_curve_without_controls_is_drawn_as_ever() -> None:
    scores, models = scores_of(STUDY), STUDY.shown()
    drawn = length_curve(scores, models, CURVE).to_dict(validate=False)
    assert "control" not in str(drawn)
    assert "Open marks" not in str(drawn["title"])


def test_a_curve_of_some_tasks_has_no_marks() -> None:
    figure = CURVE.model_copy(update={"tasks": ("vt",)})
    drawn = length_curve(scores_of(STUDY), STUDY.shown(), figure, FOUND)
    assert "control" not in str(drawn.to_dict(validate=False))


def test_sentences_are_about_whole_suites_beyond_the_training() -> None:
    study = small_plan(models=["nano-mamba2", "nano-llama"])
    points = Measured(value=0.1, low=0.0, high=0.2)
    judged = Beyond(points=points, p_value=0.01, corrected=0.02, verdict="yes")
    lines = [
        Controlled(
            model="nano-llama",
            suite="ruler",
            length=length,
            group=group,
            tasks=3,
            score=points,
            controls=(Beside(control="truncated", state="measured", score=points),),
            beyond=judged if length > 256 else None,
        )
        for length in (256, 512)
        for group in ("all tasks", "qa")
    ]
    found = told(lines, study.shown())
    assert [(each.model.name, [line.length for line in each.lines]) for each in found["ruler"]] == [
        ("nano-llama", [512])
    ]
