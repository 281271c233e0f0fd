"""The laws of state for checkpoints in every published format, through our loaders, in float64.

RecurrentGemma reads nearly three of its windows, Mamba2 as many of its chunks.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor

from needlework.engine.cell import Setting, predict_cell
from needlework.engine.schedule import Limits
from needlework.engine.stopping import PUBLISHED_SAMPLING, Decoding
from needlework.models import load
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from tests.configurations_for_tests import HEADS, MAMBA
from tests.engine_for_tests import NumberTokenizer, dataset, sample
from tests.reference import test_against_upstream as upstream

# Sums in another order; float64 keeps about 16 digits, and logits reach 30.
TOLERANCE = 1e-9
TOKENS = 45

MAMBA_SSM = MAMBA | {
    "d_model": 32,
    "n_layer": 3,
    "vocab_size": 61,
    "ssm_cfg": {"layer": "Mamba2", "d_state": 16, "headdim": 16, "chunk_size": 16},
}
"""Of the three models of mamba_ssm, the smallest with every part; 61 tokens fill 64 rows."""
FORMATS_OF_MAMBA_SSM = {
    "mamba_ssm mamba2": {},
    "mamba_ssm mamba2attn": {
        "attn_layer_idx": [1],
        "attn_cfg": HEADS | {"head_dim": 8, "num_heads": 4, "rotary_emb_dim": 4, "d_conv": 4},
    },
    "mamba_ssm transformerpp": {
        "attn_layer_idx": [0, 1, 2],
        "d_intermediate": 48,
        "ssm_cfg": {},
        "attn_cfg": HEADS | {"head_dim": 8, "num_heads": 4, "rotary_emb_dim": 4},
    },
}


def in_format_of_mamba_ssm(folder: Path, changed: dict[str, object]) -> Path:
    """A random checkpoint as mamba_ssm saves one, its tied head a second time."""
    from needlework.models.checkpoints import decoder_config

    raw = MAMBA_SSM | changed
    spec, family = decoder_config(raw, where="here")
    torch.manual_seed(0)
    decoder = Decoder(spec)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    tensors = {
        name: place.view(decoder.get_parameter(place.name)).detach().clone()
        for name, place in family.places(spec).items()
    }
    (folder / "config.json").write_text(json.dumps(raw))
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def in_format_of_transformers(folder: Path, make: Callable) -> Path:
    torch.manual_seed(0)
    model = make()
    upstream.randomise(model)
    model.save_pretrained(folder)
    return folder


@cache
def loaded(name: str) -> Decoder:
    """A tiny random checkpoint of this format, loaded in float64."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        if name in FORMATS_OF_MAMBA_SSM:
            source = in_format_of_mamba_ssm(folder, FORMATS_OF_MAMBA_SSM[name])
        elif name.startswith("rwkv6"):
            source = upstream.rwkv6_files(folder)[name.endswith("pth")]
        else:
            source = in_format_of_transformers(folder, upstream.UPSTREAM[name])
        return load(source, dtype=torch.float64)


FORMATS = [*upstream.UPSTREAM, *FORMATS_OF_MAMBA_SSM, "rwkv6 hub", "rwkv6 pth"]


def prompt(rows: int, tokens: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 61, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_formats_are_the_families_that_the_loader_knows() -> None:
    families = {loaded(name).config.family for name in FORMATS}
    assert families == {
        "llama",
        "qwen2",
        "recurrent_gemma",
        "mamba2",
        "mamba2attn",
        "transformerpp",
        "rwkv6",
    }
    windows = [getattr(layer, "window", None) for layer in loaded("recurrent_gemma").config.layers]
    assert 16 in windows


@pytest.mark.parametrize("cuts", [[15, 16, 17, 33], [20], list(range(1, TOKENS))])
@pytest.mark.parametrize("name", FORMATS)
def test_reading_in_pieces_equals_reading_at_once(name: str, cuts: list[int]) -> None:
    decoder, tokens_BT = loaded(name), prompt(2, TOKENS)
    whole, _ = decoder(tokens_BT, decoder.init_state(2))
    state, pieces = decoder.init_state(2), []
    for start, end in zip([0, *cuts], [*cuts, TOKENS], strict=True):
        logits, state = decoder(tokens_BT[:, start:end], state)
        pieces.append(logits)
    close(torch.cat(pieces, dim=1), whole)


@pytest.mark.parametrize("name", FORMATS)
def test_forks_go_their_own_ways(name: str) -> None:
    """Three endings of one beginning, then of another, each equal to the row read alone."""
    decoder, begins_BT, ends_BT = loaded(name), prompt(2, 30), prompt(6, 15, seed=1)
    _, state = decoder(begins_BT, decoder.init_state(2))
    forked, _ = decoder(ends_BT, state.fork(3))
    for row in range(6):
        whole = torch.cat([begins_BT[row // 3], ends_BT[row]])[None]
        alone, _ = decoder(whole, decoder.init_state(1))
        close(forked[row], alone[0, 30:])


@pytest.mark.parametrize("name", FORMATS)
def test_padded_and_packed_rows_equal_the_row_alone(name: str) -> None:
    """Rows of any history and any number of new tokens, padded into one call, then continued."""
    decoder, tokens_BT, after_BT = loaded(name), prompt(4, 37, seed=2), prompt(4, 3, seed=3)
    histories, lengths = [0, 5, 40, 17], [37, 1, 21, 0]
    states = []
    for row, history in enumerate(histories):
        state = decoder.init_state(1)
        if history:
            _, state = decoder(prompt(1, history, seed=10 + row), state)
        states.append(state)
    packed = DecoderState.stack(states)
    logits, packed = decoder(tokens_BT, packed, torch.tensor(lengths))
    after, _ = decoder(after_BT, packed)
    for row, (history, length) in enumerate(zip(histories, lengths, strict=True)):
        parts = [prompt(1, history, seed=10 + row)[0], tokens_BT[row, :length], after_BT[row]]
        alone, _ = decoder(torch.cat(parts)[None], decoder.init_state(1))
        close(logits[row, :length], alone[0, history : history + length])
        close(after[row], alone[0, history + length :])


@pytest.mark.parametrize("name", [*FORMATS_OF_MAMBA_SSM])
def test_padded_rows_of_the_vocabulary_are_never_written(name: str, tmp_path: Path) -> None:
    """The paper's models have 11 rows that stand for no token. Here one of three has the best
    logit everywhere, which only the published sampling, as its defect, can draw."""
    decoder = loaded(name)
    assert (decoder.config.vocabulary, decoder.config.padded_vocabulary) == (61, 64)
    favourite = Favourite(decoder.config).double().requires_grad_(False)
    favourite.load_state_dict(decoder.state_dict())
    samples = {"task": dataset([sample(0, [5, 6, 7, 8]), sample(1, [9, 8, 7])])}

    def written(decoding: Decoding) -> set[int]:
        found = predict_cell(
            favourite,
            NumberTokenizer(),
            samples,
            revision="first",
            journal=tmp_path / decoding.kind,
            decoding=decoding,
            setting=Setting(limits=Limits(tokens=64, chunk=64, rows=4, states=4)),
        )
        return {int(token) for each in found for token in each.pred.split()}

    corrected = written(Decoding())
    assert corrected
    assert max(corrected) < 61
    assert max(written(PUBLISHED_SAMPLING)) == 62


class Favourite(Decoder):
    """A decoder that likes the padded row 62 best."""

    def logits(self, h: Tensor) -> Tensor:
        """Theirs, but for one row."""
        logits = super().logits(h).clone()
        logits[..., 62] = 1e3
        return logits
