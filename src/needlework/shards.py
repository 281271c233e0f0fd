"""A cell in several jobs: which samples each of them answers, and the whole from its parts.

Knows how the files of a study lie; does not know how samples are answered.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from needlework.errors import EngineError
from needlework.files import read_records, write_records
from needlework.records import Prediction


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


def sibling_journals(output: Path, shard: Shard | None) -> list[Path]:
    """The journals of the same cell when it was split otherwise, which hold finished answers, too.

    `output` is `predictions/{model}/{suite}/{length}.jsonl`, or that of a shard,
    `shards/{model}/{suite}/{length}/{number}of{count}.jsonl`, below the folder of a study.
    """
    cell = output.parent if shard else output.with_suffix("")
    if len(cell.parents) < 4:
        return []
    suite, model, _, study = cell.parents[:4]
    name = Path(model.name, suite.name, cell.name)
    whole = study / "predictions" / name.with_suffix(".jsonl.journal")
    parts = sorted((study / "shards" / name).glob("*.jsonl.journal"))
    own = output.with_name(f"{output.name}.journal")
    return [path for path in (whole, *parts) if path != own and path.is_file()]


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
        raise EngineError(f"{output}: shards answer {', '.join(strange)}, which the suite has not")
    found.sort(key=lambda each: (places[each.task], each.index))
    samples = len(found) // len(places)
    wanted = [(task, index) for task in tasks for index in range(samples)]
    for (task, index), each in zip(wanted, found, strict=False):
        if (task, index) != (each.task, each.index):
            raise EngineError(
                f"{output}: no shard answers sample {index} of {task}, or two do; delete the "
                "shards of this cell and ask for it again"
            )
    if len(found) > len(wanted):
        raise EngineError(f"{output}: shards answer more samples of one task than of another")
    write_records(output, found)
