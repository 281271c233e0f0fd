"""Thresholds of claims, and what counts as independent: changes to these once passed every test."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from needlework.analysis.findings import pairs
from needlework.hazards.effects import intervals
from needlework.paper import claim_tests
from needlework.paper.claims import judge
from needlework.paper.verdicts import Statistic, Witness
from needlework.report.layout import build
from needlework.statistics.means import Estimate, wilson
from needlework.study.paper import FORMAT_DEPTHS, FORMATS
from needlework.study.shown import ShownModel
from tests.published_for_tests import clean_tables
from tests.study_for_tests import right, scores_of, small_plan, table_of
from tests.unit.analysis.test_findings import scored
from tests.unit.paper.test_audit import Tables, audited
from tests.unit.paper.test_claims import MODELS, TRAINED, World

MANY = 200_000
"""Samples of a score whose interval is narrower than what is tried around a limit."""
Score = Callable[[str, str, int], float | None]
"""By model, format and length; None for what a world of true claims has."""


class Made(World):
    """A world in which some scores of single formats are set."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        found = self.score(model.name, form, length)
        if found is None:
            return super().depth(model, form, depth=depth, length=length)
        return wilson(found, count=MANY)


def statistics(claim: str, score: Score) -> list[Statistic]:
    (found,) = [each for each in judge(Made(score), MODELS) if each.claim.id == claim]
    return list(found.statistics)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("share", "keeps"), [(0.48, False), (0.52, True)])
def test_a_format_extrapolates_where_half_of_its_score_is_kept(
    form: str, share: float, keeps: bool
) -> None:
    """C6: repeated haystacks must, essays must not, and each is held against the same limit."""
    (found,) = [
        each
        for each in statistics(
            "C6",
            lambda model, asked, length: (
                (0.8 * share if length > TRAINED else 0.8)
                if (model, asked) == ("nano-mamba2", form)
                else None
            ),
        )
        if each.subject.endswith(f", {form}")
    ]
    assert found.interval.value == pytest.approx(share, abs=1e-3)
    wanted = keeps == form.startswith("repeat")
    assert found.verdict == ("supported" if wanted else "contradicted")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("score", "verdict"), [(0.045, "contradicted"), (0.055, "supported")])
def test_some_degree_is_five_percent_in_every_format(form: str, score: float, verdict: str) -> None:
    """C7: what two answers of a hundred give is no extrapolation."""
    (found,) = [
        each
        for each in statistics(
            "C7",
            lambda model, asked, length: (
                score if (model, asked) == ("nano-mamba2attn", form) and length > TRAINED else None
            ),
        )
        if each.subject.endswith(f", {form}")
    ]
    assert found.verdict == verdict
    assert claim_tests.SOME_DEGREE == 0.05


@pytest.mark.parametrize("length", [TRAINED // 2, TRAINED])
def test_within_range_are_the_training_length_and_half_of_it(length: int) -> None:
    """C7: a model that is worse at one of the two is worse by half of that."""

    def score(model: str, form: str, asked: int) -> float | None:
        if asked > TRAINED or model not in ("nano-mamba2attn", "nano-mamba2"):
            return None
        return 0.5 if (model, asked) == ("nano-mamba2attn", length) else 0.9

    (found,) = [each for each in statistics("C7", score) if " against " in each.subject]
    assert found.interval.value == pytest.approx(-0.2, abs=1e-3)
    assert found.verdict == "supported"


@pytest.mark.parametrize("better", [TRAINED // 2, 2 * TRAINED])
@pytest.mark.parametrize("form", FORMATS)
def test_the_training_length_stands_out_against_both_others(form: str, better: int) -> None:
    """C8: better than the best rival at half the length or at twice is no exact length."""

    def score(model: str, asked: str, length: int) -> float | None:
        if (model, asked) != ("nano-transformerpp", form):
            return None
        return {TRAINED: 0.6, better: 0.9}.get(length, 0.1)

    found = [each for each in statistics("C8", score) if each.subject.endswith(f", {form}")]
    elsewhere = [each for each in found if each.part == "elsewhere"]
    against, _ = sorted(elsewhere, key=lambda each: each.verdict)
    assert sorted(each.verdict for each in elsewhere) == ["contradicted", "supported"]
    rivals = [model for model in MODELS if model.name != "nano-transformerpp"]
    best = max(World().depth(each, form, depth=50, length=better).mean for each in rivals)
    assert against.interval.value == pytest.approx(0.9 - best, abs=1e-3)


def test_depths_and_lengths_that_share_their_needles_narrow_nothing() -> None:
    """A mean over them is as uncertain as one of them; over independent parts it would not be."""
    witness = Witness(Made(lambda *_: 0.5))
    found = witness.form(MODELS[0], FORMATS[0], 128, 256, 512)
    one = wilson(0.5, count=MANY)
    assert len(witness.cells) == 3 * len(FORMAT_DEPTHS)
    assert found.high - found.low == pytest.approx(one.high - one.low)


PLAN = small_plan()


def average(number: int, column: str) -> Estimate:
    """An average of a table, each of whose numbers is 5 of 10."""
    table = build(table_of(PLAN, number), scores_of(PLAN), PLAN.shown())
    entries = [entry for entry in table.rows[0].entries if getattr(entry, column) == "average"]
    assert entries[0].estimate is not None
    return entries[0].estimate


@pytest.mark.parametrize(("number", "column"), [(6, "length"), (2, "depth")])
def test_an_average_over_lengths_or_depths_is_as_uncertain_as_one_number(
    number: int, column: str
) -> None:
    found, one = average(number, column), right(5)
    if number == 2:  # Each number by depth is a mean over three formats of the same needles.
        assert found.high - found.low >= 0.99 * (one.high - one.low)
    else:
        assert (found.low, found.high) == pytest.approx((one.low, one.high))


def test_samples_that_one_model_alone_answered_are_no_pairs() -> None:
    """Thirty samples of one model and twelve of the other: twelve pairs, of those of both."""
    first, second = PLAN.shown()
    long = scored(first, "ruler", "vt", [1.0] * 12 + [0.0] * 18)
    short = scored(second, "ruler", "vt", [0.0] * 12)
    for frame, sign in ((pl.concat([long, short]), 1), (pl.concat([short, long]), 1)):
        (found,) = pairs(frame, [first, second], PLAN.grid())
        assert (found.comparison.pairs, found.comparison.discordant) == (12, 12)
        assert found.comparison.difference.value == pytest.approx(sign)


def test_strata_are_drawn_independently() -> None:
    """Effects that are opposite in two strata do not cancel in every resample."""
    effect_N = np.array([1.0, 0.0] * 20)
    (found,) = intervals([np.stack([effect_N, -effect_N])], seed=1, address=("opposite",))
    # Standard error of a mean of 40 coin flips, of two such, halved: 0.079 / sqrt(2).
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.079 / np.sqrt(2), rel=0.15)
    assert found.value == 0


def bolds(folder: Path, tables: Tables) -> list[tuple[str, str]]:
    return [(each.where, each.printed) for each in audited(folder, tables).findings]


def mark(row: dict[str, str], column: str) -> None:
    row[column] = f"**{row[column]}**"


def test_a_column_with_a_wrong_bold_number_lacks_its_best_as_well(tmp_path: Path) -> None:
    """Both are told: which is wrong, and which was forgotten."""
    tables = clean_tables(0)
    rows = sorted(
        (row for row in tables["ruler"] if row["task"] == "cwe"), key=lambda row: float(row["1024"])
    )
    lowest, *_, highest = rows
    mark(lowest, "1024")
    assert {where for where, _ in bolds(tmp_path, tables)} == {
        f"Table {row['table']}, {row['label']}, cwe, 1024 tokens" for row in (lowest, highest)
    }


def test_lengths_of_the_table_by_format_do_not_compete(tmp_path: Path) -> None:
    """At each of them something is best, however much better it is at another."""
    tables = clean_tables(0)
    for length, form in product(("1024", "2048", "4096"), FORMATS):
        rows = [row for row in tables["format"] if (row["length"], row["format"]) == (length, form)]
        mark(max(rows, key=lambda row: float(row["0"])), "0")
    assert bolds(tmp_path, tables) == []
