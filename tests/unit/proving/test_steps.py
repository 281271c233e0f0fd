"""What is proven: every kind of layer and every shape of the paper, once."""

import json
from pathlib import Path

import pytest

from needlework.cost.published import CHECKPOINTS
from needlework.models.config import DecoderConfig
from needlework.proving.steps import (
    CONVOLVED,
    FULL,
    NANO,
    SCALES,
    TOY,
    Scale,
    distinct,
    layers,
    steps,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
def test_a_step_has_a_name_of_its_own(scale: Scale) -> None:
    names = [step.name for step in steps(scale, build=True)]
    assert len(names) == len(set(names))
    assert not any("/" in name or " " in name for name in names)


def test_all_eight_checkpoints_are_measured_and_no_shape_twice() -> None:
    shapes = distinct(FULL)
    assert sorted(name for names in shapes.values() for name in names) == sorted(CHECKPOINTS)
    assert len(CHECKPOINTS) == 8
    assert len(shapes) == 7
    measured = [step.subject for step in steps(FULL, build=False) if step.kind == "speed"]
    assert measured == list(shapes)


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
def test_every_kind_of_layer_is_checked(scale: Scale) -> None:
    kinds = {
        "selective scan",
        "diagonal scan",
        "time mixing",
        "attention",
        "windowed attention",
        CONVOLVED,
    }
    assert set(layers(scale)) == kinds
    for kind in ("kernels", "long"):
        subjects = [step.subject for step in steps(scale, build=False) if step.kind == kind]
        assert set(subjects) == kinds
        assert subjects[-1] == CONVOLVED


def test_toy_sizes_are_those_of_the_nano_models() -> None:
    """So that what is measured on a CPU is what their jobs will do."""
    for checkpoint, spec in TOY.models.items():
        assert checkpoint.startswith(NANO)
        raw = json.loads((ROOT / checkpoint / "config.json").read_text())
        assert DecoderConfig.model_validate(raw) == spec


def test_what_is_asked_for_at_full_size_is_there() -> None:
    assert FULL.lengths == (1024, 2048, 4096, 8192, 16384)
    assert FULL.rows == (1, 32, 128)
    assert FULL.long == (65_536, 131_072)
    assert {1, 63, 64, 65, 300, 2048} <= set(FULL.tokens)


def test_the_most_important_steps_fit_into_twelve_minutes() -> None:
    """On an A100: those beside each other take as long as the longest of them."""
    wanted = ("facts", "build", "kernels", "peaks", "speed")
    first = [step for step in steps(FULL, build=True) if step.kind in wanted]
    beside = max(step.seconds for step in first if step.beside)
    assert beside + sum(step.seconds for step in first if not step.beside) <= 12 * 60
