"""Where Triton keeps what it compiled: one folder for all jobs on one kind of GPU."""

import os
from pathlib import Path

import pytest
import torch

from needlework.engine.compiled import keep_compiled

VARIABLES = ("TRITON_CACHE_DIR", "TRITON_CACHE_AUTOTUNING")


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU by name alone, and no variable of Triton."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100-SXM4-80GB")
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def kept() -> dict[str, str]:
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def test_all_studies_share_what_was_compiled_for_one_kind_of_gpu(tmp_path: Path) -> None:
    output = tmp_path / "results" / "paper" / "predictions" / "m" / "ruler" / "1024.jsonl"
    keep_compiled(output, "cuda")
    folder = tmp_path / "results" / "kernels" / "NVIDIA-A100-SXM4-80GB"
    assert kept() == {"TRITON_CACHE_DIR": str(folder), "TRITON_CACHE_AUTOTUNING": "1"}


def test_what_somebody_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", "/scratch/triton")
    keep_compiled(tmp_path / "results" / "verified" / "m.json", "cuda:0")
    assert kept()["TRITON_CACHE_DIR"] == "/scratch/triton"


@pytest.mark.parametrize(
    ("place", "device"), [("results/s/verified/m.json", "cpu"), ("elsewhere/m.json", "cuda")]
)
def test_nothing_is_kept_for_a_cpu_or_outside_of_results(
    tmp_path: Path, place: str, device: str
) -> None:
    keep_compiled(tmp_path / place, device)
    assert kept() == {}
