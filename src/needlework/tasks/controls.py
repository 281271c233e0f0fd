"""Controls of a task: the same samples truncated, without their haystack, without their needle."""

from collections.abc import Iterator
from typing import Literal, get_args

from needlework.errors import BudgetError
from needlework.records import Sample, SampleDetail, Span
from needlework.tasks.specs import OWN, NiahSpec, QaSpec, Spec, VariableTrackingSpec
from needlework.tokenizers import Tokenizer

Control = Literal["truncated", "no-haystack", "no-needle"]
"""The end of every prompt alone; the needles and the question alone; all but the needles asked for.
"""
CONTROLS: tuple[Control, ...] = get_args(Control)
WITH_HAY = (NiahSpec, VariableTrackingSpec, QaSpec)
"""Tasks with hay around what they ask for; of words to be counted, the list is the task."""


def has(spec: Spec, control: Control) -> bool:
    """Whether a task can be asked as this control: any can be truncated, one's own no more."""
    if control == "no-haystack":
        return isinstance(spec, WITH_HAY)
    return control == "truncated" or not isinstance(spec, OWN)


def truncated(
    rows: Iterator[tuple[Sample, SampleDetail]], *, before: str, tokenizer: Tokenizer, budget: int
) -> Iterator[tuple[Sample, SampleDetail]]:
    """The samples with the end of every prompt that takes at most `budget` tokens.

    What the prompt format puts `before` the request stays, and of the request the last tokens. The
    text is cut where one of its tokens begins, and read anew. A prompt that is no longer stays as
    it is. Needles that are cut, or cut off, are none any more; their values stay distractors.

    Raises:
        BudgetError: no token of the request would be left.
    """
    for sample, detail in rows:
        if detail.prompt_tokens <= budget:
            yield sample, detail
        else:
            yield _cut(sample, detail, before, tokenizer, budget)


def _cut(
    sample: Sample, detail: SampleDetail, before: str, tokenizer: Tokenizer, budget: int
) -> tuple[Sample, SampleDetail]:
    text = sample.input
    starts = [start for start in tokenizer.starts(text) if start >= len(before)]
    room = budget - len(tokenizer.encode(before))
    for start in starts[max(0, len(starts) - room) :] if room > 0 else ():
        kept = before + text[start:]
        tokens = len(tokenizer.encode(kept))
        if tokens <= budget:
            break
    else:
        raise BudgetError(
            f"a prompt of {budget} tokens has no room for a request after the prompt format; take "
            "`truncated` out of controls"
        )
    shift = start - len(before)
    whole = [number for number, span in enumerate(detail.needles) if span.start >= start]
    spans = [detail.needles[number] for number in whole]
    return (
        sample.model_copy(
            update={"input": kept, "length": sample.length - detail.prompt_tokens + tokens}
        ),
        SampleDetail(
            index=detail.index,
            prompt_tokens=tokens,
            depths=tuple(detail.depths[number] for number in whole),
            needles=tuple(Span(start=span.start - shift, end=span.end - shift) for span in spans),
            answers=tuple(detail.answers[number] for number in whole),
            question_start=max(detail.question_start - shift, len(before)),
            distractors=detail.distractors,
        ),
    )
