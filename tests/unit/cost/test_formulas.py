"""Formulas against what torch counts, what the engine reserves and what the papers print."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from needlework.cost.formulas import costs
from needlework.cost.published import CHECKPOINTS, published
from needlework.engine.memory import row_bytes
from needlework.models.checkpoints import decoder_config
from needlework.models.config import Attention, DecoderConfig
from needlework.models.decoder import Decoder
from tests.models_for_tests import FAMILIES, family
from tests.unit.models.test_checkpoints import FULL_SIZE

NANO = Path(__file__).parents[3] / "resources" / "nano"
TOKENS = 16
"""A whole number of chunks for every tiny model, and more than their window."""
PRINTED = {
    "state-spaces/mamba2-2.7b": 2_702_599_680,
    "state-spaces/mamba2attn-2.7b": 2_697_590_880,
    "state-spaces/transformerpp-2.7b": 2_666_457_600,
    "google/recurrentgemma-2b": 2_682_862_080,
    "google/recurrentgemma-2b-it": 2_682_862_080,
    "RWKV/rwkv-6-world-3b": 3_099_863_040,
}
READ_BY_US = {
    "mamba2": "state-spaces/mamba2-2.7b",
    "mamba2attn": "state-spaces/mamba2attn-2.7b",
    "transformerpp": "state-spaces/transformerpp-2.7b",
    "recurrent_gemma": "google/recurrentgemma-2b",
    "rwkv6": "RWKV/rwkv-6-world-3b",
}


def known(checkpoint: str) -> DecoderConfig:
    spec = published(checkpoint)
    assert spec is not None
    return spec


def on_meta(spec: DecoderConfig, dtype: torch.dtype) -> Decoder:
    with torch.device("meta"):
        return Decoder(spec).to(dtype)


def unseen(spec: DecoderConfig, tokens: int) -> int:
    """FLOPs that a dense product spends on keys no query sees; ours are not counted.

    The last layer that remembers has one query, which a window alone can keep from a key.
    """
    total = 0
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, Attention):
            window = layer.window or tokens
            queries = range(tokens if index == spec.last_memory else 1, tokens + 1)
            seen = sum(min(token, window) for token in queries)
            total += 4 * layer.heads * layer.head_width * (len(queries) * tokens - seen)
    return total


@pytest.mark.parametrize("name", FAMILIES)
def test_reading_flops_are_those_that_torch_counts(name: str) -> None:
    decoder = family(name)
    tokens_BT = torch.arange(TOKENS)[None] % 40
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        decoder.read(tokens_BT, decoder.init_state(1))
    ours = costs(decoder.config).read_flops(0, TOKENS)
    assert counter.get_total_flops() - unseen(decoder.config, TOKENS) == ours


@pytest.mark.parametrize("name", FAMILIES)
def test_writing_flops_are_those_that_torch_counts(name: str) -> None:
    """Depthwise convolutions of one token are sums, which torch does not count."""
    decoder = family(name)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        _, state = decoder.read(torch.arange(3)[None], decoder.init_state(1))
        with FlopCounterMode(display=False) as counter:
            hidden_BD, _ = decoder.read(torch.tensor([[5]]), state)
            decoder.logits(hidden_BD)
    ours = costs(decoder.config).write_flops(4)
    convolved = sum(
        2 * parameter.numel()
        for name, parameter in decoder.named_parameters()
        if name.endswith("convolution.weight")
    )
    assert counter.get_total_flops() == ours - convolved


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_those_of_the_decoder(name: str) -> None:
    decoder = family(name)
    count = sum(parameter.numel() for parameter in decoder.parameters())
    assert costs(decoder.config).parameters == count


@pytest.mark.parametrize("checkpoint", PRINTED)
def test_published_models_have_the_published_parameters(checkpoint: str) -> None:
    assert costs(known(checkpoint)).parameters == PRINTED[checkpoint]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_published_models_have_the_parameters_of_our_decoder(checkpoint: str) -> None:
    decoder = on_meta(known(checkpoint), torch.bfloat16)
    assert costs(decoder.config).parameters == sum(each.numel() for each in decoder.parameters())


@pytest.mark.parametrize("name", READ_BY_US)
def test_published_models_are_what_our_reader_makes_of_their_config(name: str) -> None:
    spec, _ = decoder_config(FULL_SIZE[name][0], where="config.json")
    assert known(READ_BY_US[name]) == spec


@pytest.mark.parametrize("tokens", [0, 100, 5000])
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_row_takes_the_memory_that_the_engine_reserves(checkpoint: str, tokens: int) -> None:
    decoder = on_meta(known(checkpoint), torch.bfloat16)
    assert costs(decoder.config).row_bytes(tokens, 2) == row_bytes(decoder, tokens)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in NANO.glob("*/config.json")))
def test_nano_rows_too(name: str) -> None:
    raw = json.loads((NANO / name / "config.json").read_text(encoding="utf-8"))
    decoder = on_meta(DecoderConfig.model_validate(raw), torch.float32)
    assert costs(decoder.config).row_bytes(700, 4) == row_bytes(decoder, 700)


def test_reading_in_two_pieces_costs_one_more_ending() -> None:
    for checkpoint in CHECKPOINTS:
        whole = costs(known(checkpoint))
        pieces = whole.read_flops(0, 1234) + whole.read_flops(1234, 9000)
        assert whole.read_flops(0, 9000) == pytest.approx(
            pieces - whole.read_flops(1234, 1234), rel=1e-12
        )
