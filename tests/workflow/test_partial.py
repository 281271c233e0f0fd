"""A study in which cells failed: what there is, what it lacks, and no model is started again."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.study_for_tests import study_keys
from tests.unit.report.test_tables import proof
from tests.whole_study_for_tests import LENGTHS, SKILL, make_study
from tests.workflow.conftest import copy_project, planned, run_snakemake

LONG_AGO = 1_000_000_000
FIGURES = ("depth_heatmap", "format_points", "length_curve", "retention_curve", "cost")
MADE = (1, 2, 3, 5, 6)
"""Tables that stand for all of their kind."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose study is scored, but shows no table yet."""
    folder = copy_project(tmp_path_factory.mktemp("partial"))
    suites = {suite: {"lengths": LENGTHS} for suite in ("ruler", "depth")}
    keys = study_keys(study="nano", samples=2, models=list(SKILL), suites=suites)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    make_study(folder / "results", samples=2)
    for model in SKILL:
        path = folder / f"results/nano/verified/{model}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(proof(model).model_dump_json(), encoding="utf-8")
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture(scope="module")
def broken(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells failed: of one nothing is left, of the other a score from before."""
    folder = shutil.copytree(whole, tmp_path_factory.mktemp("broken"), dirs_exist_ok=True)
    study = folder / "results/nano"
    (study / "predictions/nano-llama/ruler/256.jsonl").unlink()
    (study / "predictions/nano-transformerpp/depth/512.jsonl").unlink()
    (study / "scores/nano-transformerpp/depth/512.parquet").unlink()
    names = [f"table_{number:02}" for number in MADE] + ["failures", "distance"]
    tables = [f"results/nano/partial/tables/{name}.md" for name in names]
    pages = [f"results/nano/partial/{page}.md" for page in ("claims", "findings")]
    figures = [f"results/nano/partial/figures/{name}.svg" for name in FIGURES]
    done = run_snakemake(folder, *tables, *pages, *figures, "--quiet", "all")
    assert done.returncode == 0, done.stderr
    return folder


def table(folder: Path, number: int, kind: str = "md") -> str:
    path = folder / f"results/nano/partial/tables/table_{number:02}.{kind}"
    return path.read_text(encoding="utf-8")


def test_no_model_is_started(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy")
    (folder / "results/nano/predictions/nano-llama/ruler/256.jsonl").unlink()
    jobs = planned(folder, "partial")
    assert jobs["partial_table"] == 17
    assert not jobs.keys() & {"predict", "score", "verify_model", "dataset"}


def test_tables_are_made_in_every_format(broken: Path) -> None:
    for number in MADE:
        assert all(table(broken, number, kind) for kind in ("md", "tex", "csv"))


def test_the_missing_cells_are_named(broken: Path) -> None:
    assert "Not computed: Llama, suite ruler, at 256 tokens." in table(broken, 1)
    assert "Not computed: TPP, suite depth, at 512 tokens." in table(broken, 3)
    assert "Incomplete" not in table(broken, 2)


@pytest.mark.parametrize("name", ["failures", "distance"])
def test_tables_of_answers_name_what_they_lack(broken: Path, name: str) -> None:
    page = (broken / f"results/nano/partial/tables/{name}.md").read_text(encoding="utf-8")
    assert "Not computed: Llama, suite ruler, at 256 tokens" in page
    assert "TPP, suite depth, at 512 tokens" in page


def test_figures_draw_what_there_is_and_name_what_they_lack(broken: Path) -> None:
    figures = broken / "results/nano/partial/figures"
    lacking = "Llama, suite ruler, at 256 tokens"
    for name in ("length_curve", "retention_curve", "cost"):
        assert lacking in (figures / f"{name}.svg").read_text(encoding="utf-8")
    for name in ("depth_heatmap", "format_points"):
        picture = (figures / f"{name}.svg").read_text(encoding="utf-8")
        assert "TPP, suite depth, at 512 tokens" in picture
        assert lacking not in picture


def test_a_score_without_its_predictions_is_not_believed(broken: Path) -> None:
    assert (broken / "results/nano/scores/nano-llama/ruler/256.parquet").exists()
    (row,) = (line for line in table(broken, 6).splitlines() if line.startswith("| Llama"))
    assert [cell.strip() for cell in row.split("|")][3:6:2] == ["—", "—"]


def test_claims_say_what_they_could_not_compute(broken: Path) -> None:
    page = (broken / "results/nano/partial/claims.md").read_text(encoding="utf-8")
    assert "Not computed:" in page
    assert "no scores of nano-llama on ruler at length 256" in page


def test_findings_say_what_was_not_measured(broken: Path) -> None:
    """Without its score at 256 nobody can tell how far Llama reads."""
    page = (broken / "results/nano/partial/findings.md").read_text(encoding="utf-8")
    assert "| Llama | 256 | not measured | not measured |" in page
    assert "| Mamba2 | 256 | not measured" not in page


def test_asking_again_makes_nothing(broken: Path) -> None:
    assert planned(broken, "results/nano/partial/tables/table_01.md") == {}


def test_a_whole_study_asks_for_the_missing_cells(broken: Path) -> None:
    """The tables themselves are never made from less."""
    assert "predict" in planned(broken, "table_1")


def test_a_model_that_is_no_longer_verified_is_left_out(broken: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(broken, tmp_path / "copy")
    (folder / "results/nano/verified/nano-mamba2.json").unlink()
    jobs = planned(folder, "partial")
    assert "verify_model" not in jobs
    assert jobs["partial_collect"] == 1


def test_nothing_at_all_is_one_line(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy")
    shutil.rmtree(folder / "results/nano/scores")
    done = run_snakemake(folder, "partial", "--quiet", "all")
    assert done.returncode == 1
    log = (folder / "logs/nano/partial/collect.log").read_text(encoding="utf-8")
    assert log.startswith("needlework: ")
    assert log.count("\n") == 1
