"""The predict rule: a checkpoint and the datasets of one cell in, one prediction file out.

Knows files and what a run is called; does not know how a cell is computed.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from needlework import models, tokenizers
from needlework.defects import Hazard
from needlework.engine import identity
from needlework.engine.cell import Dataset, Setting, predict_cell
from needlework.engine.interruption import on_sigterm
from needlework.engine.processor import prepare_processor
from needlework.engine.progress import cells_done
from needlework.engine.stopping import PUBLISHED_SAMPLING, Decoding
from needlework.errors import EngineError
from needlework.files import read_records, write_records
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from needlework.records import Sample
from needlework.scores.shards import Shard, is_part, sibling_journals
from needlework.tasks.specs import Spec
from needlework.tokenizers import Tokenizer

log = logging.getLogger(__name__)

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Model:
    """A checkpoint with its tokenizer, as models.yaml names them."""

    checkpoint: str
    revision: str | None
    tokenizer: str
    tokenizer_revision: str | None
    dtype: str
    backend: str = "needlework"
    trust_remote_code: bool = False
    hazards: tuple[Hazard, ...] = ()
    """Published defects to switch on."""
    begin_token: bool = True
    """Whether prompts get the tokenizer's begin token; chat templates write their own."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the run may use."""

    device: str | None
    """As PyTorch names it; a GPU where there is one when None."""
    threads: int
    memory: int | None
    """Megabytes of main memory, for a run on the CPU; half of what is free when None."""


def predict(
    output: Path,
    datasets: Sequence[Path],
    *,
    model: Model,
    tasks: Mapping[str, Spec],
    protocol: str,
    machine: Machine,
    shard: Shard | None = None,
) -> None:
    """Write the predictions of one cell, or of a shard of it; datasets are named `{task}.jsonl`.

    The journal beside it stays: more samples later, or another try, compute only what is new.

    Raises:
        EngineError: the datasets are not those of the tasks, or the cell cannot be computed.
        StoppedError: SIGTERM came; finished samples are in the journal.
    """
    questions = _read(datasets, tasks)
    found = opened(model, machine)
    others = {"protocol": protocol, "decoding": found.decoding.kind, **found.origin}
    others["tokenizer"] = found.tokenizer.identity
    setting = _setting(output, shard, others, machine.memory if found.device == "cpu" else None)
    with on_sigterm() as interruption:
        predictions = predict_cell(
            found.decoder,
            found.tokenizer,
            questions,
            revision=found.weights,
            journal=output.with_name(f"{output.name}.journal"),
            decoding=found.decoding,
            setting=replace(setting, interruption=interruption),
        )
        write_records(output, predictions)
    if not is_part(output) and (done := cells_done(output)):
        log.info(done)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A model on its device, with what else decides and describes its answers."""

    decoder: Decoder
    tokenizer: Tokenizer
    decoding: Decoding
    device: str
    weights: str
    """What names the weights in a journal."""
    origin: dict[str, str]
    """What predictions say of them."""


def opened(model: Model, machine: Machine) -> Opened:
    """A model that may answer.

    Raises:
        NeedleworkError: its weights or its tokenizer are not here, or are none.
    """
    device = _prepare(machine)
    tokenizer, decoder = _tokenizer(model), _load(model, device)
    named = _named(model)
    return Opened(
        decoder=decoder,
        tokenizer=tokenizer,
        decoding=PUBLISHED_SAMPLING if "mamba-sampling" in model.hazards else Decoding(),
        device=device,
        weights=identity.weights_of(model.checkpoint, named, backend=model.backend),
        origin=_origin(model, named, decoder),
    )


def _setting(
    output: Path, shard: Shard | None, others: dict[str, str], megabytes: int | None
) -> Setting:
    """What is known of a run before it begins, its name by the place of the predictions."""
    place = output.parts[-4 if is_part(output) else -3 : -1]
    return Setting(
        name="/".join([*place, output.stem]),
        others=others,
        memory=megabytes * MEGABYTE if megabytes else None,
        shard=shard,
        siblings=sibling_journals(output),
    )


def _prepare(machine: Machine) -> str:
    """Set PyTorch and the log up; the device to use."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    device = machine.device or ("cuda" if torch.cuda.is_available() else "cpu")
    prepare_processor(machine.threads)
    torch.use_deterministic_algorithms(device == "cpu")
    return device


def _tokenizer(model: Model) -> Tokenizer:
    """The tokenizer of a model, with its begin token where prompts are to have one."""
    begins = model.begin_token and "no-begin-token" not in model.hazards
    return tokenizers.load(model.tokenizer, revision=model.tokenizer_revision, begins=begins)


def _load(model: Model, device: str) -> Decoder:
    """The model on its device, computed by us or by transformers."""
    dtype = getattr(torch, model.dtype)
    if model.backend == "transformers":
        return load_hub_model(
            model.checkpoint,
            revision=model.revision,
            device=device,
            dtype=dtype,
            trust_remote_code=model.trust_remote_code,
        )
    return models.load(
        model.checkpoint,
        revision=model.revision,
        device=device,
        dtype=dtype,
        hazards=[
            hazard
            for hazard in model.hazards
            if hazard != "mamba-sampling" and hazard != "no-begin-token"
        ],
    )


def _named(model: Model) -> identity.Files | str:
    """What says which weights these are: a commit, or the digests of local files."""
    if model.revision and not Path(model.checkpoint).exists():
        return model.revision
    return identity.files_of(model.checkpoint, remote_code=model.trust_remote_code)


def _origin(model: Model, named: identity.Files | str, decoder: Decoder) -> dict[str, str]:
    """Which weights answer, in which precision, and on which kernels and device."""
    return {
        "checkpoint": model.checkpoint,
        "revision": named if isinstance(named, str) else model.revision or named.fingerprint,
        "dtype": model.dtype,
        "kernels": identity.kernels_of(decoder),
        "device": _device(decoder),
        "backend": identity.backend_of(decoder),
        "hazards": " ".join(model.hazards) or "none",
    }


def _read(paths: Sequence[Path], tasks: Mapping[str, Spec]) -> dict[str, Dataset]:
    """Every task's samples, in the order of `tasks`."""
    found = {path.stem: path for path in paths}
    if found.keys() != tasks.keys():
        raise EngineError(
            f"datasets without a task: {sorted(found.keys() - tasks.keys())}; "
            f"tasks without a dataset: {sorted(tasks.keys() - found.keys())}"
        )
    return {
        task: Dataset(
            samples=read_records(found[task], Sample),
            tokens_to_generate=spec.tokens_to_generate,
            metric=spec.metric,
        )
        for task, spec in tasks.items()
    }


def _device(decoder: Decoder) -> str:
    """What the device is called: a GPU by its model."""
    device = decoder.embedding.weight.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
