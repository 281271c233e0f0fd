"""Artifacts of every kind of study that is committed, smaller: a review agrees with each."""

import json
import re
import shutil
from contextlib import chdir
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from needlework.artifact.bundle import MANIFEST, Manifest, write_artifact
from needlework.artifact.rendering import outputs
from needlework.artifact.review import Review, review
from needlework.paper.outputs import OUTPUTS
from needlework.parsing import read_keys
from needlework.study import plan
from needlework.study.plan import Plan
from tests.study_for_tests import small_plan
from tests.unit.artifact.conftest import INPUTS, ROOT, STUDY
from tests.unit.artifact.test_forged import Parts, sealed
from tests.whole_study_for_tests import fill

TEMPLATES = ROOT / "reports/templates"
LENGTHS = {
    "hazards": {"ruler": [256], "depth": [256]},
    "paper": {"ruler": [1024, 2048], "depth": [1024]},
    "laptop": {"ruler": [1024, 2048], "depth": [1024]},
    "quantised": {},
    "depths": {"depth": [256, 512], "depth_multikey": [256]},
    "examples/retrieval": {},
    "examples/stories": {},
}
"""Of the studies in `config/`, the lengths that take a test less than a minute."""
ELSEWHERE = {"config", "served", "architectures", "seeds", "paper-corrected", "paper-hazards"}
"""The default study is the one of other tests, one behind servers needs those, and the paper's
others have the pages of `paper` and `hazards`."""


def planned(name: str, **changed: Any) -> Plan:
    keys: dict[str, Any] = read_keys(ROOT / f"config/{name}.yaml")
    for suite, lengths in LENGTHS[name].items():
        keys["suites"][suite]["lengths"] = lengths
    return plan.resolve(keys | {"samples": 2} | changed, ROOT / "config", runs=False)


def bundled(found: Plan, folder: Path) -> Path:
    """The artifact of a study, from a project whose config asks for it."""
    study, project = folder / found.study.study, folder / "project"
    fill(found, study)
    own = [Path(spec.path) for spec in found.all_tasks.values() if hasattr(spec, "path")]
    inputs = sorted({*INPUTS, *own} - {STUDY})
    for path in inputs:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, project / path)
    asked = json.loads((study / "plan/study.json").read_text(encoding="utf-8"))
    (project / "config/mine.yaml").write_text(yaml.safe_dump(asked, sort_keys=False))
    made = folder / "made"
    made.mkdir()
    manifest = Manifest(
        study="x",
        version=metadata.version("needlework"),
        code="0" * 16,
        finished="2026-01-01T00:00:00+00:00",
        files={},
    )
    (made / MANIFEST).write_text(manifest.model_dump_json())
    (made / "study").symlink_to(study)
    (made / "inputs").symlink_to(project)
    for output in outputs(made, study, TEMPLATES, preset=OUTPUTS):
        output.make()
    shutil.rmtree(study / "explored", ignore_errors=True)
    with chdir(project):
        write_artifact(study, folder / "artifact.zip", inputs=[*inputs, Path("config/mine.yaml")])
    return folder / "artifact.zip"


@pytest.mark.slow
@pytest.mark.parametrize("name", LENGTHS)
def test_the_artifact_of_a_committed_study_passes(name: str, tmp_path: Path) -> None:
    found: Review = review(bundled(planned(name), tmp_path), templates=TEMPLATES, preset=OUTPUTS)
    assert [(line.check, line.problems) for line in found.lines if not line.passed] == []
    assert not any("published numbers of this version" in remark for remark in found.remarks)
    assert found.commands


CONTROLS = ["truncated", "no-haystack", "no-needle"]


def test_the_artifact_of_a_study_with_controls_passes(tmp_path: Path) -> None:
    """Control cells are answered, scored and compared as all others; their table is made again."""
    archive = bundled(planned("examples/retrieval", controls=CONTROLS), tmp_path)
    found = review(archive, templates=TEMPLATES, preset=OUTPUTS)
    assert [(line.check, line.problems) for line in found.lines if not line.passed] == []
    made = {name for _, names in found.commands for name in names.split(", ")}
    assert {"controls.json", "tables/controls.md", "tables/controls.csv"} <= made


def test_the_artifact_of_controls_and_likelihoods_passes(tmp_path: Path) -> None:
    archive = bundled(planned("examples/retrieval", controls=CONTROLS, likelihood=True), tmp_path)
    found = review(archive, templates=TEMPLATES, preset=OUTPUTS)
    assert [(line.check, line.problems) for line in found.lines if not line.passed] == []
    made = {name for _, names in found.commands for name in names.split(", ")}
    assert {"tables/control_margins.md", "tables/control_margins.csv"} <= made


def test_a_control_that_was_changed_is_found(tmp_path: Path) -> None:
    """Its answer, its score, the comparison and the table are compared, each by itself."""
    archive = bundled(planned("examples/retrieval", controls=CONTROLS), tmp_path)
    study = tmp_path / "retrieval"
    place = "nano-llama+no-needle/retrieval/256"
    answers = study / f"predictions/{place}.jsonl"
    answers.write_text(answers.read_text().replace("limit", "end"))
    compared = study / "controls.json"
    compared.write_text(compared.read_text().replace('"value":0.', '"value":0.1', 1))
    with chdir(tmp_path / "project"):
        inputs = [path for path in Path().rglob("*") if path.is_file()]
        write_artifact(study, archive, inputs=inputs)
    found = review(archive, templates=TEMPLATES, preset=OUTPUTS)
    problems = "\n".join(problem for line in found.lines for problem in line.problems)
    assert f"scores/{place}.parquet: " in problems
    assert "study/controls.json: " in problems


@pytest.mark.slow
def test_the_artifact_of_a_study_of_likelihoods_passes_and_a_forged_one_does_not(
    tmp_path: Path,
) -> None:
    """Margins follow from what predictions hold; who makes one larger there is found out, too."""
    suites = {"few": {"tasks": ["niah_single_1", "niah_multikey_1", "vt"], "lengths": [128, 256]}}
    archive = bundled(small_plan(suites=suites, samples=4, likelihood=True), tmp_path)
    found = review(archive, templates=TEMPLATES, preset=OUTPUTS)
    assert [(line.check, line.problems) for line in found.lines if not line.passed] == []
    assert any("that the likelihoods are those" in each for each in found.not_shown)

    def larger(parts: Parts) -> None:
        name = "study/predictions/nano-llama/few/256.jsonl"
        parts[name] = re.sub(rb'"nats": -[0-9.]+', b'"nats": -0.5', parts[name], count=1)

    forged = review(sealed(archive, tmp_path, larger), templates=TEMPLATES, preset=OUTPUTS)
    told = [problem for line in forged.lines for problem in line.problems]
    assert any("scores/nano-llama/few/256.parquet" in each and "nats" in each for each in told)
    assert any("diagnosis.parquet" in each for each in told)


def test_every_committed_study_is_among_them() -> None:
    committed = {
        path.relative_to(ROOT / "config").with_suffix("").as_posix()
        for path in (ROOT / "config").rglob("*.yaml")
        if "suites" in (yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    }
    assert committed == {*LENGTHS, *ELSEWHERE}
