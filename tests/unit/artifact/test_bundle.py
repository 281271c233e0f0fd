"""Bundle: everything is inside, with its digest and a description; same study, same bytes."""

import hashlib
import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from needlework import installed
from needlework.artifact.bundle import write_artifact
from needlework.artifact.crate import PROFILES
from needlework.errors import ArtifactError, RecordError
from tests.unit.artifact.conftest import INPUTS, bundle


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
        bundle(study, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_journals_hidden_files_and_what_was_unfinished_stay_out(
    study: Path, tmp_path: Path
) -> None:
    (study / "predictions/nano-llama/ruler/128.jsonl.journal").write_text("half")
    (study / ".secret").write_text("x")
    (study / "partial/tables").mkdir(parents=True)
    (study / "partial/tables/journal.md").write_text("before the study was whole")
    write_artifact(study, tmp_path / "a.zip", inputs=[])
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert not any("journal" in name or "secret" in name for name in opened.namelist())


def test_of_what_jobs_took_predictions_alone_are_told(study: Path, tmp_path: Path) -> None:
    """As a run leaves them: the folder itself, a file in it, and those of cells below."""
    for name in ("collect.tsv", "predict/nano-llama/ruler/128.tsv"):
        (study / "benchmarks" / name).parent.mkdir(parents=True, exist_ok=True)
        (study / "benchmarks" / name).write_text("s\n1\n")
    write_artifact(study, tmp_path / "a.zip", inputs=[])
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        found = [name for name in opened.namelist() if name.startswith("study/benchmarks/")]
    assert found == ["study/benchmarks/predict/nano-llama/ruler/128.tsv"]


def test_packaged_inputs_have_the_names_they_have_in_a_checkout(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a project has a file of the same name, the packaged one has another place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/models.yaml").write_text("models:\n")
    packaged = [installed.root() / name for name in ("config/models.yaml", "workflow/Snakefile")]
    write_artifact(study, tmp_path / "a.zip", inputs=[Path("config/models.yaml"), *packaged])
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        inside = {name for name in opened.namelist() if name.startswith("inputs/")}
        own = opened.read("inputs/config/models.yaml")
    assert own == b"models:\n"
    assert inside == {
        "inputs/config/models.yaml",
        "inputs/packaged/config/models.yaml",
        "inputs/workflow/Snakefile",
    }


def entities(archive: Path) -> dict[str, Any]:
    crate = content(archive, "ro-crate-metadata.json")
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    found = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(found) == len(crate["@graph"]), "an @id stands twice"
    return found


def references(value: Any) -> set[str]:
    """The entities that a property refers to."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    return {value["@id"]} if isinstance(value, dict) else set()


def types(entity: dict[str, Any]) -> set[str]:
    found = entity["@type"]
    return {found} if isinstance(found, str) else set(found)


# What the specifications require. roc-validator 0.13.0 finds no broken requirement in such crates;
# it needs another release of rich than ours, and the network for the JSON-LD context, so it is no
# dependency of the tests.


def test_the_crate_has_what_ro_crate_requires(archive: Path) -> None:
    """https://www.researchobject.org/ro-crate/specification/1.1/root-data-entity.html and
    https://www.researchobject.org/ro-crate/specification/1.1/data-entities.html"""
    found = entities(archive)
    root, descriptor = found["./"], found["ro-crate-metadata.json"]
    assert types(descriptor) == {"CreativeWork"}
    assert descriptor["about"] == {"@id": "./"}
    assert "https://w3id.org/ro/crate/1.1" in references(descriptor["conformsTo"])
    assert types(root) == {"Dataset"}
    assert {"name", "description", "license"} <= root.keys()
    assert datetime.fromisoformat(root["datePublished"]).tzinfo is not None
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
    files = {name for name, entity in found.items() if "File" in types(entity)}
    assert files == references(root["hasPart"]) == names - {"ro-crate-metadata.json"}
    assert all({"name", "encodingFormat"} <= found[name].keys() for name in files)


def test_the_crate_has_what_workflow_run_crates_require(archive: Path) -> None:
    """https://w3id.org/ro/wfrun/process/0.5, https://w3id.org/ro/wfrun/workflow/0.5 and
    https://w3id.org/workflowhub/workflow-ro-crate/1.0"""
    found = entities(archive)
    root = found["./"]
    profiles = references(root["conformsTo"])
    assert profiles == set(PROFILES)
    assert all({"name", "version"} <= found[each].keys() for each in profiles)
    assert all(types(found[each]) == {"CreativeWork"} for each in profiles)
    (workflow,) = references(root["mainEntity"])
    assert types(found[workflow]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    (author,) = references(found[workflow]["author"])
    assert types(found[author]) == {"Organization"}
    assert references(found[workflow]["license"]) == references(root["license"])
    (language,) = references(found[workflow]["programmingLanguage"])
    assert types(found[language]) == {"ComputerLanguage"}
    (run,) = references(root["mentions"])
    action = found[run]
    assert types(action) == {"CreateAction"}
    assert references(action["instrument"]) == {workflow}
    assert {"name", "description", "endTime"} <= action.keys()
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    results, objects = references(action["result"]), references(action["object"])
    assert results | objects <= references(root["hasPart"])
    assert "study/tables/table_01.md" in results
    assert "inputs/config/models.yaml" in objects


def test_the_author_of_the_workflow_is_whom_the_project_asks_to_cite(archive: Path) -> None:
    """Who ran a study is written nowhere, so run and data name nobody."""
    found = entities(archive)
    (author,) = references(found["inputs/workflow/Snakefile"]["author"])
    cited = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))["authors"]
    assert [{"name": found[author]["name"]}] == cited
    assert not {"author", "publisher", "agent"} & (found["./"].keys() | found["#run"].keys())


def test_a_person_finds_out_how_to_check_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        assert "needlework review artifact.zip" in opened.read("README.md").decode()
    assert entities(archive)["README.md"]["about"] == {"@id": "./"}


def test_nothing_is_referred_to_that_is_not_described(archive: Path) -> None:
    found = entities(archive)
    named = set().union(*(references(value) for each in found.values() for value in each.values()))
    outside = {name for name in named - found.keys() if not name.startswith("http")}
    assert outside == set()


def test_the_environment_names_packages_and_what_made_each_cell(archive: Path) -> None:
    environment = content(archive, "environment.json")
    assert "polars" in environment["packages"]
    assert environment["cells"]["nano-llama/ruler/128"] == {"revision": "nano-llama"}


def test_a_study_without_scores_is_not_bundled(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no estimates\.parquet"):
        write_artifact(tmp_path, tmp_path / "a.zip", inputs=[])


def test_an_input_from_elsewhere_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="bundle from the project's own folder"):
        write_artifact(study, tmp_path / "a.zip", inputs=[Path("/etc/hostname")])
    assert not (tmp_path / "a.zip").exists()
