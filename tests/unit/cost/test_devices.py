"""The table of devices: complete, and consistent with what their makers state."""

from typing import get_args

import pytest

from needlework.commands.planning import plan
from needlework.cost.devices import DEVICES, DeviceName


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
