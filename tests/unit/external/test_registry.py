"""The registry and what is handed out: verified files or an error with the way out."""

from pathlib import Path

import pytest

from needlework.errors import ResourceError, StudyError
from needlework.external import registry
from needlework.external.registry import Registry, Resources
from needlework.files import sha256

REPOSITORY = Path(__file__).parents[3]


def small(content: bytes, *, digest: str | None = None) -> Registry:
    """A registry of one file."""
    import hashlib

    file = {"path": "a/b.txt", "sha256": digest or hashlib.sha256(content).hexdigest()}
    entry = {"licence": "MIT", "needed_by": "tests", "files": [file]}
    return Registry.model_validate({"sources": {}, "resources": {"thing": entry}})


def folder(path: Path, content: bytes) -> Path:
    (path / "a").mkdir()
    (path / "a/b.txt").write_bytes(content)
    return path


def test_a_verified_file_is_handed_out(tmp_path: Path) -> None:
    found = Resources(folder(tmp_path, b"right"), small(b"right")).path("thing")
    assert found.read_bytes() == b"right"


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="damaged or another version"):
        Resources(folder(tmp_path, b"wrong"), small(b"right")).path("thing")


def test_an_absent_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="needlework fetch thing"):
        Resources(tmp_path, small(b"right")).path("thing")


def test_a_misspelt_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="did you mean `thing`"):
        Resources(tmp_path, small(b"right")).path("thng")


def test_a_digest_that_is_none_is_a_mistake_in_the_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    text = registry.REGISTRY.read_text(encoding="utf-8")
    path.write_text(text.replace("80a5225e", "80a5225!"), encoding="utf-8")
    with pytest.raises(StudyError, match="64 hexadecimal digits"):
        registry.registry(path)


def test_the_registry_is_complete() -> None:
    """Every file has its digest, and says where it comes from."""
    found = registry.registry()
    for resource in found.resources.values():
        for file in resource.files:
            assert file.sha256 is not None
            assert file.urls or file.made_from or file.package
            assert set(file.made_from) <= found.sources.keys()


def test_the_mirror_holds_what_the_registry_says(shared: Path) -> None:
    found = registry.registry()
    mirrored = {
        file.path: file.sha256
        for resource in found.resources.values()
        for file in resource.files
        if (shared / "mirror" / file.path).is_file()
    }
    assert len(mirrored) == 9
    assert {path: sha256(shared / "mirror" / path) for path in mirrored} == mirrored
