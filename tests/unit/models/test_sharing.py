"""What layers of one call have in common is taken from layers of their own kind alone."""

import torch

from needlework.models.config import Attention, DecoderConfig
from needlework.models.random_weights import random_decoder


def windowed(window: int) -> Attention:
    return Attention(heads=2, kv_heads=1, head_width=8, rotary_width=8, window=window)


SPEC = DecoderConfig(
    family="two windows",
    vocabulary=50,
    padded_vocabulary=50,
    width=16,
    layers=(windowed(4), windowed(5)),
)


def test_layers_with_unlike_windows_count_their_own_columns() -> None:
    """Both have seven columns of the short row, and of the long one each has dropped its own."""
    decoder = random_decoder(SPEC)
    tokens = torch.arange(40).view(2, 20)
    steps = tokens[:, 13:].split(1, dim=1)
    with torch.inference_mode():
        states, alone = [], []
        for row, pieces in enumerate(([7], [12, 1])):
            state = decoder.init_state(1)
            for piece in tokens[row : row + 1, : sum(pieces)].split(pieces, dim=1):
                _, state = decoder.read(piece, state)
            states.append(state)
            for step in steps:
                hidden, state = decoder.read(step[row : row + 1], state)
                alone.append(hidden)
        both = type(states[0]).stack(states)
        first, second = (layer.cache for layer in both.layers)
        assert first.longest == second.longest
        assert not torch.equal(first.length_B, second.length_B)
        together = []
        for step in steps:
            hidden, both = decoder.read(step, both)
            together.append(hidden)
    torch.testing.assert_close(torch.stack(together, dim=1).flatten(0, 1), torch.cat(alone))
