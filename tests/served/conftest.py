"""A real server: `transformers serve` in an environment of its own (`make test-served`)."""

import os
import shutil
from pathlib import Path

import pytest

from tests.network_for_tests import allow_loopback
from tests.served.checkpoint import write


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    """The environment with the server; else a skip that says how to get it."""
    if not os.environ.get("SERVED_TESTS") or shutil.which("transformers") is None:
        pytest.skip("`make test-served` runs these, in .venv-served")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, but for loopback."""
    allow_loopback(monkeypatch)


@pytest.fixture(scope="session")
def checkpoint(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nano-llama as transformers reads it."""
    return write(tmp_path_factory.mktemp("checkpoint") / "nano-llama")
