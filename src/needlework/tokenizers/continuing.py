"""The tokens of a text behind a prompt that has been read already."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from needlework.tokenizers import Tokenizer

_TAIL = 256
"""Characters of a prompt that are tokenized again, where the rest may be cut off."""
_AHEAD = 2048
"""Characters before them among which a cut is looked for."""


class Continued(NamedTuple):
    """A text behind a prompt."""

    tokens: tuple[int, ...]
    apart: bool
    """Whether it was tokenized by itself, as tokens of both would not keep those of the prompt."""


def continued(tokenizer: Tokenizer, prompt: str, texts: Sequence[str]) -> list[Continued]:
    """Every text as tokens behind those of the prompt, a blank between them where none stands.

    The tokens are those of prompt and text together, without the prompt's own. Where one of them
    would reach across the end of the prompt, which a model that has read the prompt cannot write,
    the text is tokenized by itself.
    """
    blank = "" if prompt[-1:].isspace() else " "
    tail = prompt[_cut(tokenizer, prompt) :]
    before, *together = tokenizer.encode_batch([tail, *(tail + blank + text for text in texts)])
    found = []
    for text, tokens in zip(texts, together, strict=True):
        keeps = tokens[: len(before)] == before and len(tokens) > len(before)
        own = tokens[len(before) :] if keeps else _alone(tokenizer, before, tail, blank, text)
        found.append(Continued(tuple(own), apart=not keeps))
    return found


def _cut(tokenizer: Tokenizer, prompt: str) -> int:
    """Where the tail begins: at a cut that changes no token, else at the start."""
    if tokenizer.cuts is None:
        return 0
    before, after = map(re.escape, tokenizer.cuts.barred or ("", ""))
    cut = re.compile(rf"(?<=[^\s{before}]) (?=[^\s{after}])")
    end = max(0, len(prompt) - _TAIL)
    places = [found.start() for found in cut.finditer(prompt, max(0, end - _AHEAD), end)]
    return places[-1] + (tokenizer.cuts.blank == "parts") if places else 0


def _alone(
    tokenizer: Tokenizer, before: Sequence[int], tail: str, blank: str, text: str
) -> list[int]:
    """The text by itself, with a blank of its own where that reads as prompt and text do."""
    wanted = tokenizer.decode(tokenizer.encode(tail + blank + text))
    tokens = tokenizer.encode(blank + text)
    if tokenizer.decode([*before, *tokens]) == wanted:
        return tokens
    return tokenizer.encode(text)
