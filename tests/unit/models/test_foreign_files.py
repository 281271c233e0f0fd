"""Checkpoints as people keep them: what transformers reads is read; all else is one true line."""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from needlework.cost.architectures import Weights, architecture
from needlework.errors import CheckpointError
from needlework.models import load
from needlework.models.checkpoints import hub, reading
from needlework.models.hub_model import load_hub_model
from needlework.models.references import find_reference
from tests.reference import test_against_upstream as upstream

TOKENS = torch.arange(1, 9)[None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny Llama as transformers saves it."""
    torch.manual_seed(0)
    model = upstream.llama().eval()
    upstream.randomise(model)
    model.save_pretrained(tmp_path)
    return tmp_path


def logits(folder: Path) -> Tensor:
    decoder = load(folder)
    found, _ = decoder(TOKENS, decoder.init_state(1))
    return found


def change(folder: Path, **settings: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def pickled(folder: Path, content: object, **how: Any) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin", **how)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def with_angles(folder: Path) -> None:
    more = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(3)}
    save_file(weights(folder) | more, folder / "model.safetensors", metadata={"format": "pt"})


def old_format(folder: Path) -> None:
    pickled(folder, weights(folder), _use_new_zipfile_serialization=False)


def with_numbers(folder: Path) -> None:
    pickled(folder, weights(folder) | {"step": 7, "note": "x", "nothing": None})


def wrong_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def named_default(folder: Path) -> None:
    change(folder, rope_scaling={"rope_type": "default"})


def linear_by_one(folder: Path) -> None:
    change(folder, rope_scaling={"type": "linear", "factor": 1.0})


@pytest.mark.parametrize(
    "changed",
    [with_angles, old_format, with_numbers, wrong_name, named_default, linear_by_one],
)
def test_what_says_nothing_changes_nothing(changed: Callable[[Path], None], folder: Path) -> None:
    before = logits(folder)
    changed(folder)
    torch.testing.assert_close(logits(folder), before, rtol=0, atol=0)


@pytest.mark.parametrize("kept", ["lm_head.weight", "model.embed_tokens.weight"])
def test_a_tied_weight_may_have_either_name(kept: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = upstream.qwen2().eval()
    upstream.randomise(model)
    model.save_pretrained(tmp_path)
    before = logits(tmp_path)
    found = weights(tmp_path)
    tied = found.pop("model.embed_tokens.weight")
    save_file(found | {kept: tied}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    torch.testing.assert_close(logits(tmp_path), before, rtol=0, atol=0)


def test_a_tied_weight_under_no_name_is_missing(tmp_path: Path) -> None:
    upstream.qwen2().save_pretrained(tmp_path)
    found = weights(tmp_path)
    del found["model.embed_tokens.weight"]
    save_file(found, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing: model\.embed_tokens\.weight"):
        load(tmp_path)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"state_dict": {"a": torch.zeros(1)}}, "holds dict under 'state_dict'.*state_dict alone"),
        ({"model": {"a": torch.zeros(1)}, "epoch": 3}, "holds dict under 'model'"),
        ([torch.zeros(1)], "holds list, not tensors by name"),
        ("text", "holds str, not tensors by name"),
        ({"step": 7}, "holds no tensors"),
        ({}, "holds no tensors"),
        ({"a": {1, 2}}, "holds set under 'a'|cannot|can be read"),
    ],
)
def test_an_archive_of_something_else_is_one_line(content: object, said: str, folder: Path) -> None:
    pickled(folder, content)
    refused(folder, said)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.uint8])
def test_weights_that_are_no_fractions_are_refused(dtype: torch.dtype, folder: Path) -> None:
    found = weights(folder)
    found["model.norm.weight"] = found["model.norm.weight"].to(dtype)
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, r"model\.norm\.weight is .*, which are no weights")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {"a": 5}}',
        '{"weight_map": {"a": "../other/model.safetensors"}}',
        '{"weight_map": {"a": "/etc/passwd"}}',
        '{"weight_map": {"a": "absent.safetensors"}}',
        '{"weight_map": {}}',
    ],
)
def test_a_damaged_index_is_one_line(text: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(text)
    refused(folder, r"index\.json")


CONFIGS = {
    "torn": b"{",
    "a list": b"[]",
    "nothing": b"null",
    "text": b'"llama"',
    "Latin-1": '{"model_type": "llama", "note": "é"}'.encode("latin-1"),
    "deep": b"[" * 100_000,
    "digits": b'{"vocab_size": ' + b"9" * 5000 + b"}",
    "half a character": rb'{"model_type": "\ud800"}',
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_damaged_configuration_is_one_line(name: str, folder: Path) -> None:
    (folder / "config.json").write_bytes(CONFIGS[name])
    refused(folder, r"config\.json")
    assert architecture(Weights(str(folder), None, "float32", ())) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": None},
        {"num_hidden_layers": "2"},
        {"num_hidden_layers": [2]},
        {"num_attention_heads": 0},
        {"num_attention_heads": None},
        {"rope_scaling": "linear"},
        {"rope_parameters": [1]},
        {"vocab_size": {}},
        {"rms_norm_eps": "small"},
        {"model_type": 5},
        {"model_type": None},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
    ],
)
def test_a_configuration_with_a_wrong_value_is_one_line_and_stops_nobody_else(
    settings: dict[str, object], folder: Path
) -> None:
    if "rope_scaling" in settings:
        settings = {"rope_parameters": None} | settings
    change(folder, **settings)
    refused(folder, r"config\.json")
    assert architecture(Weights(str(folder), None, "float32", ())) is None


@pytest.mark.parametrize("backend", [load, load_hub_model])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rms_norm_eps": math.nan}, "'rms_norm_eps' is nan"),
        ({"rms_norm_eps": math.inf}, "'rms_norm_eps' is inf"),
        ({"rope_parameters": {"rope_theta": -math.inf}}, "'rope_parameters.rope_theta' is -inf"),
        ({"of_nobody": [0.5, [math.nan]]}, "'of_nobody' is nan"),
        ({"time_step_limit": [0.0, math.nan]}, "'time_step_limit' is nan"),
    ],
)
def test_a_number_that_is_not_finite_is_one_line(
    backend: Callable[..., object], settings: dict[str, object], said: str, folder: Path
) -> None:
    """Whoever computes the model: all its logits would be NaN, and nobody would say why."""
    change(folder, **settings)
    more = {} if backend is load else {"trust_remote_code": False}
    with pytest.raises(CheckpointError, match=rf"config\.json: {said}, no finite number; fetch"):
        backend(str(folder), revision=None, device="cpu", dtype=torch.float32, **more)
    assert architecture(Weights(str(folder), None, "float32", ())) is None


def test_a_limit_may_be_infinite(folder: Path) -> None:
    """As configurations of Mamba 2 have it."""
    before = logits(folder)
    change(folder, time_step_limit=[0.0, math.inf])
    assert "Infinity" in (folder / "config.json").read_text()
    torch.testing.assert_close(logits(folder), before, rtol=0, atol=0)


@pytest.mark.parametrize("value", [None, "2", 2.0, True, [2], {}, "x" * 500])
@pytest.mark.parametrize("key", ["num_hidden_layers", "hidden_size", "vocab_size"])
def test_a_number_that_is_none_is_named(key: str, value: object, folder: Path) -> None:
    """The line says which setting, and what stands there, however long."""
    change(folder, **{key: value})
    refused(folder, rf"config\.json: {key} is .{{1,60}}, not a whole number; correct it")


@pytest.mark.parametrize(
    "named", [["LlamaForCausalLM", "Other"], "LlamaForCausalLM", [], None, [5], {}]
)
def test_names_of_classes_may_be_anything(named: object, folder: Path) -> None:
    change(folder, architectures=named)
    found = find_reference(folder, load(folder))
    assert not isinstance(found, str)


def test_a_truncated_file_is_one_line(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for size in (0, 4, 9, 100, len(whole) // 2):
        path.write_bytes(whole[:size])
        refused(folder, r"model\.safetensors")
    path.write_bytes(struct.pack("<Q", 1 << 60) + whole[8:])
    refused(folder, r"model\.safetensors")


def test_of_several_pth_files_one_must_be_named(tmp_path: Path) -> None:
    """RWKV's repositories hold every size."""
    for name in ("small.pth", "large.pth"):
        torch.save({"a": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(CheckpointError, match=r"holds 2 models \(large\.pth, small\.pth\)"):
        hub.find(tmp_path, revision=None)
    (tmp_path / "large.pth").unlink()
    assert hub.find(tmp_path, revision=None) == tmp_path / "small.pth"


def test_a_pth_file_with_odd_shapes_is_one_line(tmp_path: Path) -> None:
    content = {"emb.weight": torch.zeros(3), "blocks.x.att": torch.zeros(1)}
    torch.save(content, tmp_path / "model.pth")
    refused(tmp_path, r"model\.pth is not an RWKV-6 model")


def test_nothing_is_unpickled_but_tensors(tmp_path: Path) -> None:
    torch.save({"a": Path("/")}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"model\.pth is not a file of weights"):
        reading.shapes([tmp_path / "model.pth"])
