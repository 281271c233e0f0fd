"""What a machine can do, by formulas that are held against what states really take."""

from pathlib import Path

import pytest
import torch

from needlework.cluster.doctor import examine, longest_context, weight_bytes
from needlework.study.config import ModelEntry
from tests.models_for_tests import family
from tests.reference.test_against_upstream import rwkv6_files

NANO = Path(__file__).parents[3] / "resources/nano"
MIB = 1 << 20


def entry(checkpoint: Path | str, **changed: object) -> ModelEntry:
    keys = {
        "label": "A",
        "family": "linear",
        "checkpoint": str(checkpoint),
        "tokenizer": "nano",
        "wrapper": "base",
        "trained_length": 256,
        "licence": "MIT",
    }
    return ModelEntry.model_validate(keys | changed)


def findings(**models: ModelEntry) -> dict[str, str]:
    """What is said about every model."""
    lines = list(examine(models))
    start = next(i for i, line in enumerate(lines) if line.startswith("longest context")) + 1
    rows = (line.strip().partition(" ") for line in lines[start:])
    return {name: said.strip() for name, _, said in rows}


@pytest.mark.parametrize("name", ["transformerpp", "llama", "mamba2attn"])
def test_the_longest_context_is_where_memory_ends(name: str) -> None:
    """A slot of that length, read for real, and once more by itself beside it where a choice is
    contested, take what is left beside the weights and a mask; the rest is one short call."""
    spec, free = family(name).config, 2 * MIB
    tokens = longest_context(spec, torch.float64, free)
    assert tokens is not None
    decoder = family(name)
    prompt = torch.zeros(1, tokens, dtype=torch.long)
    state = decoder.slots(1, tokens, 0).begin(0, [decoder.init_state(1)])
    for piece in prompt.split(512, dim=1):
        _, state = decoder.read(piece, state)
    used = weight_bytes(spec, torch.float64) + 2 * state.bytes + 5 * 256 * tokens
    assert 0.6 * free < used <= free


@pytest.mark.parametrize("name", ["mamba2", "rwkv6", "griffin"])
def test_a_state_that_does_not_grow_fits_at_any_length_or_at_none(name: str) -> None:
    spec = family(name).config
    assert longest_context(spec, torch.float32, 1 << 30) is None
    assert longest_context(spec, torch.float32, weight_bytes(spec, torch.float32)) == 0


def test_positions_are_a_limit_of_their_own() -> None:
    spec = family("llama").config.model_copy(update={"positions": 100})
    assert longest_context(spec, torch.float32, 1 << 30) == 100


def test_tied_weights_count_once() -> None:
    decoder = family("mamba2", dtype=torch.float32)
    expected = 4 * sum(parameter.numel() for parameter in decoder.parameters())
    assert weight_bytes(decoder.config, torch.float32) == expected
    assert weight_bytes(decoder.config, torch.bfloat16) == expected // 2


def test_every_model_gets_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("needlework.engine.memory.free_bytes", lambda device: 8 << 30)
    _, pth = rwkv6_files(tmp_path)
    said = findings(
        llama=entry(NANO / "llama"),
        mine=entry(pth),
        published=entry("state-spaces/transformerpp-2.7b", dtype="bfloat16"),
        other=entry("me/other"),
        lost=entry("no/such/folder"),
        hub=entry("me/gpt", revision="0" * 40, backend="transformers"),
    )
    assert said["llama"].endswith("tokens (float32, weights 2 MiB)")
    assert said["mine"].startswith("any length: its state does not grow")
    assert said["published"].endswith("tokens (bfloat16, weights 5,086 MiB)")
    assert said["other"] == (
        "unknown: me/other has no config.json; run `needlework fetch --configfile FILE`"
    )
    assert said["lost"].endswith("there is no such checkpoint here")
    assert said["hub"] == "unknown: transformers keeps its state"


def test_the_machine_is_described() -> None:
    text = "\n".join(examine({}))
    for expected in ("free memory", "Python 3", torch.__version__, "compiler", "attention"):
        assert expected in text
    assert "flash-attn" in text
