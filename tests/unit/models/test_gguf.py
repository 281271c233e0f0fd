"""GGUF checkpoints: the logits of transformers' own reader, and one line for every damaged file."""

import math
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGUFReader

from needlework.errors import CheckpointError
from needlework.gguf_header import read_header
from needlework.models import load
from needlework.models.checkpoints import gguf_tensors
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from tests import gguf_for_tests as files

TOLERANCE = 1e-4
"""Largest difference of float32 logits, as a share of the largest."""
ROUNDINGS = (
    "F32",
    "F16",
    "BF16",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "TQ1_0",
    "TQ2_0",
    "MXFP4",
)
"""All to which the gguf library can round."""
TOKENS_T = torch.tensor([17, 250, 3, 99, 120, 7, 7, 281, 64, 33, 12, 5, 200, 150, 31, 8, 77])


def logits(decoder: Decoder) -> torch.Tensor:
    with torch.inference_mode():
        return decoder(TOKENS_T[None], decoder.init_state(1))[0][0]


def theirs(path: Path) -> torch.Tensor:
    """The logits of transformers, which reads the file by itself."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    with torch.inference_mode():
        return model.eval()(TOKENS_T[None]).logits[0]


def assert_close(ours_TV: torch.Tensor, theirs_TV: torch.Tensor) -> None:
    assert float((ours_TV - theirs_TV).abs().max() / theirs_TV.abs().max()) < TOLERANCE


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_logits_are_those_of_transformers(rounding: str, tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf", rounding=rounding)
    assert_close(logits(load(path)), theirs(path))
    assert read_header(path).quantisation == rounding


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_head_of_its_own_and_biases_are_read(family: str, tmp_path: Path) -> None:
    tensors = files.tensors_of(family, tied=False)
    path = files.write(tmp_path / "tiny.gguf", family, tensors=tensors, rounding="Q8_0")
    decoder = load(path)
    assert not decoder.config.tied
    assert_close(logits(decoder), theirs(path))


def test_rounded_weights_become_numbers_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second pass is made for copies of tied weights, of which a GGUF file has none."""
    path = files.write(tmp_path / "tiny.gguf", rounding="Q8_0")
    sizes = []

    def counted(values: np.ndarray, *given: Any, where: str) -> torch.Tensor:
        sizes.append(values.size)
        return honest(values, *given, where=where)

    honest = gguf_tensors.dequantised
    monkeypatch.setattr(gguf_tensors, "dequantised", counted)
    load(path)
    assert sorted(sizes) == sorted(weight.size for weight in read_header(path).weights)


def test_transformers_may_compute_it(tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf", rounding="Q4_0")
    model = load_hub_model(
        str(path), revision=None, device="cpu", dtype=torch.float32, trust_remote_code=False
    )
    with torch.inference_mode():
        assert_close(logits(load(path)), model.logits_at(TOKENS_T, torch.arange(len(TOKENS_T))))


def scaled(parameters: dict[str, object], path: Path) -> torch.Tensor:
    """Logits of transformers for the weights of a file, its rotary embedding scaled."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    model.config.rope_parameters = {"rope_theta": 10000.0, **parameters}
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    with torch.inference_mode():
        return model.eval()(TOKENS_T[None]).logits[0]


LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def test_the_frequencies_of_llama_3_are_in_a_tensor(tmp_path: Path) -> None:
    """Transformers' reader leaves that tensor out, so it is told what the factors come from."""
    plain = files.write(tmp_path / "plain.gguf")
    config = transformers.LlamaConfig(
        hidden_size=files.WIDTH,
        num_attention_heads=files.HEADS,
        rope_parameters={"rope_theta": 10000.0, **LLAMA_3},
    )
    slowed, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    head = files.WIDTH // files.HEADS
    full = 1.0 / 10000.0 ** (torch.arange(0, head, 2, dtype=torch.float32) / head)
    tensors = files.tensors_of("llama") | {"rope_freqs.weight": full / slowed}
    path = files.write(tmp_path / "scaled.gguf", tensors=tensors)
    expected = scaled(LLAMA_3, plain)
    assert_close(logits(load(path)), expected)
    difference = (logits(load(plain)) - expected).abs().max() / expected.abs().max()
    assert difference > 100 * TOLERANCE


def test_linear_scaling_is_read(tmp_path: Path) -> None:
    scaling = {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}
    settings = files.settings_of("llama", **scaling)
    path = files.write(tmp_path / "scaled.gguf", settings=settings)
    plain = files.write(tmp_path / "plain.gguf")
    assert_close(logits(load(path)), scaled({"rope_type": "linear", "factor": 4.0}, plain))


def test_the_header_is_what_the_library_reads(tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf", rounding="Q4_1")
    header, reader = read_header(path), GGUFReader(path)
    known = {key: field.contents() for key, field in reader.fields.items()}
    assert header.settings == {key: each for key, each in known.items() if key[:5] != "GGUF."}
    assert [(each.name, each.kind, each.start) for each in header.weights] == [
        (each.name, each.tensor_type.name, each.data_offset) for each in reader.tensors
    ]
    assert [each.size for each in header.weights] == [each.n_bytes for each in reader.tensors]


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kept", [0, 3, 20, 400, 3000, -1])
def test_a_truncated_file_is_one_line(kept: int, tmp_path: Path) -> None:
    """Cut in the header, in the vocabulary, or in the last tensor."""
    path = files.write(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes()[:kept])
    told = refused(path)
    assert "truncated" in told or "which is no GGUF file" in told
    assert "fetch it again" in told


def test_a_length_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    """Nothing of that size is asked of the machine."""
    path = tmp_path / "huge.gguf"
    key = b"tokenizer.ggml.scores"
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, 6, 1 << 60)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + entry)
    assert "truncated" in refused(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: b"GGML" + found[4:], "does not begin with GGUF"),
        (lambda found: found[:4] + struct.pack(">I", 3) + found[8:], "big-endian"),
        (lambda found: found[:4] + struct.pack("<I", 1) + found[8:], "version 1"),
    ],
)
def test_another_format_is_one_line(change, reason: str, tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf")
    path.write_bytes(change(path.read_bytes()))
    assert reason in refused(path)


def test_an_unknown_quantisation_is_one_line(tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf")
    content = path.read_bytes()
    name = b"blk.1.ffn_down.weight"
    place = content.index(name) + len(name) + 4 + 2 * 8
    path.write_bytes(content[:place] + struct.pack("<I", 99) + content[place + 4 :])
    told = refused(path)
    assert "blk.1.ffn_down.weight in quantisation type 99" in told
    assert "update gguf" in told


def test_a_type_without_numbers_is_one_line(tmp_path: Path) -> None:
    """Q8_1 is a format of intermediate results, which the library does not make numbers of."""
    path = files.write(tmp_path / "tiny.gguf")
    content = path.read_bytes()
    name = b"blk.1.ffn_down.weight"
    place = content.index(name) + len(name) + 4 + 2 * 8
    number = gguf.GGMLQuantizationType.Q8_1
    path.write_bytes(content[:place] + struct.pack("<I", number) + content[place + 4 :])
    assert "weights of type Q8_1" in refused(path)


def test_an_unknown_architecture_is_one_line(tmp_path: Path) -> None:
    settings = files.settings_of("gemma9")
    path = files.write(tmp_path / "tiny.gguf", "gemma9", settings=settings)
    told = refused(path)
    assert "architecture 'gemma9' is not one of llama, qwen2" in told
    assert "backend: transformers" in told


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expert_count": 8}, "experts is not supported"),
        ({"attention.sliding_window": 128}, "a sliding window is not supported"),
        ({"rope.dimension_count": 32}, "32 rotated channels of 64"),
        ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, "rope scaling 'yarn'"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    changes: dict[str, object], reason: str, tmp_path: Path
) -> None:
    path = files.write(tmp_path / "tiny.gguf", settings=files.settings_of("llama", **changes))
    assert reason in refused(path)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["attention.layer_norm_rms_epsilon", "rope.freq_base", "of_nobody"])
def test_a_number_that_is_not_finite_is_named(key: str, number: float, tmp_path: Path) -> None:
    path = files.write(tmp_path / "a.gguf", settings=files.settings_of("llama", **{key: number}))
    assert f"says {number} in `llama.{key}`, which is no finite number" in refused(path)


def test_a_setting_that_is_absent_is_named(tmp_path: Path) -> None:
    settings = files.settings_of("llama")
    del settings["llama.block_count"]
    assert "has no 'block_count'" in refused(files.write(tmp_path / "a.gguf", settings=settings))


def test_every_tensor_is_accounted_for(tmp_path: Path) -> None:
    tensors = files.tensors_of("llama")
    del tensors["blk.1.attn_norm.weight"]
    tensors["blk.1.extra.weight"] = torch.zeros(4)
    told = refused(files.write(tmp_path / "tiny.gguf", tensors=tensors))
    assert "unexpected: blk.1.extra.weight" in told
    assert "missing: blk.1.attn_norm.weight" in told


def test_a_part_of_several_is_one_line(tmp_path: Path) -> None:
    settings = files.settings_of("llama") | {"split.count": 3}
    told = refused(files.write(tmp_path / "tiny.gguf", settings=settings))
    assert "is one of 3 parts" in told


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.gguf"):
        load(tmp_path / "absent.gguf")
