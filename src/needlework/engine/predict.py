"""The predict rule: a checkpoint and the datasets of one cell in, one prediction file out.

Knows files and what a run is called; does not know how a cell is computed.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from needlework import models, tokenizers
from needlework.defects import Hazard, LayerHazard
from needlework.engine import identity
from needlework.engine.cell import Dataset, Setting, predict_cell
from needlework.engine.compiled import keep_compiled
from needlework.engine.interruption import on_sigterm
from needlework.engine.memory import all_free_bytes, refuse_too_long
from needlework.engine.processor import prepare_processor
from needlework.engine.progress import cells_done
from needlework.engine.samples import read_distractors, read_samples
from needlework.engine.stopping import PUBLISHED_SAMPLING, Decoding
from needlework.files import write_records
from needlework.gguf_header import quantisation_of
from needlework.models.checkpoints import described, hub
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from needlework.records import END, NO_END, Prediction, Reasoning
from needlework.scores.shards import Shard, is_part, sibling_journals
from needlework.tasks.specs import Spec
from needlework.tokenizers import Tokenizer
from needlework.tokenizers.sidecars import ends_of_checkpoint

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
    reasoning: Reasoning | None = None
    """How it thinks before it answers."""
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
    likelihood: bool = False,
) -> None:
    """Write the predictions of one cell, or of a shard of it; datasets are named `{task}.jsonl`.

    The journal beside it stays: more samples later, or another try, compute only what is new. With
    `likelihood` predictions say how likely the model takes references and distractors to be.

    Raises:
        EngineError: the datasets are not those of the tasks, or the cell cannot be computed.
        StoppedError: SIGTERM came; finished samples are in the journal.
    """
    device = _prepare(machine)
    keep_compiled(output, device)
    questions = _read(datasets, tasks, likelihood=likelihood)
    tokenizer = _tokenizer(model)
    setting = _setting(output, shard, machine.memory if device == "cpu" else None)
    journal = output.with_name(f"{output.name}.journal")
    if not any(path.is_file() and path.stat().st_size for path in (journal, *setting.siblings)):
        _refuse_too_long(model, questions, torch.device(device), setting.memory)
    decoder = _load(model, device)
    _warn_beyond_positions(model, decoder, questions)
    with on_sigterm() as interruption:
        setting = replace(setting, interruption=interruption)
        found = opened(model, decoder, tokenizer, protocol)
        predictions = _answered(found, questions, journal, setting)
        write_records(output, predictions)
    if not is_part(output) and (done := cells_done(output)):
        log.info(done)


def _warn_beyond_positions(
    model: Model, decoder: Decoder, questions: Mapping[str, Dataset]
) -> None:
    """Say once where a cell is longer than what the model's configuration names."""
    named = decoder.config.trained_positions
    longest = max((each.length for data in questions.values() for each in data.samples), default=0)
    if named is not None and longest > named:
        log.warning(
            f"{model.checkpoint}: its configuration names {named:,} positions and samples have up "
            f"to {longest:,} tokens; it is computed beyond them, where it must extrapolate"
        )


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A model on its device, with what else decides and describes its answers."""

    decoder: Decoder
    tokenizer: Tokenizer
    decoding: Decoding
    weights: str
    """What names the weights in a journal."""
    others: dict[str, str]
    """What predictions say of them."""


def opened(model: Model, decoder: Decoder, tokenizer: Tokenizer, protocol: str) -> Opened:
    """A loaded model as it answers, and what is written beside every answer.

    Raises:
        NeedleworkError: its weights are not here any more.
    """
    sampled = "mamba-sampling" in model.hazards
    decoding = PUBLISHED_SAMPLING if sampled else Decoding(reasoning=model.reasoning)
    named = _named(model)
    others = {"protocol": protocol, "decoding": decoding.kind, **_origin(model, named, decoder)}
    others["tokenizer"] = tokenizer.identity
    tokenizer.end |= ends_of_checkpoint(hub.find(model.checkpoint, revision=model.revision))
    if decoding.end_tokens and not tokenizer.end:
        others[END] = NO_END
        log.warning(
            "%s: neither the tokenizer nor the checkpoint names an end token, so answers go on to "
            "their limit; name `eos_token` in tokenizer_config.json",
            model.tokenizer,
        )
    weights = identity.weights_of(model.checkpoint, named, backend=model.backend)
    return Opened(
        decoder=decoder, tokenizer=tokenizer, decoding=decoding, weights=weights, others=others
    )


def open_model(model: Model, machine: Machine, protocol: str) -> Opened:
    """A model loaded by itself, to be asked.

    Raises:
        NeedleworkError: its weights or its tokenizer are not here, or are none.
    """
    device = _prepare(machine)
    return opened(model, _load(model, device), _tokenizer(model), protocol)


def _answered(
    found: Opened, questions: Mapping[str, Dataset], journal: Path, setting: Setting
) -> list[Prediction]:
    """The predictions of the cell, with what is written beside every answer."""
    return predict_cell(
        found.decoder,
        found.tokenizer,
        questions,
        revision=found.weights,
        journal=journal,
        decoding=found.decoding,
        setting=replace(setting, others=found.others),
    )


def _setting(output: Path, shard: Shard | None, megabytes: int | None) -> Setting:
    """What is known of a run before it begins, its name by the place of the predictions."""
    place = output.parts[-4 if is_part(output) else -3 : -1]
    return Setting(
        name="/".join([*place, output.stem]),
        memory=megabytes * MEGABYTE if megabytes else None,
        shard=shard,
        siblings=sibling_journals(output),
    )


def _prepare(machine: Machine) -> str:
    """Set PyTorch and the log up; the device to use."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    device = machine.device or ("cuda" if torch.cuda.is_available() else "cpu")
    prepare_processor(machine.threads)
    # `use_deterministic_algorithms` does the same, and imports torch's compiler to tell it.
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "default")
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
        hazards=_of_layers(model),
    )


def _of_layers(model: Model) -> list[LayerHazard]:
    return [
        hazard
        for hazard in model.hazards
        if hazard != "mamba-sampling" and hazard != "no-begin-token"
    ]


def _refuse_too_long(
    model: Model, questions: Mapping[str, Dataset], device: torch.device, memory: int | None
) -> None:
    """Refuse a cell whose longest sample cannot fit, by what files say of weights they hold.

    What is free without a limit has to hold the weights as well. Of a model that transformers
    computes nothing is known before it is loaded.

    Raises:
        EngineError: it cannot fit; says which length would.
    """
    if model.backend == "transformers":
        return
    decoder, _ = described(
        model.checkpoint,
        revision=model.revision,
        dtype=getattr(torch, model.dtype),
        hazards=_of_layers(model),
    )
    positions = decoder.config.positions
    lengths = [sample.length for each in questions.values() for sample in each.samples]
    readable = [length for length in lengths if positions is None or length <= positions]
    if readable:
        weights = sum(each.nbytes for each in decoder.parameters())
        given = memory or max(0, all_free_bytes(device) - weights)
        refuse_too_long(decoder, max(readable), given)


def _named(model: Model) -> identity.Files | str:
    """What says which weights these are: a commit, or the digests of local files."""
    if model.revision and not Path(model.checkpoint).exists():
        return model.revision
    return identity.files_of(model.checkpoint, remote_code=model.trust_remote_code)


def _origin(model: Model, named: identity.Files | str, decoder: Decoder) -> dict[str, str]:
    """Which weights answer, in which precision, and on which kernels and device."""
    quantisation, thoughts = quantisation_of(model.checkpoint), model.reasoning
    return {
        "checkpoint": model.checkpoint,
        "revision": named if isinstance(named, str) else model.revision or named.fingerprint,
        **({"quantisation": quantisation} if quantisation else {}),
        "dtype": model.dtype,
        "kernels": identity.kernels_of(decoder),
        "device": _device(decoder),
        "backend": identity.backend_of(decoder),
        "hazards": " ".join(model.hazards) or "none",
        **({"reasoning": f"to {thoughts.end}, {thoughts.tokens} at most"} if thoughts else {}),
    }


def _read(
    paths: Sequence[Path], tasks: Mapping[str, Spec], *, likelihood: bool
) -> dict[str, Dataset]:
    """Every task's samples, in the order of `tasks`."""
    asked = read_samples(paths, tasks)
    distractors = read_distractors(paths) if likelihood else {}
    return {
        task: Dataset(
            samples=samples,
            tokens_to_generate=tasks[task].tokens_to_generate,
            metric=tasks[task].metric,
            distractors=distractors.get(task),
        )
        for task, samples in asked.items()
    }


def _device(decoder: Decoder) -> str:
    """What the device is called: a GPU by its model."""
    device = decoder.embedding.weight.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
