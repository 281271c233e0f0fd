"""A project of one's own: what `needlework init` writes, and that it takes nothing away."""

import re
from pathlib import Path

import pytest
import yaml

from needlework.errors import StudyError
from needlework.measure.project import create
from needlework.study import plan
from needlework.study.catalogue import read_models

ROOT = Path(__file__).parents[3]


def test_its_study_can_be_planned_with_what_is_packaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    keys = yaml.safe_load(Path("config/config.yaml").read_text())
    found = plan.resolve(keys, Path("config"))
    assert set(found.models) == {"nano-llama", "nano-mamba2"}
    assert found.study.study == "mine"


def test_the_examples_in_its_files_are_right_when_their_signs_are_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    for name in ("models.yaml", "tasks.yaml"):
        path = Path("config", name)
        path.write_text(re.sub(r"^#(  )", r"\1", path.read_text(), flags=re.MULTILINE))
    assert read_models(Path("config/models.yaml")).models["my-model"].tokenizer == "mine"
    keys = yaml.safe_load(Path("config/config.yaml").read_text())
    keys |= {"models": ["mamba2"], "material": "english", "suites": {"mine": {"lengths": [1024]}}}
    assert "two_of_eight" in plan.resolve(keys, Path("config")).tasks["mine"]


def test_profiles_are_those_of_the_package_for_the_study_of_the_project(tmp_path: Path) -> None:
    """`--profile slurm` looks for a folder of that name, `profiles/default` applies by itself."""
    create(tmp_path)
    ours = (ROOT / "profiles/slurm/config.yaml").read_text()
    theirs = (tmp_path / "slurm/config.yaml").read_text()
    assert theirs == ours.replace("config/paper.yaml", "config/config.yaml") != ours
    default = "profiles/default/config.yaml"
    assert (tmp_path / default).read_text() == (ROOT / default).read_text()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_it_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text("# mine\n")
    with pytest.raises(StudyError, match="Snakefile exists already"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Snakefile"]


def test_a_folder_with_other_files_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    made = create(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert all(path.is_file() for path in made)
