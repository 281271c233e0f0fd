"""Would a verification notice? Models broken as real libraries were, and what 64 tokens saw."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from needlework.engine import verification
from needlework.engine.trial import Trial
from needlework.errors import CheckpointError
from needlework.models import convolution, load, rwkv6
from needlework.models.attention import Attention
from needlework.models.decoder import Decoder
from needlework.models.hub_model import PROBE, HubModel, Row
from needlework.models.key_values import KeyValueState
from needlework.tokenizers.prefixes import Tokens
from tests.bites.test_mixers import zeros
from tests.reference.test_against_upstream import llama, randomise
from tests.unit.engine.test_verification import NANO, candidate, verified

FORMER = 64
"""Tokens that were once compared, all in one call and none of them decoded."""


def former(decoder: Decoder) -> Trial:
    tokens = np.arange(1, FORMER + 1, dtype=np.int32) * 7919 % decoder.config.vocabulary
    return Trial(tokens, (FORMER,), written=0, needed=0)


def with_setting(name: str, setting: str, kind: str, folder: Path) -> Path:
    """A nano model whose configuration switches a published defect on."""
    spec = json.loads((NANO / name / "config.json").read_text())
    for layer in spec["layers"]:
        if layer["kind"] == kind:
            layer[setting] = True
    (folder / "broken").mkdir()
    (folder / "broken/config.json").write_text(json.dumps(spec))
    weights = "model.safetensors"
    (folder / "broken" / weights).symlink_to(NANO / name / weights)
    return folder / "broken"


@pytest.mark.upstream
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "setting", "reference"),
    [
        ("griffin", "shifted_window", "RecurrentGemmaForCausalLM"),
        ("mamba2attn", "convolved_tail", "its own single pass"),
    ],
)
def test_a_published_defect_is_caught_and_64_tokens_did_not_see_it(
    name: str,
    setting: str,
    reference: str,
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A window that is lost (H3), and a state that is wrong after the prompt (H2)."""
    broken = with_setting(name, setting, "attention", tmp_path)
    assert load(broken).config != load(NANO / name).config
    with pytest.raises(CheckpointError, match=reference):
        verified(tmp_path, candidate(broken, dtype=dtype))
    monkeypatch.setattr(verification, "plan_trial", former)
    assert verified(tmp_path, candidate(broken, dtype=dtype)).tokens == FORMER


def forgetful(self: KeyValueState, window: int) -> KeyValueState:
    """Half a window is dropped too much; a window that is not yet full stays whole."""
    honest: Callable[[KeyValueState, int], KeyValueState] = HONEST["drop_invisible"]
    return honest(self, window // 2)


def unturned(self: Attention, qkv_BTC: Tensor, cache: KeyValueState) -> tuple[Tensor, ...]:
    """Positions begin again with every call, as if nothing had been read."""
    heads: Callable[..., tuple[Tensor, ...]] = HONEST["_heads"]
    return heads(self, qkv_BTC, KeyValueState.empty(len(qkv_BTC), 1, 1, qkv_BTC))


HONEST = {"drop_invisible": KeyValueState.drop_invisible, "_heads": Attention._heads}


@pytest.mark.upstream
@pytest.mark.parametrize(
    ("name", "owner", "attribute", "broken"),
    [
        ("mamba2", convolution, "last_valid", zeros),
        ("griffin", convolution, "last_valid", zeros),
        ("rwkv6", rwkv6, "last_valid", zeros),
        ("griffin", KeyValueState, "drop_invisible", forgetful),
        ("transformerpp", Attention, "_heads", unturned),
    ],
    ids=["mamba2 tail", "griffin tail", "token shift", "keys", "positions"],
)
def test_a_state_that_is_not_carried_is_caught_and_one_call_did_not_see_it(
    name: str,
    owner: object,
    attribute: str,
    broken: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, attribute, broken)
    with pytest.raises(CheckpointError, match="logits differ from"):
        verified(tmp_path, candidate(NANO / name))
    monkeypatch.setattr(verification, "plan_trial", former)
    assert verified(tmp_path, candidate(NANO / name)).largest_difference < 1e-5


@pytest.mark.upstream
def test_a_cache_that_only_the_short_probe_finds_right_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It forgets what was before a long piece; whether it may be kept was once tried on 13 tokens.

    Tried at the lengths that are read it is not kept; kept all the same, it is no pass.
    """
    upstream = llama()
    randomise(upstream)
    upstream.save_pretrained(tmp_path / "llama")
    honest = HubModel._continue

    def forgetful(self: HubModel, tokens_T: Tensor, row: Row) -> tuple[Tensor, Row]:
        return honest(self, tokens_T, row if len(tokens_T) < FORMER else Row((), None))

    model = candidate(tmp_path / "llama", backend="transformers")
    monkeypatch.setattr(HubModel, "_continue", forgetful)
    found = verified(tmp_path, model)
    assert found.decoded == 0
    assert found.reason.endswith("in one pass, as its cache cannot be continued")
    prepare = HubModel.prepare

    def short(self: HubModel, prompts: Sequence[Tokens], written: int) -> None:
        prepare(self, [prompt[:PROBE] for prompt in prompts], 1)

    monkeypatch.setattr(HubModel, "prepare", short)
    with pytest.raises(CheckpointError, match="try another version of transformers"):
        verified(tmp_path, model)
