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
from needlework.engine import probe
from needlework.errors import EngineError, StudyError
from needlework.models.config import DecoderConfig
from tests.models_for_tests import family

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
    assert len(found["cells"]) == found["totals"]["cells"] == 72
    assert sum(line.startswith("mamba2 ") for line in shown) == 9 + 1
    (total,) = (line for line in shown if line.startswith("all models"))
    assert total.split()[-1] == f"{found['totals']['hours']:.2f}"
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


def test_a_probe_reads_and_writes_with_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(probe.ROWS, "cpu", (2, 16))
    monkeypatch.setitem(probe.WRITERS, "cpu", 4)
    rates = probe.probe(family("llama").config, dtype="float32", device="cpu")
    assert rates.flops > 1e6
    assert rates.bandwidth > 0
    assert rates.step >= 0


def test_calibrating_measures_every_nano_model(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def fast(spec: DecoderConfig, *, dtype: str, device: str) -> probe.Rates:
        seen.append(spec.family)
        return probe.Rates(1e9, 1e9, 1e-3)

    monkeypatch.setattr(probe, "probe", fast)
    monkeypatch.setattr(probe.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(probe, "copy_bandwidth", lambda **_: 1e9)
    shown = run("plan", "--calibrate")
    assert seen == ["mamba2", "mamba2attn", "transformerpp", "griffin", "llama", "rwkv6"]
    assert "measured here: nano-griffin reads at 1 GFLOP/s" in shown


def test_a_device_that_is_not_here_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="this machine, which has no h200"):
        run(*PAPER, "--calibrate", "--device", "h200")


def test_a_gpu_that_nobody_described_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(probe.torch.cuda, "get_device_name", lambda: "NVIDIA L4")
    with pytest.raises(EngineError, match=r"nvidia l4.* is not in the table"):
        run(*PAPER, "--calibrate")
