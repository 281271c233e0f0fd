"""Which recipe reads better, over several training runs of each: only this ranks architectures."""

from collections.abc import Sequence
from itertools import chain, combinations
from typing import NamedTuple

from needlework.analysis.comparisons import holm
from needlework.analysis.findings import SIGNIFICANCE
from needlework.analysis.why import Reason, Why
from needlework.scores.paired import Paired
from needlework.statistics.contrasts import Interval, Resampled
from needlework.statistics.training_runs import FEWEST, difference_over_runs, mean_over_runs
from needlework.study.config import SuiteName
from needlework.study.shown import ShownModel


class RecipeScore(NamedTuple):
    """What the training runs of a recipe score in a suite at one length."""

    mean: Interval
    lowest: float
    highest: float
    """Scores of the worst and of the best run."""


class Recipe(NamedTuple):
    """A model and the further training runs of its recipe."""

    model: ShownModel
    runs: int
    scores: dict[int, RecipeScore]
    """By length in tokens."""


class RecipePair(NamedTuple):
    """Two recipes on the same questions of a suite."""

    first: ShownModel
    second: ShownModel
    differences: dict[int, "RecipeDifference"]
    """By length in tokens."""


class RecipeDifference(NamedTuple):
    """The mean of one recipe's runs minus that of another's."""

    difference: Interval
    corrected: float
    """The p-value, corrected for all pairs and lengths of the suite (Holm)."""

    @property
    def is_significant(self) -> bool:
        """Whether chance in questions and in training is ruled out at 5 %."""
        return self.corrected < SIGNIFICANCE


class TrainingRuns(NamedTuple):
    """What several training runs of recipes say in one suite."""

    lengths: tuple[int, ...]
    recipes: list[Recipe]
    pairs: list[RecipePair]


def training_runs(
    paired: Paired, models: Sequence[ShownModel], suite: SuiteName
) -> TrainingRuns | None:
    """Every recipe that was trained several times, in one suite; None if none was.

    Raises:
        NotComputedError: the study asks for a cell of them and does not have it.
    """
    recipes = [runs for runs in runs_of(models) if len(runs) >= FEWEST]
    if not recipes:
        return None
    asked = paired.scores.suite(suite)
    lengths = tuple(asked.lengths)
    means = {
        run.name: {length: paired.mean(run, suite, asked.names(), length) for length in lengths}
        for runs in recipes
        for run in runs
    }
    of_runs = {runs[0].name: [means[run.name] for run in runs] for runs in recipes}
    return TrainingRuns(
        lengths=lengths,
        recipes=[_recipe(runs[0], of_runs[runs[0].name], lengths) for runs in recipes],
        pairs=_pairs([runs[0] for runs in recipes], of_runs, lengths),
    )


class SharedReasons(NamedTuple):
    """What the training runs of a recipe fail by."""

    model: ShownModel
    runs: int
    all: tuple[Reason, ...]
    """Reasons that every run gives."""
    some: tuple[Reason, ...]
    """Reasons that some of them give."""


def shared_reasons(found: Sequence[Why]) -> list[SharedReasons]:
    """What recipes with several training runs fail by, of what each run does in one suite."""
    by_name = {why.model.name: why for why in found}
    told = []
    for runs in runs_of([why.model for why in found]):
        if len(runs) >= FEWEST:
            given = [by_name[run.name].reasons for run in runs]
            known = dict.fromkeys(chain.from_iterable(given))
            shared = tuple(each for each in known if all(each in reasons for reasons in given))
            some = tuple(each for each in known if each not in shared)
            told.append(SharedReasons(runs[0], len(runs), shared, some))
    return told


def runs_of(models: Sequence[ShownModel]) -> list[list[ShownModel]]:
    """The runs of every recipe, the first one ahead, and alone where there are no more."""
    by_recipe: dict[tuple[str, str], list[ShownModel]] = {}
    for model in models:
        by_recipe.setdefault((model.recipe, model.prompts), []).append(model)
    return list(by_recipe.values())


def _recipe(
    model: ShownModel, runs: Sequence[dict[int, Resampled]], lengths: Sequence[int]
) -> Recipe:
    scores = {}
    for length in lengths:
        values = [run[length].value for run in runs]
        mean = mean_over_runs([run[length] for run in runs]).interval
        scores[length] = RecipeScore(mean, min(values), max(values))
    return Recipe(model, len(runs), scores)


def _pairs(
    models: Sequence[ShownModel],
    runs: dict[str, list[dict[int, Resampled]]],
    lengths: Sequence[int],
) -> list[RecipePair]:
    """All pairs whose questions are the same, corrected together."""
    asked = [
        (first, second, length)
        for first, second in combinations(models, 2)
        if first.prompts == second.prompts
        for length in lengths
    ]
    found = [
        difference_over_runs(
            [run[length] for run in runs[first.name]], [run[length] for run in runs[second.name]]
        )
        for first, second, length in asked
    ]
    corrected = holm([each.p_value for each in found])
    pairs: dict[tuple[str, str], RecipePair] = {}
    for (first, second, length), each, p_value in zip(asked, found, corrected, strict=True):
        pair = pairs.setdefault((first.name, second.name), RecipePair(first, second, {}))
        pair.differences[length] = RecipeDifference(each.interval, p_value)
    return list(pairs.values())
