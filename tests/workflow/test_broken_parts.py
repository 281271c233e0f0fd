"""A study whose models are broken in five ways: the others are measured and shown, in one run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import transformers
import yaml

from tests.workflow.conftest import ROOT, copy_project, run_snakemake

Ended = tuple[Path, "subprocess.CompletedProcess[str]"]
SOUND = ("llama", "mamba2", "griffin")
BROKEN = {
    "config": "broken/config/config.json: layers: Input should be a valid tuple",
    "weights": "broken/weights/model.safetensors is not a file of weights that can be read",
    "tokenizer": "broken/tokenizer/tokenizer.json is not a tokenizer that can be read",
    "crash": "killed by SIGSEGV, without a word of its own",
    "memory": "none of 1 samples is answered: prompt and answer of ",
}
"""How a model is broken, and what is said of it."""
MODELING = """
import os, signal, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM

class XConfig(LlamaConfig):
    model_type = "x"

class XForCausalLM(LlamaForCausalLM):
    config_class = XConfig

    def forward(self, *given, **named):
        if sys.argv[1] == "predict":
            {act}
        return super().forward(*given, **named)
"""
"""Code of a model that is verified, and ends its process, or its memory, when it is to answer."""
ACTS = {"crash": "os.kill(os.getpid(), signal.SIGSEGV)", "memory": "torch.empty(1 << 50)"}


def of_its_own_code(folder: Path, act: str) -> None:
    """A small Llama that transformers computes, with code in its folder."""
    config = transformers.LlamaConfig(
        vocab_size=512,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    raw = json.loads((folder / "config.json").read_text()) | {"model_type": "x"}
    raw["auto_map"] = {
        "AutoConfig": "modeling_x.XConfig",
        "AutoModelForCausalLM": "modeling_x.XForCausalLM",
    }
    (folder / "config.json").write_text(json.dumps(raw))
    (folder / "modeling_x.py").write_text(MODELING.format(act=act))


def break_models(folder: Path, catalogue: dict[str, Any]) -> None:
    """An entry for every way to be broken, each a copy of a sound model with one thing wrong."""
    models, nano = catalogue["models"], folder / "resources/nano"
    for name in BROKEN:
        models[f"broken-{name}"] = models["nano-llama"] | {"label": f"Broken {name}"}
    for name, source in (("config", "llama"), ("weights", "mamba2"), ("tokenizer", "tokenizer")):
        shutil.copytree(nano / source, folder / "broken" / name)
    settings = folder / "broken/config/config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"layers": None}))
    for name in ("weights/model.safetensors", "tokenizer/tokenizer.json"):
        path = folder / "broken" / name
        path.write_bytes(path.read_bytes()[:5000])
    for name, act in ACTS.items():
        of_its_own_code(folder / "broken" / name, act)
        models[f"broken-{name}"] |= {"backend": "transformers", "trust_remote_code": True}
    for name in BROKEN.keys() - {"tokenizer"}:
        models[f"broken-{name}"]["checkpoint"] = f"broken/{name}"
    catalogue["tokenizers"]["torn"] = {"source": "broken/tokenizer"}
    models["broken-tokenizer"]["tokenizer"] = "torn"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A project whose run has ended, with what it said."""
    folder = copy_project(tmp_path_factory.mktemp("broken"))
    path = folder / "config/models.yaml"
    catalogue = yaml.safe_load(path.read_text(encoding="utf-8"))
    break_models(folder, catalogue)
    path.write_text(yaml.safe_dump(catalogue, sort_keys=False), encoding="utf-8")
    study = {
        "study": "mine",
        "seed": 42,
        "samples": 1,
        "protocol": "corrected",
        "material": "nano",
        "suites": {"needles": {"tasks": ["niah_single_1"], "lengths": [128]}},
        "models": [*(f"nano-{name}" for name in SOUND), *(f"broken-{name}" for name in BROKEN)],
        "tables": [{"name": "scores", "suite": "needles"}],
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_MODULES_CACHE", str(folder / "modules"))
        return folder, run_snakemake(folder, "--cores", "2", "--quiet", "all")


@pytest.mark.slow
def test_the_run_fails_with_a_line_for_each_broken_model(ended: Ended) -> None:
    _, done = ended
    assert done.returncode == 1
    said = done.stderr.splitlines()
    start = said.index("needlework: failed")
    lines = said[start + 1 : start + 1 + len(BROKEN)]
    for name, told in BROKEN.items():
        place = "dataset/torn-base" if name == "tokenizer" else f"broken-{name}"
        (line,) = [line for line in lines if told in line]
        assert place in line.split(": ")[0]
    assert said[start + 1 + len(BROKEN)].startswith("needlework: tables of what there is")


@pytest.mark.slow
def test_the_others_have_their_tables(ended: Ended) -> None:
    folder, _ = ended
    text = (folder / "results/mine/partial/tables/scores.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(" ‡"): "—" in line
        for line in text.splitlines()
        if line.startswith("| ")
    }
    missing = next(line for line in text.splitlines() if "Not computed: " in line)
    for name in BROKEN:
        assert f"Broken {name}, suite needles, at 128 tokens" in missing
    lacking = dict.fromkeys((f"Broken {name}" for name in BROKEN), True)
    assert rows == {"Model": False, "Llama": False, "Mamba2": False, "Griffin": False} | lacking
    for name in SOUND:
        assert (folder / f"results/mine/scores/nano-{name}/needles/128.parquet").exists()


@pytest.mark.slow
def test_status_says_the_same(ended: Ended) -> None:
    folder, _ = ended
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-c", "from needlework.cli import main; main()", "status"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    first, *more = done.stdout.splitlines()
    assert first == "8 cells: 3 done, 0 running, 5 failed, 0 waiting"
    for line, (name, told) in zip(more, BROKEN.items(), strict=True):
        assert line.startswith(f"failed broken-{name}/needles/128: needlework: ")
        assert told in line


STUB = """#!/bin/sh
echo "$*" >> "$0.asked"
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
        ["sh", str(ROOT / "envs/snakemake.sh"), "table_1"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert ("Read-only file system" in done.stderr) == bool(dry)
    assert ("snakemake ended with exit code 1" in done.stderr) == bool(code)
    asked = (tmp_path / "snakemake.asked").read_text().splitlines()
    # A word behind `--quiet` would be one more thing to say nothing of.
    assert asked[0] == "table_1 --quiet all"
    assert asked[1:] == ["table_1 --dry-run --quiet host progress reason rules"] * bool(code)
