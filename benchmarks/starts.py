"""What a job spends before its first forward call, with a checkpoint of real size.

Weights are random, their files are in the formats in which they were published, and lie where
`needlework fetch` puts them. Datasets are those of RULER with RULER's own prompts. Linux only.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.measure import asked_cell
from benchmarks.starting import Start
from needlework import tokenizers
from needlework.errors import EngineError
from needlework.external.snapshots import MANIFEST, Manifest, Snapshot, Stored
from needlework.files import write_records, write_text
from needlework.models.checkpoints import decoder_config
from needlework.models.decoder import Decoder
from needlework.parsing import Closed
from needlework.sources import ROOT
from needlework.study.catalogue import read_tasks
from needlework.tasks import english
from tests.configurations_for_tests import MAMBA, SHEARED

CHECKPOINTS: Mapping[str, dict[str, Any]] = {
    "state-spaces/mamba2-2.7b": MAMBA,
    "princeton-nlp/Sheared-LLaMA-2.7B": SHEARED | {"vocab_size": MAMBA["vocab_size"]},
}
"""What their owners say of them in `config.json`, the size of the vocabulary aside: both read with
one tokenizer here."""
ONE_FILE = "state-spaces/mamba2-2.7b"
"""Its weights are one file of `torch.save`; those of others are files of safetensors."""
REVISION = "0" * 40
SHARDS = 2
TASKS_OF_QUESTIONS = ("qa_1", "qa_2")
"""Their questions are files of others, and they are left out."""
GIGABYTE = 1e9


class Measured(Closed):
    """One start of one kind."""

    checkpoint: str
    length: int
    named: str
    """How the checkpoint was named: as on the hub, or as a folder."""
    cold: bool
    """Whether its files had to come from the disk."""
    start: Start


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be measured."""

    tokenizer: Path
    resources: Path
    """Where RULER's prompts and the essays lie."""
    lengths: Sequence[int]
    samples: int
    """Of each task."""
    memory: int
    """Megabytes that the process may use beside the weights."""


def measure(asked: Asked, folder: Path) -> Iterator[Measured]:
    """Every checkpoint by its hub id, cold and warm, and as a folder, at the first length.

    At the other lengths only the first of them: what they add is the same for all.

    Raises:
        EngineError: a start failed; the last line that it said.
    """
    for length in asked.lengths:
        _write_datasets(asked, length, folder)
    first, *longer = asked.lengths
    for checkpoint in CHECKPOINTS:
        files = _write_checkpoint(checkpoint, folder)
        yield _measured(asked, checkpoint, first, folder, forgotten=files)
        yield _measured(asked, checkpoint, first, folder)
        yield _measured(asked, checkpoint, first, folder, own=files[0].parent)
        while longer:
            yield _measured(asked, checkpoint, longer.pop(0), folder)
        for file in files:
            file.unlink()


def _measured(
    asked: Asked,
    checkpoint: str,
    length: int,
    folder: Path,
    *,
    forgotten: Sequence[Path] = (),
    own: Path | None = None,
) -> Measured:
    """One start, before which the system forgets what it has of some files."""
    for file in forgotten:
        _forget(file)
    data = folder / "data" / str(length)
    output = folder / f"{length}.json"
    predictions = folder / "predictions" / "model" / "ruler" / f"{length}.jsonl"
    source = ["--checkpoint", checkpoint, "--revision", REVISION]
    words = [
        "predict",
        str(predictions),
        *map(str, sorted(data.glob("*.jsonl"))),
        *(source if own is None else ["--checkpoint", str(own)]),
        *("--tokenizer", str(asked.tokenizer.resolve()), "--tasks", str(data / "tasks.json")),
        *("--dtype", "bfloat16", "--device", "cpu", "--memory", str(asked.memory)),
    ]
    paths = os.pathsep.join((str(ROOT.parent), str(Path(__file__).parents[1])))
    command = [sys.executable, "-m", "benchmarks.starting", str(output), *words]
    output.unlink(missing_ok=True)
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not output.exists():
        raise EngineError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return Measured(
        checkpoint=checkpoint,
        length=length,
        named="hub id" if own is None else "folder",
        cold=bool(forgotten),
        start=Start.model_validate_json(output.read_bytes()),
    )


def _forget(file: Path) -> None:
    """Let the system drop what it has in memory of a file."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _write_datasets(asked: Asked, length: int, folder: Path) -> None:
    """The datasets of RULER at one length, and what says how they are answered."""
    known = read_tasks(ROOT.parents[1] / "config" / "tasks.yaml").english
    suite = known.chosen("ruler", None, where="ruler")
    specs = {name: spec for name, spec in suite.items() if name not in TASKS_OF_QUESTIONS}
    data = folder / "data" / str(length)
    if (data / "tasks.json").exists():
        return
    cell = asked_cell(
        str(length),
        specs,
        material=english.material(asked.resources),
        tokenizer=tokenizers.load(str(asked.tokenizer)),
        length=length,
        samples=asked.samples,
    )
    for task in cell.tasks:
        write_records(data / f"{task.name}.jsonl", task.samples)
    told = {name: spec.model_dump(mode="json") for name, spec in specs.items()}
    write_text(data / "tasks.json", json.dumps(told))


def _write_checkpoint(checkpoint: str, folder: Path) -> list[Path]:
    """The files of a checkpoint with random weights, in the form in which it was published."""
    raw = CHECKPOINTS[checkpoint]
    snapshot = Snapshot("checkpoints", checkpoint, REVISION)
    place = folder / "resources" / "external" / snapshot.folder
    write_text(place / "config.json", json.dumps(raw))
    tensors = _tensors(raw)
    write = _write_archive if checkpoint == ONE_FILE else _write_shards
    files = write(tensors, place)
    kept = [place / "config.json", *place.glob("*.index.json"), *files]
    stored = {each.name: Stored(bytes=each.stat().st_size, sha256="0" * 64) for each in kept}
    manifest = Manifest(hub=checkpoint, revision=REVISION, files=stored)
    write_text(place / MANIFEST, manifest.model_dump_json())
    return files


def _tensors(raw: Mapping[str, Any]) -> dict[str, Tensor]:
    """Every tensor of a checkpoint in bfloat16: parts of one that is random, tied ones shared."""
    spec, family = decoder_config(raw, where="config.json")
    with torch.device("meta"):
        parameters = dict(Decoder(spec).named_parameters())
    places = family.places(spec)
    shapes = {name: each.view(parameters[each.name]).shape for name, each in places.items()}
    largest = max(shape.numel() for shape in shapes.values())
    values = (torch.randn(largest) / 50).to(torch.bfloat16)
    made = {
        name: values[: shape.numel()].view(shape).clone()
        for name, shape in shapes.items()
        if not places[name].alias
    }
    first = {places[name].name: tensor for name, tensor in made.items()}
    return made | {name: first[each.name] for name, each in places.items() if each.alias}


def _write_archive(tensors: dict[str, Tensor], place: Path) -> list[Path]:
    torch.save(tensors, place / "pytorch_model.bin")
    return [place / "pytorch_model.bin"]


def _write_shards(tensors: dict[str, Tensor], place: Path) -> list[Path]:
    names, files = list(tensors), []
    where: dict[str, str] = {}
    for number in range(SHARDS):
        own = names[number * len(names) // SHARDS : (number + 1) * len(names) // SHARDS]
        file = place / f"model-{number + 1:05}-of-{SHARDS:05}.safetensors"
        save_file({name: tensors[name] for name in own}, file)
        where |= dict.fromkeys(own, file.name)
        files.append(file)
    write_text(place / "model.safetensors.index.json", json.dumps({"weight_map": where}))
    return files


def table(found: Sequence[Measured]) -> str:
    """A line for every step, a column for every start: CPU seconds, and wall seconds behind."""
    titles = [_title(each) for each in found]
    steps = list(dict.fromkeys(step.name for each in found for step in each.start.steps))
    lines = [f"| CPU s (wall s) | {' | '.join(titles)} |", f"|---|{'--:|' * len(found)}"]
    for name in steps:
        lines.append(f"| {name} | {' | '.join(_spent(each, name) for each in found)} |")
    lines.append(f"| **all** | {' | '.join(_spent(each, None) for each in found)} |")
    read = (f"{each.start.read_bytes / GIGABYTE:.2f}" for each in found)
    lines.append(f"| GB from the disk | {' | '.join(read)} |")
    return "\n".join(lines) + "\n"


def _title(each: Measured) -> str:
    weights = "cold" if each.cold else "warm"
    return f"{each.checkpoint.partition('/')[2]} as {each.named}, {each.length:,}, {weights}"


def _spent(each: Measured, name: str | None) -> str:
    steps = [step for step in each.start.steps if name in (None, step.name)]
    cpu, wall = sum(step.cpu for step in steps), sum(step.wall for step in steps)
    return f"{cpu:.2f} ({wall:.2f})"
