"""The tables of what answers are and of scores by distance."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic_core import to_json

from needlework.cli import cli
from needlework.errors import StudyError
from needlework.files import write_text
from needlework.report.diagnoses import write_diagnoses
from needlework.scores.failures import KINDS
from needlework.study.definitions import TableDefinition, TableValue
from tests.study_for_tests import diagnosis_file, estimates, right, small_plan
from tests.unit.report.test_tables import scores_file

PLAN = small_plan()
TEMPLATES = Path(__file__).parents[3] / "reports/templates"


def made(folder: Path, name: str, *, without: int | None = None) -> Path:
    """A table of a study in which every task has 7 of 10 right, but for cells of one length."""
    (definition,) = [each for each in PLAN.shows.tables if each.name == name]
    found = [each for each in estimates(PLAN, lambda *_: right(7)) if each.length != without]
    write_diagnoses(
        definition,
        folder / name,
        diagnosis_file(folder, found),
        grid=PLAN.grid(),
        models=PLAN.shown(),
        templates=TEMPLATES,
    )
    return folder / name


def lines(stem: Path) -> list[dict[str, str]]:
    with stem.with_suffix(".csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_failures_have_a_line_per_suite_model_and_length(tmp_path: Path) -> None:
    stem = made(tmp_path, "failures")
    text = stem.with_suffix(".md").read_text(encoding="utf-8")
    assert "| Suite | Model | Length | right | partly right | another needle |" in text
    assert "| ruler | Llama | 128 | 70.0 | 0.0 |" in text
    assert text.count("| Llama |") == 2 + 3
    found = lines(stem)
    whole = [row for row in found if row["task"] == "all"]
    assert len(whole) == len(KINDS) * 2 * 5
    (row,) = [
        row
        for row in found
        if (row["task"], row["model"], row["length"], row["kind"])
        == ("vt", "nano-llama", "256", "right")
    ]
    assert (row["count"], row["mean"], row["samples"]) == ("7", "0.7", "10")
    assert float(row["low"]) < 0.7 < float(row["high"])


def test_distances_have_a_column_per_range(tmp_path: Path) -> None:
    stem = made(tmp_path, "distance")
    text = stem.with_suffix(".md").read_text(encoding="utf-8")
    assert "| Suite | Model | Length | 0-64 | 65-128 | 129-256 | 257-512 |" in text
    (row,) = [
        row
        for row in lines(stem)
        if (row["task"], row["suite"], row["model"], row["length"], row["to"])
        == ("all", "ruler", "nano-llama", "128", "64")
    ]
    assert (row["from"], row["mean"], row["samples"]) == ("0", "1.0", str(5 * 13))


@pytest.mark.parametrize("name", ["failures", "distance"])
def test_cells_that_are_missing_are_named(tmp_path: Path, name: str) -> None:
    text = made(tmp_path, name, without=512).with_suffix(".md").read_text(encoding="utf-8")
    assert "Not computed: Mamba2, suite depth, at 512 tokens; Llama, suite depth" in text
    whole = made(tmp_path, name).with_suffix(".md").read_text(encoding="utf-8")
    assert "Not computed" not in whole


@pytest.mark.parametrize("name", ["failures", "distance"])
def test_latex_has_as_many_cells_as_columns(tmp_path: Path, name: str) -> None:
    text = made(tmp_path, name).with_suffix(".tex").read_text(encoding="utf-8")
    body = text.split("\\midrule")[1].split("\\bottomrule")[0]
    widths = {line.count("&") for line in body.splitlines() if "&" in line}
    assert widths == {text.split("\\begin{tabular}{")[1].split("}")[0].count("r") + 1}


def test_the_command_writes_what_the_function_does(tmp_path: Path) -> None:
    stem = made(tmp_path, "failures")
    for name, content in {
        "table": TableDefinition(name="failures", value="failures"),
        "grid": PLAN.grid(),
        "models": PLAN.shown(),
    }.items():
        write_text(tmp_path / f"{name}.json", to_json(content).decode())
    paths = [tmp_path / name for name in ("table.json", "again", "diagnosis.parquet")]
    options = {"grid": "grid.json", "models": "models.json"}
    words = [word for key, name in options.items() for word in (f"--{key}", tmp_path / name)]
    arguments = ["explain", *paths, *words, "--templates", TEMPLATES]
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for suffix in (".md", ".tex", ".csv"):
        assert (tmp_path / f"again{suffix}").read_bytes() == stem.with_suffix(suffix).read_bytes()


@pytest.mark.parametrize(
    ("command", "value", "maker"),
    [
        ("explain", "score", "table"),
        ("explain", "models", "models"),
        ("table", "distance", "explain"),
        ("table", "models", "models"),
        ("models", "failures", "explain"),
        ("models", "score", "table"),
    ],
)
def test_a_table_that_another_command_makes_is_one_line(
    tmp_path: Path, command: str, value: TableValue, maker: str
) -> None:
    """They ended with a traceback, or wrote another table under its name."""
    shown = {"suite": "ruler"} if value == "score" else {}
    definition = TableDefinition.model_validate({"name": "x", "value": value, **shown})
    for name, content in {"table": definition, "grid": PLAN.grid(), "models": PLAN.shown()}.items():
        write_text(tmp_path / f"{name}.json", to_json(content).decode())
    diagnosis_file(tmp_path, estimates(PLAN))
    arguments = [command, tmp_path / "table.json", tmp_path / "x"]
    if command != "models":
        scores = scores_file(tmp_path, estimates(PLAN))
        arguments += [tmp_path / "diagnosis.parquet" if command == "explain" else scores]
        arguments += ["--grid", tmp_path / "grid.json"]
    arguments += ["--models", tmp_path / "models.json", "--templates", TEMPLATES]
    told = f"`needlework {maker}` makes tables of value `{value}`, not `needlework {command}`"
    with pytest.raises(StudyError, match=told):
        CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


def test_a_model_of_which_nothing_is_said_is_one_line(tmp_path: Path) -> None:
    """The models of another study ended with a KeyError."""
    (definition,) = [each for each in PLAN.shows.tables if each.name == "failures"]
    with pytest.raises(StudyError, match="nothing says what to call nano-llama; name grid and"):
        write_diagnoses(
            definition,
            tmp_path / "x",
            diagnosis_file(tmp_path, estimates(PLAN)),
            grid=PLAN.grid(),
            models=[each for each in PLAN.shown() if each.name != "nano-llama"],
            templates=TEMPLATES,
        )
