"""The reference material as the released generators take it, read once for all tests."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from needlework import tokenizers
from needlework.external.registry import Resources, registry
from needlework.tasks.released import prompts, sentences
from needlework.tasks.released.prompts import Prompts
from needlework.tasks.released.sentences import Splitter
from needlework.tokenizers import Tokenizer


class Opaque:
    """A tokenizer of which nothing is known: every text must be counted whole."""

    blank = None
    cuts = None

    def __init__(self, inner: Tokenizer) -> None:
        self._inner = inner
        self.identity = f"opaque {inner.identity}"
        self.begin, self.end, self.vocabulary = inner.begin, inner.end, inner.vocabulary

    def encode(self, text: str) -> list[int]:
        return self._inner.encode(text)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return self._inner.encode_batch(texts)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._inner.decode(tokens)


@cache
def tokenizer(folder: Path) -> Tokenizer:
    """A tokenizer of the mirror, or one like it of which nothing is known."""
    if folder.name == "opaque":
        return Opaque(tokenizer(folder.with_name("gpt-neox-20b")))
    return tokenizers.load(str(folder))


@dataclass(frozen=True)
class Material:
    """Everything below the folder of reference material."""

    shared: Path

    @property
    def mirror(self) -> Path:
        return self.shared / "mirror"

    @property
    def golden(self) -> Path:
        return self.shared / "golden"

    def tokenizer(self, name: str) -> Tokenizer:
        return tokenizer(self.mirror / "tokenizers" / name)

    @cached_property
    def prompts(self) -> Prompts:
        return prompts.read(self.mirror / "ruler/prompts.json")

    @cached_property
    def resources(self) -> Resources:
        return Resources(self.mirror, registry())

    @cached_property
    def splitter(self) -> Splitter:
        return sentences.read(self.mirror / "nltk/punkt_tab/english")

    @cached_property
    def essay(self) -> str:
        """The essays with single blanks, as the artifact's generators read them."""
        source = (self.mirror / "essays/PaulGrahamEssays.json").read_text(encoding="utf-8")
        return re.sub(r"\s+", " ", json.loads(source)["text"])

    @cached_property
    def words(self) -> list[str]:
        """The words of the essays; the last one is empty."""
        return self.essay.split(" ")


@cache
def reference(shared: Path) -> Material:
    """The reference material, read once for all tests."""
    return Material(shared)
