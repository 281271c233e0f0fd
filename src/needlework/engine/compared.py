"""Right and wrong answers whose likelihoods behind a prompt are compared: as tokens, as records."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from needlework.records import Continuation, Likelihood, Sample
from needlework.tokenizers import Tokenizer
from needlework.tokenizers.continuing import continued


class Text(NamedTuple):
    """An answer, as it would follow the prompt."""

    text: str
    tokens: tuple[int, ...]
    apart: bool
    """Whether it was tokenized by itself."""
    is_right: bool


def texts_of(
    sample: Sample, distractors: Mapping[int, Sequence[str]] | None, tokenizer: Tokenizer
) -> tuple[Text, ...]:
    """The references of a sample, then its distractors; nothing where no likelihood is asked for.

    `distractors` are those of every sample, by its index.
    """
    if distractors is None:
        return ()
    words = [*sample.outputs, *distractors[sample.index]]
    found = continued(tokenizer, sample.input, words)
    return tuple(
        Text(word, each.tokens, each.apart, number < len(sample.outputs))
        for number, (word, each) in enumerate(zip(words, found, strict=True))
    )


def told(texts: Sequence[Text], nats: Sequence[float] | None) -> Likelihood | None:
    """What a prediction says of these texts; nothing where no likelihood was asked for."""
    if nats is None:
        return None
    found = [
        Continuation(text=each.text, tokens=len(each.tokens), nats=value, apart=each.apart)
        for each, value in zip(texts, nats, strict=True)
    ]
    right = sum(each.is_right for each in texts)
    return Likelihood(references=tuple(found[:right]), distractors=tuple(found[right:]))
