"""A cell split into several jobs: the samples of each, and merging their predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from needlework.errors import EngineError
from needlework.files import read_records, write_records
from needlework.records import Prediction

TRUNCATED = "+truncated"
"""How the names of runs end that read the last tokens of prompts alone."""


class Shard(NamedTuple):
    """One of `total` parts of a cell, by its number from 1."""

    number: int
    total: int

    def holds(self, index: int) -> bool:
        """Whether the sample of this index is answered here, as those of other tasks are.

        Tasks of the depth suite share a haystack, and so the work of reading it, by index.
        """
        return index % self.total == self.number - 1


def parse_shard(text: str) -> Shard:
    """The shard that `2/4` names.

    Raises:
        EngineError: it names none.
    """
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise EngineError(f"shard {text} is not one of N parts; write 1/4 to 4/4 for four")
    return Shard(int(number), int(count))


def is_part(output: Path) -> bool:
    """Whether a file holds some answers of a cell: `shards/MODEL/SUITE/LENGTH/PART.jsonl`."""
    return len(output.parts) > 4 and output.parts[-5] == "shards"


def sibling_journals(output: Path) -> list[Path]:
    """Other journals with answers of the same model at the same length, which may be the same.

    They are those of the cell when it was split otherwise, and of other suites, which may share
    tasks; for a model that is truncated, also those of the model as it is, whose prompts may be too
    short to be. `output` is `predictions/{model}/{suite}/{length}.jsonl`, or a part of that cell,
    `shards/{model}/{suite}/{length}/{part}.jsonl`, below the folder of a study.
    """
    cell = output.parent if is_part(output) else output.with_suffix("")
    if len(cell.parents) < 4:
        return []
    _, model, _, study = cell.parents[:4]
    asked = f"*/{cell.name}.jsonl.journal"
    runs = dict.fromkeys((model.name, model.name.removesuffix(TRUNCATED)))
    wholes = [
        path
        for folder in ("predictions", "served")
        for run in runs
        for path in sorted((study / folder / run).glob(asked))
    ]
    parts = [
        path
        for run in runs
        for path in sorted((study / "shards" / run).glob(f"*/{cell.name}/*.jsonl.journal"))
    ]
    own = output.with_name(f"{output.name}.journal")
    return [path for path in (*wholes, *parts) if path != own]


def merge(parts: Sequence[Path], tasks: Sequence[str], output: Path) -> None:
    """Write the predictions of a cell from those of its shards, as if it had never been split.

    Raises:
        EngineError: the parts are not those of one cell; names the first sample that is missing.
        RecordError: a part has a line that is no prediction.
    """
    found = [prediction for part in parts for prediction in read_records(part, Prediction)]
    places = {task: place for place, task in enumerate(tasks)}
    strange = sorted({each.task for each in found} - places.keys())
    if strange:
        raise EngineError(
            f"{output}: shards contain {', '.join(strange)}, which the suite does not have"
        )
    found.sort(key=lambda each: (places[each.task], each.index))
    samples = len(found) // len(places)
    wanted = [(task, index) for task in tasks for index in range(samples)]
    for (task, index), each in zip(wanted, found, strict=False):
        if (task, index) != (each.task, each.index):
            raise EngineError(
                f"{output}: sample {index} of task {task} is missing or duplicated in the shards; "
                "delete the cell's shard files and rerun snakemake"
            )
    if len(found) > len(wanted):
        raise EngineError(f"{output}: shards contain more samples of one task than of another")
    write_records(output, found)
