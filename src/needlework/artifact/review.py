"""Whether an artifact's results follow from its predictions: checked without GPU and network.

The order of the checks and their report are here; what each compares is in `checks`.
"""

import csv
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

from needlework import installed
from needlework.artifact import belonging, checks, reading
from needlework.artifact.bundle import (
    CODE,
    ENVIRONMENT,
    INPUTS,
    MADE_WITH,
    STUDY,
    Manifest,
    installed_versions,
)
from needlework.artifact.checklist import Verdict, verdicts
from needlework.artifact.rendering import Output, PresetOutputs, outputs
from needlework.artifact.unpacking import unpack
from needlework.door import strangers, told
from needlework.errors import ArtifactError, NeedleworkError
from needlework.files import sha256
from needlework.parsing import read
from needlework.scores.remarks import mixed
from needlework.sources import digest
from needlework.study.served_records import ServedVerification, parse_verification

Thing = TypeVar("Thing")

MOST_SHOWN = 20
"""Problems of one kind that are named one by one."""
PUBLISHED = Path("resources/published")


class Recomputed(NamedTuple):
    """What became of asking models again."""

    problems: tuple[str, ...]
    """Answers that no machine would have given."""
    remarks: tuple[str, ...]
    """By cell how many agree, and which models nobody could ask."""
    not_asked: dict[str, int]
    """By model, answers that nobody asked for again."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was checked, and everything found wrong with it."""

    key: str
    check: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


class Claim(NamedTuple):
    """What leads from a claim of the paper to the files that bear on it."""

    claim: str
    verdict: str
    command: str
    output: str
    cells: tuple[str, ...]
    """Model, suite and length of every prediction file that it rests on."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """Every check, remarks that are no verdict, and what leads from claims to files."""

    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    """A command, and the files that it makes."""
    claims: tuple[Claim, ...]
    believed: tuple[str, ...]
    """Files that no check compared with anything but their digests."""
    not_shown: tuple[str, ...]
    """What passing does not show."""

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(line.passed for line in self.lines)

    def verdicts(self) -> tuple[Verdict, ...]:
        """What the checks say to every question that conferences ask."""
        return verdicts({line.key: line.passed for line in self.lines})


def review(
    archive: Path,
    *,
    templates: Path,
    preset: PresetOutputs,
    again: Callable[[Path], Recomputed] | None = None,
) -> Review:
    """Check an artifact from its bytes to its tables; `again` asks its models again.

    What `preset` renders is rendered and compared as all else.

    Raises:
        ArtifactError: the file is no artifact, or unsafe to unpack.
    """
    with tempfile.TemporaryDirectory() as scratch:
        artifact, made = Path(scratch, "artifact"), Path(scratch, "again")
        made.mkdir()
        unpack(archive, artifact)
        manifest = checks.read_manifest(artifact)
        shown = partial(outputs, artifact, made, templates, preset)
        lines = list(_lines(artifact, made, shown))
        asked = None if again is None else again(artifact)
        if asked is not None:
            lines.append(_asked_line(asked))
        found = partial(_found, after_a_failure=not all(line.passed for line in lines))
        return Review(
            lines=tuple(lines),
            remarks=found(_remarks(manifest, artifact, made)) + (asked.remarks if asked else ()),
            commands=found((output.command, ", ".join(output.names)) for output in shown()),
            claims=found(_claims(made)),
            believed=found(belonging.believed(artifact)),
            not_shown=found(
                belonging.not_shown(artifact, asked_again=asked.not_asked if asked else None)
            ),
        )


def _asked_line(asked: Recomputed) -> Line:
    check = "answers that were asked for again are the same, or as near as another machine's"
    return Line(key="recomputed", check=check, problems=_shortened(asked.problems))


def _found(things: Iterator[Thing], *, after_a_failure: bool) -> tuple[Thing, ...]:
    """All there are; none where a file is damaged, which a check has said."""
    try:
        with _consequences(after_a_failure):
            return tuple(things)
    except NeedleworkError:
        return ()


def _consequences(after_a_failure: bool) -> AbstractContextManager[None]:
    """Within, whatever fails after something did not agree is taken for its consequence: code may
    rely on what a check before it has found. Before that it is a mistake of ours.
    """
    return strangers(lambda cause: ArtifactError(told(cause))) if after_a_failure else nullcontext()


def _lines(artifact: Path, again: Path, shown: Callable[[], Iterator[Output]]) -> Iterator[Line]:
    """Every check, in the order in which results follow from each other."""
    failed: list[str] = []

    def line(key: str, check: str, find: Callable[..., Iterator[str]], *given: object) -> Line:
        done = carried_out(key, check, find, artifact, *given, after_a_failure=bool(failed))
        failed.extend(done.problems)
        return done

    yield line("whole", "every file has the digest of the manifest", checks.digests)
    yield line("described", "the description names every file", checks.described)
    yield line("inputs", "what runs the study again is inside, and asks for it", checks.inputs)
    yield line("made", "every cell says what made it", checks.made)
    yield line("licences", "every model has a licence", checks.licences)
    yield line("answers", "predictions answer the samples", checks.answers)
    yield line("scores", "predictions give the scores", checks.scores, again)
    yield line("estimates", "scores give the estimates", checks.estimates, again)
    yield line("intervals", "every mean has its interval and all its samples", checks.intervals)
    yield line(
        "pages",
        "estimates give every table, figure and page, byte for byte",
        checks.pages,
        again,
        shown,
    )


def carried_out(
    key: str,
    check: str,
    find: Callable[..., Iterator[str]],
    artifact: Path,
    *given: object,
    after_a_failure: bool = False,
) -> Line:
    """Carry out a check; what stops it is a problem like any other."""
    problems: list[str] = []
    try:
        with _consequences(after_a_failure):
            problems += find(artifact, *given)
    except (NeedleworkError, OSError) as error:
        problems.append(f"cannot go on: {reading.plain(error, artifact)}")
    return Line(key=key, check=check, problems=_shortened(problems))


def _shortened(problems: Sequence[str]) -> tuple[str, ...]:
    if len(problems) <= MOST_SHOWN:
        return tuple(problems)
    return (*problems[:MOST_SHOWN], f"and {len(problems) - MOST_SHOWN} more")


def _remarks(manifest: Manifest, artifact: Path, again: Path) -> Iterator[str]:
    """What a reviewer should know that is no disagreement within the artifact."""
    if manifest.code != digest(*CODE):
        yield (
            "made by another version of needlework: differences may come from it; review with the "
            f"version in {ENVIRONMENT}"
        )
    yield from _other_versions(artifact)
    yield from _served(artifact)
    yield from _mixed(again / checks.ESTIMATED[0])
    for path in sorted((artifact / INPUTS / PUBLISHED).glob("*.csv")):
        own = installed.root() / PUBLISHED / path.name
        if not own.is_file() or sha256(own) != sha256(path):
            yield f"{INPUTS}/{PUBLISHED}/{path.name}: not the published numbers of this version"


def _served(artifact: Path) -> Iterator[str]:
    """Models whose answers came from a server, which no file can give again."""
    for path in sorted((artifact / STUDY / "verified").glob("*.json")):
        try:
            one = parse_verification(read(path), where=path.name)
        except NeedleworkError:
            continue  # A check says so.
        if isinstance(one, ServedVerification):
            yield (
                f"predictions/{one.model}: answered by a server ({one.server}), which cannot be "
                f"made again from these files; {one.asked_again()}. What follows from its answers "
                "was checked as for any other model"
            )


def _other_versions(artifact: Path) -> Iterator[str]:
    """Packages that decide the bytes of tables and figures, where they differ."""
    try:
        theirs, ours = checks.read_environment(artifact).packages, installed_versions()
    except NeedleworkError:
        return  # A check says so.
    for name in MADE_WITH:
        if theirs.get(name) != ours.get(name):
            yield f"made with {name} {theirs.get(name)}, reviewed with {ours.get(name)}"


def _mixed(scores: Path) -> Iterator[str]:
    """Cells whose answers were computed by several versions of packages, as their tables say."""
    for cell, versions in (mixed([scores]) if scores.is_file() else {}).items():
        place = f"{cell.model}/{cell.suite}/{cell.length}"
        yield f"predictions/{place}.jsonl: answers of several versions: {'; '.join(versions)}"


def _claims(again: Path) -> Iterator[Claim]:
    """Every claim of the study and of the published numbers that a page was made about."""
    for output in ("claims", "published_claims"):
        path = again / f"{output}.csv"
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as lines:
                rows = list(csv.DictReader(lines))
            for claim, own in groupby(rows, key=itemgetter("claim")):
                statistics = list(own)
                cells = dict.fromkeys(cell for row in statistics for cell in row["cells"].split())
                source = "inputs/resources/published"
                yield Claim(
                    claim,
                    statistics[0]["verdict"],
                    "needlework claims "
                    f"{'study/estimates.parquet' if output == 'claims' else source} {output}",
                    f"{output}.md (statistics: {len(statistics)})",
                    tuple(cells),
                )
