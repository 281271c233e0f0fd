"""The kernels that are tested on a CPU are the ones that the environment for GPUs has."""

import re
from pathlib import Path

from needlework.models.kernels import KERNELS

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"([\w-]+)==([\w.]+)")
"""A pin without the local version that names a build."""


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "envs" / name).read_text()))


def test_the_same_versions_are_tested_and_used() -> None:
    tested, used = pins("kernels.txt"), pins("cuda.yaml")
    assert tested.keys() >= {kernel.package for kernel in KERNELS.values()}
    both = tested.keys() & used.keys()
    assert {"fla-core", "mamba-ssm", "causal-conv1d", "einops"} <= both
    assert {name: tested[name] for name in both} == {name: used[name] for name in both}
