"""One GGUF file as checkpoint and tokenizer of a cell, from a dataset to answers."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.files import read_records
from needlework.records import Prediction, Verification
from tests import gguf_for_tests as files

SPEC = {"generator": "niah", "haystack": "repeat", "tokens_to_generate": 4}


def run(*words: str) -> str:
    """What the command prints, both streams."""
    done = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def predicted(folder: Path, length: int) -> list[Prediction]:
    """The cell of one task, in the file's chat template."""
    path = str(files.write(folder / "tiny.gguf", rounding="Q4_1"))
    (folder / "tasks.json").write_text(json.dumps({"needle": SPEC}))
    asked = ["--task", "needle", "--parameters", json.dumps(SPEC), "--length", str(length)]
    words = ["--samples", "2", "--seed", "3", "--wording", "plain", "--wrapper", "chat"]
    dataset, output = str(folder / "needle.jsonl"), str(folder / "out.jsonl")
    run("dataset", "--output", dataset, "--tokenizer", path, *asked, *words)
    model = ["--checkpoint", path, "--tokenizer", path, "--no-begin-token", "--device", "cpu"]
    run("predict", output, dataset, *model, "--tasks", str(folder / "tasks.json"))
    return read_records(Path(output), Prediction)


def test_predictions_say_what_the_file_rounds_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = predicted(tmp_path, 500)
    assert [each.others["quantisation"] for each in found] == ["Q4_1", "Q4_1"]
    assert found[0].others["tokenizer"].startswith("tiny.gguf@")
    assert found[0].prompt_tokens > 400
    assert "it must extrapolate" not in caplog.text


def test_more_than_the_positions_is_said_once_and_computed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        found = predicted(tmp_path, 700)
    assert all(each.error is None for each in found)
    assert caplog.text.count("names 512 positions and samples have up to") == 1


def test_a_file_is_verified_against_transformers_reader(tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf", "qwen2", rounding="Q8_0")
    output = str(tmp_path / "tiny.json")
    printed = run("verify-model", output, "--checkpoint", str(path), "--device", "cpu")
    # Its reader draws a bar that no switch of transformers turns off.
    assert "GGUF tensors" not in printed
    found = Verification.model_validate_json((tmp_path / "tiny.json").read_text())
    assert found.reference is not None
    assert found.reference.endswith("Qwen2ForCausalLM from GGUF")
    assert (found.quantisation, found.passed) == ("Q8_0", True)
