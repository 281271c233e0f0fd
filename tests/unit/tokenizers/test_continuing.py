"""Tokens of a text behind a prompt: those of both together, or said to be others."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import tokenizers as library
from tokenizers import decoders, models, pre_tokenizers

from needlework.tokenizers import Tokenizer, continuing
from needlework.tokenizers.continuing import continued
from needlework.tokenizers.hub import open_path
from tests.released_for_tests import Material
from tests.tasks_for_tests import nano_tokenizer

NAMES = ("gpt-neox-20b", "llama-2", "rwkv-world")
PROMPTS = (
    "The magic number of river is",
    "x" * 300 + " the special magic number for wandering-age mentioned in the provided text is",
    "word " * 90 + "Answer:",
    "<s>[INST] What is it? [/INST]",
    "the end\n",
    "\u65e5\u672c\u8a9e",
)
TEXTS = (
    "1234567",
    "4e1f0a77-0000-4000-8000-0123456789ab",
    "wandering-age",
    "a b c",
    "\u00e9t\u00e9",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_tokens_are_those_of_prompt_and_text_together(
    name: str, prompt: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By definition: everything tokenized at once, and the prompt's own tokens left out."""
    tokenizer = Material(shared).tokenizer(name)
    monkeypatch.setattr(continuing, "_TAIL", 20)
    before = tokenizer.encode(prompt)
    for text, found in zip(TEXTS, continued(tokenizer, prompt, TEXTS), strict=True):
        blank = "" if prompt.endswith("\n") else " "
        both = tokenizer.encode(prompt + blank + text)
        assert found.apart == (both[: len(before)] != before)
        if not found.apart:
            assert [*before, *found.tokens] == both


def byte_level(folder: Path) -> Tokenizer:
    """Letters of bytes, with one token for a blank and a 7 behind it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate([*letters, "\u01207"])}
    made = library.Tokenizer(models.BPE(vocab=words, merges=[("\u0120", "7")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    return open_path(folder / "tokenizer.json")


def test_a_token_that_would_reach_across_the_end_is_said_to_be_cut(tmp_path: Path) -> None:
    """Behind a blank no model writes the token that has a blank of its own."""
    tokenizer = byte_level(tmp_path)
    (inside,) = continued(tokenizer, "it is", ["7"])
    assert (tokenizer.decode(inside.tokens), inside.apart) == (" 7", False)
    assert len(inside.tokens) == 1
    (across,) = continued(tokenizer, "it is ", ["7"])
    assert (tokenizer.decode(across.tokens), across.apart) == ("7", True)


def test_a_word_of_the_nano_language_is_one_token() -> None:
    tokenizer = nano_tokenizer()
    word, other = (tokenizer.decode([number]) for number in (40, 41))
    assert continued(tokenizer, word, [other, f"{other} {word}"]) == [
        ((41,), False),
        ((41, 40), False),
    ]


def test_only_the_end_of_a_long_prompt_is_tokenized_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = nano_tokenizer()
    honest, seen = tokenizer.encode_batch, []

    def watching(texts: Sequence[str]) -> list[list[int]]:
        seen.extend(map(len, texts))
        return honest(texts)

    monkeypatch.setattr(tokenizer, "encode_batch", watching)
    word = tokenizer.decode([40])
    continued(tokenizer, " ".join([word] * 1000), [word])
    assert max(seen) < 300
