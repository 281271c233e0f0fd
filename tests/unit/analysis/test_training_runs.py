"""Recipes are compared over several training runs of each; one run says nothing of a recipe."""

import pytest

from needlework.analysis.comparisons import holm
from needlework.analysis.training_runs import shared_reasons, training_runs
from needlework.errors import StudyError
from needlework.scores.paired import Paired
from needlework.statistics.training_runs import difference_over_runs
from needlework.study.plan import Plan
from tests.study_for_tests import estimates, paired_of, right, small_plan
from tests.unit.analysis.test_why import rows, why

RUNS = {"nano-mamba2": (9, 9, 8), "nano-llama": (3, 4, 3), "nano-rwkv6": (9, 2, 5)}
"""How many of ten each run of a recipe answers: two that are alike, and one by luck."""


def several(runs: dict[str, tuple[int, ...]]) -> tuple[Plan, Paired]:
    """A study of so many training runs, each of which answers as many as is said."""
    entries = {
        f"{name}-seed{seed}": {
            "label": f"{name}, seed {seed}",
            "another_run_of": name,
            "family": "linear",
            "checkpoint": f"resources/nano/{name.removeprefix('nano-')}",
            "tokenizer": "nano",
            "wrapper": "base",
            "trained_length": 256,
            "licence": "Apache-2.0",
        }
        for name, hits in runs.items()
        for seed in range(1, len(hits))
    }
    plan = small_plan(
        models=[*runs, *entries],
        suites={"ruler": {"lengths": [128, 256]}},
        entries={"models": entries},
        tables="auto",
    )
    hits = {name: each[0] for name, each in runs.items()}
    hits |= {
        f"{name}-seed{seed}": count
        for name, each in runs.items()
        for seed, count in enumerate(each[1:], start=1)
    }
    return plan, paired_of(plan, estimates(plan, lambda model, *_: right(hits[model])))


def test_a_recipe_scores_the_mean_of_its_runs() -> None:
    plan, paired = several(RUNS)
    found = training_runs(paired, plan.shown(), "ruler")
    assert found is not None
    assert [(each.model.name, each.runs) for each in found.recipes] == [(n, 3) for n in RUNS]
    score = found.recipes[0].scores[256]
    assert score.mean.value == pytest.approx((0.9 + 0.9 + 0.8) / 3)
    assert (score.lowest, score.highest) == (pytest.approx(0.8), pytest.approx(0.9))


def test_a_difference_that_one_lucky_run_makes_is_not_significant() -> None:
    plan, paired = several(RUNS)
    found = training_runs(paired, plan.shown(), "ruler")
    assert found is not None
    told = {
        (pair.first.name, pair.second.name): pair.differences[256].is_significant
        for pair in found.pairs
    }
    assert told == {
        ("nano-mamba2", "nano-llama"): True,
        ("nano-mamba2", "nano-rwkv6"): False,
        ("nano-llama", "nano-rwkv6"): False,
    }


def test_all_pairs_and_lengths_are_corrected_together() -> None:
    """Slowly: every pair at every length by itself, from its six runs; then all of them by Holm."""
    plan, paired = several(RUNS)
    found = training_runs(paired, plan.shown(), "ruler")
    assert found is not None
    runs = {name: [each for each in plan.shown() if each.name.startswith(name)] for name in RUNS}
    tasks = plan.grid().suites["ruler"].names()
    alone, told = [], []
    for pair in found.pairs:
        for length, difference in pair.differences.items():
            first, second = (
                [paired.mean(run, "ruler", tasks, length) for run in runs[recipe.name]]
                for recipe in (pair.first, pair.second)
            )
            one = difference_over_runs(first, second)
            assert difference.difference == pytest.approx(one.interval)
            alone.append(one.p_value)
            told.append(difference.corrected)
    assert len(told) == 3 * 2
    assert told == pytest.approx(holm(alone))
    assert told != pytest.approx(alone)


def test_a_study_of_one_run_each_ranks_nothing() -> None:
    plan, paired = several({"nano-mamba2": (9,), "nano-llama": (3,)})
    assert training_runs(paired, plan.shown(), "ruler") is None


@pytest.mark.parametrize(
    ("recipe", "words"),
    [("nano-mamba3", "nano-mamba3"), ("nano-mamba2-seed1", "name nano-mamba2")],
)
def test_a_run_names_the_entry_whose_training_it_repeats(recipe: str, words: str) -> None:
    plan, _ = several(RUNS)
    entries = {
        name: entry.model_dump(mode="json", exclude_unset=True)
        for name, entry in plan.models.items()
        if entry.another_run_of
    }
    entries["nano-llama-seed1"]["another_run_of"] = recipe
    with pytest.raises(StudyError, match=f"nano-llama-seed1.another_run_of: .*{words}"):
        small_plan(entries={"models": entries})


def test_what_every_run_fails_by_is_told_apart_from_what_some_do() -> None:
    plan, _ = several({"nano-mamba2": (9, 9, 8), "nano-llama": (3,)})
    fading = why(rows(lambda _, distance: distance <= 700 or distance % 2 == 0))
    lost = why(rows(lambda length, _: length == 256, kind="no value"))
    both = fading._replace(by_length=lost.by_length, values=lost.values)
    assert (fading.reasons, both.reasons) == (("distance",), ("distance", "length"))
    given = (fading, lost, both, fading)
    found = shared_reasons(
        [each._replace(model=model) for each, model in zip(given, plan.shown(), strict=True)]
    )
    (told,) = found
    assert (told.model.name, told.runs) == ("nano-mamba2", 3)
    assert (told.all, told.some) == (("distance",), ("length",))
