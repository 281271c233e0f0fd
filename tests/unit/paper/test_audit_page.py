"""The audit's page and CSV, through the command that makes them."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlework.cli import cli, main
from tests.published_for_tests import clean_tables, write_tables


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli, ["audit", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_page_explains_and_lists(tmp_path: Path) -> None:
    run("resources/published", "--output", tmp_path / "audit")
    page = (tmp_path / "audit.md").read_text()
    assert "With 250 questions the steps are 0.4 %" in page
    assert "Table 14, RWKV, vt, 16384 tokens prints 10.95. The scores next to it" in page
    assert "| Table 14, RWKV, vt, 16384 tokens | 10.95 |" in page
    assert len(page.split()) < 900


def test_the_csv_has_a_line_per_finding(tmp_path: Path) -> None:
    printed = run("resources/published", "--output", tmp_path / "audit").splitlines()
    with (tmp_path / "audit.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    assert [line.split(":")[0] for line in printed[9:11]] == ["not checked"] * 2
    assert printed[11:] == ["9 findings in 1784 checks"]


def test_clean_tables_say_so(tmp_path: Path) -> None:
    write_tables(tmp_path, clean_tables(0))
    printed = run(tmp_path, "--output", tmp_path / "audit")
    assert printed.splitlines()[-1].startswith("0 findings in ")
    assert "Nothing found" in (tmp_path / "audit.md").read_text()


def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["needlework", "audit", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
