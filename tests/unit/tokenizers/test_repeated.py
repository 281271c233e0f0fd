"""Prompts that repeat each other: each word is tokenized once, and no token is another."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from needlework import tokenizers
from needlework.tokenizers import Cuts
from needlework.tokenizers.repeated import Repeated
from tests.tasks_for_tests import nano_tokenizer

HAY = "The moss is soft. The well is deep. The lamp is warm."


class Counting:
    """A tokenizer of letters that keeps what it was asked."""

    identity, vocabulary, end = "letters", 256, frozenset[int]()
    begin = (7,)
    blank = None

    def __init__(self, cuts: Cuts | None) -> None:
        self.cuts = cuts
        self.asked: list[str] = []

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        self.asked += texts
        return [self.encode(text) for text in texts]

    def starts(self, text: str) -> list[int]:
        return list(range(len(text)))

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode()


def test_a_word_is_read_once_however_often_it_comes() -> None:
    tokenizer = Counting(Cuts("leads"))
    repeated = Repeated(tokenizer)
    prompts = [f"{HAY} {HAY} A number is {number}. {HAY}  \n{HAY} Which?" for number in range(20)]
    for _ in range(2):
        found = repeated.encode(prompts)
        assert [each.tolist() for each in found] == [[7, *text.encode()] for text in prompts]
    assert len(tokenizer.asked) == len(set(tokenizer.asked)) < 40


def test_without_cuts_every_text_is_read_whole() -> None:
    tokenizer = Counting(None)
    found = Repeated(tokenizer).encode([HAY, HAY, "else"])
    assert [each.tolist() for each in found] == [[7, *text.encode()] for text in (HAY, HAY, "else")]
    assert tokenizer.asked == [HAY, "else"]


def test_tokens_are_the_callers_own() -> None:
    """torch wants arrays that may be written to, and what is written must change no others."""
    first, second = Repeated(Counting(Cuts("leads"))).encode([HAY, HAY])
    assert first.dtype == np.int32
    first[:] = 0
    assert second.tolist() == [7, *HAY.encode()]


def test_memory_that_has_grown_too_large_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("needlework.tokenizers.repeated.MOST", 2)
    tokenizer = Counting(Cuts("leads"))
    repeated = Repeated(tokenizer)
    for _ in range(2):
        assert repeated.encode([HAY])[0].tolist() == [7, *HAY.encode()]
    assert len(tokenizer.asked) == 2 * len(set(tokenizer.asked))


@pytest.mark.parametrize("size", [1, len(HAY), 2 * len(HAY), 1000])
def test_batches_change_nothing_but_memory(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("needlework.tokenizers.repeated.BATCH", size)
    texts = [HAY, "", f"{HAY} {HAY}", "A number.", HAY]
    tokenizer = Counting(Cuts("leads"))
    found = Repeated(tokenizer).encode(texts)
    assert [each.tolist() for each in found] == [[7, *text.encode()] for text in texts]
    assert len(tokenizer.asked) == len(set(tokenizer.asked))


def test_no_cut_lies_in_a_token_that_only_a_sidecar_knows(tmp_path: Path) -> None:
    """Cuts are of `tokenizer.json`, and tokens of the files beside it may hold blanks."""
    source = Path("resources/nano/tokenizer/tokenizer.json").read_text(encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(source, encoding="utf-8")
    size = nano_tokenizer().vocabulary
    (tmp_path / "added_tokens.json").write_text(json.dumps({"the magic": size}))
    tokenizer = tokenizers.load(str(tmp_path))
    text = "what is the magic number"
    (found,) = Repeated(tokenizer).encode([text])
    assert size in found
    assert found.tolist() == [*tokenizer.begin, *tokenizer.encode(text)]
