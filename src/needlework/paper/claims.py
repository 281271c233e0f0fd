"""The nine claims of arXiv:2407.08112, tested with its own numbers or those of any study."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from needlework.paper import claim_tests
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
from needlework.study.config import ShownModel


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: what it says, what is measured, and how the measurements decide."""

    id: str
    text: str
    rule: str
    tests: Callable[[Roster, Sequence[int]], Iterator[Test]]
    combine: Combine = every


@dataclass(frozen=True, kw_only=True)
class Result:
    """A claim with its statistics and the verdict they lead to."""

    claim: Claim
    statistics: tuple[Statistic, ...]
    missing: tuple[str, ...]
    """Statistics that could not be computed, with the reason."""
    verdict: Verdict | None
    """None when nothing could be computed."""


def judge(evidence: Evidence, models: Sequence[ShownModel]) -> list[Result]:
    """Every claim put to the test, of the models that published tables could show."""
    roster = {ROLES.get(name, name): model for model in models if (name := model.published_as)}
    lengths = evidence.lengths("ruler")
    return [_result(claim, evidence, roster, lengths) for claim in CLAIMS]


def _result(claim: Claim, evidence: Evidence, roster: Roster, lengths: Sequence[int]) -> Result:
    statistics, missing = carry_out(claim.tests(roster, lengths), evidence)
    verdicts = [statistic.verdict for statistic in statistics]
    verdict = claim.combine(verdicts) if verdicts else None
    if missing and verdict == "supported" and claim.combine is every:
        verdict = "undecided"
    return Result(
        claim=claim, statistics=tuple(statistics), missing=tuple(missing), verdict=verdict
    )


CLAIMS = (
    Claim(
        id="C1",
        text="Every model drops steeply beyond its training length.",
        rule="Each model loses more than 10 points of RULER from 1x to 2x its training length.",
        tests=claim_tests.drop_beyond,
    ),
    Claim(
        id="C2",
        text="Linear sequence models extrapolate slightly better than pure attention.",
        rule="The share of RULER kept at 2x, averaged over {Mamba2, RWKV-6}, exceeds that of "
        "{Transformer++, Llama}; how slight is slightly is not tested.",
        tests=claim_tests.linear_keeps_more,
    ),
    Claim(
        id="C3",
        text="There is no clear order between hybrids and pure linear models.",
        rule="Of the pairs {Mamba2Attn, Griffin} x {Mamba2, RWKV-6} the hybrid keeps more in one "
        "and less in another; contradicted when all pairs point the same way.",
        tests=claim_tests.hybrid_order,
        combine=mixed,
    ),
    Claim(
        id="C4",
        text="At the training length every model is lost in the middle.",
        rule="Depths 40 to 60 score below depths 0 and 100 for each model; a difference that "
        "cannot reach 5 points counts as none.",
        tests=claim_tests.middle_in_range,
    ),
    Claim(
        id="C5",
        text="Beyond it Mamba stays lost in the middle; RecurrentGemma and RWKV show no depth "
        "trend.",
        rule="At 2x, Mamba2 as in C4; for the others no two depths differ by more than 5 points "
        "(interval widened for choosing the pair; below some 120 samples per depth and format it "
        "is wider than that at any score, which supports nothing).",
        tests=claim_tests.middle_beyond,
    ),
    Claim(
        id="C6",
        text="Mamba2 extrapolates only on repeat haystacks with numbers.",
        rule="At 2x it keeps more than half of its score there and less than half elsewhere.",
        tests=claim_tests.only_repeat,
    ),
    Claim(
        id="C7",
        text="Mamba2Attn always extrapolates to some degree but is worse in range.",
        rule="At 2x it scores above 5 points in every format, and up to 1x below Mamba2.",
        tests=claim_tests.always_some,
    ),
    Claim(
        id="C8",
        text="Transformer++ is good only at its exact training length in some formats.",
        rule="In some format its score at 1x exceeds those at 0.5x and 2x.",
        tests=claim_tests.only_trained,
        combine=some,
    ),
    Claim(
        id="C9",
        text="RWKV degrades about linearly as the length doubles.",
        rule="RULER falls with log2 of the length, and no length is more than 5 points from the "
        "least-squares line (interval widened for choosing the length).",
        tests=claim_tests.straight_line,
    ),
)
