"""Snakemake's own report: one file with tables, figures and where they come from, made offline."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT


@pytest.fixture(scope="module")
def report(made: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the report on a made study."""
    path = tmp_path_factory.mktemp("report") / "report.zip"
    without_network = ["unshare", "--net", "--map-root-user"]
    done = subprocess.run(
        [*without_network, sys.executable, "-m", "snakemake", "--report", str(path)],
        cwd=made,
        env=os.environ | {"PYTHONPATH": str(made / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with zipfile.ZipFile(path) as archive:
        pages = [name for name in archive.namelist() if name.endswith("report.html")]
        return archive.read(pages[0]).decode()


@pytest.mark.parametrize("category", ["Tables", "Figures", "Judgements"])
def test_results_are_in_categories(report: str, category: str) -> None:
    assert f'"{category}"' in report


def test_every_table_and_figure_is_there_with_a_caption(report: str) -> None:
    for number in range(1, 19):
        assert f"table_{number:02}.md" in report
    for figure in ("length_curve", "depth_heatmap", "format_points", "retention_curve"):
        assert f"{figure}.svg" in report
    captions = (ROOT / "reports/captions").glob("*.rst")
    first = [next(filter(None, path.read_text(encoding="utf-8").split(". "))) for path in captions]
    assert first
