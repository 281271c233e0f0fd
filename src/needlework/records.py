"""Frozen records: every line that is written to a file is a validated, named type.

Field names `index`, `input`, `outputs`, `length`, `pred` and `others` are RULER's own, so its tools
read our files.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from needlework.parsing import Closed, Line
from needlework.tolerances import TOLERANCES, DeviceKind, Dtype

StopReason = Literal["end", "limit", "decided", "thinking", "failed"]
LIBRARIES = "libraries"
"""The key of `others` with the versions of the packages that computed a prediction."""
CONFIGURATIONS = "configurations"
"""The key of `others` with what Triton chose for the kernels that it tunes; on a GPU alone."""

END, NO_END = "end", "no end token"
"""Where `others` says that nothing ends an answer but its limit; else it says nothing of it."""

MOST_TOKENS = 1 << 40
"""More than any sample has: a number beyond it is a mistake, or meant to break what adds it up."""
Count = Annotated[int, Field(ge=0, le=MOST_TOKENS)]


Reference = Annotated[str, StringConstraints(pattern=r"\S")]
"""What an answer should hold. Blanks stand in every answer, so they are no reference."""


class Sample(Closed):
    """One question with its haystack, as RULER writes it: `{task}.jsonl`."""

    index: int = Field(ge=0)
    """Position in the dataset, from 0."""
    input: str
    """The whole prompt, answer prefix included."""
    outputs: tuple[Reference, ...] = Field(min_length=1)
    """Every reference answer."""
    length: int = Field(ge=1)
    """Tokens of the prompt plus the tokens reserved for the answer."""


class Span(Closed):
    """A half-open range of characters in a prompt."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)


class SampleDetail(Closed):
    """What we know of a sample beyond RULER's fields, with places in characters."""

    index: int = Field(ge=0)
    prompt_tokens: int = Field(ge=1)
    """Tokens of the prompt alone, without special tokens."""
    depths: tuple[float, ...]
    """Where each needle starts, in percent of the haystack (0 = start, 100 = end), text order."""
    needles: tuple[Span, ...]
    """Each needle in the prompt, in text order: those that answer the question and the others."""
    answers: tuple[bool, ...]
    """Whether the needle of the same position holds (part of) the answer."""
    question_start: int = Field(ge=0)
    """First character after the haystack."""
    distractors: tuple[Reference, ...] | None = Field(None, exclude_if=lambda value: value is None)
    """Wrong values that the references are compared with, where a study asks for likelihoods."""

    @model_validator(mode="after")
    def _aligned(self) -> "SampleDetail":
        if not len(self.depths) == len(self.needles) == len(self.answers):
            raise ValueError("depths, needles and answers must have one entry per needle")
        return self


class PlacedDetail(SampleDetail):
    """The same with places in tokens: `{task}.details.jsonl`, line by line.

    Tokens are counted from the first of the prompt, without special ones.
    """

    needle_tokens: tuple[Span, ...]
    """The tokens that hold some of each needle, in the order of `needles`."""
    question_token: int = Field(ge=0)
    """The token that holds the first letter after the haystack."""

    @model_validator(mode="after")
    def _placed(self) -> "PlacedDetail":
        if len(self.needle_tokens) != len(self.needles):
            raise ValueError("needle_tokens must have one entry per needle")
        if any(span.start > self.question_token for span in self.needle_tokens):
            raise ValueError("needle_tokens must begin before question_token")
        return self

    def distances(self) -> tuple[int, ...]:
        """How many tokens before the question each needle with an answer begins, in text order."""
        places = zip(self.needle_tokens, self.answers, strict=True)
        return tuple(self.question_token - span.start for span, answers in places if answers)


class Reasoning(Closed):
    """How a model thinks before it answers; its thoughts are not scored."""

    end: str = Field(min_length=1, description="What it writes after its thoughts: `</think>`.")
    tokens: int = Field(ge=1, description="Most tokens of its thoughts, those of `end` included.")


class Continuation(Closed):
    """A text behind a prompt, and how likely the model takes it to be."""

    text: Reference
    tokens: Annotated[Count, Field(ge=1)]
    nats: Annotated[float, Field(le=0, allow_inf_nan=False)]
    """The natural logarithm of its probability, the sum over its tokens."""
    apart: bool = Field(False, exclude_if=lambda value: not value)
    """Whether it was tokenized by itself, as tokens of prompt and text together would reach across
    the end of the prompt."""


class Likelihood(Closed):
    """How likely a model takes right and wrong answers to be, right behind the prompt."""

    references: tuple[Continuation, ...] = Field(min_length=1)
    """In the order of the references."""
    distractors: tuple[Continuation, ...]
    """Wrong values; none where the task has no distractor."""


class Prediction(Closed):
    """What a model wrote after one prompt: `predictions/{model}/{suite}/{length}.jsonl`."""

    task: str
    index: int = Field(ge=0)
    pred: str
    """The continuation, decoded without special tokens and what it thought before; empty when the
    sample failed or never left its thoughts."""
    outputs: tuple[str, ...] = Field(min_length=1)
    stop_reason: StopReason
    """end token, token limit, score already decided, thoughts that never ended, or failed."""
    error: str | None = None
    """Why the sample failed; None otherwise."""
    prompt_tokens: Count
    """Tokens of the prompt as the model read it, special tokens included."""
    shared_tokens: Count
    """Prompt tokens whose computation another sample of the cell paid for."""
    generated_tokens: Count
    others: dict[str, str]
    """What produced it: model revision, protocol, versions of what computed it, and the kernels and
    device of the job that wrote it down (of a resumed cell, the last one)."""
    reasoning: str | None = Field(None, exclude_if=lambda value: value is None)
    """What a thinking model wrote apart from its answer, where a server tells the two apart; never
    scored."""
    likelihood: Likelihood | None = Field(None, exclude_if=lambda value: value is None)
    """Where a study asks for it; failed samples have none."""

    @model_validator(mode="after")
    def _failure_has_a_reason(self) -> "Prediction":
        if (self.stop_reason == "failed") != (self.error is not None):
            raise ValueError("a failed prediction needs its reason, and only a failed one has it")
        return self


class Verification(Closed, strict=True):
    """What is known of a model's weights: `verified/{model}.json`.

    The model read prompts as cells do, and some answers; its logits after them were compared with
    those of one pass over the same tokens, by another implementation where there is one.
    """

    model: Line
    tensors: int = Field(ge=0)
    parameters: int = Field(ge=0)
    quantisation: Line | None = None
    """What the weights were rounded to in their file, by share; None where nothing is known."""
    dtype: Dtype
    device: DeviceKind
    kernels: dict[Line, Line]
    """What computed each operation; nothing is known of a model that transformers computes."""
    reference: Line | None
    """The other implementation; None where the model was compared with its own single pass."""
    reason: Line | None
    """Why there is no other."""
    tokens: int = Field(ge=1)
    """Of the longest prompt."""
    needed: int = Field(ge=0)
    """Tokens that cross the model's window and two of its chunks; a CPU may be too slow to read."""
    decoded: int = Field(ge=0)
    """Tokens read one by one after every prompt; 0 where a model reads all again for each."""
    largest_difference: float = Field(ge=0, allow_inf_nan=False)
    """As a share of the largest logit; changes with the processor."""
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the logits are those of the reference."""
        return self.largest_difference <= self.tolerance

    @model_validator(mode="after")
    def _as_we_verify(self) -> Self:
        if (self.reference is None) != bool(self.reason):
            raise ValueError("there is either a reference or a reason why there is none")
        ours = TOLERANCES[self.dtype, self.device]
        if self.tolerance != ours:
            raise ValueError(
                f"tolerance {self.tolerance} is not that of {self.dtype} on {self.device}, {ours}"
            )
        return self
