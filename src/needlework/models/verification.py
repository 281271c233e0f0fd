"""The proof a checkpoint gives before it may answer: every tensor placed, logits as upstream's.

Knows what agreement means; `references` knows who else computes a model.
"""

# Shapes: T tokens, V vocabulary rows.
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from needlework.errors import CheckpointError
from needlework.files import write_text
from needlework.models import load
from needlework.models.checkpoints import hub, reading
from needlework.models.checkpoints.accounting import listed
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from needlework.models.references import find_reference
from needlework.records import Verification

TOKENS = 64
"""Read in one call; all logits after each of them are compared."""
STRIDE = 7919
"""A prime, so that the tokens are spread over any vocabulary."""
TOLERANCE = {"cpu": 1e-4, "cuda": 1e-2}
"""Largest difference to the reference in float32, as a share of the largest logit.

On a CPU it is 1e-7 to 1e-6 for the nano models and at most 8e-6 for random models of full depth.
Kernels for CUDA multiply float32 with 10 bits of precision; not yet run on a GPU.
"""
ROUNDED = 0.5
"""The same for the dtype that will answer, against float32: it finds overflow and broken kernels.

Rounding alone moves logits of the nano models by 0.01 to 0.03 in bfloat16, and by up to 0.2 in
random models of full depth.
"""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A checkpoint that wants to be trusted, as models.yaml names it."""

    checkpoint: str
    revision: str | None
    dtype: str
    backend: str
    trust_remote_code: bool


def verify_model(
    output: Path, model: Candidate, *, device: str | None = None, threads: int = 1
) -> None:
    """Prove a checkpoint and write `output`, a `Verification` named after the file.

    Logits are compared in float32; then the dtype that will answer is held against that. Published
    defects are never switched on here.

    Raises:
        CheckpointError: tensors are left over or missing, logits are not finite, or they differ
            from the reference; the numbers are in its one line, and nothing is written.
    """
    torch.set_num_threads(threads)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    verify = _verify_hub_model if model.backend == "transformers" else _verify_decoder
    found = verify(output.stem, model, device)
    write_text(output, found.model_dump_json(indent=1) + "\n")


def _verify_decoder(name: str, model: Candidate, device: str) -> Verification:
    """Load by our table of names, then let two implementations read the same tokens."""
    source = hub.find(model.checkpoint, revision=model.revision)
    decoder = load(source, device=device)
    tensors, parameters = len(reading.shapes(reading.shards(source))), _parameters(decoder)
    ours_TV = _logits(decoder)
    _require_finite(ours_TV, model.checkpoint, torch.float32)
    reference = find_reference(source, decoder)
    tokens_T = _tokens(decoder)
    # Where the reference reads the files by itself, only one of both is in memory at a time.
    del decoder
    difference = tolerance = None
    if not isinstance(reference, str):
        theirs_TV = reference.logits(tokens_T).float()
        difference = float((ours_TV - theirs_TV).abs().max())
        largest = float(theirs_TV.abs().max())
        tolerance = TOLERANCE[torch.device(device).type] * largest
        if not difference <= tolerance:
            raise CheckpointError(
                f"{model.checkpoint} is not computed as by {reference.name}: within {TOKENS} "
                f"tokens a logit differs by {difference:.3g}, where {tolerance:.3g} would pass "
                f"(logits up to {largest:.3g}); check config.json, or set `backend: transformers`"
            )
    dtype: torch.dtype = getattr(torch, model.dtype)
    if dtype is not torch.float32:
        _require_near(_logits(load(source, device=device, dtype=dtype)), ours_TV, model, dtype)
    return Verification(
        model=name,
        tensors=tensors,
        parameters=parameters,
        reference=None if isinstance(reference, str) else reference.name,
        tokens=0 if isinstance(reference, str) else TOKENS,
        largest_difference=difference,
        tolerance=tolerance,
        reason=reference if isinstance(reference, str) else None,
    )


def _verify_hub_model(name: str, model: Candidate, device: str) -> Verification:
    """Missing tensors are refused; there is nobody to compare transformers with."""
    dtype: torch.dtype = getattr(torch, model.dtype)
    decoder = load_hub_model(
        model.checkpoint,
        revision=model.revision,
        device=device,
        dtype=dtype,
        trust_remote_code=model.trust_remote_code,
    )
    _require_finite(_logits(decoder), model.checkpoint, dtype)
    reason = "transformers computes it itself"
    if decoder.unused:
        reason += f"; it has no place for {listed(decoder.unused)} of the checkpoint"
    return Verification(
        model=name,
        tensors=len(list(decoder.parameters())),
        parameters=_parameters(decoder),
        reference=None,
        tokens=0,
        largest_difference=None,
        tolerance=None,
        reason=reason,
    )


@torch.inference_mode()
def _logits(decoder: Decoder) -> Tensor:
    """Logits of shape (T, V), in float32."""
    logits_BTV: Tensor = decoder(_tokens(decoder)[None], decoder.init_state(1))[0]
    return logits_BTV[0].float()


def _tokens(decoder: Decoder) -> Tensor:
    """Token ids of shape (T,) from all over the vocabulary, the same in every run."""
    device = decoder.embedding.weight.device
    return torch.arange(1, TOKENS + 1, device=device) * STRIDE % decoder.config.vocabulary


def _parameters(decoder: Decoder) -> int:
    return sum(parameter.numel() for parameter in decoder.parameters())


def _require_finite(logits_TV: Tensor, checkpoint: str, dtype: torch.dtype) -> None:
    broken = int((~torch.isfinite(logits_TV)).sum())
    if broken:
        raise CheckpointError(
            f"{checkpoint}: {broken} of {logits_TV.numel()} logits are not finite in "
            f"{str(dtype).removeprefix('torch.')}; choose a wider dtype, or fetch the checkpoint "
            "again"
        )


def _require_near(
    logits_TV: Tensor, exact_TV: Tensor, model: Candidate, dtype: torch.dtype
) -> None:
    """The dtype that answers gives what float32 gives, rounding aside."""
    _require_finite(logits_TV, model.checkpoint, dtype)
    difference = float((logits_TV - exact_TV).abs().max())
    tolerance = ROUNDED * float(exact_TV.abs().max())
    if not difference <= tolerance:
        raise CheckpointError(
            f"{model.checkpoint}: in {model.dtype} a logit differs by {difference:.3g} from its "
            f"value in float32, where {tolerance:.3g} would pass; choose a wider dtype"
        )
