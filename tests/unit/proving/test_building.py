"""causal-conv1d from its sources: what is compiled, what stands for the rest, what is refused."""

from pathlib import Path

import pytest

from needlework.errors import ResourceError
from needlework.proving import building
from tests.unit.proving.test_bundle import sources

FILES = {
    "PKG-INFO": "Metadata-Version: 2.1\nName: causal-conv1d\nVersion: 1.6.2.post1\n",
    "causal_conv1d/__init__.py": "import causal_conv1d_cuda",
    **{f"csrc/{name}": "" for name in (*building.FORWARD, "causal_conv1d_bwd.cu")},
}


def test_the_forward_pass_alone_is_compiled(tmp_path: Path) -> None:
    source = sources(tmp_path / "causal_conv1d-1.6.2.post1.tar.gz", FILES)
    unpacked = building.unpack(source, tmp_path / "place")
    files = [path.name for path in building.forward_sources(unpacked)]
    assert files == [*building.FORWARD, "no_backward.cpp"]
    assert all(path.is_file() for path in building.forward_sources(unpacked))


def test_what_was_built_is_a_folder_for_the_path_with_its_version(tmp_path: Path) -> None:
    source = sources(tmp_path / "causal_conv1d-1.6.2.post1.tar.gz", FILES)
    unpacked = building.unpack(source, tmp_path / "place")
    library = tmp_path / "causal_conv1d_cuda.so"
    library.write_bytes(b"compiled")
    ready = building.assemble(unpacked, library, tmp_path / "ready")
    assert (ready / "causal_conv1d/__init__.py").is_file()
    assert (ready / library.name).read_bytes() == b"compiled"
    assert (ready / "causal_conv1d-1.6.2.post1.dist-info/METADATA").is_file()


@pytest.mark.parametrize("content", [b"no archive", None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.tar.gz"
    if content is None:
        sources(path, {"setup.py": ""})
    else:
        path.write_bytes(content)
    with pytest.raises(ResourceError, match=r"name the causal_conv1d-\*\.tar\.gz of PyPI"):
        building.unpack(path, tmp_path / "place")


def nvcc(folder: Path, says: str) -> None:
    script = folder / "nvcc"
    script.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    script.chmod(0o755)


def test_the_toolkit_is_where_nvcc_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: /usr/local/bin/nvcc is a script that calls the one in /usr/local/cuda-13.0."""
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    nvcc(tmp_path, "#$ TOP=/opt/cuda/bin/..")
    assert building.toolkit() == Path("/opt/cuda")
    monkeypatch.setenv("CUDA_HOME", "/opt/other")
    assert building.toolkit() == Path("/opt/other")


def test_without_nvcc_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setattr(building.shutil, "which", lambda name: None)
    with pytest.raises(ResourceError, match="there is no nvcc; put it on the PATH"):
        building.toolkit()
