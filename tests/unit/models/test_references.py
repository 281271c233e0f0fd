"""Who else computes a model, and how a decoder is written down as one of theirs."""

import sys
import types
from pathlib import Path

import pytest
import torch

from needlework.models import references
from needlework.models.config import DecoderConfig
from needlework.models.references import find_reference
from tests.models_for_tests import family


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mamba2", "Mamba2ForCausalLM"),
        ("transformerpp", "LlamaForCausalLM"),
        # A rotation of half a head and biases that Llama does not have, in one place each.
        ("llama", None),
        # No MLP behind every layer.
        ("griffin", None),
        ("mamba2attn", None),
    ],
)
def test_a_decoder_is_described_as_another_only_where_formulas_agree(
    name: str, expected: str | None
) -> None:
    found = find_reference(Path("nowhere"), family(name, dtype=torch.float32))
    assert isinstance(found, str) if expected is None else found.name.endswith(expected)


@pytest.mark.parametrize(
    "change",
    [
        {"embedding_norm": True},
        {"logit_cap": 30.0},
        {"norm": {"kind": "layer"}},
        {"norm": {"offset": True}},
    ],
)
def test_a_decoder_with_more_around_its_layers_is_not_llama(change: dict[str, object]) -> None:
    plain = family("transformerpp").config.model_dump()
    assert references._as_llama(DecoderConfig.model_validate(plain)) is not None
    assert references._as_llama(DecoderConfig.model_validate(plain | change)) is None


def test_the_official_library_is_asked_for_its_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU; here a stand-in that records how it was called."""
    asked: dict[str, object] = {}

    class MambaLMHeadModel(torch.nn.Module):
        @classmethod
        def from_pretrained(cls, folder: str, **options: object) -> "MambaLMHeadModel":
            asked.update(options, folder=folder)
            return cls()

        def forward(self, tokens_BT: torch.Tensor) -> types.SimpleNamespace:
            return types.SimpleNamespace(logits=tokens_BT[..., None] * torch.ones(3))

    module = types.ModuleType("mamba_ssm.models.mixer_seq_simple")
    module.MambaLMHeadModel = MambaLMHeadModel
    for part in ("mamba_ssm", "mamba_ssm.models"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(references, "version", lambda package: "2.3")
    found = references._mamba_ssm(tmp_path, torch.device("cpu"))
    logits_PV = found.logits(torch.tensor([4, 5, 6]), torch.tensor([0, 2]))
    assert logits_PV.tolist() == [[4, 4, 4], [6, 6, 6]]
    assert asked == {
        "folder": str(tmp_path),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    }


@pytest.mark.parametrize("installed", [True, False])
def test_nobody_is_named_who_does_not_compute_a_decoder(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new mixer was once said to be computed by mamba_ssm, which has never heard of it."""
    monkeypatch.setattr(references.kernels, "installed", lambda module: installed)
    decoder = family("griffin", dtype=torch.float32)
    decoder.config = decoder.config.model_copy(update={"family": "gated_deltanet"})
    found = find_reference(tmp_path, decoder)
    assert found == "no independent implementation of gated_deltanet is known for these weights"


def test_files_of_mamba_ssm_are_known_as_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"ssm_cfg": {}}')
    found = find_reference(tmp_path, family("mamba2attn", dtype=torch.float32))
    assert isinstance(found, str)
    assert found.startswith("its files are those of mamba_ssm, which computes on a GPU")


@pytest.mark.upstream
def test_the_chunks_of_transformers_do_not_change_its_logits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = family("mamba2", dtype=torch.float32)
    tokens_T, places_P = torch.arange(300) % 40, torch.tensor([0, 63, 64, 299])
    found = []
    for chunk in (references.SHORT_CHUNK, 8, 256):
        monkeypatch.setattr(references, "SHORT_CHUNK", chunk)
        found.append(find_reference(Path("nowhere"), decoder).logits(tokens_T, places_P))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[2], found[0], rtol=1e-4, atol=1e-4)
