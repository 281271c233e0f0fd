"""Lengths far beyond training are ordinary: planned in minutes, run in the memory of short ones."""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from needlework.cli import cli
from needlework.cost.study import planned
from needlework.engine.memory import longest_that_fits
from needlework.files import read_records
from needlework.models import load
from needlework.records import Prediction
from needlework.study.plan import resolve
from tests.study_for_tests import CONFIG

ROOT = CONFIG.parent
RECURRENT = ("nano-mamba2", "nano-rwkv6", "nano-griffin")
LENGTHS = (32_768, 65_536, 131_072)
TOKEN_BYTES = 800
"""What a token takes before a model sees it: its text, what the tokenizers library tells of it, and
its id in Python; 370 to 680 were seen.

The keys of the smallest attention model here would be 1,024 more, and twice that while they grow.
"""
NOISE = 8 << 20
"""Bytes by which the peaks of two processes differ although both hold the same."""


def study(**changed: Any) -> dict[str, Any]:
    """A study of one sample at long lengths."""
    keys = {
        "study": "long",
        "seed": 42,
        "samples": 1,
        "protocol": "corrected",
        "material": "nano",
        "suites": {"long": {"tasks": ["niah_single_1"], "lengths": list(LENGTHS)}},
        "models": list(RECURRENT),
    }
    return keys | changed


def test_a_million_tokens_are_planned(tmp_path: Path) -> None:
    """The memory of a recurrent cell is that of a short one, and its time is told in minutes."""
    lengths = [131_072, 1_048_576]
    suites = {"long": {"tasks": ["niah_single_1"], "lengths": lengths}}
    plan = resolve(study(suites=suites), CONFIG)
    cells = {(cell.model, cell.length): cell for cell in planned(plan)}
    for model in RECURRENT:
        short, long = (cells[model, length] for length in lengths)
        assert long.memory_mb == short.memory_mb
        assert 7 < long.flops / short.flops < 9
    path = tmp_path / "million.yaml"
    path.write_text(yaml.safe_dump(study(suites=suites)), encoding="utf-8")
    result = CliRunner().invoke(cli, ["plan", "--configfile", str(path)], catch_exceptions=False)
    assert "1048576" in result.output
    assert "minutes on one device" in result.output


def in_fresh_process(*words: object) -> tuple[int, int, str]:
    """Exit code, peak of main memory in bytes and standard error of `needlework`."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write_end, 2)
        command = str(Path(sys.executable).with_name("needlework"))
        os.execv(command, [command, *map(str, words)])
    os.close(write_end)
    with os.fdopen(read_end) as told:
        said = told.read()
    _, status, usage = os.wait4(child, 0)
    assert isinstance(usage, resource.struct_rusage)
    return os.waitstatus_to_exitcode(status), 1024 * usage.ru_maxrss, said


def make(folder: Path, length: int) -> Path:
    """The dataset of one sample, and the tasks beside it."""
    options = {
        "--task": "niah_single_1",
        "--length": length,
        "--tokenizer": ROOT / "resources/nano/tokenizer",
        "--material": "nano",
        "--samples": 1,
        "--seed": 42,
        "--parameters": json.dumps(SPEC),
        "--output": folder / f"{length}/niah_single_1.jsonl",
    }
    words = [str(word) for option in options.items() for word in option]
    result = CliRunner().invoke(cli, ["dataset", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (folder / "tasks.json").write_text(json.dumps({"niah_single_1": SPEC}))
    return folder / f"{length}/niah_single_1.jsonl"


SPEC = yaml.safe_load((CONFIG / "tasks.yaml").read_text())["nano"]["tasks"]["niah_single_1"]


def predict(folder: Path, model: str, length: int, *options: object) -> tuple[int, int, str]:
    return in_fresh_process(
        "predict",
        folder / f"predictions/{model}/long/{length}.jsonl",
        folder / f"{length}/niah_single_1.jsonl",
        *("--checkpoint", ROOT / "resources/nano" / model.removeprefix("nano-")),
        *("--tokenizer", ROOT / "resources/nano/tokenizer"),
        *("--tasks", folder / "tasks.json", "--device", "cpu"),
        *options,
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", RECURRENT)
def test_a_recurrent_model_answers_at_any_length_in_the_same_memory(
    model: str, tmp_path: Path
) -> None:
    """Four times the tokens, from 32K to 128K, and the peak of the whole process stays."""
    peaks = {}
    for length in (LENGTHS[0], LENGTHS[-1]):
        make(tmp_path, length)
        code, peaks[length], said = predict(tmp_path, model, length, "--memory", 200)
        assert code == 0, said
        (answer,) = read_records(tmp_path / f"predictions/{model}/long/{length}.jsonl", Prediction)
        assert answer.stop_reason != "failed"
        assert length - 200 < answer.prompt_tokens <= length
    told = TOKEN_BYTES * (LENGTHS[-1] - LENGTHS[0])
    assert peaks[LENGTHS[-1]] - peaks[LENGTHS[0]] < told + NOISE


@pytest.mark.slow
def test_a_cell_that_cannot_fit_is_refused_with_the_length_that_does(tmp_path: Path) -> None:
    """Llama at 128K in 300 MB: one line, before anything is computed."""
    make(tmp_path, LENGTHS[-1])
    code, _, said = predict(tmp_path, "nano-llama", LENGTHS[-1], "--memory", 300)
    fits = longest_that_fits(load(ROOT / "resources/nano/llama"), 300 << 20)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("needlework: ")
    assert f"300.0 MB are given; up to {fits} fit: choose a shorter length" in said
    assert LENGTHS[1] < fits < LENGTHS[-1]
