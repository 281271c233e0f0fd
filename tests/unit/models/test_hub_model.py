"""Models of transformers behind our interface give its own logits, however they are cut."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from needlework.errors import CheckpointError
from needlework.models.hub_model import HubModel, load_hub_model
from tests.reference import test_against_upstream as upstream

# float32, the same sums in another order.
TOLERANCE = 1e-4


def gpt2() -> transformers.PreTrainedModel:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=61, n_embd=32, n_layer=2, n_head=2, n_positions=64)
    )


MODELS: dict[str, Callable[[], transformers.PreTrainedModel]] = {
    "gpt2": gpt2,
    "llama": upstream.llama,
    "mamba2": upstream.mamba2,
    "recurrent_gemma": upstream.recurrent_gemma,
}


@pytest.fixture(params=MODELS)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[transformers.PreTrainedModel, HubModel]:
    torch.manual_seed(0)
    model = MODELS[request.param]().eval()
    upstream.randomise(model)
    model.save_pretrained(tmp_path)
    hub = load_hub_model(
        str(tmp_path), revision=None, device="cpu", dtype=torch.float32, trust_remote_code=False
    )
    return model, hub


@torch.no_grad()
def expected(model: transformers.PreTrainedModel, tokens_BT: Tensor) -> Tensor:
    return model(tokens_BT, use_cache=False).logits[:, -1]


@torch.no_grad()
def test_pieces_of_any_length_equal_one_reading(
    pair: tuple[transformers.PreTrainedModel, HubModel],
) -> None:
    model, hub = pair
    tokens_BT = upstream.tokens(20)
    state = hub.init_state(2)
    for start, end in ((0, 9), (9, 13), (13, 14), (14, 20)):
        logits, state = hub(tokens_BT[:, start:end], state)
    torch.testing.assert_close(
        logits[:, -1], expected(model, tokens_BT), rtol=TOLERANCE, atol=TOLERANCE
    )


@torch.no_grad()
def test_rows_of_any_length_and_forks_equal_the_row_alone(
    pair: tuple[transformers.PreTrainedModel, HubModel],
) -> None:
    model, hub = pair
    tokens_BT = upstream.tokens(12)
    _, state = hub(tokens_BT, hub.init_state(2), torch.tensor([12, 5]))
    forked = state.select(torch.tensor([1, 0, 1]))
    endings_BT = torch.tensor([[4, 5], [6, 7], [8, 9]])
    logits, _ = hub(endings_BT, forked)
    hub(endings_BT, forked)
    for row, (source, length) in enumerate([(1, 5), (0, 12), (1, 5)]):
        whole = torch.cat([tokens_BT[source, :length], endings_BT[row]])[None]
        torch.testing.assert_close(
            logits[row, -1], expected(model, whole)[0], rtol=TOLERANCE, atol=TOLERANCE
        )


def test_a_cache_is_kept_only_where_it_is_exact(
    pair: tuple[transformers.PreTrainedModel, HubModel],
) -> None:
    """RecurrentGemma of transformers resets its convolution at every call of several tokens."""
    _, hub = pair
    assert hub.keeps_cache == (hub.config.family != "recurrent_gemma")


def test_a_model_transformers_cannot_load_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(CheckpointError, match=r"cannot load.*trust_remote_code: true"):
        load_hub_model(
            str(tmp_path), revision=None, device="cpu", dtype=torch.float32, trust_remote_code=False
        )
