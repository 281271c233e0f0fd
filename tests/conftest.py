"""One thread, no network, and one way to reach the reference material."""

import gc
import os
import socket
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
# What one process compiled serves all others, of which tests start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

sys.dont_write_bytecode = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker takes files whole, so that what a file sets up is set up once, and first those
    that take long: what waits for Slurm, then what runs Snakemake.
    """
    if hasattr(config, "workerinput"):
        for item in items:
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool]:
    """Where a test stands among others: False comes before True."""
    (group,) = item.get_closest_marker("xdist_group").args
    return group != "slurm", "workflow" not in item.path.parts


def pytest_collection_finish() -> None:
    """Thousands of tests stay in memory to the end; no collection looks through them again.

    The engine collects garbage wherever memory ran out, which took longer than what was tested.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material; else a skip that says why, and in CI a failure."""
    value = os.environ.get("NEEDLEWORK_SHARED")
    if value and Path(value).is_dir():
        return Path(value)
    reason = "set NEEDLEWORK_SHARED to the folder with golden/, fixtures/ and mirror/"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails at once."""

    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(f"a test tried to connect to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
