"""Every mixer equals its formulas, summed token by token in float64."""

import pytest
import torch

from tests.models_for_tests import WIDTH, mixer
from tests.reference import naive

# Sums in another order; float64 keeps about 16 digits.
TOLERANCE = 1e-10

NAIVE = {
    "attention": naive.attention,
    "grouped attention": naive.attention,
    "window": naive.attention,
    "convolved attention": naive.attention,
    "ssd": naive.ssd,
    "grouped ssd": naive.ssd,
    "gated delta": naive.gated_delta,
    "rglru": naive.rglru,
    "time mix": naive.time_mix,
    "channel mix": naive.channel_mix,
}


@pytest.mark.parametrize("tokens", [1, 5, 8, 37])
@pytest.mark.parametrize("name", NAIVE)
def test_mixer_equals_its_formulas(name: str, tokens: int) -> None:
    """Lengths below, at and across the chunk size."""
    layer = mixer(name)
    generator = torch.Generator().manual_seed(tokens)
    x_BTD = torch.randn(2, tokens, WIDTH, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y_BTD, _ = layer(x_BTD, layer.init_state(2))
        expected = torch.stack([NAIVE[name](layer, x_TD) for x_TD in x_BTD])
    torch.testing.assert_close(y_BTD, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_strong_decays_do_not_overflow() -> None:
    """A channel that forgets at once: exp(+sum of decays) would be infinite in float32.

    GroupNorm divides by small deviations, so float32 keeps about three digits here.
    """
    layer = mixer("time mix").float()
    with torch.no_grad():
        layer.decay_D.fill_(4.0)
        x_BTD = torch.randn(1, 64, WIDTH, generator=torch.Generator().manual_seed(0))
        y_BTD, _ = layer(x_BTD, layer.init_state(1))
        expected = naive.time_mix(layer.double(), x_BTD[0].double())
    torch.testing.assert_close(y_BTD[0].double(), expected, rtol=1e-3, atol=1e-3)
