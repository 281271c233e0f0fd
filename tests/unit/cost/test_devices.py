"""The table of devices: complete, consistent with what their makers state, and found by name."""

from typing import get_args

import pytest

from needlework.commands.planning import plan
from needlework.cost.devices import DEVICES, DeviceName, of_gpu


def test_every_device_can_be_asked_for() -> None:
    (option,) = (each for each in plan.params if each.name == "device")
    assert (
        set(DEVICES) == set(get_args(DeviceName)) == set(option.to_info_dict()["type"]["choices"])
    )


@pytest.mark.parametrize("name", [name for name in DEVICES if name != "cpu"])
def test_a_gpu_has_figures_and_a_source(name: DeviceName) -> None:
    """Dense products in half precision are well over ten times those of float32 without TF32."""
    device = DEVICES[name]
    assert device.name == name
    assert 10 < device.half_flops / device.single_flops < 20
    assert 1e12 < device.bandwidth < 1e13
    assert "data sheet" in device.source


@pytest.mark.parametrize(
    ("title", "mebibytes", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", 81_920, "a100-80gb"),
        ("NVIDIA A100 80GB PCIe", 81_920, "a100-80gb"),
        ("NVIDIA A100-SXM4-40GB", 40_960, None),
        ("NVIDIA H100 80GB HBM3", 81_559, "h100-80gb"),
        ("NVIDIA H100 NVL", 95_830, None),
        ("NVIDIA H200", 143_771, "h200"),
        ("NVIDIA GH200 480GB", 97_871, None),
        ("Tesla V100-SXM2-32GB", 32_768, None),
    ],
)
def test_a_gpu_is_found_by_its_name_and_memory(
    title: str, mebibytes: int, name: str | None
) -> None:
    """An A100 of 40 GB was taken for one of 80, and a GH200 for an H200."""
    found = of_gpu(title, mebibytes << 20)
    assert (found.name if found else None) == name
