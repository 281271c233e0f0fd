"""Would we notice? Controls that are none, and the tests that catch them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from needlework.analysis import control_margins
from needlework.analysis import controls as analysis
from needlework.statistics.resampling import Questions
from needlework.study import controls as of_study
from needlework.study import datasets
from needlework.tasks import controls, frequent_words, generators
from tests.unit.analysis import test_control_margins as of_margins
from tests.unit.analysis import test_controls as of_analysis
from tests.unit.study import test_controls as of_plan
from tests.unit.tasks import test_controls as of_tasks


def test_a_beginning_that_is_kept_in_place_of_the_end_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = controls._cut

    def first(sample: Any, detail: Any, *rest: Any) -> Any:
        kept, told = honest(sample, detail, *rest)
        text = sample.input[: len(kept.input)]
        return kept.model_copy(update={"input": text}), told

    monkeypatch.setattr(controls, "_cut", first)
    with pytest.raises(AssertionError):
        of_tasks.test_a_truncated_prompt_is_the_last_tokens_of_it("niah_single_2")


def test_room_for_no_answer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that reads its whole training length writes its answer beyond it."""
    monkeypatch.setattr(of_tasks, "prompt_budget", lambda spec, length, begin: length)
    with pytest.raises(AssertionError):
        of_tasks.test_a_truncated_prompt_is_the_last_tokens_of_it("niah_single_2")


def test_needles_at_the_places_of_the_whole_prompt_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = controls._cut

    def unmoved(sample: Any, detail: Any, *rest: Any) -> Any:
        kept, told = honest(sample, detail, *rest)
        count = len(told.needles)
        last = detail.needles[len(detail.needles) - count :]
        return kept, told.model_copy(update={"needles": last})

    monkeypatch.setattr(controls, "_cut", unmoved)
    with pytest.raises(AssertionError):
        of_tasks.test_needles_that_are_cut_off_are_none()


@pytest.mark.parametrize("task", ["niah_single_2", "vt", "qa_1"])
def test_a_needle_that_stays_is_caught(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = generators.plan
    monkeypatch.setattr(
        generators,
        "plan",
        lambda spec, material, item: honest(spec, material, replace(item, needle=True)),
    )
    with pytest.raises(AssertionError):
        of_tasks.test_without_needle_hay_takes_its_place(task)


def test_a_list_in_which_words_stand_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frequent_words, "_level", lambda counts: counts)
    with pytest.raises(AssertionError):
        of_tasks.test_without_needle_no_word_of_a_list_stands_out("fwe")


@pytest.mark.parametrize("control", ["no-haystack", "no-needle"])
def test_distractors_that_are_drawn_anew_are_caught(
    control: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the needles of the control itself: others, or none."""
    monkeypatch.setattr(datasets, "_own_values", lambda *_: None)
    with pytest.raises(AssertionError):
        of_tasks.test_a_control_is_compared_with_the_same_values(
            "niah_multikey_3", control, tmp_path
        )


def test_distractors_that_are_cut_off_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = controls._cut

    def bare(*arguments: Any) -> Any:
        kept, told = honest(*arguments)
        return kept, told.model_copy(update={"distractors": None})

    monkeypatch.setattr(controls, "_cut", bare)
    with pytest.raises(AssertionError):
        of_tasks.test_a_control_is_compared_with_the_same_values(
            "niah_multikey_1", "truncated", tmp_path
        )


def test_a_truncated_cell_within_the_training_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be computed twice."""
    honest = of_study._of_suite

    def every(study: Any, name: Any, entry: Any, *rest: Any) -> Any:
        return honest(study, name, entry.model_copy(update={"trained_length": 100}), *rest)

    monkeypatch.setattr(of_study, "_of_suite", every)
    with pytest.raises(AssertionError):
        of_plan.test_no_cell_is_asked_twice()


def test_tests_that_are_not_corrected_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "holm", list)
    with pytest.raises(AssertionError):
        of_analysis.test_tests_are_exact_and_corrected_together()


def test_margins_that_are_not_corrected_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_margins, "holm", list)
    with pytest.raises(AssertionError):
        of_margins.test_p_values_are_corrected_together()


def test_margins_of_two_samples_that_make_no_pair_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control's margins in another order: as good a mean, and wrong about how sure it is."""
    honest = control_margins._Study.__init__

    def mixed(self: Any, rows: pl.DataFrame, *rest: Any) -> None:
        is_control = pl.col("model").str.contains("+", literal=True)
        turned = pl.col("margin").shift(1).over("model", "suite", "length", "task")
        turned = pl.when(is_control & turned.is_not_null()).then(turned).otherwise("margin")
        honest(self, rows.with_columns(margin=turned), *rest)

    monkeypatch.setattr(control_margins._Study, "__init__", mixed)
    with pytest.raises(AssertionError):
        of_margins.test_a_difference_is_that_of_pairs("no-needle", of_margins.COMPARED[0])
    with pytest.raises(AssertionError):
        of_margins.test_pairs_narrow_the_interval()


def test_margins_that_are_always_certain_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_margins, "clustered_test", lambda *_: 0.0)
    with pytest.raises(AssertionError):
        of_margins.test_a_trace_is_told_where_answers_are_all_wrong()


def test_a_no_from_too_few_samples_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal scores of few samples say nothing: an interval without a width would say no."""
    monkeypatch.setattr(analysis, "widened", lambda found, *, choices: found._replace(high=0.0))
    with pytest.raises(AssertionError):
        of_analysis.test_equal_scores_of_many_samples_are_a_no()


def test_sides_that_are_drawn_apart_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions drawn for each side by itself lose the pairs."""
    honest = Questions.mean

    def apart(self: Questions, group: str, scores: Any, *, address: Any) -> Any:
        return honest(self, f"{group} {address}", scores, address=address)

    monkeypatch.setattr(Questions, "mean", apart)
    with pytest.raises(AssertionError):
        of_analysis.test_pairs_narrow_the_interval()
