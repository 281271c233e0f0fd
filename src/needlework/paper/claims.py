"""The nine claims of arXiv:2407.08112, tested with its own numbers or those of any study."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from needlework.paper import claim_tests, length_tests
from needlework.paper.claim_tests import ROLES, Roster
from needlework.paper.evidence import Evidence
from needlework.paper.verdicts import (
    Combine,
    Statistic,
    Test,
    Verdict,
    carry_out,
    every,
    mixed,
    some,
)
from needlework.study.shown import ShownModel


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: what it says, what is measured, and how the measurements decide."""

    id: str
    text: str
    rule: str
    asks: str = "verdict"
    """What a single statistic answers."""
    tests: Callable[[Roster, Sequence[int]], Iterator[Test]]
    combine: Mapping[str, Combine] = field(default_factory=lambda: {"": every})
    """How the statistics of each part of the claim decide it; all parts must hold."""
    unseen: str = ""
    """Why likelihoods say nothing of it; empty where they do."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A claim with its statistics and the verdict they lead to."""

    claim: Claim
    statistics: tuple[Statistic, ...]
    missing: tuple[str, ...]
    """Statistics that could not be computed, with the reason."""
    verdict: Verdict | None
    """None when nothing could be computed."""
    second: "Result | None" = None
    """What a second witness says by the same tests; None where there is none."""


def judge(
    evidence: Evidence, models: Sequence[ShownModel], *, second: Evidence | None = None
) -> list[Result]:
    """Every claim put to the test, of the models that published tables could show.

    A `second` witness is heard on each claim of which likelihoods say something.
    """
    roster = {ROLES.get(name, name): model for model in models if (name := model.published_as)}
    lengths = evidence.lengths("ruler")
    found = [_result(claim, evidence, roster, lengths) for claim in CLAIMS]
    if second is None:
        return found
    return [
        each
        if each.claim.unseen
        else replace(each, second=_result(each.claim, second, roster, lengths))
        for each in found
    ]


def _result(claim: Claim, evidence: Evidence, roster: Roster, lengths: Sequence[int]) -> Result:
    statistics, missing = carry_out(claim.tests(roster, lengths), evidence, claim.combine)
    deciding = [each for each in statistics if not each.beside]
    parts = [
        combine([each.verdict for each in deciding if each.part == part])
        for part, combine in claim.combine.items()
        if any(each.part == part for each in deciding)
    ]
    verdict = every(parts) if parts else None
    # A counterexample stands whatever else is missing; what needs all of them does not.
    needs_all = verdict == "supported" or (
        verdict == "contradicted" and not _has_counterexample(claim, deciding)
    )
    if needs_all and any(not each.beside for each in missing):
        verdict = "undecided"
    return Result(
        claim=claim,
        statistics=tuple(statistics),
        missing=tuple(each.told for each in missing),
        verdict=verdict,
    )


def _has_counterexample(claim: Claim, deciding: Sequence[Statistic]) -> bool:
    """Whether one statistic alone contradicts a part that says something of every one."""
    return any(
        each.verdict == "contradicted" and claim.combine[each.part] is every for each in deciding
    )


CLAIMS = (
    Claim(
        id="C1",
        text="Every model drops steeply beyond its training length.",
        rule="Of each model but RWKV, which the paper excepts, the steepest drop of RULER per "
        "doubling of the length lies beyond its training length (the paper: the decline is "
        "greatest there). So the verdict says where a score drops fastest, not that it drops by "
        "much. Beside it: the drop from 1x to 2x, steep at more than 10 points.",
        tests=length_tests.drop_beyond,
    ),
    Claim(
        id="C2",
        text="Linear sequence models extrapolate slightly better than pure attention.",
        rule="The share of RULER kept at 2x, averaged over {Mamba2, RWKV-6}, exceeds that of "
        "{Transformer++, Llama}; how slight is slightly is not tested, and the paper may count "
        "hybrids among linear models here.",
        tests=claim_tests.linear_keeps_more,
    ),
    Claim(
        id="C3",
        text="There is no clear order between hybrids and pure linear models.",
        asks="hybrid ahead",
        rule="Of the pairs {Mamba2Attn, Griffin} x {Mamba2, RWKV-6} the hybrid scores more at one "
        "length and less at another; contradicted when all pairs point the same way at all "
        "lengths.",
        tests=claim_tests.hybrid_order,
        combine={"": mixed},
    ),
    Claim(
        id="C4",
        text="At the training length every model is lost in the middle.",
        rule="Depths 40 to 60 score below depth 0 and below depth 100 for each model; a difference "
        "that cannot reach 5 points counts as none. Beside it: depth 50 alone, where published "
        "columns are means over the same formats.",
        tests=claim_tests.middle_in_range,
    ),
    Claim(
        id="C5",
        text="Beyond it Mamba stays lost in the middle; RecurrentGemma and RWKV show no depth "
        "trend.",
        rule="At 2x, Mamba2 and Mamba2Attn as in C4; for the others depth 100 and depth 0 differ "
        "by less than 5 points (there published columns are means over the same formats).",
        tests=claim_tests.middle_beyond,
    ),
    Claim(
        id="C6",
        text="Mamba2 extrapolates only on repeat haystacks with numbers.",
        rule="At 2x it keeps more than half of its score there and less than half elsewhere. That "
        "it is numbers is not tested: no repeat haystack holds UUIDs.",
        tests=claim_tests.only_repeat,
    ),
    Claim(
        id="C7",
        text="Mamba2Attn always extrapolates to some degree but is worse in range.",
        rule="At 2x it scores above 5 points in every format, and up to 1x below Mamba2.",
        tests=claim_tests.always_some,
        combine={"beyond": every, "in range": every},
    ),
    Claim(
        id="C8",
        text="Transformer++ is good only at its exact training length in some formats.",
        rule="In some format it scores above its best rival at 1x, and below it everywhere at 0.5x "
        "and 2x.",
        tests=claim_tests.only_trained,
        combine={"trained": some, "elsewhere": every},
    ),
    Claim(
        id="C9",
        text="RWKV degrades about linearly as the length doubles.",
        rule="RULER falls with log2 of the length, and no length is more than 5 points from the "
        "least-squares line (interval widened for choosing the length). Beside it: the same from "
        "the training length on.",
        tests=length_tests.straight_line,
        unseen="a line of scores is no line of how often a reference comes first.",
    ),
)
