"""How much haystack fits into a token budget, with few and cheap token counts."""

import re
from collections.abc import Callable

from needlework.errors import BudgetError
from needlework.tokenizers import Tokenizer

_BLANK = re.compile(r"(?<=\S) (?=\S)")
_GUESSES = 8
"""Probes by interpolation before the search falls back to halving."""


class Counter:
    """Counts the tokens of texts that are mostly made of the same words.

    Where the tokenizer never lets a token reach across a single blank (`Tokenizer.blank`), a text
    is the sum of its words, and each word is tokenized once in the life of the counter. Other
    tokenizers read the whole text every time.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """The number of tokens of `text`, without special tokens."""
        if self._tokenizer.blank is None:
            return len(self._tokenizer.encode(text))
        first, *rest = _BLANK.split(text)
        if self._tokenizer.blank == "leads":
            rest = [f" {word}" for word in rest]
        words = [first, *rest]
        self._learn([word for word in dict.fromkeys(words) if word not in self._known])
        return sum(map(self._known.__getitem__, words))

    def _learn(self, words: list[str]) -> None:
        if words:
            encoded = self._tokenizer.encode_batch(words)
            self._known.update((word, len(ids)) for word, ids in zip(words, encoded, strict=True))


def largest_fit(
    tokens_with: Callable[[int], int], budget: int, *, most: int, guess: int = 1
) -> int:
    """The largest size in 0..most whose text takes at most `budget` tokens.

    `tokens_with` must not fall as the size grows. The search probes where a straight line through
    the last probe meets the budget, so a haystack of even units costs about three counts; `guess`
    is the first probe and changes the cost alone, never the result.

    Raises:
        BudgetError: not even size 0 fits.
    """
    base = tokens_with(0)
    if base > budget:
        raise BudgetError(
            f"the prompt needs {base} tokens without any haystack, but only {max(budget, 0)} are "
            "left for it; raise the length or lower tokens_to_generate"
        )
    fits, fails = 0, most + 1
    probe = min(max(guess, 1), most)
    probes = 0
    while fails - fits > 1:
        tokens = tokens_with(probe)
        if tokens <= budget:
            fits = probe
        else:
            fails = probe
        probes += 1
        target = (budget - base) * probe // max(tokens - base, 1)
        if probes >= _GUESSES:
            target = (fits + fails) // 2
        probe = min(max(target, fits + 1), fails - 1)
    return fits
