"""`needlework plan`: what it prints, what it writes, what it refuses, how long it takes."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlework import cli
from needlework.cost import study
from needlework.cost.estimate import UNKNOWN
from needlework.errors import StudyError

ROOT = Path(__file__).parents[3]
PAPER = ["plan", "--configfile", str(ROOT / "config/paper.yaml")]


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(*words: str) -> str:
    """What a command prints."""
    done = CliRunner().invoke(cli.cli, words, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_it_shows_cells_models_and_the_study(tmp_path: Path) -> None:
    document = tmp_path / "cost.json"
    shown = run(*PAPER, "--json", str(document)).splitlines()
    found = json.loads(document.read_text(encoding="utf-8"))
    assert len(found["cells"]) == found["totals"]["cells"] == 80
    assert sum(line.startswith("mamba2 ") for line in shown) == 10 + 1
    (total,) = (line for line in shown if line.startswith("all models"))
    hours, _, at_peak = total.split()[-3:]
    assert hours == f"{found['totals']['hours']:.2f}"
    assert at_peak == f"{found['totals']['hours_at_peak']:.2f}"
    assert any("not" not in line and "assumed:" in line for line in shown)
    assert found["undescribed"] == []


def test_another_device_takes_other_hours() -> None:
    assert run(*PAPER, "--device", "h200") != run(*PAPER)


def test_a_model_without_estimate_is_named_with_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(study, "undescribed", lambda _: ["mystery"])
    (line,) = (each for each in run(*PAPER).splitlines() if each.startswith("mystery"))
    assert "no estimate" in line
    assert f"{UNKNOWN.runtime_minutes} min" in line


def test_a_config_without_keys_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(StudyError, match="holds no keys"):
        run("plan", "--configfile", str(empty))


def test_it_takes_less_than_three_seconds() -> None:
    """CPU seconds of a fresh process, the interpreter's start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", "from needlework.cli import main; main()", *PAPER],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
