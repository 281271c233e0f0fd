"""Bundle: everything is inside, with its digest and a description; same study, same bytes."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from needlework.artifact.bundle import write_artifact
from needlework.errors import ArtifactError, RecordError
from tests.unit.artifact.conftest import INPUTS


def content(archive: Path, name: str) -> Any:
    with zipfile.ZipFile(archive) as opened:
        return json.loads(opened.read(name))


def test_every_file_is_inside_with_its_digest(archive: Path, study: Path) -> None:
    files = content(archive, "manifest.json")["files"]
    with zipfile.ZipFile(archive) as opened:
        assert set(opened.namelist()) == {*files, "manifest.json", "ro-crate-metadata.json"}
        for name, digest in files.items():
            assert hashlib.sha256(opened.read(name)).hexdigest() == digest
    stored = {f"study/{path.relative_to(study)}" for path in study.rglob("*") if path.is_file()}
    assert stored < files.keys()
    assert {f"inputs/{path}" for path in INPUTS} < files.keys()


def test_the_same_study_gives_the_same_bytes(study: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write_artifact(study, tmp_path / name, inputs=INPUTS)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_journals_and_hidden_files_stay_out(study: Path, tmp_path: Path) -> None:
    (study / "predictions/nano-llama/ruler/128.jsonl.journal").write_text("half")
    (study / ".secret").write_text("x")
    write_artifact(study, tmp_path / "a.zip", inputs=[])
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert not any("journal" in name or "secret" in name for name in opened.namelist())


def test_the_description_is_an_ro_crate(archive: Path) -> None:
    """What RO-Crate 1.1 and the Workflow Run profile require of the graph."""
    crate = content(archive, "ro-crate-metadata.json")
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    root, descriptor = entities["./"], entities["ro-crate-metadata.json"]
    assert descriptor["about"] == {"@id": "./"}
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    workflow = entities[root["mainEntity"]["@id"]]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    run = entities[root["mentions"]["@id"]]
    assert run["@type"] == "CreateAction"
    assert run["instrument"] == root["mainEntity"]


def test_nothing_is_referred_to_that_is_not_described(archive: Path) -> None:
    crate = content(archive, "ro-crate-metadata.json")
    known = {entity["@id"] for entity in crate["@graph"]}

    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(references, value))
        if isinstance(value, dict) and value.keys() == {"@id"}:
            return {value["@id"]}
        return set()

    named = set().union(*(references(v) for e in crate["@graph"] for v in e.values()))
    assert {name for name in named - known if not name.startswith("http")} == set()


def test_the_environment_names_packages_and_what_made_each_cell(archive: Path) -> None:
    environment = content(archive, "environment.json")
    assert "polars" in environment["packages"]
    assert environment["cells"]["nano-llama/ruler/128"] == {"revision": "nano-llama"}


def test_a_study_without_scores_is_not_bundled(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no cells\.parquet"):
        write_artifact(tmp_path, tmp_path / "a.zip", inputs=[])


def test_an_input_from_elsewhere_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="bundle from the project's own folder"):
        write_artifact(study, tmp_path / "a.zip", inputs=[Path("/etc/hostname")])
    assert not (tmp_path / "a.zip").exists()
