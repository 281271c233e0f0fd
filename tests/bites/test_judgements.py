"""Would we notice? Judges that were made careless, and the tests that catch them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from needlework.analysis import comparisons, depth_effects, findings
from needlework.artifact import belonging, checks, unpacking
from needlework.paper import audit as auditing
from needlework.paper import granularity, published, verdicts
from needlework.records import Likelihood
from needlework.report import charts
from needlework.scores import failures
from needlework.statistics import clusters, contrasts, resampling
from needlework.statistics.means import estimate
from tests.laws import test_statistics
from tests.unit.analysis import test_depth_effects, test_findings, test_why
from tests.unit.artifact import test_review
from tests.unit.artifact.conftest import archive, finished, study
from tests.unit.paper import test_audit, test_claims, test_verdicts
from tests.unit.report import test_charts
from tests.unit.scores import test_failures, test_likelihood

__all__ = ["archive", "finished", "study"]


def always(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def test_an_audit_that_forgets_partial_credit_raises_false_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granularity, "REFERENCES", {})
    with pytest.raises(AssertionError):
        test_audit.test_clean_tables_pass(tmp_path, 0)


def test_an_audit_that_gives_all_numbers_the_decimals_of_one_raises_false_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "COMMON", 0)
    with pytest.raises(AssertionError):
        test_audit.test_a_number_with_more_decimals_accuses_no_other(tmp_path)


def test_an_audit_that_believes_every_number_misses_the_paper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditing, "is_possible", always(True))
    with pytest.raises(AssertionError):
        test_audit.test_the_paper_has_exactly_the_known_defects()


def test_a_claim_that_ignores_its_missing_cells_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = verdicts.carry_out

    def careless(*arguments: Any) -> Any:
        return whole(*arguments)[0], []

    monkeypatch.setattr("needlework.paper.claims.carry_out", careless)
    with pytest.raises(AssertionError):
        test_claims.test_a_missing_cell_is_named_and_supports_nothing()


def test_pairs_that_are_not_corrected_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "holm", list)
    with pytest.raises(AssertionError):
        test_findings.test_all_pairs_are_corrected_together()


def test_shared_needles_that_count_as_many_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def each_row(rows: Any) -> comparisons.Comparison:
        first, second = rows["score"].to_list(), rows["score_other"].to_list()
        estimates = findings.estimate(first), findings.estimate(second)
        return comparisons.compare(first, second, estimates=estimates)

    monkeypatch.setattr(findings, "_comparison", each_row)
    with pytest.raises(AssertionError):
        test_findings.test_samples_that_share_a_needle_count_as_one()


@pytest.mark.parametrize(
    ("module", "skipped", "caught"),
    [
        (checks, "differences", test_review.test_one_changed_prediction_is_named_with_its_sample),
        (checks, "answers", test_review.test_easier_references_are_named),
        (checks, "pages", partial(test_review.test_a_retouched_figure_is_named, suffix=".pdf")),
        (belonging, "strange", test_review.test_a_page_that_nothing_makes_is_named),
        (checks, "made", test_review.test_weights_that_failed_their_comparison_are_named),
    ],
    ids=["stored scores", "references", "pages", "strange pages", "verifications"],
)
def test_a_review_that_trusts_what_it_should_check_is_caught(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    skipped: str,
    caught: Callable[[Path, Path], None],
) -> None:
    monkeypatch.setattr(module, skipped, always(iter(())))
    with pytest.raises(AssertionError):
        caught(study, tmp_path)


def test_an_archive_that_is_unpacked_unseen_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_leads_outside", always(False))
    with pytest.raises(AssertionError):
        test_review.test_a_path_outside_is_refused_before_anything_is_written(tmp_path)


def test_pictures_in_a_random_order_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "_ordered", lambda pdf: pdf)
    with pytest.raises(AssertionError):
        test_charts.test_equal_charts_give_equal_files(tmp_path)


def test_models_told_apart_by_colour_alone_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "SHAPES", ("circle",))
    monkeypatch.setattr(charts, "DASHES", ((1, 0),))
    with pytest.raises(AssertionError):
        test_charts.test_who_sees_no_colour_sees_shapes_and_dashes()


def test_clusters_that_count_as_samples_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "clustered", lambda scores, _: estimate(scores))
    with pytest.raises(AssertionError):
        test_statistics.test_19_of_20_intervals_of_clusters_hold_the_truth(0.5, 4)


def test_margins_of_clusters_that_count_as_samples_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = clusters.clustered_mean
    monkeypatch.setattr(
        clusters, "clustered_mean", lambda values, _: honest(values, range(len(values)))
    )
    with pytest.raises(AssertionError):
        test_statistics.test_19_of_20_intervals_of_numbers_in_clusters_hold_the_truth(4)


@pytest.mark.parametrize("name", ["rank", "margin"])
def test_a_rank_that_favours_the_reference_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tie told as won, and a margin over the least likely distractor."""
    honest = test_likelihood.columns

    def kind(likelihood: Likelihood) -> dict[str, Any]:
        found = honest(likelihood)
        wrong = [each.nats for each in likelihood.distractors]
        kinder = {
            "rank": 1 + sum(nats > found["nats"] for nats in wrong),
            "margin": found["nats"] - min(wrong),
        }
        return found | {name: kinder[name]}

    monkeypatch.setattr(test_likelihood, "columns", kind)
    with pytest.raises(AssertionError):
        test_likelihood.test_rank_and_margin_are_those_of_a_sorted_list()


def test_needles_that_count_once_for_each_depth_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("needlework.analysis.why.clustered", lambda scores, _: estimate(scores))
    with pytest.raises(AssertionError):
        test_why.test_needles_that_are_shared_count_as_one()


@pytest.mark.parametrize("kind", ["another needle", "near miss", "repetition"])
def test_a_taxonomy_that_forgets_a_kind_is_caught(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = failures.wrong_kind

    def blind(*arguments: Any) -> str:
        found = whole(*arguments)
        return "no value" if found == kind else found

    monkeypatch.setattr(test_failures, "wrong_kind", blind)
    caught = 0
    for case in test_failures.LABELLED:
        try:
            test_failures.test_a_wrong_answer_is_what_a_reader_calls_it(case)
        except AssertionError:
            caught += 1
    assert caught


def test_cells_that_draw_apart_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mean with draws of its own: pairs are lost."""
    whole = resampling.Questions.mean

    def apart(self: Any, group: str, scores: Any, *, address: Any) -> Any:
        return whole(self, f"{group}/{address}", scores, address=address)

    monkeypatch.setattr(resampling.Questions, "mean", apart)
    with pytest.raises(AssertionError):
        test_statistics.test_pairs_narrow_a_difference()


def test_a_bootstrap_that_collapses_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "BORROWED", 0)
    with pytest.raises(AssertionError):
        test_statistics.test_what_is_full_keeps_a_width_and_no_more_than_there_is()


def test_a_middle_beside_the_mean_of_both_ends_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index as it was: a window's edge is below the mean of both ends."""

    def once(scores: Any, **_: Any) -> Any:
        inside = contrasts.average([scores[depth] for depth in (40, 50, 60)])
        ends = contrasts.average([scores[depth] for depth in (0, 100)])
        return depth_effects.Middle(*[contrasts.difference(inside, ends)] * 2)

    monkeypatch.setattr(test_depth_effects, "lost_in_the_middle", once)
    with pytest.raises(AssertionError):
        test_depth_effects.test_a_step_or_a_slope_is_no_lost_middle((0, 0, 0, 0, 0, 1, 1))


def test_unions_without_correction_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "widened", lambda found, **_: found)
    with pytest.raises(AssertionError):
        test_verdicts.test_a_union_widens_its_intervals_and_an_intersection_does_not()


def test_full_scores_that_decide_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "CEILING", 1.1)
    with pytest.raises(AssertionError):
        test_claims.test_full_scores_cannot_test_a_lost_middle()
