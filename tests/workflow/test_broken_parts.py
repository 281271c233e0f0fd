"""A study of which some models are broken: the others are measured and shown, in one run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, copy_project, run_snakemake

Ended = tuple[Path, "subprocess.CompletedProcess[str]"]
SOUND = ("llama", "mamba2", "griffin")


@pytest.fixture(scope="module")
def ended(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """A project whose run has ended, with what it said."""
    folder = copy_project(tmp_path_factory.mktemp("broken"))
    path = folder / "config/models.yaml"
    catalogue = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, source in (("config", "llama"), ("weights", "mamba2")):
        copy = shutil.copytree(folder / "resources/nano" / source, folder / "broken" / name)
        changed = {"label": f"Broken {name}", "checkpoint": f"broken/{name}"}
        catalogue["models"][f"broken-{name}"] = catalogue["models"][f"nano-{source}"] | changed
        if name == "config":
            config = json.loads((copy / "config.json").read_text())
            (copy / "config.json").write_text(json.dumps(config | {"layers": None}))
        else:
            weights = (copy / "model.safetensors").read_bytes()
            (copy / "model.safetensors").write_bytes(weights[:5000])
    path.write_text(yaml.safe_dump(catalogue, sort_keys=False), encoding="utf-8")
    study = {
        "study": "five",
        "seed": 42,
        "samples": 1,
        "protocol": "corrected",
        "material": "nano",
        "suites": {"needles": {"tasks": ["niah_single_1"], "lengths": [128]}},
        "models": ["nano-llama", "broken-config", "nano-mamba2", "broken-weights", "nano-griffin"],
        "tables": "auto",
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return folder, run_snakemake(folder, "--cores", "2", "--quiet", "all")


@pytest.mark.slow
def test_the_run_fails_with_a_line_for_each_broken_model(
    ended: Ended,
) -> None:
    _, done = ended
    assert done.returncode == 1
    said = done.stderr.splitlines()
    start = said.index("needlework: failed")
    lines = said[start + 1 : start + 3]
    assert any("verify/broken-config.log: needlework: " in line for line in lines)
    assert any("verify/broken-weights.log: needlework: " in line for line in lines)
    assert said[start + 3].startswith("needlework: tables of what there is")


@pytest.mark.slow
def test_the_others_have_their_tables(
    ended: Ended,
) -> None:
    folder, _ = ended
    tables = folder / "results/five/partial/tables"
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(tables.glob("*.md")))
    assert "Not computed: Broken config" in text
    assert "Broken weights" in text
    for model in SOUND:
        scored = folder / f"results/five/scores/nano-{model}/needles/128.parquet"
        assert scored.exists()


@pytest.mark.slow
def test_status_says_the_same(ended: Ended) -> None:
    folder, _ = ended
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-c", "from needlework.cli import main; main()", "status"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    first, *more = done.stdout.splitlines()
    assert first == "5 cells: 3 done, 0 running, 2 failed, 0 waiting"
    assert [line.split(":")[0] for line in more] == [
        "failed broken-config/needles/128",
        "failed broken-weights/needles/128",
    ]


STUB = """#!/bin/sh
for word in "$@"; do
    case "$word" in --dry-run) echo "Read-only file system: logs"; exit {dry};; esac
done
exit {code}
"""


@pytest.mark.parametrize(("code", "dry"), [(0, 0), (1, 1), (1, 0)])
def test_make_study_never_ends_without_a_reason(code: int, dry: int, tmp_path: Path) -> None:
    """What stops Snakemake before it reads the workflow is asked of a dry run."""
    stub = tmp_path / "snakemake"
    stub.write_text(STUB.format(code=code, dry=dry))
    stub.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "envs/snakemake.sh")],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert ("Read-only file system" in done.stderr) == bool(dry)
    assert ("snakemake ended with exit code 1" in done.stderr) == bool(code)
