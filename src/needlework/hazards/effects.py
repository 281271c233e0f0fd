"""What each published defect costs: the variants of a model on the same samples, compared in pairs.

A defect's cost is the score of the model with no defect minus that of the model with it alone.
What the costs do not add up to in the model with all of its defects is the interaction: what the
defects do to each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from needlework.analysis.comparisons import holm, sign_flip_test
from needlework.errors import RecordError
from needlework.rng import stream_seed
from needlework.statistics.bootstrap import RESAMPLES
from needlework.statistics.contrasts import Interval
from needlework.study.config import SuiteName
from needlework.study.paper import DEPTHS, FORMAT_DEPTHS, FORMATS
from needlework.study.variants import (
    ALL_DEFECTS,
    NO_DEFECT,
    StudiedModel,
    StudiedSuite,
    switched_on,
)

# Shapes: K costs, S strata (tasks), N samples of each, R resamples.
Array = NDArray[np.float64]

INTERACTION, TOTAL = "interaction", "total"
REPEATED = FORMATS[2]
"""The format of the repeated paragraph: all that a mean over mixed formats holds between depths."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a defect costs, what all of them cost, or what is left between the two."""

    part: str
    """A defect, `interaction` or `total`."""
    points: Interval
    """Corrected minus defective, as a share of 1."""
    changed: int
    """Samples whose score is another one."""
    samples: int
    p_value: float | None = None
    """Of the exact paired permutation test; None for the interaction and for single lengths."""
    adjusted: float | None = None
    """The same, corrected for all tests of the study (Holm)."""


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """One model on one suite, from its score with all defects to that with none."""

    model: str
    label: str
    suite: SuiteName
    asked: StudiedSuite
    length: int | None
    """None: the mean over all lengths of the suite."""
    all_defects: float
    no_defect: float
    costs: tuple[Cost, ...]
    """One for each defect that touches the suite, then the interaction where there are several,
    then the total."""


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """One model on one suite: the score of every sample under every variant, of shape (S, N)."""

    model: StudiedModel
    suite: SuiteName
    length: int | None
    scores: Mapping[str, Array]

    def differences(self) -> dict[str, Array]:
        """Without defect minus with it, for every part of the breakdown."""
        corrected = self.scores[NO_DEFECT]
        alone = {
            defect: corrected - self.scores[defect]
            for defect in self.model.suites[self.suite].defects
        }
        total = corrected - self.scores[ALL_DEFECTS]
        several = {INTERACTION: total - sum(alone.values())} if len(alone) > 1 else {}
        return alone | several | {TOTAL: total}


def breakdowns(
    scores: pl.DataFrame, models: Sequence[StudiedModel], *, seed: int
) -> list[Breakdown]:
    """Every model on every suite that its defects touch: over all lengths, then at each of them.

    A resample draws samples, within each task as many as there are; one that was read at several
    lengths, depths or formats is drawn as a whole, and all models draw the same.

    Raises:
        RecordError: a sample has no score under some variant.
    """
    found: list[Breakdown] = []
    for suite in models[0].suites:
        scored = [
            each
            for model in models
            if model.suites[suite].answers
            for each in _scored(scores, model, suite)
        ]
        differences = [part_SN for each in scored for part_SN in each.differences().values()]
        limits = iter(intervals(differences, seed=seed, address=("hazards", suite)))
        found += [_broken_down(each, limits) for each in scored]
    return _adjusted(found)


def intervals(
    differences: Sequence[Array], *, seed: int, address: Sequence[str | int]
) -> list[Interval]:
    """The mean over strata of their means, with its 95 % percentile bootstrap interval.

    Each array has shape (S, N); samples are drawn within strata, the same for every array. Where no
    sample differs from zero the interval has no width.
    """
    if not differences:
        return []
    values_KSN = np.stack(differences)
    _, strata, samples = values_KSN.shape
    drawn_RK = np.zeros((RESAMPLES, len(values_KSN)))
    for stratum in range(strata):
        generator = np.random.default_rng(stream_seed(seed, "bootstrap", *address, stratum))
        times_RN = generator.multinomial(samples, [1 / samples] * samples, size=RESAMPLES)
        drawn_RK += times_RN @ values_KSN[:, stratum].T / (samples * strata)
    low_K, high_K = np.quantile(drawn_RK, [0.025, 0.975], axis=0)
    return [
        Interval(mean, min(mean, low), max(mean, high))
        for mean, low, high in zip(
            values_KSN.mean(axis=(1, 2)).tolist(), low_K.tolist(), high_K.tolist(), strict=True
        )
    ]


def _broken_down(scored: _Scored, limits: Iterator[Interval]) -> Breakdown:
    means = {variant: float(scores.mean()) for variant, scores in scored.scores.items()}
    costs = []
    differences = scored.differences()
    for part, difference_SN in differences.items():
        changed = int(np.count_nonzero(np.abs(difference_SN) > 1e-9))
        # The total of one defect is that defect, and what changes nothing needs no test.
        is_again = part == INTERACTION or (part == TOTAL and INTERACTION not in differences)
        has_test = scored.length is None and not is_again and changed > 0
        other = scored.scores[ALL_DEFECTS if part == TOTAL else part] if has_test else None
        costs.append(
            Cost(
                part=part,
                points=next(limits),
                changed=changed,
                samples=difference_SN.size,
                p_value=None
                if other is None
                else sign_flip_test(
                    scored.scores[NO_DEFECT].ravel().tolist(), other.ravel().tolist()
                ),
            )
        )
    return Breakdown(
        model=scored.model.name,
        label=scored.model.label,
        suite=scored.suite,
        asked=scored.model.suites[scored.suite],
        length=scored.length,
        all_defects=means[ALL_DEFECTS],
        no_defect=means[NO_DEFECT],
        costs=tuple(costs),
    )


def _adjusted(found: Sequence[Breakdown]) -> list[Breakdown]:
    """The same with p-values corrected for their number."""
    tested = [cost.p_value for each in found for cost in each.costs if cost.p_value is not None]
    adjusted = iter(holm(tested))
    return [
        replace(
            each,
            costs=tuple(
                cost if cost.p_value is None else replace(cost, adjusted=next(adjusted))
                for cost in each.costs
            ),
        )
        for each in found
    ]


def _scored(scores: pl.DataFrame, model: StudiedModel, suite: SuiteName) -> Iterator[_Scored]:
    """The scores over all lengths, then at each."""
    asked = model.suites[suite]
    answers = asked.answers
    rows = scores.filter(pl.col("suite") == suite, pl.col("model").is_in(set(answers.values())))
    lengths = sorted(rows["length"].unique())
    found = {
        (variant, length): _samples(
            rows.filter(pl.col("model") == run, pl.col("length") == length),
            asked,
            where=f"{run} at length {length}",
            mixed="format-mix" in switched_on(model, variant),
        )
        for variant, run in answers.items()
        for length in lengths
    }
    means = {
        variant: np.mean([found[variant, length] for length in lengths], axis=0)
        for variant in answers
    }
    yield _Scored(model=model, suite=suite, length=None, scores=means)
    for length in lengths:
        here = {variant: found[variant, length] for variant in answers}
        yield _Scored(model=model, suite=suite, length=length, scores=here)


def _samples(cell: pl.DataFrame, suite: StudiedSuite, *, where: str, mixed: bool) -> Array:
    """The score of every sample of a cell: by task, or over the paper's depths and formats.

    Raises:
        RecordError: a task has no scores.
    """
    by_task = {
        key: rows.sort("index")["score"].fill_null(0.0).to_numpy()
        for key, rows in cell.group_by(["format", "depth"] if suite.formats else ["task"])
    }
    wanted: Mapping[tuple[str | int, ...], float] = (
        _shares(mixed=mixed) if suite.formats else {(task,): 1.0 for task in suite.tasks}
    )
    missing = [key for key in wanted if key not in by_task]
    if missing:
        task = " at depth ".join(map(str, missing[0]))
        raise RecordError(f"no scores of {where} on {task}; collect the scores of the study again")
    columns = [share * by_task[key] for key, share in wanted.items()]
    return np.sum(columns, axis=0)[None] if suite.formats else np.stack(columns)


def _shares(*, mixed: bool) -> dict[tuple[str | int, ...], float]:
    """What each format and depth adds to the mean over depths of the means over formats."""
    formats = {
        depth: (REPEATED,) if mixed and depth not in FORMAT_DEPTHS else FORMATS for depth in DEPTHS
    }
    return {
        (form, depth): 1 / len(DEPTHS) / len(averaged)
        for depth, averaged in formats.items()
        for form in averaged
    }
