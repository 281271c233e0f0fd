"""Counting asks a tokenizer, which is a process of its own, seldom and for much at a time."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from needlework.tasks.released.counting import Counter
from needlework.tokenizers import Tokenizer
from tests.released_for_tests import reference

TEXTS = [f" {number}. river-{number} and the old, old mill; it's" for number in range(300)]


class Asked:
    """A tokenizer, and how often it was asked."""

    def __init__(self, inner: Tokenizer) -> None:
        self._inner = inner
        self.cuts = inner.cuts
        self.times = 0

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        self.times += 1
        return self._inner.encode_batch(texts)


@pytest.mark.parametrize("name", ["gpt-neox-20b", "llama-2"])
def test_what_is_new_is_asked_at_once(name: str, shared: Path) -> None:
    """Every new word was once a question of its own, a hundred thousand in a list of words."""
    tokenizer = reference(shared).tokenizer(name)
    asked = Asked(tokenizer)
    counter = Counter(asked)  # type: ignore[arg-type]
    found = counter.inners(TEXTS)
    assert asked.times == 1
    first, *after = map(len, tokenizer.encode_batch(["first", *(f"first{text}" for text in TEXTS)]))
    assert found == [tokens - first for tokens in after]
    whole = "first".join(["", *TEXTS])
    assert counter.count([[whole], [whole]]) == [len(tokenizer.encode(whole))] * 2
    assert asked.times <= 3
