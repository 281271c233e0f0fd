"""What a task is, as data: one closed record per generator, told apart by `generator`.

Knows the parameters of every task; does not know words, tokens or files.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Kind = Literal["words", "numbers", "uuids"]
Haystack = Literal["repeat", "essay", "needle"]


class Closed(BaseModel):
    """Task parameters that refuse keys they do not know and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NiahSpec(Closed):
    """Needles in a haystack: find the values of the keys that are asked for."""

    generator: Literal["niah"] = "niah"
    haystack: Haystack
    """Hay made of a repeated paragraph, of a book, or of needles nobody asks for."""
    key_kind: Kind = "words"
    value_kind: Kind = "numbers"
    keys: PositiveInt = 1
    values: PositiveInt = 1
    """Values of each key."""
    queries: PositiveInt = 1
    """Keys that are asked for, at most `keys`."""
    depth: int | None = Field(None, ge=0, le=100)
    """Where the first needle lies, in percent of the haystack; drawn for each sample when None."""
    tokens_to_generate: PositiveInt = 128

    @model_validator(mode="after")
    def _answerable(self) -> "NiahSpec":
        if self.queries > self.keys:
            raise ValueError(
                f"queries = {self.queries} asks for more than the {self.keys} keys there are; "
                "raise keys or lower queries"
            )
        return self


class VariableTrackingSpec(Closed):
    """Chains of variables that pass a value on: name all that hold it."""

    generator: Literal["variable_tracking"] = "variable_tracking"
    chains: PositiveInt = 1
    hops: PositiveInt = 4
    """Times the value is passed on; the answer has `hops + 1` variables."""
    tokens_to_generate: PositiveInt = 30


class CommonWordsSpec(Closed):
    """A shuffled list in which a few words come more often than all others: name them."""

    generator: Literal["common_words"] = "common_words"
    common: PositiveInt = 10
    common_repeats: PositiveInt
    uncommon_repeats: PositiveInt
    tokens_to_generate: PositiveInt = 120

    @model_validator(mode="after")
    def _decidable(self) -> "CommonWordsSpec":
        if self.common_repeats <= self.uncommon_repeats:
            raise ValueError(
                f"common_repeats = {self.common_repeats} must exceed "
                f"uncommon_repeats = {self.uncommon_repeats}"
            )
        return self


class FrequentWordsSpec(Closed):
    """Made-up words whose frequencies follow a power law: name the three most frequent."""

    generator: Literal["frequent_words"] = "frequent_words"
    alpha: float = Field(2.0, gt=1.0)
    """Exponent of the law: the word of rank r comes in proportion to r ** -alpha."""
    tokens_to_generate: PositiveInt = 50


class QaSpec(Closed):
    """Questions over documents, of which one or two hold the answer."""

    generator: Literal["qa"] = "qa"
    source: Literal["squad", "hotpotqa", "facts", "linked_facts"]
    tokens_to_generate: PositiveInt = 32


Spec = Annotated[
    NiahSpec | VariableTrackingSpec | CommonWordsSpec | FrequentWordsSpec | QaSpec,
    Field(discriminator="generator"),
]

NOUNS = {"words": "word", "numbers": "num", "uuids": "uuid"}
"""How names of formats (essay-word-num) shorten the kinds of keys and values."""


def needle_format(spec: Spec) -> str | None:
    """What the needle of a fixed depth is made of, as `essay-word-num`; None for other tasks."""
    if not isinstance(spec, NiahSpec) or spec.depth is None:
        return None
    return f"{spec.haystack}-{NOUNS[spec.key_kind]}-{NOUNS[spec.value_kind]}"


def question_group(spec: Spec, task: str) -> str:
    """The part of an address that tasks share when their samples are to be compared in pairs.

    Needles at a fixed depth share one, so their tasks differ in nothing but depth and format.
    """
    return "depth" if isinstance(spec, NiahSpec) and spec.depth is not None else task
