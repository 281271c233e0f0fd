"""Rank and margin from the log-likelihoods that a prediction holds."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlework.errors import RecordError
from needlework.files import read_records, write_records
from needlework.records import Continuation, Likelihood, PlacedDetail, Prediction
from needlework.scores import cells
from needlework.scores.cells import LIKELY, read_scores
from needlework.scores.diagnoses import read_diagnoses, read_likelihoods
from needlework.scores.likelihood import LIKELIHOOD, columns
from tests.whole_study_for_tests import collect, make_study

NATS = st.lists(st.integers(-8, 0), min_size=1, max_size=4)
CELL = "nano-llama/ruler/128"


def texts(nats: list[int], word: str) -> tuple[Continuation, ...]:
    return tuple(
        Continuation(text=f"{word} {place}", tokens=place + 1, nats=float(value))
        for place, value in enumerate(nats)
    )


@given(NATS, NATS)
def test_rank_and_margin_are_those_of_a_sorted_list(right: list[int], wrong: list[int]) -> None:
    """By definition: all texts sorted, wrong ones first where they are as likely."""
    found = columns(Likelihood(references=texts(right, "r"), distractors=texts(wrong, "w")))
    order = sorted([(-nats, 0) for nats in wrong] + [(-max(right), 1)])
    place = order.index((-max(right), 1))
    assert found["rank"] == place + 1
    best_wrong = min(nats for nats, is_right in order if not is_right)
    assert found["margin"] == best_wrong + max(right)
    assert (found["margin"] > 0) == (found["rank"] == 1)
    assert found["nats"] == max(right)
    assert found["nats_tokens"] == right.index(max(right)) + 1
    assert found["chance"] == len(right) / (len(right) + len(wrong))


def test_without_distractors_there_is_neither_rank_nor_margin() -> None:
    found = columns(Likelihood(references=texts([-3], "r"), distractors=()))
    assert found == {
        "nats": -3.0,
        "nats_tokens": 1,
        "rank": None,
        "margin": None,
        "chance": None,
        "apart": False,
    }
    assert columns(None) == dict.fromkeys(LIKELIHOOD)


def told(answer: Prediction, number: int) -> Prediction:
    """The same with likelihoods, of which the first of every task has no distractor."""
    right = tuple(
        Continuation(text=each, tokens=1, nats=-float(number % 5)) for each in answer.outputs
    )
    found = Likelihood(references=right, distractors=wrong_texts(answer.index))
    return answer.model_copy(update={"likelihood": None if answer.error else found})


def wrong_texts(index: int) -> tuple[Continuation, ...]:
    return texts([-4, -2], "w") if index else ()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of which one cell says how likely its references are."""
    plan = make_study(tmp_path, samples=3, models=("nano-llama",))
    folder = tmp_path / "nano"
    for task in plan.tasks["ruler"]:
        path = folder / f"data/nano-base/128/{task}.details.jsonl"
        details = [
            each.model_copy(
                update={"distractors": tuple(word.text for word in wrong_texts(each.index))}
            )
            for each in read_records(path, PlacedDetail)
        ]
        write_records(path, details)
    path = folder / f"predictions/{CELL}.jsonl"
    answers = read_records(path, Prediction)
    write_records(path, [told(each, number) for number, each in enumerate(answers)])
    cells.score_cell(
        path,
        folder / f"scores/{CELL}.parquet",
        cell=plan.grid().cell(CELL),
        tasks=plan.tasks["ruler"],
        samples=3,
    )
    collect(plan, folder)
    return folder


def test_scores_and_diagnoses_have_the_columns_of_likelihoods(study: Path, tmp_path: Path) -> None:
    """Other cells of the study, whose samples all failed, have nothing in them."""
    scores = read_scores(study / f"scores/{CELL}.parquet")
    assert scores.schema == LIKELY
    assert scores["nats"].max() == 0
    assert scores.filter(pl.col("rank") == 1).height > 0
    whole = pl.read_parquet(study / "scores.parquet")
    assert whole.schema == LIKELY
    assert (
        whole.filter(pl.col("length") > 128)["nats"].null_count()
        == whole.filter(pl.col("length") > 128).height
    )
    grid = make_study(tmp_path / "again", samples=3, models=("nano-llama",)).grid()
    diagnoses = read_likelihoods(study / "diagnosis.parquet", grid)
    place = ["model", "suite", "task", "length", "index"]
    assert diagnoses.select(*place, *LIKELIHOOD).equals(whole.select(*place, *LIKELIHOOD))


def test_a_study_that_asks_for_none_has_none(tmp_path: Path) -> None:
    plan = make_study(tmp_path, samples=3, models=("nano-llama",))
    path = tmp_path / "nano/diagnosis.parquet"
    assert "nats" not in read_diagnoses(path, plan.grid()).columns
    with pytest.raises(RecordError, match="holds no likelihoods; set likelihood: true"):
        read_likelihoods(path, plan.grid())


def test_likelihoods_of_other_texts_are_refused(study: Path, tmp_path: Path) -> None:
    """Who makes the wrong values easy makes margins large."""
    path = study / f"predictions/{CELL}.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"text": "w 0"', '"text": "w 9"', 1), encoding="utf-8")
    plan = make_study(tmp_path / "again", samples=3, models=("nano-llama",))
    with pytest.raises(RecordError, match=f"{CELL}.jsonl: .* answers no sample of the study"):
        collect(plan, study)


@pytest.mark.parametrize(
    ("name", "value"), [("nats", 0.5), ("rank", 0), ("margin", 1.0), ("chance", 1.5)]
)
def test_what_cannot_be_is_named(study: Path, name: str, value: float) -> None:
    path = study / f"scores/{CELL}.parquet"
    frame = read_scores(path)
    wrong = pl.when(pl.col("rank") == 2).then(value).otherwise(pl.col(name))
    frame.with_columns(wrong.cast(LIKELY[name]).alias(name)).write_parquet(path)
    with pytest.raises(RecordError, match=rf"128.parquet: .* has {name} "):
        read_scores(path)
