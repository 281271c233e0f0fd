"""Everything a study left behind, in one zip file with the digest of every part.

The same folder gives the same bytes.
"""

import hashlib
import json
import platform
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import StringConstraints

from needlework import installed
from needlework.artifact.crate import README, crate, readme
from needlework.errors import ArtifactError, RecordError
from needlework.files import atomic, read_records
from needlework.parsing import Closed
from needlework.records import Prediction
from needlework.scores.cells import MACHINE
from needlework.sources import digest
from needlework.study.definitions import Name

MANIFEST, ENVIRONMENT, CRATE = "manifest.json", "environment.json", "ro-crate-metadata.json"
STUDY, INPUTS = "study", "inputs"
PACKAGED = "packaged"
"""Where packaged inputs are that a study has files of its own beside."""
LEFT_OUT = frozenset({".journal", ".lock", ".zip"})
"""Kinds of files that are no result of a study."""
AND = " and "
"""Between the devices, or kernels, of a cell whose shards ran on several."""
UNFINISHED = frozenset({"partial", "served", "shards"})
"""Folders of a study with what it had before it was whole."""
TIMES = "benchmarks"
"""The folder of a study with what its jobs took; a figure shows those of predictions alone."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that a zip file gives for every part: the earliest that the format allows."""
CODE = ("needlework.scores.cells", "needlework.artifact.rendering", "needlework.paper.outputs")
"""The modules whose sources decide what a review computes."""
MADE_WITH = ("altair", "jinja2", "numpy", "polars", "scipy", "vl-convert-python")
"""The packages that decide the bytes of tables and figures."""


def _written_as(pattern: str) -> StringConstraints:
    return StringConstraints(pattern=rf"^{pattern}$", max_length=80)


class Manifest(Closed):
    """What an artifact holds: `manifest.json`. The README and the description repeat its words."""

    format: Literal["needlework-artifact-2"] = "needlework-artifact-2"
    study: Name
    version: Annotated[str, _written_as("[0-9][0-9A-Za-z.+!-]*")]
    """Of needlework."""
    code: Annotated[str, _written_as("[0-9a-f]{16}")]
    """The digest of the modules that decide what a review computes."""
    finished: Annotated[str, _written_as(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\+00:00")]
    """When the last prediction was written."""
    files: dict[str, Annotated[str, _written_as("[0-9a-f]{64}")]]
    """The SHA-256 of every file, by name."""

    def description(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        """The content of `ro-crate-metadata.json`; `sizes` in bytes are of the study and inputs."""
        return crate(
            self.study,
            [*self.files, MANIFEST],
            self.files,
            sizes=sizes,
            date=self.finished,
            version=self.version,
        )


class Environment(Closed):
    """The machine that bundles, its packages, and what made each cell: `environment.json`."""

    python: str
    platform: str
    packages: dict[str, str]
    """Versions by name."""
    cells: dict[str, dict[str, str]]
    """By model/suite/length: model revision, protocol, device and kernels, as predictions say."""

    def made(self, cell: str, prediction: Prediction) -> bool:
        """Whether a prediction is one of those that a cell is said to hold."""
        told = self.cells.get(cell, {})
        return prediction.others.keys() == told.keys() and all(
            value in told[key].split(AND) if key in MACHINE else value == told[key]
            for key, value in prediction.others.items()
        )


class Part(NamedTuple):
    """One file of an artifact: where it is, and what it is called inside."""

    path: Path
    name: str


def write_artifact(study: Path, output: Path, *, inputs: Sequence[Path]) -> None:
    """Write a study's folder and its inputs as one zip file.

    Raises:
        ArtifactError: an input lies outside the current folder, so it has no name of its own.
        RecordError: the study has no scores yet.
    """
    if not (study / "estimates.parquet").is_file():
        raise RecordError(f"{study}: no estimates.parquet; run the study before it is bundled")
    parts = [*_study_parts(study), *_input_parts(inputs)]
    with atomic(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        digests = {part.name: _store(archive, part) for part in parts}
        version = metadata.version("needlework")
        generated = {
            ENVIRONMENT: _text(environment(study).model_dump()),
            README: readme(study.name, version),
        }
        for name, text in generated.items():
            digests[name] = hashlib.sha256(text.encode()).hexdigest()
        manifest = Manifest(
            study=study.name,
            version=version,
            code=digest(*CODE),
            finished=_date(study),
            files=digests,
        )
        generated[MANIFEST] = _text(manifest.model_dump())
        sizes = {part.name: part.path.stat().st_size for part in parts}
        generated[CRATE] = _text(manifest.description(sizes))
        for name, text in generated.items():
            archive.writestr(_entry(name), text)


def installed_versions() -> dict[str, str]:
    """Versions of the packages of this Python, by name."""
    told = [each.metadata for each in metadata.distributions()]
    return dict(sorted((each["Name"].lower(), each["Version"]) for each in told))


def environment(study: Path) -> Environment:
    """What is known of this machine, and of those that made the predictions of a study.

    Raises:
        RecordError: a line is no prediction.
    """
    return Environment(
        python=sys.version.split()[0],
        platform=platform.platform(),
        packages=installed_versions(),
        cells={
            str(path.relative_to(study / "predictions").with_suffix("")): _made_by(path)
            for path in sorted((study / "predictions").glob("*/*/*.jsonl"))
        },
    )


def _made_by(predictions: Path) -> dict[str, str]:
    """What the first prediction of a cell says of what made it, with the machines of all."""
    found = read_records(predictions, Prediction)
    first = found[0].others if found else {}
    return first | {
        key: AND.join(dict.fromkeys(each.others[key] for each in found if key in each.others))
        for key in sorted(MACHINE & first.keys())
    }


def _study_parts(study: Path) -> Iterator[Part]:
    for path in sorted(study.rglob("*")):
        inside = path.relative_to(study)
        hidden = any(part.startswith(".") for part in inside.parts) or inside.parts[0] in UNFINISHED
        hidden |= inside.parts[0] == TIMES and inside.parts[:2] != (TIMES, "predict")
        if path.is_file() and not hidden and path.suffix not in LEFT_OUT:
            yield Part(path, f"{STUDY}/{inside.as_posix()}")


def _input_parts(inputs: Iterable[Path]) -> Iterator[Part]:
    """Files of the working directory, and packaged ones; where both have a name, in two places."""
    here, packaged, taken = Path.cwd(), [], set()
    for path in sorted(set(inputs)):
        absolute = path.absolute()
        if absolute.is_relative_to(here) and ".." not in absolute.parts:
            taken.add(name := absolute.relative_to(here).as_posix())
            yield Part(path, f"{INPUTS}/{name}")
        elif absolute.is_relative_to(installed.root()):
            packaged.append((path, absolute.relative_to(installed.root()).as_posix()))
        else:
            raise ArtifactError(f"{path}: not below {here}; bundle from the project's own folder")
    for path, name in packaged:
        yield Part(path, f"{INPUTS}/{PACKAGED}/{name}" if name in taken else f"{INPUTS}/{name}")


def _store(archive: zipfile.ZipFile, part: Part) -> str:
    """Copy a file into the archive; its SHA-256."""
    with part.path.open("rb") as source, archive.open(_entry(part.name), "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        source.seek(0)
        return hashlib.file_digest(source, "sha256").hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    return entry


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def _date(study: Path) -> str:
    """When the last prediction was written."""
    times = [path.stat().st_mtime for path in (study / "predictions").rglob("*.jsonl")]
    return datetime.fromtimestamp(max(times, default=0.0), UTC).isoformat(timespec="seconds")
