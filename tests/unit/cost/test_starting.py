"""What a job takes before its first forward call: what it grows with, and what is said of it."""

import pytest

from needlework.cost import estimate, listing, starting
from needlework.cost.architectures import Weights
from needlework.cost.devices import DEVICES
from needlework.cost.study import planned
from tests.study_for_tests import small_plan
from tests.tasks_for_tests import ENGLISH

A100, CPU = DEVICES["a100-80gb"], DEVICES["cpu"]


def seconds(*, weights: int = 0, prompt_tokens: float = 0) -> float:
    return starting.starting_seconds(A100, weights=weights, prompt_tokens=prompt_tokens)


def test_each_part_is_what_its_number_says() -> None:
    always = starting.PROCESS_SECONDS + starting.GPU_SECONDS
    assert seconds() == always
    assert seconds(weights=5_400_000_000) == pytest.approx(always + 5.4)
    million = 10**6 / starting.TOKENS_A_SECOND
    assert seconds(prompt_tokens=53e6) == pytest.approx(always + 53 * million)


def test_a_cpu_makes_no_context() -> None:
    found = starting.starting_seconds(CPU, weights=0, prompt_tokens=0)
    assert found == starting.PROCESS_SECONDS


def test_a_cell_reads_its_own_weights_and_prompts() -> None:
    """Two bytes a parameter, and four: in float32 the same cell starts later."""
    tasks = tuple(ENGLISH.values())

    def started(dtype: str, length: int) -> float:
        weights = Weights("state-spaces/mamba2-2.7b", None, dtype, ())
        found = estimate.estimate(weights, tasks, samples=250, length=length, device=A100)
        assert found is not None
        return found.starting

    half, single = started("bfloat16", 1024), started("float32", 1024)
    assert single - half == pytest.approx(2 * 2.7e9 / starting.FILE_BYTES_A_SECOND, rel=0.01)
    assert started("bfloat16", 16_384) > half + 20


def test_small_models_start_sooner_than_large_ones_on_the_same_device() -> None:
    small = planned(small_plan(), device=A100)
    assert max(cell.starting_hours for cell in small) * 3600 < seconds(weights=5_400_000_000)


def test_what_was_measured_and_what_is_assumed_are_told_apart() -> None:
    (on_gpu,) = (
        each
        for each in listing.assumptions(["a100-80gb"], calibrated=["measured"], counted=0, cells=1)
        if "start" in each
    )
    measured, *assumed = on_gpu.split("assumed")
    assert f"{starting.PROCESS_SECONDS:g} s" in measured
    assert "M prompt tokens, measured on a CPU" in measured
    assert [each.split()[0] for each in assumed] == ["1", "15"]
    (on_cpu,) = (
        each
        for each in listing.assumptions(["cpu"], calibrated=[], counted=0, cells=1)
        if "start" in each
    )
    assert "CUDA" not in on_cpu
