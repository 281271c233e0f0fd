"""The samples that a cell answers, from the files of its tasks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from needlework.errors import EngineError
from needlework.files import read_records
from needlework.records import PlacedDetail, Sample


def read_distractors(paths: Sequence[Path]) -> dict[str, dict[int, tuple[str, ...]]]:
    """Of every task the wrong values beside its samples, by the index of a sample.

    Raises:
        EngineError: a dataset was made for no study of likelihoods.
        RecordError: a file is damaged.
    """
    found = {}
    for path in paths:
        details = read_records(path.with_suffix(".details.jsonl"), PlacedDetail)
        found[path.stem] = {
            each.index: each.distractors for each in details if each.distractors is not None
        }
        if len(found[path.stem]) < len(details):
            raise EngineError(
                f"{path.with_suffix('.details.jsonl')}: names no distractors, which likelihoods "
                "are compared with; make it again with `needlework dataset --distractors`"
            )
    return found


def read_samples(paths: Sequence[Path], tasks: Iterable[str]) -> dict[str, list[Sample]]:
    """Every task's samples, in the order of `tasks`; a file is named as its task.

    Raises:
        EngineError: a task has no file, or a file no task.
        RecordError: a file is damaged.
    """
    wanted, found = list(tasks), {path.stem: path for path in paths}
    if found.keys() != set(wanted):
        raise EngineError(
            f"datasets without a task: {sorted(found.keys() - set(wanted))}; "
            f"tasks without a dataset: {sorted(set(wanted) - found.keys())}"
        )
    return {task: read_records(found[task], Sample) for task in wanted}
