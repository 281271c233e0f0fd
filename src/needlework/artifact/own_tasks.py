"""What an artifact shows of tasks that are the study's own, and what it does not.

A program among the files of an artifact is never run.
"""

from collections.abc import Iterator, Mapping
from itertools import takewhile, zip_longest
from pathlib import Path

from needlework.artifact.bundle import INPUTS, STUDY
from needlework.errors import NeedleworkError
from needlework.files import read_records
from needlework.records import Sample
from needlework.study.controls import untruncated
from needlework.tasks.from_file import Line, chosen_lines
from needlework.tasks.specs import OWN, FileSpec, OwnSpec, Spec


def absent(artifact: Path, tasks: Mapping[str, Spec]) -> Iterator[str]:
    """Files of the study's own tasks that were not bundled with it."""
    for path in sorted({spec.path for spec in tasks.values() if isinstance(spec, OWN)}):
        if not (artifact / INPUTS / path).is_file():
            yield f"{INPUTS}/{path}: missing; bundle it with the study"


def not_shown(tasks: Mapping[str, Spec]) -> Iterator[str]:
    """Tasks whose samples cannot be made again without running a program of the study."""
    for name, spec in tasks.items():
        if isinstance(spec, OwnSpec):
            yield (
                f"{name}: not shown that its samples are those of {INPUTS}/{spec.path}, a program "
                "of the study's own, which a review never runs"
            )


def unlike(artifact: Path, tasks: Mapping[str, Spec], *, samples: int) -> Iterator[str]:
    """Samples that are not the lines of their file, in its order, or the ends of these samples."""
    for name, spec in tasks.items():
        if not isinstance(spec, FileSpec):
            continue
        source = artifact / INPUTS / spec.path
        for data in sorted((artifact / STUDY / "data").glob(f"*/*/{name}.jsonl")):
            folder = data.parents[1]
            whole = folder.with_name(untruncated(folder.name)) / data.parent.name / data.name
            try:
                if whole != data:
                    yield from _no_ends(data, whole, artifact / STUDY)
                    continue
                lines = chosen_lines(source, spec, length=int(data.parent.name), samples=samples)
                pairs = zip_longest(read_records(data, Sample), lines)
                yield from _different(data.relative_to(artifact / STUDY), spec, pairs)
            except NeedleworkError as error:
                yield str(error).replace(f"{artifact}/", "")


def _no_ends(data: Path, whole: Path, study: Path) -> Iterator[str]:
    """Truncated samples that are not the ends of whole ones."""
    for sample, full in zip_longest(read_records(data, Sample), read_records(whole, Sample)):
        if sample is None or full is None or not _is_end(sample, full):
            yield f"{data.relative_to(study)}: not the ends of {whole.relative_to(study)}"
            return


def _is_end(sample: Sample, full: Sample) -> bool:
    """Whether a prompt is the end of another one, perhaps behind what that one begins with."""
    same = (one == other for one, other in zip(sample.input[:-1], full.input, strict=False))
    begun = sum(takewhile(bool, same))
    return full.input.endswith(sample.input[begun:]) and sample.outputs == full.outputs


def _different(
    data: Path, spec: FileSpec, pairs: Iterator[tuple[Sample | None, tuple[int, Line] | None]]
) -> Iterator[str]:
    for sample, numbered in pairs:
        if sample is None or numbered is None:
            yield f"{data}: not the number of samples that the study asks for"
            return
        number, line = numbered
        asked = line.input in sample.input and sample.input.endswith(line.answer_prefix)
        if not asked or sample.outputs != line.outputs:
            yield f"{data}: #{sample.index} is not {INPUTS}/{spec.path}:{number}"
