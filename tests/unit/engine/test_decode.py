"""How many tokens are written before anybody looks at them."""

import pytest

from needlework.cost.room import UNSEEN
from needlework.engine.decode import unseen_tokens
from needlework.models import kernels
from tests.models_for_tests import family


@pytest.mark.parametrize(
    ("accelerated", "positions", "tokens"),
    [(False, None, 1), (True, None, UNSEEN), (True, 64, 1)],
    ids=["on a CPU", "on CUDA", "positions end"],
)
def test_tokens_are_written_unseen_where_none_can_stand_behind_the_last_position(
    accelerated: bool, positions: int | None, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the last row of a table of positions, CUDA would end the whole job."""
    decoder = family("llama")
    monkeypatch.setattr(kernels, "accelerated", lambda device: accelerated)
    spec = decoder.config.model_copy(update={"positions": positions})
    monkeypatch.setattr(decoder, "config", spec)
    assert unseen_tokens(decoder) == tokens
