"""Margins beside those of controls: against slow definitions, and what a trace is worth."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from needlework.analysis.comparisons import holm
from needlework.analysis.control_margins import Margins, Place, margins, traces
from needlework.rng import stream
from needlework.scores.cells import LIKELY, SCORES
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tasks.controls import CONTROLS
from tests.study_for_tests import small_plan

COMPARED = ["niah_single_1", "niah_multikey_1"]
TASKS = [*COMPARED, "vt", "cwe"]
SAMPLES = 14
SHIFT = {"": 3.0, "truncated": 1.0, "no-haystack": 6.0, "no-needle": -1.0}
"""The margin of a model that reads its needles, and those of its controls."""
Margin = Callable[[Cell, str, int], float | None]


@cache
def asked(**changed: Any) -> Plan:
    """Four tasks within and beyond the training length of 256, two of them with wrong values."""
    suites = {"mine": {"tasks": TASKS, "lengths": [256, 512, 1024]}}
    keys = {"controls": list(CONTROLS), "suites": suites, "models": ["nano-llama"]}
    return small_plan(**{"samples": SAMPLES, "likelihood": True, **keys, **changed})


def rows(study: Plan, margin: Margin, *, score: float = 0.0, without: str = "") -> pl.DataFrame:
    """The scores of every cell with the margins that `margin` says; None for a failed sample."""
    found = []
    for cell in study.cells():
        for task in study.tasks_of(cell) if cell.place != without else ():
            for index in range(study.study.samples):
                told = margin(cell, task, index)
                known: dict[str, Any] = {"score": score, "nats": -4.0, "nats_tokens": 2}
                if task in COMPARED and told:
                    known |= {"margin": told, "rank": 1 + (told < 0), "chance": 0.5}
                place = {**cell._asdict(), "task": task, "index": index}
                found.append(dict.fromkeys(LIKELY) | place | (known if told is not None else {}))
    return pl.DataFrame(found, schema=LIKELY)


def drawn(cell: Cell, task: str, index: int) -> float:
    """Margins that share what is of the question, and shift by control."""
    question = 5 * stream(1, task, index).gauss(0, 1)
    own = stream(2, cell.model, task, cell.length, index).gauss(0, 1)
    return SHIFT[cell.model.partition("+")[2]] + question + own


def compared(study: Plan, frame: pl.DataFrame) -> dict[Place, tuple[Margins, ...]]:
    return margins(frame, grid=study.grid(), asked=study.study.controls, cells=study.controls)


ROWS = rows(asked(), drawn)


def line(
    length: int,
    task: str | None = None,
    found: dict[Place, tuple[Margins, ...]] | None = None,
) -> Margins:
    """What is told of a task; of all that are compared, where none is named."""
    told = compared(asked(), ROWS) if found is None else found
    (one,) = [each for each in told["nano-llama", "mine", length] if each.task == task]
    return one


def margins_of(run: str, length: int, task: str) -> np.ndarray:
    own = ROWS.filter(pl.col("model") == run, pl.col("length") == length, pl.col("task") == task)
    return own.sort("index")["margin"].to_numpy()


def gaps(control: str, length: int, task: str) -> np.ndarray:
    """Slowly: sample by sample, the margin minus that of the control."""
    own = margins_of("nano-llama", length, task)
    other = margins_of(f"nano-llama+{control}", length, task)
    return np.array([one - two for one, two in zip(own, other, strict=True)])


def test_lines_are_those_of_compared_tasks_together_and_of_each_task() -> None:
    found = compared(asked(), ROWS)
    assert [each.task for each in found["nano-llama", "mine", 512]] == [None, *TASKS]
    assert [key[2] for key in found] == [256, 512, 1024]


@pytest.mark.parametrize("control", ["truncated", "no-needle"])
@pytest.mark.parametrize("task", COMPARED)
def test_a_difference_is_that_of_pairs(control: Any, task: str) -> None:
    """Slowly: Student's interval and test of the differences of one task."""
    beside = line(512, task).beside(control)
    assert beside
    assert beside.more
    wanted = gaps(control, 512, task)
    test = stats.ttest_1samp(wanted, 0)
    limits = test.confidence_interval(0.95)
    more = beside.more.nats
    assert more.value == pytest.approx(wanted.mean())
    assert (more.low, more.high) == pytest.approx((limits.low, limits.high))
    assert beside.more.p_value == pytest.approx(test.pvalue, rel=1e-5)
    assert beside.more.pairs == SAMPLES


def test_a_difference_over_tasks_is_that_of_a_bootstrap_of_questions() -> None:
    """Slowly: questions drawn with replacement, each with the margins of both sides."""
    wanted = np.concatenate([gaps("no-needle", 1024, task) for task in COMPARED])
    generator, count = np.random.default_rng(3), len(wanted)
    means = [generator.choice(wanted, count).mean() for _ in range(4000)]
    low, high = np.quantile(means, [0.025, 0.975])
    beside = line(1024).beside("no-needle")
    assert beside
    assert beside.more
    more = beside.more.nats
    assert more.value == pytest.approx(wanted.mean())
    # Of 28 questions Student's interval is 6 % wider than a bootstrap; the rest is noise.
    assert (more.low, more.high) == pytest.approx((low, high), abs=0.08 * (high - low))


def test_pairs_narrow_the_interval() -> None:
    """What is of the question, or of its wrong values, is in both margins."""
    one = line(512)
    beside = one.beside("no-needle")
    assert beside
    assert beside.more
    assert beside.told
    assert one.own.margin
    assert beside.told.margin
    apart = [
        float(each.high or 0) - float(each.low or 0)
        for each in (one.own.margin, beside.told.margin)
    ]
    together = float(beside.more.nats.high or 0) - float(beside.more.nats.low or 0)
    assert together < 0.5 * np.hypot(*apart)


def test_p_values_are_corrected_together() -> None:
    tested = [
        each.more
        for lines in compared(asked(), ROWS).values()
        for one in lines
        for each in one.controls
        if each.more
    ]
    # Two tasks and both together: truncated at two lengths, without needle at three.
    assert len(tested) == 3 * (2 + 3)
    wanted = holm([each.p_value for each in tested])
    assert [each.corrected for each in tested] == pytest.approx(wanted, rel=1e-5)


def test_what_a_control_does_not_have_is_told() -> None:
    same = line(256, COMPARED[0]).beside("truncated")
    assert same
    assert (same.state, same.told, same.more) == ("same prompts", line(256, COMPARED[0]).own, None)
    bare = line(256, COMPARED[0]).beside("no-haystack")
    assert bare
    # The wrong values are those of the longest length, so there are no pairs.
    assert (bare.state, bare.more) == ("measured", None)
    assert bare == line(1024, COMPARED[0]).beside("no-haystack")
    listed = line(512, "cwe").beside("no-haystack")
    assert listed
    assert (listed.state, listed.told) == ("none", None)


def test_a_task_without_wrong_values_has_a_likelihood_alone() -> None:
    one = line(512, "vt")
    assert (one.own.margin, one.own.first, one.chance) == (None, None, None)
    assert one.own.nats_per_token.value == -2.0
    assert [(each.state, each.more) for each in one.controls] == [("measured", None)] * 3


def test_failed_samples_are_no_pairs() -> None:
    """Three failed in the control, two others in the cell itself."""

    def some(cell: Cell, task: str, index: int) -> float | None:
        lost = {"nano-llama": (3, 4), "nano-llama+no-needle": (0, 1, 2)}.get(cell.model, ())
        return None if index in lost else drawn(cell, task, index)

    one = line(512, COMPARED[0], compared(asked(), rows(asked(), some))).beside("no-needle")
    assert one
    assert one.more
    assert one.more.pairs == SAMPLES - 5
    wanted = np.delete(gaps("no-needle", 512, COMPARED[0]), range(5))
    assert one.more.nats.value == pytest.approx(wanted.mean())


def test_what_is_not_computed_is_told() -> None:
    frame = rows(asked(), drawn, without="nano-llama+no-needle/mine/512")
    found = compared(asked(), frame)
    one = line(512, found=found).beside("no-needle")
    assert one
    assert (one.state, one.told, one.more) == ("not computed", None, None)
    assert compared(asked(), ROWS.select(list(SCORES))) == {}


def test_a_trace_is_told_where_answers_are_all_wrong() -> None:
    """One task leaves a trace for certain, the other none."""

    def traced(cell: Cell, task: str, index: int) -> float:
        own = stream(4, cell.model, task, cell.length, index).gauss(0, 1)
        return own + (2.0 if task == COMPARED[0] and "+" not in cell.model else 0.0)

    models = asked().shown()
    (one,) = traces(compared(asked(), rows(asked(), traced)), models, "mine")
    assert (one.model.name, one.wrong) == ("nano-llama", 2)
    assert [(task, length) for task, length, _ in one.left] == [(COMPARED[0], 1024)]
    assert one.left[0][2].value == pytest.approx(2, abs=1)
    right = compared(asked(), rows(asked(), traced, score=0.5))
    assert traces(right, models, "mine") == []


def test_needles_without_a_trace_are_rarely_told() -> None:
    """In at most one study of twenty, whatever the number of tasks and lengths."""
    suites = {"mine": {"tasks": COMPARED, "lengths": [256, 512]}}
    study = small_plan(
        samples=10, likelihood=True, controls=["no-needle"], suites=suites, models=["nano-llama"]
    )
    told, studies = 0, 60
    for seed in range(studies):

        def guessed(cell: Cell, task: str, index: int, seed: int = seed) -> float:
            return stream(seed, cell.model, task, cell.length, index).gauss(0, 2)

        (one,) = traces(compared(study, rows(study, guessed)), study.shown(), "mine")
        told += bool(one.left)
    # Three standard errors of 60 studies above one in twenty.
    assert told <= studies * (0.05 + 3 * np.sqrt(0.05 * 0.95 / studies))
