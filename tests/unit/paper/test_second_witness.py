"""The second witness: against its definition summed slowly, and what it says of made-up models."""

import csv
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from needlework.artifact.bundle import STUDY
from needlework.artifact.rendering import Again
from needlework.cli import cli
from needlework.errors import RecordError
from needlework.paper.claims import judge
from needlework.paper.evidence import OfSamples
from needlework.paper.outputs import OUTPUTS
from needlework.paper.second_witness import OfLikelihoods, read_second_witness
from needlework.rng import stream
from needlework.scores.cells import LIKELY, SCORES, estimated
from needlework.scores.estimates import Scores
from needlework.scores.paired import Paired
from needlework.study.plan import Plan
from tests.study_for_tests import small_plan
from tests.whole_study_for_tests import fill

SUITES = {suite: {"lengths": [128, 256, 512]} for suite in ("ruler", "depth")}
PLAN = small_plan(suites=SUITES, likelihood=True, samples=12)
NEEDLES = [each.name for each in PLAN.grid().suites["ruler"].tasks if each.distractors]
First = Callable[[str, str, int], float]
"""How often the reference comes first, by model, task and length."""


def rows(plan: Plan, first: First, *, failed: int = 0) -> pl.DataFrame:
    """Samples whose answers are all wrong; the last `failed` of each task have no likelihood."""
    found = []
    for cell in plan.cells():
        for asked in plan.grid().suites[cell.suite].tasks:
            draw = stream(3, cell.model, asked.name, cell.length)
            for index in range(plan.study.samples):
                is_first = draw.random() < first(cell.model, asked.name, cell.length)
                row = {**cell._asdict(), "task": asked.name, "index": index, "score": 0.0}
                if index >= plan.study.samples - failed:
                    row["score"] = None
                elif asked.distractors:
                    row |= {"rank": 1 if is_first else 2, "chance": chance_of(asked.name)}
                found.append(row)
    return pl.DataFrame(found, schema=LIKELY)


def chance_of(task: str) -> float:
    """What guessing finds: a fifth of the keys, four fifths of several values, else half."""
    return 0.8 if "value" in task or "query" in task else 0.2 if "multikey" in task else 0.5


def knows(model: str, task: str, length: int) -> float:
    return 0.9


def guesses(model: str, task: str, length: int) -> float:
    return chance_of(task)


def test_it_is_the_definition_summed_slowly() -> None:
    """Of all tasks that have wrong values, failed samples among them: never first."""
    (model, *_), frame = PLAN.shown(), rows(PLAN, knows, failed=2)
    found = OfLikelihoods(frame, PLAN.grid(), seed=1).ruler(model, 256)
    shares, chances = [], []
    for task in NEEDLES:
        ranks = frame.filter(
            pl.col("model") == model.name,
            pl.col("suite") == "ruler",
            pl.col("task") == task,
            pl.col("length") == 256,
        )["rank"].to_list()
        shares.append(sum(rank == 1 for rank in ranks) / len(ranks))
        chances.append(chance_of(task))
    chance = sum(chances) / len(chances)
    assert len(NEEDLES) == 8
    assert found.value == pytest.approx((sum(shares) / len(shares) - chance) / (1 - chance))
    assert found.low < found.value < found.high <= 1


@pytest.mark.parametrize(("first", "shown"), [(guesses, 0.0), (lambda *_: 1.0, 1.0)])
def test_who_guesses_shows_nothing_and_who_knows_all_shows_all(first: First, shown: float) -> None:
    """Whatever the chance of a task is; uncorrected, guessing would look like half of knowing."""
    plan = small_plan(suites={"ruler": {"lengths": [256]}}, likelihood=True, samples=40)
    witness = OfLikelihoods(rows(plan, first), plan.grid(), seed=1)
    found = witness.ruler(plan.shown()[0], 256)
    assert found.low <= shown <= found.high
    assert found.high - found.low < 0.4


def test_it_sees_under_the_floor_of_exact_match() -> None:
    """No answer is right. One model still knows half as much beyond its length, the other all."""
    plan = small_plan(suites=SUITES, likelihood=True, samples=30)

    def first(model: str, task: str, length: int) -> float:
        chance = chance_of(task)
        kept = 0.2 if model == "nano-llama" and length > 256 else 0.9
        return chance + kept * (1 - chance)

    frame = rows(plan, first)
    scores = frame.select(SCORES.names())
    evidence = OfSamples(Paired(scores, Scores(estimated(scores), plan.grid()), seed=1))
    second = OfLikelihoods(frame, plan.grid(), seed=1)
    results = {each.claim.id: each for each in judge(evidence, plan.shown(), second=second)}
    assert results["C2"].verdict is None
    assert results["C2"].second
    assert results["C2"].second.verdict == "supported"
    assert results["C6"].second
    assert results["C6"].second.verdict == "contradicted"


def test_a_share_below_chance_keeps_no_share_of_it() -> None:
    """What may be less than guessing gives is no whole of which a share is kept."""
    evidence = OfLikelihoods(rows(PLAN, lambda *_: 0.0), PLAN.grid(), seed=1)
    results = {each.claim.id: each for each in judge(evidence, PLAN.shown())}
    assert results["C2"].verdict is None
    assert "may come first by chance alone" in results["C2"].missing[0]


def test_where_all_samples_of_a_task_failed_nothing_is_known() -> None:
    frame = rows(PLAN, knows, failed=PLAN.study.samples)
    for each in (frame, frame.select(SCORES.names())):
        witness = OfLikelihoods(each, PLAN.grid(), seed=1)
        with pytest.raises(RecordError, match="nano-mamba2 on ruler at length 128: all samples"):
            witness.ruler(PLAN.shown()[0], 128)


def test_a_study_that_asks_for_none_has_none(tmp_path: Path) -> None:
    plan = small_plan(suites=SUITES)
    missing = tmp_path / "scores.parquet"
    assert read_second_witness(missing, study=plan.study, grid=plan.grid()) is None
    assert read_second_witness(tmp_path, study=PLAN.study, grid=PLAN.grid()) is None


def page(study: Path, output: Path) -> tuple[str, list[dict[str, str]]]:
    """The page of claims and its CSV file, as the command makes them of a study's folder."""
    plan = study / "plan"
    arguments = ["claims", study / "scores.parquet", output, "--explorer", "explorer.html"]
    for part in ("study", "grid", "models", "shown"):
        arguments += [f"--{part}", plan / f"{part}.json"]
    CliRunner().invoke(cli, [str(each) for each in arguments], catch_exceptions=False)
    with output.with_suffix(".csv").open() as file:
        return output.with_suffix(".md").read_text(), list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [True, False])
def test_the_page_names_it_where_it_was_asked_and_a_review_makes_the_same(
    likelihood: bool, tmp_path: Path
) -> None:
    study = tmp_path / "small"
    fill(small_plan(suites=SUITES, likelihood=likelihood, samples=4), study)
    text, lines = page(study, tmp_path / "claims")
    assert (text.count("\nSecond witness: **"), text.count("\nNo second witness: a line")) == (
        (8, 1) if likelihood else (0, 0)
    )
    assert ("second" in text) == likelihood
    assert {line.get("witness") for line in lines} == (
        {"exact match", "likelihood"} if likelihood else {None}
    )
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / STUDY).symlink_to(study, target_is_directory=True)
    again = Again(tmp_path / "artifact", study, Path("reports/templates"))
    OUTPUTS.pages(again)["claims"].make()
    for suffix in (".md", ".csv"):
        made = (study / f"claims{suffix}").read_bytes()
        assert made == (tmp_path / f"claims{suffix}").read_bytes()
