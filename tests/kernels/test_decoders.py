"""Whole tiny decoders on every kernel, against the same decoders on torch."""

import numpy as np
import pytest
import torch

from needlework.engine.choosing import CLOSE, CLOSE_ON_CUDA
from needlework.engine.prefill import read
from needlework.engine.schedule import Limits
from needlework.models import kernels
from needlework.models.config import DecoderConfig
from needlework.models.random_weights import random_decoder
from needlework.nano.architectures import LAYERS, nano_config
from needlework.proving.checking import share, state_tensors
from tests.kernels import interpreter
from tests.kernels_for_tests import decoder_results, difference_from_torch
from tests.slots_for_tests import plays

pytestmark = interpreter.KERNELS

# Float32 through eight layers; in bfloat16 every layer rounds to 8 bits.
TOLERANCE = {torch.float32: 3e-5, torch.bfloat16: 5e-2}
VOCABULARY = 97
RECURRENT = ("mamba2", "griffin", "rwkv6")


def small(name: str) -> DecoderConfig:
    """A nano model of fewer layers, and a window that its prompts leave."""
    spec = nano_config(name, VOCABULARY)
    layers = [
        layer.model_copy(update={"window": 24}) if getattr(layer, "window", None) else layer
        for layer in spec.layers
    ]
    kept = layers[2:6] if name == "griffin" else layers[-2:] if name == "mamba2attn" else layers[:2]
    return spec.model_copy(update={"layers": tuple(kept)})


@pytest.mark.parametrize("name", LAYERS)
def test_a_decoder_of_every_family(name: str) -> None:
    """A prompt, its fork, padded continuations and decoding; logits and every state."""
    decoder = random_decoder(small(name))
    found = difference_from_torch(lambda: decoder_results(decoder, tokens=40))
    assert found <= TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", ["mamba2attn", "griffin", "llama"])
def test_a_decoder_in_half_precision(name: str) -> None:
    """Attention calls flash-attn; the recurrences stay in float32."""
    decoder = random_decoder(small(name), dtype=torch.bfloat16)
    found = difference_from_torch(lambda: decoder_results(decoder, tokens=20))
    assert found <= TOLERANCE[torch.bfloat16]


OVERWRITTEN = ("mamba2", "rwkv6")
"""Families with a kernel that writes the state it was given."""


@pytest.mark.parametrize("name", RECURRENT)
def test_a_state_is_overwritten_for_its_owner_alone(name: str) -> None:
    """Siblings read on from one state, twice the same; to write on from it gives that as well."""
    decoder = random_decoder(small(name))
    prompt, rest = torch.arange(5 + 2)[None].repeat(2, 1).split([5, 2], dim=1)
    _, state = decoder.read(prompt, decoder.init_state(2))
    kept = [each.clone() for each in state_tensors(state)]
    read, written = state, state
    for token in rest.split(1, dim=1):
        first, after = decoder.read(token, read)
        again, _ = decoder.read(token, read)
        assert torch.equal(again, first)
        read = after
    assert all(map(torch.equal, state_tensors(state), kept))
    for token in rest.split(1, dim=1):
        last, written = decoder.write(token, written)
    assert torch.equal(last, first)
    assert all(map(torch.equal, state_tensors(written), state_tensors(read)))
    if name in OVERWRITTEN:
        assert not all(map(torch.equal, state_tensors(state), kept))


@pytest.mark.parametrize("name", RECURRENT)
def test_a_decoder_read_in_pieces_by_the_engine(name: str) -> None:
    """Two rows of unequal length, in pieces of other lengths than torch reads at once."""
    decoder = random_decoder(small(name))
    tokens = np.arange(100, dtype=np.int32) * 31 % VOCABULARY
    limits = Limits(tokens=140, chunk=70, rows=2, states=2)
    rows = [tokens, tokens[:30]]
    found = {}
    for ended, hidden_RD, _ in read(decoder, rows, decoder.init_state(2), limits=limits):
        found |= dict(zip(ended, hidden_RD, strict=True))
    with kernels.only_torch():
        for row, sequence in enumerate(rows):
            alone, _ = decoder.read(torch.from_numpy(sequence[None]).long(), decoder.init_state(1))
            assert share(found[row], alone[0]) <= TOLERANCE[torch.float32]


def test_tf32_moves_logits_by_less_than_the_margin_of_greedy_answers_on_a_gpu() -> None:
    """And by more than the margin of a CPU, which would call such a choice certain."""
    decoder = random_decoder(nano_config("rwkv6", VOCABULARY))
    prompt = torch.randint(VOCABULARY, (1, 70), generator=torch.Generator().manual_seed(0))
    exact_TV = decoder(prompt, decoder.init_state(1))[0][0]
    with interpreter.tf32():
        cut_TV = decoder(prompt, decoder.init_state(1))[0][0]
    moved_T = (cut_TV - exact_TV).abs().amax(dim=-1) / exact_TV.abs().amax(dim=-1)
    assert CLOSE[torch.float32] < float(moved_T.max()) < CLOSE_ON_CUDA


@pytest.mark.parametrize("name", ["mamba2attn", "griffin", "llama", "rwkv6"])
def test_a_decoder_in_slots(name: str) -> None:
    """Rows that join, write and leave, where kernels write into slots: what copies give."""
    found, expected = plays(random_decoder(small(name)), seed=1)
    assert len(found) == len(expected) > 5
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[torch.float32])
