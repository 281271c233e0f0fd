"""Verification of a checkpoint before it is used: every tensor placed, logits as upstream's.

`trial` defines what is read, `models.references` which library computes the same model.
"""

# Shapes: P positions at which logits are compared, V vocabulary rows.
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from needlework.door import hushed
from needlework.engine.compiled import keep_compiled
from needlework.engine.memory import DoesNotFitError, out_of_memory_after
from needlework.engine.processor import prepare_processor
from needlework.engine.trial import Trial, plan_trial, read_trial
from needlework.errors import CheckpointError, EngineError
from needlework.files import write_text
from needlework.gguf_header import quantisation_of
from needlework.models import kernels, load
from needlework.models.checkpoints import hub, reading
from needlework.models.checkpoints.accounting import listed
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from needlework.models.references import Reference, find_reference
from needlework.records import Verification
from needlework.tolerances import TOLERANCES, DeviceKind, Dtype

ITSELF = "its own single pass"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A checkpoint to verify, as models.yaml names it."""

    checkpoint: str
    revision: str | None
    dtype: Dtype
    backend: str
    trust_remote_code: bool


def verify_model(
    output: Path, model: Candidate, *, device: str | None = None, threads: int = 1
) -> None:
    """Prove a checkpoint and write `output`, a `Verification` named after the file.

    It reads prompts and answers as a cell does, in the dtype, on the device and with the kernels of
    a cell; its logits are compared with those of another implementation in one pass, or of its own
    where there is no other. Published defects are never switched on here.

    Raises:
        CheckpointError: tensors are left over or missing, logits are not finite, or they differ
            from the reference; the numbers are in its one line, and nothing is written.
    """
    prepare_processor(threads)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    keep_compiled(output, device)
    verify = _verify_hub_model if model.backend == "transformers" else _verify_decoder
    found = verify(output.stem, model, device)
    write_text(output, found.model_dump_json(indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What a loaded model showed of itself."""

    tensors: int
    parameters: int
    trial: Trial
    logits_PV: Tensor


def _verify_decoder(name: str, model: Candidate, device: str) -> Verification:
    """Load by our table of names, then let two implementations read the same tokens."""
    source = hub.find(model.checkpoint, revision=model.revision)
    decoder = load(source, device=device, dtype=getattr(torch, model.dtype))
    shown = _shown(decoder, len(reading.shapes(reading.shards(source))), model)
    found = find_reference(source, decoder)
    if isinstance(found, str):
        return _record(name, model, shown, Reference(ITSELF, decoder.logits_at), reason=found)
    # Where the reference reads the files by itself, only one of both is in memory at a time.
    del decoder
    return _record(name, model, shown, found)


def _verify_hub_model(name: str, model: Candidate, device: str) -> Verification:
    """Missing tensors are refused; there is no reference for transformers."""
    decoder = load_hub_model(
        model.checkpoint,
        revision=model.revision,
        device=device,
        dtype=getattr(torch, model.dtype),
        trust_remote_code=model.trust_remote_code,
    )
    # Whether its cache can be continued is found out with the prompts that are read here.
    shown = _shown(decoder, len(list(decoder.parameters())), model)
    reason = "transformers computes it itself"
    if not decoder.keeps_cache:
        reason += ", in one pass, as its cache cannot be continued"
    if decoder.unused:
        reason += f"; it has no place for {listed(decoder.unused)} of the checkpoint"
    return _record(name, model, shown, Reference(ITSELF, decoder.logits_at), reason=reason)


def _shown(decoder: Decoder, tensors: int, model: Candidate) -> _Shown:
    """The model's logits, read as a cell reads."""
    trial = plan_trial(decoder)
    try:
        logits_PV = read_trial(decoder, trial)
    except EngineError as error:
        raise CheckpointError(
            f"{model.checkpoint}: {error} in {model.dtype}; choose a wider dtype, or fetch the "
            "checkpoint again"
        ) from error
    except DoesNotFitError as error:
        raise CheckpointError(
            f"{model.checkpoint}: {trial.prompts[-1]:,} tokens do not fit into memory, "
            f"{error.tokens:,} do; give the job more memory"
        ) from error
    parameters = sum(parameter.numel() for parameter in decoder.parameters())
    return _Shown(tensors=tensors, parameters=parameters, trial=trial, logits_PV=logits_PV)


def _record(
    name: str, model: Candidate, shown: _Shown, reference: Reference, *, reason: str | None = None
) -> Verification:
    """What was found, once the reference agrees; with a `reason` there was no independent one."""
    device = shown.logits_PV.device
    kind: DeviceKind = "cuda" if device.type == "cuda" else "cpu"
    tolerance = TOLERANCES[model.dtype, kind]
    trial = shown.trial
    ours = model.backend == "needlework"
    chosen = kernels.choices(device, getattr(torch, model.dtype)) if ours else {}
    return Verification(
        model=name,
        tensors=shown.tensors,
        parameters=shown.parameters,
        quantisation=quantisation_of(model.checkpoint),
        dtype=model.dtype,
        device=kind,
        kernels={str(operation): package for operation, package in chosen.items()},
        reference=None if reason else reference.name,
        reason=reason,
        tokens=trial.prompts[-1],
        needed=trial.needed,
        decoded=trial.written,
        largest_difference=_difference(shown, reference, model, tolerance),
        tolerance=tolerance,
    )


def _difference(shown: _Shown, reference: Reference, model: Candidate, tolerance: float) -> float:
    """The largest difference to the reference, as a share of its largest logit."""
    ours_PV, trial = shown.logits_PV, shown.trial
    tokens_T, places_P = trial.everything(ours_PV.device)
    try:
        with hushed(), torch.inference_mode(), out_of_memory_after(len(tokens_T)):
            theirs_PV = reference.logits(tokens_T, places_P).float()[:, : ours_PV.shape[1]]
    except DoesNotFitError as error:
        raise CheckpointError(
            f"{model.checkpoint}: {reference.name} cannot read {len(tokens_T):,} tokens in this "
            "memory; give the job more"
        ) from error
    apart_P = (ours_PV - theirs_PV).abs().amax(dim=-1) / theirs_PV.abs().max()
    difference = float(apart_P.max())
    if not difference <= tolerance:
        prompt, step = trial.positions[int(apart_P.argmax())]
        raise CheckpointError(
            f"{model.checkpoint}: logits differ from {reference.name}: max difference "
            f"{difference:.3g} of the largest logit, after {prompt:,} prompt tokens and {step} "
            f"more (tolerance {tolerance:g} in {model.dtype}); "
            f"{_way_out(reference, model)}"
        )
    return difference


def _way_out(reference: Reference, model: Candidate) -> str:
    if reference.name != ITSELF:
        return "check config.json, or set `backend: transformers`"
    if model.backend == "transformers":
        return "its cache is wrong there, so try another version of transformers"
    return "uninstall the kernels that `needlework doctor` names, or try another device"
