"""The environments of conda hold the pins of pyproject.toml, and its extras those of commands."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KERNELS = PROJECT["optional-dependencies"]["cuda"]
TO_BUILD = {"einops", "ninja", "packaging", "setuptools", "wheel"}
"""What the kernels are built with, or import."""


def pins(name: str) -> set[str]:
    (environment,) = (
        each["pip"]
        for each in yaml.safe_load((ROOT / "envs" / name).read_text())["dependencies"]
        if isinstance(each, dict)
    )
    return {pin for pin in environment if not pin.startswith("--")}


def test_the_environment_for_cpus_is_the_project() -> None:
    expected = {re.sub(r"^(torch==.*)$", r"\1+cpu", pin) for pin in PROJECT["dependencies"]}
    assert pins("cpu.yaml") == expected


def test_the_environment_for_gpus_differs_in_torch_and_has_what_builds_kernels() -> None:
    more = pins("cuda.yaml") - set(PROJECT["dependencies"])
    assert set(PROJECT["dependencies"]) - pins("cuda.yaml") == {
        pin for pin in PROJECT["dependencies"] if pin.startswith("torch==")
    }
    names = {pin.split("==")[0] for pin in more}
    assert names == TO_BUILD | {"torch", "fla-core"}
    assert all("==" in pin for pin in more)


def test_every_kernel_is_installed_by_a_pin_of_the_extra() -> None:
    text = (ROOT / "envs/cuda.yaml").read_text()
    assert {pin.split("==")[0] for pin in KERNELS} == {
        "causal-conv1d",
        "fla-core",
        "flash-attn",
        "mamba-ssm",
    }
    for pin in KERNELS:
        assert pin in text
