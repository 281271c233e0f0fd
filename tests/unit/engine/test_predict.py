"""The predict command: files in, one file out, one line for every mistake."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

from needlework.cli import main
from needlework.engine import predict as rule
from needlework.files import read_records, write_records
from needlework.models import checkpoints
from needlework.records import END, NO_END, Prediction, Sample
from tests.engine_for_tests import VOCABULARY, in_child, sample, shared_cell, watched
from tests.models_for_tests import family

TASKS = {
    "alone": {"generator": "niah", "haystack": "essay", "tokens_to_generate": 9},
    "depth_60": {"generator": "qa", "source": "facts", "tokens_to_generate": 9},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint, a tokenizer, two datasets and their tasks."""
    decoder = family("rwkv6", dtype=torch.float32, vocabulary=VOCABULARY)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    save_file(decoder.state_dict(), checkpoint / "model.safetensors")
    config = decoder.config.model_dump(mode="json")
    (checkpoint / "config.json").write_text(json.dumps(config))
    words = Tokenizer(models.WordLevel({str(each): each for each in range(VOCABULARY)}))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))
    for task in TASKS:
        write_records(tmp_path / f"{task}.jsonl", shared_cell()[task].samples)
    (tmp_path / "tasks.json").write_text(json.dumps(TASKS))
    return tmp_path


def predict(folder: Path, *options: str, datasets: tuple[str, ...] = tuple(TASKS)) -> None:
    """Run the command as a shell would."""
    sys.argv = [
        "needlework",
        "predict",
        str(folder / "out" / "model" / "ruler" / "60.jsonl"),
        *(str(folder / f"{task}.jsonl") for task in datasets),
        *("--checkpoint", str(folder / "checkpoint")),
        *("--tokenizer", str(folder / "tokenizer.json")),
        *("--tasks", str(folder / "tasks.json")),
        *options,
    ]
    main()


def run(folder: Path, *options: str, datasets: tuple[str, ...] = tuple(TASKS)) -> tuple[int, str]:
    """Exit code and standard error of the command, in a process of its own."""

    def child() -> None:
        os.dup2(os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        logging.getLogger().handlers.clear()
        try:
            predict(folder, *options, datasets=datasets)
        except SystemExit as stop:
            os._exit(int(stop.code or 0))

    status = in_child(child)
    return os.waitstatus_to_exitcode(status), (folder / "stderr").read_text()


def output(folder: Path) -> Path:
    return folder / "out" / "model" / "ruler" / "60.jsonl"


def test_every_sample_gets_one_prediction_in_order(folder: Path) -> None:
    code, said = run(folder)
    assert code == 0, said
    predictions = read_records(output(folder), Prediction)
    assert [(each.task, each.index) for each in predictions] == [
        (task, index) for task in TASKS for index in range(6)
    ]
    assert "model/ruler/60 samples=12/12" in said


def test_predictions_say_what_made_them(folder: Path) -> None:
    run(folder)
    others = read_records(output(folder), Prediction)[0].others
    assert others.keys() == {
        "checkpoint",
        "revision",
        "tokenizer",
        "end",
        "protocol",
        "decoding",
        "dtype",
        "kernels",
        "device",
        "backend",
        "hazards",
        "libraries",
    }
    assert len(others["revision"]) == 64
    assert others["device"] == "cpu"
    assert others["libraries"] == f"torch {torch.__version__}"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_sums_have_one_order_on_a_cpu(device: str) -> None:
    """On a GPU some kernels have none, and would be refused."""
    before, threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    try:
        rule._prepare(rule.Machine(device=device, threads=1, memory=None))
        assert torch.are_deterministic_algorithms_enabled() == (device == "cpu")
    finally:
        torch.set_deterministic_debug_mode(before)
        torch.set_num_threads(threads)


def always(token: int, folder: Path) -> None:
    """Let the model in a folder write one token, whatever it reads."""
    path = folder / "checkpoint/model.safetensors"
    weights = load_file(path)
    weights["norm.weight"] = torch.zeros_like(weights["norm.weight"])
    weights["norm.bias"] = torch.ones_like(weights["norm.bias"])
    weights["head.weight"] = torch.zeros_like(weights["head.weight"])
    weights["head.weight"][token] = 1
    save_file(weights, path)


LOST = "tokenizer_config.json", {"eos_token": "<lost>", "bos_token": "5"}


@pytest.mark.parametrize(
    "named",
    [
        {"tokenizer_config.json": {"eos_token": "5"}},
        {"tokenizer_config.json": {"eos_token": {"content": "5"}}},
        {"special_tokens_map.json": {"eos_token": "5"}},
        {LOST[0]: LOST[1], "special_tokens_map.json": {"eos_token": "5"}},
        {"checkpoint/generation_config.json": {"eos_token_id": 5}},
        {"checkpoint/generation_config.json": {"eos_token_id": [2, 5]}},
        {LOST[0]: LOST[1], "checkpoint/generation_config.json": {"eos_token_id": 5}},
    ],
)
def test_an_end_token_that_any_file_names_ends_answers(
    named: dict[str, dict[str, object]], folder: Path
) -> None:
    always(5, folder)
    for name, content in named.items():
        (folder / name).write_text(json.dumps(content))
    code, said = run(folder)
    assert code == 0, said
    found = read_records(output(folder), Prediction)
    assert {(each.stop_reason, each.generated_tokens) for each in found} == {("end", 0)}
    assert END not in found[0].others
    assert "names an end token" not in said


@pytest.mark.parametrize("named", [{}, dict([LOST])])
def test_where_nobody_names_an_end_token_that_is_told(
    named: dict[str, dict[str, object]], folder: Path
) -> None:
    """In the log once, and in every answer, from where it reaches the tables."""
    always(5, folder)
    for name, content in named.items():
        (folder / name).write_text(json.dumps(content))
    code, said = run(folder)
    assert code == 0, said
    found = read_records(output(folder), Prediction)
    assert {each.others[END] for each in found} == {NO_END}
    assert {each.stop_reason for each in found} <= {"limit", "decided"}
    assert said.count("neither the tokenizer nor the checkpoint names an end token") == 1


def test_other_weights_do_not_find_the_journal_of_these(folder: Path) -> None:
    """Same path, same config, new weights: the revision is a digest, not a name."""
    run(folder)
    first = read_records(output(folder), Prediction)
    decoder = family("rwkv6", dtype=torch.float32, vocabulary=VOCABULARY)
    weights = {name: -tensor for name, tensor in decoder.state_dict().items()}
    save_file(weights, folder / "checkpoint" / "model.safetensors")
    run(folder)
    second = read_records(output(folder), Prediction)
    assert [each.pred for each in first] != [each.pred for each in second]


def test_a_dataset_without_a_task_is_named(folder: Path) -> None:
    code, said = run(folder, datasets=("alone",))
    assert code == 2
    assert said == (
        "needlework: datasets without a task: []; tasks without a dataset: ['depth_60']\n"
    )


def test_a_broken_dataset_line_is_named(folder: Path) -> None:
    with (folder / "alone.jsonl").open("a") as file:
        file.write('{"index": 6, "inp\n')
    code, said = run(folder)
    assert code == 2
    assert said.startswith(f"needlework: {folder}/alone.jsonl:7: line: Invalid JSON")
    assert said.count("\n") == 1
    assert not output(folder).exists()


def test_a_truncated_checkpoint_is_one_line(folder: Path) -> None:
    weights = folder / "checkpoint" / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    code, said = run(folder)
    assert (code, said.count("\n")) == (2, 1)
    assert "may be truncated" in said


def test_an_output_that_cannot_be_written_is_one_line(folder: Path) -> None:
    (folder / "out").write_text("not a folder")
    (folder / "tokenizer_config.json").write_text('{"eos_token": "31"}')
    code, said = run(folder)
    assert (code, said.count("\n")) == (2, 1)
    assert "out" in said


def test_sigterm_ends_with_a_code_that_says_run_me_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [0]

    def before(tokens_BT: Tensor) -> None:
        calls[0] += 1
        if calls[0] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    loader: Callable[..., object] = lambda *_, **__: watched(  # noqa: E731
        before, "rwkv6", dtype=torch.float32
    )
    with monkeypatch.context() as patch:
        patch.setattr("needlework.models.load", loader)
        write_records(folder / "alone.jsonl", many())
        code, said = run(folder, "--memory", "1")
    assert code == 75
    assert said.splitlines()[-1].endswith("samples; run it again to continue")
    assert not output(folder).exists()
    assert run(folder)[0] == 0
    assert len(read_records(output(folder), Prediction)) == len(many()) + 6


def test_a_cell_that_cannot_fit_is_refused_before_weights_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gigabytes were once read first; what is finished already needs no memory at all."""
    write_records(folder / "alone.jsonl", many())
    assert run(folder)[0] == 0
    whole = output(folder).read_bytes()
    output(folder).unlink()
    with monkeypatch.context() as patch:
        patch.setattr("needlework.engine.memory.needed_bytes", lambda decoder, tokens: tokens << 20)
        assert run(folder, "--memory", "1")[0] == 0
        assert output(folder).read_bytes() == whole
        output(folder).unlink()
        output(folder).with_name("60.jsonl.journal").unlink()
        patch.setattr("needlework.models.load", lambda *_, **__: pytest.fail("it was loaded"))
        code, said = run(folder, "--memory", "1")
    assert code == 2
    assert said.count("\n") == 1
    assert "tokens of prompt and answer need" in said
    assert not output(folder).with_name("60.jsonl.journal").exists()


def many() -> list[Sample]:
    """More samples than are written together."""
    return [sample(index, [3 + index % 30] * (5 + index % 7)) for index in range(200)]


def test_the_sampling_hazard_draws_tokens_and_never_ends_early(folder: Path) -> None:
    """Hazard H1: through mamba_ssm the published study drew its tokens."""
    run(folder, "--hazard", "mamba-sampling")
    predictions = read_records(output(folder), Prediction)
    assert {each.others["decoding"] for each in predictions} == {"sample"}
    assert {each.others["hazards"] for each in predictions} == {"mamba-sampling"}
    assert not any(each.stop_reason == "end" for each in predictions)


@pytest.mark.parametrize(
    ("options", "added"),
    [((), 1), (("--hazard", "no-begin-token"), 0), (("--no-begin-token",), 0)],
)
def test_prompts_begin_as_the_model_was_trained_or_published(
    options: tuple[str, ...], added: int, folder: Path
) -> None:
    """A tokenizer with a begin token: once before every prompt, unless it was or is left out."""
    sidecar = {"add_bos_token": True, "bos_token": "1"}
    (folder / "tokenizer_config.json").write_text(json.dumps(sidecar))
    assert run(folder, *options)[0] == 0
    asked = {
        (task, sample.index): len(sample.input.split())
        for task in TASKS
        for sample in read_records(folder / f"{task}.jsonl", Sample)
    }
    predictions = read_records(output(folder), Prediction)
    assert {(each.task, each.index): each.prompt_tokens - added for each in predictions} == asked


def test_a_hazard_the_model_cannot_have_is_one_line(folder: Path) -> None:
    code, said = run(folder, "--hazard", "rg-window")
    assert code == 2
    assert "hazard rg-window needs attention with a window" in said
    assert not output(folder).exists()


def test_the_loader_of_these_tests_is_the_real_one(folder: Path) -> None:
    decoder = checkpoints.load(folder / "checkpoint")
    assert decoder.config.family == "rwkv6"
