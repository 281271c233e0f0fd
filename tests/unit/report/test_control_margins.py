"""The table of margins beside those of controls, and what the report says of them."""

import csv
from pathlib import Path

import pytest

from needlework.analysis.control_margins import Margins
from needlework.report.control_margins import by_place
from needlework.report.controls import read_controlled, write_controlled, write_controls
from needlework.report.summary import write_report
from needlework.scores.remarks import write
from needlework.study.definitions import TableDefinition
from tests.study_for_tests import estimates
from tests.unit.analysis.test_control_margins import COMPARED, ROWS, TASKS, asked
from tests.unit.report.test_margins import TEMPLATES, likelihoods
from tests.unit.report.test_tables import scores_file

TABLE = TableDefinition(name="control_margins", value="control_margins")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of the study of other tests, from its scores."""
    folder = tmp_path_factory.mktemp("margins")
    write(ROWS, folder / "scores.parquet")
    study = asked()
    write_controlled(
        [folder / "scores.parquet"],
        folder / "controls.json",
        study=study.study,
        grid=study.grid(),
        models=study.shown(),
        cells=study.controls,
    )
    write_controls(
        TABLE,
        folder / "control_margins",
        read_controlled(folder / "controls.json"),
        grid=study.grid(),
        models=study.shown(),
        templates=TEMPLATES,
    )
    return folder


def margins_of(folder: Path) -> dict[tuple[int, str], Margins]:
    found = by_place(read_controlled(folder / "controls.json"))
    return {
        (length, line.task or "all"): line
        for (_, _, length), lines in found.items()
        for line in lines
    }


def test_the_page_has_a_line_per_model_and_length(folder: Path) -> None:
    lines = (folder / "control_margins.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    heads, _, *cells = rows
    assert heads == [
        *("Suite", "Model", "Length", "Score (%)", "Margin", "Truncated", "No haystack"),
        *("No needle", "Margin - truncated", "Margin - no needle"),
    ]
    assert [row[2] for row in cells] == ["256", "512", "1024"]
    by_head = [dict(zip(heads, row, strict=True)) for row in cells]
    assert (by_head[0]["Truncated"], by_head[0]["Margin - truncated"]) == ("same prompts", "")
    for row in by_head:
        beside = margins_of(folder)[int(row["Length"]), "all"].beside("no-needle")
        assert beside
        assert beside.more
        assert beside.told
        assert beside.told.margin
        nats = beside.more.nats
        assert row["Margin - no needle"] == f"{nats.value:.1f} [{nats.low:.1f}, {nats.high:.1f}]"
        assert row["No needle"] == f"{beside.told.margin.value:.1f}"
    printed = (folder / "control_margins.tex").read_text(encoding="utf-8")
    assert printed.count(r"\\") == 1 + 3


def test_the_csv_file_has_every_task_and_number(folder: Path) -> None:
    with (folder / "control_margins.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["length"], row["task"]) for row in rows] == [
        (length, task) for length in ("256", "512", "1024") for task in ("all", *TASKS)
    ]
    for row in rows:
        line = margins_of(folder)[int(row["length"]), row["task"]]
        beside = line.beside("no-needle")
        assert beside
        assert (row["margin"] == "") == (row["task"] in ("vt", "cwe"))
        assert float(row["nats_per_token"]) == -2.0
        if beside.more:
            assert float(row["more_than_no_needle"]) == round(beside.more.nats.value, 6)
            assert int(row["no_needle_pairs"]) == beside.more.pairs
        assert (row["more_than_no_needle"] == "") == (beside.more is None)


def test_controls_without_likelihoods_are_written_as_ever(folder: Path) -> None:
    """Lines have no word of margins, and the table of scores is that of a study without them."""
    found = read_controlled(folder / "controls.json")
    assert all(each.margins for each in found if each.group == "all tasks")
    silent = [each.model_copy(update={"margins": ()}) for each in found]
    assert "margins" not in "".join(each.model_dump_json() for each in silent)
    study, pages = asked(), []
    for name, told in (("with", found), ("without", silent)):
        table = TableDefinition(name="controls", value="controls")
        write_controls(
            table,
            folder / name,
            told,
            grid=study.grid(),
            models=study.shown(),
            templates=TEMPLATES,
        )
        pages.append([(folder / f"{name}.{kind}").read_bytes() for kind in ("md", "tex", "csv")])
    assert pages[0] == pages[1]


def test_the_report_names_needles_that_leave_a_trace(folder: Path, tmp_path: Path) -> None:
    study = asked()
    (tmp_path / "tables").mkdir()
    for table in study.shows.tables:
        (tmp_path / f"tables/{table.name}.md").write_text(table.name, encoding="utf-8")
    write_report(
        study.study,
        study.shows,
        tmp_path,
        scores=scores_file(tmp_path, estimates(study)),
        diagnosis=likelihoods(tmp_path, plan=study),
        grid=study.grid(),
        models=study.shown(),
        template=TEMPLATES / "report.md.j2",
        controls=read_controlled(folder / "controls.json"),
    )
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    beside = margins_of(folder)[1024, COMPARED[0]].beside("no-needle")
    assert beside
    assert beside.more
    told = f"`{COMPARED[0]}` (at 1024 tokens by {beside.more.nats.value:.2f} ["
    assert f"- **Llama** in 2 of 2 for certain: {told}" in text
    assert "[table control_margins](tables/control_margins.md)" in text
