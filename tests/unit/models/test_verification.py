"""What a checkpoint must show before it may answer, and what is said where nothing was compared."""

import json
import math
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from needlework.errors import CheckpointError
from needlework.models import checkpoints, load, references, verification
from needlework.models.checkpoints import llama
from needlework.models.config import DecoderConfig
from needlework.models.references import find_reference
from needlework.models.verification import Candidate, verify_model
from needlework.records import Verification
from tests.models_for_tests import family
from tests.reference import test_against_upstream as upstream
from tests.reference.test_against_upstream import pair as pair

NANO = Path(__file__).parents[3] / "resources/nano"
NANO_REFERENCES = {
    "griffin": "RecurrentGemmaForCausalLM",
    "llama": "LlamaForCausalLM",
    "mamba2": "Mamba2ForCausalLM",
    "transformerpp": "LlamaForCausalLM",
}


def candidate(checkpoint: Path, **changed: object) -> Candidate:
    plain = Candidate(
        checkpoint=str(checkpoint),
        revision=None,
        dtype="float32",
        backend="needlework",
        trust_remote_code=False,
    )
    return replace(plain, **changed)


def verified(folder: Path, model: Candidate) -> Verification:
    output = folder / "verified/my.model.json"
    verify_model(output, model, device="cpu")
    return Verification.model_validate_json(output.read_text())


def change(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors of a checkpoint, or drop them (None)."""
    tensors = load_file(folder / "model.safetensors") | changes
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def refused(folder: Path, model: Candidate, match: str) -> None:
    """The checkpoint fails in one line, and nothing is written."""
    with pytest.raises(CheckpointError, match=match) as caught:
        verified(folder, model)
    assert "\n" not in str(caught.value)
    assert not list(folder.glob("verified/*"))


@pytest.mark.upstream
def test_files_in_the_format_of_transformers_are_read_by_both(
    pair: tuple[PreTrainedModel, Path], tmp_path: Path
) -> None:
    model, folder = pair
    found = verified(tmp_path, candidate(folder))
    assert found.model == "my.model"
    assert found.reference is not None
    assert found.reference.endswith(type(model).__name__)
    assert found.parameters == sum(each.numel() for each in model.parameters())
    assert found.tensors == len(load_file(folder / "model.safetensors"))
    assert found.tokens == 64
    assert 0 <= found.largest_difference <= found.tolerance
    assert found.reason is None


@pytest.mark.upstream
@pytest.mark.parametrize("name", NANO_REFERENCES)
def test_a_nano_model_is_what_transformers_computes_from_its_tensors(
    name: str, tmp_path: Path
) -> None:
    found = verified(tmp_path, candidate(NANO / name))
    assert found.reference.endswith(NANO_REFERENCES[name])
    # Logits reach 16 to 24 here.
    assert 0 < found.largest_difference < 1e-4


@pytest.mark.parametrize(
    ("name", "reason"), [("mamba2attn", "only mamba_ssm"), ("rwkv6", "only the rwkv package")]
)
def test_what_was_not_compared_is_said(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references.kernels, "installed", lambda module: False)
    found = verified(tmp_path, candidate(NANO / name))
    assert reason in found.reason
    assert (found.reference, found.tokens, found.largest_difference, found.tolerance) == (
        None,
        0,
        None,
        None,
    )
    assert found.tensors == len(load_file(NANO / name / "model.safetensors"))


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


@pytest.mark.shared
def test_published_formats_of_mamba_ssm(shared: Path, tmp_path: Path) -> None:
    """mamba2 is compared with transformers, of which the other two have no equal."""
    found = verified(tmp_path, candidate(shared / "fixtures/mamba2"))
    assert found.reference.endswith("Mamba2ForCausalLM")
    assert found.largest_difference <= found.tolerance
    for name in ("mamba2attn", "tpp"):
        assert "mamba_ssm" in verified(tmp_path, candidate(shared / "fixtures" / name)).reason


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
    found = references._mamba_ssm(tmp_path, torch.zeros(1))
    logits_TV = found.logits(torch.tensor([4, 5]))
    assert logits_TV.tolist() == [[4, 4, 4], [5, 5, 5]]
    assert asked == {
        "folder": str(tmp_path),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    }


def test_rwkv_files_of_both_formats_are_what_the_authors_package_computes(tmp_path: Path) -> None:
    for source in upstream.rwkv6_files(tmp_path):
        found = verified(tmp_path, candidate(source))
        assert found.reference.startswith("rwkv ")
        assert 0 < found.largest_difference <= found.tolerance
    assert verified(tmp_path, candidate(NANO / "rwkv6")).reference.startswith("rwkv ")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A Llama in the format of transformers."""
    torch.manual_seed(0)
    model = upstream.llama()
    upstream.randomise(model)
    model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_missing_tensor_is_refused(tiny: Path, tmp_path: Path) -> None:
    change(tiny, **{"model.layers.1.mlp.up_proj.weight": None})
    refused(tmp_path, candidate(tiny), r"missing: model\.layers\.1\.mlp\.up_proj\.weight")


def test_a_formula_that_is_not_upstreams_is_refused_with_the_numbers(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader that forgets the base of the rotation."""

    def forgetful(raw: dict[str, object]) -> DecoderConfig:
        return llama.decoder_config(raw | {"rope_parameters": {"rope_theta": 500.0}})

    mistaken = replace(checkpoints.FAMILIES["llama"], config=forgetful)
    monkeypatch.setattr(checkpoints, "FAMILIES", {"llama": mistaken})
    match = r"LlamaForCausalLM: within 64 tokens a logit differs by [\d.e-]+, where [\d.e-]+ would"
    refused(tmp_path, candidate(tiny), match)


def test_weights_that_are_not_numbers_are_refused(tiny: Path, tmp_path: Path) -> None:
    weight = load_file(tiny / "model.safetensors")["model.norm.weight"]
    change(tiny, **{"model.norm.weight": torch.full_like(weight, math.nan)})
    refused(tmp_path, candidate(tiny), r"3904 of 3904 logits are not finite in float32")


def test_a_dtype_that_overflows_is_refused(tiny: Path, tmp_path: Path) -> None:
    """100,000 is a float32 and a bfloat16, but no float16."""
    weight = load_file(tiny / "model.safetensors")["model.norm.weight"]
    change(tiny, **{"model.norm.weight": torch.full_like(weight, 1e5)})
    refused(tmp_path, candidate(tiny, dtype="float16"), "not finite in float16; choose a wider")
    assert verified(tmp_path, candidate(tiny, dtype="bfloat16")).reference is not None


def test_a_dtype_that_computes_something_else_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "ROUNDED", 1e-6)
    refused(tmp_path, candidate(tiny, dtype="bfloat16"), r"in bfloat16 a logit differs by 0\.\d+")


def test_what_transformers_computes_itself_is_accounted_for(tiny: Path, tmp_path: Path) -> None:
    model = candidate(tiny, backend="transformers")
    found = verified(tmp_path, model)
    assert found.reason == "transformers computes it itself"
    assert found.parameters == verified(tmp_path, candidate(tiny)).parameters
    change(tiny, surprise=torch.zeros(1))
    assert "no place for surprise of the checkpoint" in verified(tmp_path, model).reason


def test_transformers_would_draw_missing_tensors_at_random(tiny: Path, tmp_path: Path) -> None:
    change(tiny, **{"model.norm.weight": None})
    model = candidate(tiny, backend="transformers")
    refused(tmp_path, model, r"not a whole LlamaForCausalLM: missing: model\.norm\.weight")


def test_a_truncated_file_is_one_line_for_transformers_as_well(tiny: Path, tmp_path: Path) -> None:
    weights = tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(tmp_path, candidate(tiny, backend="transformers"), "transformers cannot load")


def test_a_tied_decoder_is_compared_with_its_embedding_as_its_head(tmp_path: Path) -> None:
    decoder = family("mamba2", dtype=torch.float32)
    (tmp_path / "config.json").write_text(decoder.config.model_dump_json())
    tensors = {name: tensor for name, tensor in decoder.state_dict().items() if "head" not in name}
    save_file(tensors, tmp_path / "model.safetensors")
    assert json.loads((tmp_path / "config.json").read_text())["tied"]
    assert load(tmp_path).config.tied
    found = verified(tmp_path, candidate(tmp_path))
    assert found.largest_difference <= found.tolerance
