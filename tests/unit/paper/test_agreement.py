"""Agreement: every printed number finds its own estimate, and chance alone is no disagreement."""

from pathlib import Path

import numpy as np
import pytest

from needlework.errors import RecordError
from needlework.paper.agreement import Agreement, agreements
from needlework.paper.audit import describe
from needlework.paper.comparison_page import compared
from needlework.paper.evidence import Published, read_models
from needlework.paper.published import read_tables
from needlework.rng import stream_seed
from needlework.statistics.contrasts import difference, interval
from needlework.statistics.means import Estimate, wilson
from needlework.study.shown import ShownModel

NUMBERS = read_tables(Path("resources/published"))
PAPER = Published(NUMBERS, samples=250)
MODELS = read_models(Path("config/models.yaml"), PAPER)


class Near(Published):
    """A study that measured what is printed, but for one cell and one length."""

    def task(self, model: ShownModel, task: str, length: int) -> Estimate:
        if length == 1024:
            raise RecordError("not measured")
        if (model.name, task, length) == ("rwkv6", "vt", 2048):
            return wilson(0.9, count=250)
        return super().task(model, task, length)


def test_a_number_agrees_with_itself_wherever_it_stands() -> None:
    found = list(agreements(NUMBERS, PAPER, MODELS, samples=250))
    wanted = [number for number in NUMBERS if not number.is_average]
    assert [one.number for one in found] == wanted
    assert all(one.is_inside for one in found)
    tables = {one.number.table for one in found}
    assert tables == {1, 2, 3, 4, *range(6, 19)}


def test_ours_is_the_estimate_of_the_same_place() -> None:
    """All but Table 1 is taken as printed; Table 1 is the mean of the printed tasks."""
    for one in agreements(NUMBERS, PAPER, MODELS, samples=250):
        slack = 0.011 if one.number.table == 1 else 1e-9
        assert 100 * one.ours.mean == pytest.approx(float(one.number.value), abs=slack)


def test_a_difference_beyond_chance_is_outside() -> None:
    study = Near(NUMBERS, samples=250)
    found = [one for one in agreements(NUMBERS, study, MODELS, samples=250) if not one.is_inside]
    assert [describe(one.number) for one in found] == ["Table 14, RWKV, vt, 2048 tokens"]


def test_what_was_not_measured_is_left_out() -> None:
    study = Near(NUMBERS, samples=250)
    found = agreements(NUMBERS, study, MODELS, samples=250)
    assert not any(one.number.table > 5 and one.number.length == 1024 for one in found)


def test_inside_means_within_both_intervals_together() -> None:
    """40 % and 48 % of 250: neither interval holds the other mean, yet chance explains both."""
    number = next(one for one in NUMBERS if one.table == 17)
    ours, theirs = wilson(0.48, count=250), wilson(0.40, count=250)
    found = Agreement(number, ours, theirs, difference(interval(ours), interval(theirs)))
    assert not theirs.low <= ours.mean <= theirs.high
    assert found.is_inside


def test_equal_studies_are_outside_as_rarely_as_stated() -> None:
    """Both sides draw 250 answers from the same rate: one in twenty is outside."""
    draws = np.random.default_rng(stream_seed(0, "agreement"))
    number = NUMBERS[0]
    outside = 0
    for _ in range(1000):
        ours, theirs = (
            wilson(hits / 250, count=250) for hits in draws.binomial(250, 0.35, size=2).tolist()
        )
        gap = difference(interval(ours), interval(theirs))
        outside += not Agreement(number, ours, theirs, gap).is_inside
    assert 0.03 <= outside / 1000 <= 0.07


def test_of_two_wordings_only_rulers_has_published_numbers() -> None:
    """A run is called by its model and its wording, which no published table prints."""
    spoken = {
        wording: [each.model_copy(update={"name": f"{each.name}+{wording}"}) for each in MODELS]
        for wording in ("ruler", "plain")
    }
    known = list(agreements(NUMBERS, PAPER, MODELS, samples=250))
    assert list(agreements(NUMBERS, PAPER, spoken["ruler"], samples=250)) == known
    assert not list(agreements(NUMBERS, PAPER, spoken["plain"], samples=250))
    lines = compared(2, NUMBERS, PAPER, [*spoken["plain"], *spoken["ruler"]], samples=250)
    assert {line.verdict for line in lines} == {"inside"}
