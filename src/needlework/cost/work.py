"""How many tokens a cell reads and writes, before its datasets exist.

Shares are expectations: prompts agree up to the first thing that differs, which is the first
needle.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, assert_never

from needlework.tasks.specs import (
    CommonWordsSpec,
    FileSpec,
    FrequentWordsSpec,
    NiahSpec,
    OwnSpec,
    QaSpec,
    Spec,
    VariableTrackingSpec,
)

QUESTION_TOKENS = 40
"""Of a prompt's end, from behind the haystack: never shared."""


class Work(NamedTuple):
    """The prompts of one task in one cell; all taken to be like their mean."""

    samples: int
    prompt_tokens: float
    """Of one prompt."""
    shared_tokens: float
    """Of one prompt, that all but one sample find already read."""
    answer_tokens: int
    """Of one answer, at most."""
    spread: float = 0.0
    """Tokens over which the places where prompts part are spread evenly; 0 for one place."""

    @property
    def asked(self) -> int:
        """Tokens of all prompts."""
        return round(self.samples * self.prompt_tokens)

    @property
    def shared(self) -> int:
        """Tokens that need not be read again."""
        return round((self.samples - 1) * self.shared_tokens)

    @property
    def written(self) -> int:
        """Tokens of all answers when none ends early."""
        return self.samples * self.answer_tokens


def expected(tasks: Iterable[Spec], *, samples: int, length: int, sharing: bool) -> Iterator[Work]:
    """The work of every task; a model that must read prompts whole shares nothing."""
    for spec in tasks:
        prompt = max(1, length - spec.tokens_to_generate)
        common = max(0, prompt - QUESTION_TOKENS) * shared_share(spec) if sharing else 0
        spread = 0.0 if parts_at_one_place(spec) else 2 * common
        yield Work(samples, prompt, common, spec.tokens_to_generate, spread)


def parts_at_one_place(spec: Spec) -> bool:
    """Whether all samples of a task differ from one place on."""
    return isinstance(spec, NiahSpec) and spec.depth is not None


def shared_share(spec: Spec) -> float:
    """The expected part of a haystack before the first place where samples differ.

    The first of k places drawn evenly lies at 1 / (k + 1). Hay of needles, words and documents is
    drawn for each sample, so it has nothing in common. What tasks of one's own have in common is
    not known, and none of it is counted on: the estimate is the most that they can cost.
    """
    match spec:
        case NiahSpec():
            if spec.haystack == "needle":
                return 0.0
            return 1 / (spec.keys * spec.values + 1) if spec.depth is None else spec.depth / 100
        case VariableTrackingSpec():
            return 1 / (spec.chains * (spec.hops + 1) + 1)
        case CommonWordsSpec() | FrequentWordsSpec() | QaSpec() | FileSpec() | OwnSpec():
            return 0.0
        case _:
            assert_never(spec)
