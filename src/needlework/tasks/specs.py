"""What a task is, as data: one closed record per generator, told apart by `generator`."""

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    JsonValue,
    PositiveInt,
    Tag,
    model_validator,
)

from needlework.parsing import Closed
from needlework.tasks.metrics import Metric

Kind = Literal["words", "numbers", "uuids"]
Haystack = Literal["repeat", "essay", "needle"]
FUNCTION = "FILE.py:FUNCTION"
"""How a generator of one's own is named."""
Need = Literal["essays", "squad", "hotpotqa"]
"""What a task reads of a material that is fetched."""
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*")
_FUNCTION = re.compile(r"(?P<path>[^:]+\.py):(?P<function>[A-Za-z_][A-Za-z0-9_]*)")


def _own_path(path: str) -> str:
    """A path below the working directory, which an artifact can hold and a rule can name."""
    if not _PLACE.fullmatch(path) or ".." in PurePosixPath(path).parts:
        raise ValueError(
            "a file of one's own lies below the working directory; name it from there, with "
            "letters, digits, `_`, `-`, `.` and `/`"
        )
    return path


def _own_function(generator: str) -> str:
    """A file below the working directory and a function in it."""
    if not (found := _FUNCTION.fullmatch(generator)):
        raise ValueError(f"a generator of one's own is {FUNCTION}")
    _own_path(found["path"])
    return generator


def _finite(parameters: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Parameters that JSON can express; infinity and NaN are refused."""
    try:
        json.dumps(parameters, allow_nan=False)
    except ValueError as error:
        raise ValueError("numbers of a task must be finite; correct the one that is not") from error
    return parameters


class NiahSpec(Closed):
    """Needles in a haystack: find the values of the keys that are asked for."""

    metric: ClassVar[Metric] = "all"

    generator: Literal["niah"] = "niah"
    haystack: Haystack
    """Hay made of a repeated paragraph, of a book, or of needles that are not asked for."""
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

    @property
    def needs(self) -> tuple[Need, ...]:
        """The fetched parts of a material that it reads."""
        return ("essays",) if self.haystack == "essay" else ()


class VariableTrackingSpec(Closed):
    """Chains of variables that pass a value on: name all that hold it."""

    metric: ClassVar[Metric] = "all"
    needs: ClassVar[tuple[Need, ...]] = ()

    generator: Literal["variable_tracking"] = "variable_tracking"
    chains: PositiveInt = 1
    hops: PositiveInt = 4
    """Times the value is passed on; the answer has `hops + 1` variables."""
    tokens_to_generate: PositiveInt = 30


class CommonWordsSpec(Closed):
    """A shuffled list in which a few words come more often than all others: name them."""

    metric: ClassVar[Metric] = "all"
    needs: ClassVar[tuple[Need, ...]] = ()

    generator: Literal["common_words"] = "common_words"
    common: PositiveInt = 10
    common_repeats: PositiveInt
    uncommon_repeats: PositiveInt
    short_repeats: tuple[PositiveInt, PositiveInt] | None = None
    """Both, in contexts below 4096 tokens, into which RULER's full lists do not fit."""
    tokens_to_generate: PositiveInt = 120

    @model_validator(mode="after")
    def _decidable(self) -> "CommonWordsSpec":
        if self.common_repeats <= self.uncommon_repeats:
            raise ValueError(
                f"common_repeats = {self.common_repeats} must exceed "
                f"uncommon_repeats = {self.uncommon_repeats}"
            )
        if self.short_repeats is not None and self.short_repeats[0] <= self.short_repeats[1]:
            raise ValueError(
                f"short_repeats = {list(self.short_repeats)}: the first must exceed the second"
            )
        return self


class FrequentWordsSpec(Closed):
    """Made-up words whose frequencies follow a power law: name the three most frequent."""

    metric: ClassVar[Metric] = "all"
    needs: ClassVar[tuple[Need, ...]] = ()

    generator: Literal["frequent_words"] = "frequent_words"
    alpha: float = Field(2.0, gt=1.0)
    """Exponent of the law: the word of rank r comes in proportion to r ** -alpha."""
    tokens_to_generate: PositiveInt = 50


class QaSpec(Closed):
    """Questions over documents, of which one or two hold the answer."""

    metric: ClassVar[Metric] = "any"

    generator: Literal["qa"] = "qa"
    source: Literal["squad", "hotpotqa", "facts", "linked_facts"]
    tokens_to_generate: PositiveInt = 32

    @property
    def needs(self) -> tuple[Need, ...]:
        """The fetched file that its questions come from, where they come from one."""
        return (self.source,) if self.source in ("squad", "hotpotqa") else ()


class FileSpec(Closed):
    """Prompts and references of one's own: a line each, in the fields of RULER."""

    needs: ClassVar[tuple[Need, ...]] = ()

    generator: Literal["file"] = "file"
    path: Annotated[str, AfterValidator(_own_path)]
    """The file, from the working directory."""
    metric: Metric
    """How answers are scored."""
    depth: int | None = Field(None, ge=0, le=100)
    """Takes the lines of this `depth` alone; all lines when None."""
    tokens_to_generate: PositiveInt


class OwnSpec(Closed):
    """Samples that a Python function of one's own plans: FILE.py:FUNCTION."""

    generator: Annotated[str, AfterValidator(_own_function)]
    """The file, from the working directory, and a function in it."""
    parameters: Annotated[dict[str, JsonValue], AfterValidator(_finite)] = Field({})
    """What the function is given."""
    metric: Metric
    """How answers are scored."""
    needs: tuple[Literal["essays"], ...] = ()
    """What it reads of a material that is fetched: `essays`, where it calls `material.book`."""
    tokens_to_generate: PositiveInt

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def path(self) -> str:
        """The file that the function is in."""
        return self.generator.rpartition(":")[0]

    @property
    def function(self) -> str:
        """The name of the function."""
        return self.generator.rpartition(":")[2]


def generator(value: object) -> str:
    """Which record describes a task, by its `generator`; pydantic shows this name in errors."""
    found = (
        value.get("generator") if isinstance(value, Mapping) else getattr(value, "generator", None)
    )
    return FUNCTION if isinstance(found, str) and ".py" in found else str(found)


Spec = Annotated[
    Annotated[NiahSpec, Tag("niah")]
    | Annotated[VariableTrackingSpec, Tag("variable_tracking")]
    | Annotated[CommonWordsSpec, Tag("common_words")]
    | Annotated[FrequentWordsSpec, Tag("frequent_words")]
    | Annotated[QaSpec, Tag("qa")]
    | Annotated[FileSpec, Tag("file")]
    | Annotated[OwnSpec, Tag(FUNCTION)],
    Discriminator(generator),
]
OWN = (FileSpec, OwnSpec)
"""Tasks of one's own, in files of one's own."""

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
