"""What a checkpoint must show before it may answer, and what is said where nothing was compared."""

import json
import math
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from needlework.cost.published import CHECKPOINTS
from needlework.engine import trial, verification
from needlework.engine.trial import longest_prompt, plan_trial, read_trial
from needlework.engine.verification import Candidate, verify_model
from needlework.errors import CheckpointError
from needlework.models import checkpoints, hub_model, load, references
from needlework.models.checkpoints import llama
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from needlework.records import Verification
from needlework.tolerances import TOLERANCES
from tests.engine_for_tests import in_child
from tests.models_for_tests import family
from tests.reference import test_against_upstream as upstream
from tests.reference.test_against_upstream import pair as pair
from tests.unit.models import test_hub_model as upstream_hub
from tests.unit.report.test_tables import proof

NANO = Path(__file__).parents[3] / "resources/nano"
NANO_REFERENCES = {
    "griffin": "RecurrentGemmaForCausalLM",
    "llama": "LlamaForCausalLM",
    "mamba2": "Mamba2ForCausalLM",
    "transformerpp": "LlamaForCausalLM",
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of 280 tokens: three pieces on a CPU, and past chunks and windows of tiny models."""
    monkeypatch.setattr(trial, "FAR", 280)


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
@pytest.mark.usefixtures("short")
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
    assert (found.dtype, found.device, found.decoded) == ("float32", "cpu", 16)
    assert found.tokens >= 280
    assert found.tokens >= found.needed
    assert 0 <= found.largest_difference <= found.tolerance == 1e-3
    assert found.reason is None


@pytest.mark.upstream
@pytest.mark.parametrize("name", NANO_REFERENCES)
def test_a_nano_model_is_what_transformers_computes_from_its_tensors(
    name: str, tmp_path: Path
) -> None:
    found = verified(tmp_path, candidate(NANO / name))
    assert found.reference.endswith(NANO_REFERENCES[name])
    assert found.tokens == (2304 if name == "griffin" else 2048)
    assert 0 < found.largest_difference < 1e-5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mamba2attn", "no independent implementation of mamba2attn is known"),
        ("rwkv6", "only the rwkv package"),
    ],
)
@pytest.mark.usefixtures("short")
def test_what_nobody_else_computes_is_compared_with_its_own_single_pass(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references.kernels, "installed", lambda module: False)
    found = verified(tmp_path, candidate(NANO / name))
    assert found.reference is None
    assert reason in found.reason
    assert (found.tokens, found.decoded) == (280, 16)
    assert 0 < found.largest_difference < 1e-5
    assert found.tensors == len(load_file(NANO / name / "model.safetensors"))


@pytest.mark.upstream
@pytest.mark.parametrize("name", ["griffin", "mamba2attn"])
def test_a_cell_in_bfloat16_is_compared_with_float32(name: str, tmp_path: Path) -> None:
    """In bfloat16 the reference itself would be off by 0.8 of the largest logit (griffin)."""
    found = verified(tmp_path, candidate(NANO / name, dtype="bfloat16"))
    assert found.dtype == "bfloat16"
    assert 1e-3 < found.largest_difference < 0.05
    assert found.tolerance == 0.1


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_full_size_model_reads_300_tokens_on_a_cpu_and_past_its_window_on_a_gpu(
    checkpoint: str,
) -> None:
    with torch.device("meta"):
        decoder = Decoder(CHECKPOINTS[checkpoint])
    window = 2048 if "recurrentgemma" in checkpoint else 0
    assert longest_prompt(decoder, "cpu") == 300
    assert longest_prompt(decoder, "cuda") == 2048 + window


def test_a_cpu_reads_what_the_cost_model_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine is doing meanwhile: no clock is asked."""
    decoder = load(NANO / "mamba2")
    assert longest_prompt(decoder, "cpu") == 2048
    monkeypatch.setattr(trial, "SECONDS", 0.03)
    assert 300 < longest_prompt(decoder, "cpu") < 2048
    monkeypatch.setattr(trial, "SECONDS", 0.001)
    assert longest_prompt(decoder, "cpu") == 300


def test_prompts_end_within_a_chunk_and_share_their_beginnings() -> None:
    planned = plan_trial(load(NANO / "griffin"))
    assert planned.prompts == (329, 987, 2304)
    assert len(planned.tokens) == 2304 + 16
    assert planned.positions[:2] == [(329, 0), (329, 1)]
    assert planned.positions[-1] == (2304, 16)
    assert planned.needed == 257
    # The same draws everywhere: another text would give another record.
    assert planned.tokens[:4].tolist() == [62, 24, 125, 445]


def test_a_prompt_stays_within_the_positions_of_a_model() -> None:
    decoder = family("llama", dtype=torch.float32)
    decoder.config = decoder.config.model_copy(update={"positions": 100})
    planned = plan_trial(decoder)
    assert planned.prompts[-1] + planned.written == 100


def test_what_is_read_in_pieces_is_what_is_read_at_once() -> None:
    """Every compared place: ends of prompts and each of the 16 tokens after them."""
    decoder = family("mamba2attn")
    planned = plan_trial(decoder)
    expected = decoder.logits_at(*planned.everything(torch.device("cpu")))
    actual = read_trial(decoder, planned)
    # Kept in float32, like the records of verification.
    torch.testing.assert_close(
        actual, expected[:, : decoder.config.vocabulary].float(), rtol=1e-5, atol=1e-5
    )
    assert len(actual) == len(planned.prompts) * 17


@pytest.mark.shared
@pytest.mark.usefixtures("short")
def test_published_formats_of_mamba_ssm(shared: Path, tmp_path: Path) -> None:
    """mamba2 is compared with transformers, of which the other two have no equal."""
    found = verified(tmp_path, candidate(shared / "fixtures/mamba2"))
    assert found.reference.endswith("Mamba2ForCausalLM")
    assert found.largest_difference <= found.tolerance
    for name in ("mamba2attn", "tpp"):
        assert "mamba_ssm" in verified(tmp_path, candidate(shared / "fixtures" / name)).reason


@pytest.mark.usefixtures("short")
def test_rwkv_files_of_both_formats_are_what_the_authors_package_computes(tmp_path: Path) -> None:
    for source in upstream.rwkv6_files(tmp_path):
        found = verified(tmp_path, candidate(source))
        assert found.reference.startswith("rwkv ")
        assert 0 < found.largest_difference <= found.tolerance
    assert verified(tmp_path, candidate(NANO / "rwkv6")).reference.startswith("rwkv ")


@pytest.mark.usefixtures("short")
def test_verifying_writes_its_record_and_no_copy_of_the_weights(tmp_path: Path) -> None:
    """TMPDIR is memory on many nodes, and the paper's RWKV-6 has 12 GB of float32.

    No file may become larger here than 10,000 bytes, wherever it lies and however short it lives.
    """
    hub, pth = upstream.rwkv6_files(tmp_path)
    sources = [hub, pth, NANO / "rwkv6", NANO / "llama"]
    assert min(each.stat().st_size for each in (pth, hub / "pytorch_model.bin")) > 4 * 10_000

    def verify() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        for number, source in enumerate(sources):
            found = verified(tmp_path / str(number), candidate(source))
            assert found.reference is not None

    assert in_child(verify) == 0


@pytest.fixture
def tiny(tmp_path: Path, short: None) -> Path:
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
    match = (
        r"logits differ from transformers \S+ LlamaForCausalLM: max difference [\d.]+ of the "
        r"largest logit, after \d+ prompt tokens and \d+ more \(tolerance 0\.001 in float32\); "
        r"check config.json, or set `backend: "
    )
    refused(tmp_path, candidate(tiny), match)


def test_weights_that_are_not_numbers_are_refused(tiny: Path, tmp_path: Path) -> None:
    weight = load_file(tiny / "model.safetensors")["model.norm.weight"]
    change(tiny, **{"model.norm.weight": torch.full_like(weight, math.nan)})
    refused(
        tmp_path, candidate(tiny), r"not finite numbers after 40 tokens in float32; choose a wider"
    )


def test_a_dtype_that_overflows_is_refused(tiny: Path, tmp_path: Path) -> None:
    """100,000 is a float32 and a bfloat16, but no float16."""
    weight = load_file(tiny / "model.safetensors")["model.norm.weight"]
    change(tiny, **{"model.norm.weight": torch.full_like(weight, 1e5)})
    refused(
        tmp_path, candidate(tiny, dtype="float16"), "not finite numbers after 40 tokens in float16"
    )
    assert verified(tmp_path, candidate(tiny, dtype="bfloat16")).reference is not None


def test_a_dtype_that_computes_something_else_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        verification, "TOLERANCES", TOLERANCES | {("bfloat16", "cpu"): 1e-6}, raising=True
    )
    match = r"max difference 0\.\d+ of the largest logit, .* \(tolerance 1e-06 in bfloat16\)"
    refused(tmp_path, candidate(tiny, dtype="bfloat16"), match)


def test_what_transformers_computes_itself_is_accounted_for(tiny: Path, tmp_path: Path) -> None:
    model = candidate(tiny, backend="transformers")
    found = verified(tmp_path, model)
    assert found.reason == "transformers computes it itself"
    assert (found.tokens, found.decoded) == (280, 16)
    assert found.largest_difference <= found.tolerance
    assert found.parameters == verified(tmp_path, candidate(tiny)).parameters
    change(tiny, surprise=torch.zeros(1))
    assert "no place for surprise of the checkpoint" in verified(tmp_path, model).reason


def test_what_cannot_be_decoded_step_by_step_is_read_in_one_pass_only(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_model.HubModel, "_agrees", lambda *_: False)
    found = verified(tmp_path, candidate(tiny, backend="transformers"))
    assert (found.tokens, found.decoded) == (280, 0)
    assert found.reason.endswith("itself, in one pass, as its cache cannot be continued")


def test_a_learned_position_is_not_asked_beyond_the_last(tmp_path: Path) -> None:
    """GPT-2 has a row for each of its positions and none behind them."""
    torch.manual_seed(0)
    upstream_hub.gpt2().save_pretrained(tmp_path / "gpt2")
    found = verified(tmp_path, candidate(tmp_path / "gpt2", backend="transformers"))
    assert found.tokens + found.decoded == 64


def test_memory_that_is_short_is_one_line(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, *arguments: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "read", full)
        refused(tmp_path, candidate(tiny), "280 tokens do not fit into memory, 0 do; give the job")
    monkeypatch.setattr(references, "_run", full)
    refused(tmp_path, candidate(tiny), "LlamaForCausalLM cannot read 296 tokens in this memory")


def test_transformers_would_draw_missing_tensors_at_random(tiny: Path, tmp_path: Path) -> None:
    change(tiny, **{"model.norm.weight": None})
    model = candidate(tiny, backend="transformers")
    refused(tmp_path, model, r"not a whole LlamaForCausalLM: missing: model\.norm\.weight")


def test_a_truncated_file_is_one_line_for_transformers_as_well(tiny: Path, tmp_path: Path) -> None:
    weights = tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(tmp_path, candidate(tiny, backend="transformers"), "transformers cannot load")


@pytest.mark.usefixtures("short")
def test_a_tied_decoder_is_compared_with_its_embedding_as_its_head(tmp_path: Path) -> None:
    decoder = family("mamba2", dtype=torch.float32)
    (tmp_path / "config.json").write_text(decoder.config.model_dump_json())
    tensors = {name: tensor for name, tensor in decoder.state_dict().items() if "head" not in name}
    save_file(tensors, tmp_path / "model.safetensors")
    assert json.loads((tmp_path / "config.json").read_text())["tied"]
    assert load(tmp_path).config.tied
    found = verified(tmp_path, candidate(tmp_path))
    assert found.largest_difference <= found.tolerance


@pytest.mark.parametrize(
    "changed",
    [
        {"largest_difference": math.nan},
        {"largest_difference": math.inf},
        {"largest_difference": -1e-9},
        {"largest_difference": "0"},
        {"largest_difference": None},
        {"tolerance": 1e9},
        {"tolerance": math.inf},
        {"tolerance": math.nan},
        {"tolerance": 0.1},
        {"tokens": 0},
        {"tokens": 10.5},
        {"tokens": True},
        {"decoded": -1},
        {"parameters": -1},
        {"dtype": "float64"},
        {"reference": None},
        {"reason": "nobody looked"},
        {"reference": None, "reason": ""},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_record_that_no_verification_writes_is_refused(changed: dict[str, object]) -> None:
    """A difference of NaN, or an infinite tolerance, once passed a review."""
    honest = proof("my.model").model_dump()
    assert Verification.model_validate(honest).passed
    with pytest.raises(ValidationError):
        Verification.model_validate(honest | changed)
