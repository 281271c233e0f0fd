"""Exact token counts of texts that are mostly made of parts already counted.

The tokens of a text are the sum over its pieces; where nothing is known about a tokenizer, whole
texts are counted.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from needlework.tokenizers import Tokenizer
from needlework.tokenizers.cuts import PLAIN, PLAIN_WORD, Cuts

_MEMORY = 400_000
"""Pieces remembered before the memory starts anew, about 50 MB."""
_PASSING = re.compile(r" \S*\d\S{3,}(?:\n\S+)?")
_AHEAD = 8
"""Whole texts to tokenize at once, so that all cores have work."""


class Part(Protocol):
    """A text whose inside is counted: only its ends depend on what stands beside it."""

    def text(self) -> str:
        """The text."""

    def ends(self) -> tuple[str, int, str]:
        """The open left end, the tokens of the inside, and the open right end."""


Rope = Sequence[str | Part]
"""A text as parts in order; plain strings are parts not counted yet."""


def joined(rope: Rope) -> str:
    """The text of a rope."""
    return "".join(part if isinstance(part, str) else part.text() for part in rope)


@dataclass(frozen=True, slots=True)
class Known:
    """A text that will be used again."""

    whole: str
    left: str
    inside: int
    right: str

    def text(self) -> str:
        """The text."""
        return self.whole

    def ends(self) -> tuple[str, int, str]:
        """The first piece, the tokens of all others but the last, and the last piece."""
        return self.left, self.inside, self.right


@dataclass(frozen=True, slots=True)
class Repeated:
    """A text that comes several times in a row."""

    known: Known
    seam: int
    """Tokens of the last piece joined with the first of the next copy."""

    def times(self, copies: int) -> Rope:
        """So many copies in a row."""
        return [Run(self, copies)] if copies else []


@dataclass(frozen=True, slots=True)
class Run:
    """Copies of a text in a row, at least one."""

    unit: Repeated
    copies: int

    def text(self) -> str:
        """The text."""
        return self.unit.known.whole * self.copies

    def ends(self) -> tuple[str, int, str]:
        """The ends of the first and the last copy."""
        known = self.unit.known
        inside = self.copies * known.inside + (self.copies - 1) * self.unit.seam
        return known.left, inside, known.right


class Counter:
    """Counts ropes: piece by piece where the tokenizer permits, whole otherwise."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cuts = tokenizer.cuts or Cuts("leads")
        self.additive = tokenizer.cuts is not None
        # Where a tokenizer puts a blank before the text itself, every piece lends it its own.
        self._drop = 1 if self._cuts.blank == "parts" else 0
        before, after = map(re.escape, self._cuts.barred or ("", ""))
        self._cut = re.compile(rf"(?<=[^\s{before}])(?= +[^\s{after}])")
        self._known: dict[str, int] = {}

    @property
    def ahead(self) -> int:
        """How many texts are best counted at once."""
        return 1 if self.additive else _AHEAD

    def count(self, ropes: Sequence[Rope]) -> list[int]:
        """The tokens of every rope, without special tokens."""
        if not self.additive:
            return list(map(len, self._tokenizer.encode_batch([joined(rope) for rope in ropes])))
        return [self._add_up(rope) for rope in ropes]

    def _add_up(self, rope: Rope) -> int:
        total, pieces = 0, []
        open_end = " " * self._drop
        for part in rope:
            if isinstance(part, str):
                open_end += part
            else:
                left, inside, right = part.ends()
                pieces += self._cut.split(open_end + left)
                total += inside
                open_end = right
        pieces += self._cut.split(open_end)
        return total + self._tokens(pieces)

    def _tokens(self, pieces: Sequence[str]) -> int:
        """The tokens of pieces within a text."""
        found = list(map(self._known.get, pieces))
        total = sum(filter(None, found))
        if None not in found:
            return total
        new = self._words(piece for piece, each in zip(pieces, found, strict=True) if each is None)
        lengths = self._lengths(new)
        return total + sum(map(lengths.__getitem__, new))

    def _words(self, pieces: Iterable[str]) -> list[str]:
        """The pieces, and in place of a plain one its words, where it is their sum."""
        found: list[str] = []
        for piece in pieces:
            plain = self._cuts.words and PLAIN.fullmatch(piece)
            found += PLAIN_WORD.findall(piece) if plain else [piece]
        return found

    def _lengths(self, pieces: Iterable[str]) -> dict[str, int]:
        """The tokens of each piece; those not seen before are tokenized at once.

        What will hardly come again, such as a number, is forgotten.
        """
        if len(self._known) > _MEMORY:
            self._known.clear()
        asked = dict.fromkeys(pieces)
        new = [piece for piece in asked if piece not in self._known]
        encoded = (
            self._tokenizer.encode_batch([piece[self._drop :] for piece in new]) if new else []
        )
        found = dict(zip(new, map(len, encoded), strict=True))
        lengths = {piece: found.get(piece) or self._known.get(piece, 0) for piece in asked}
        for piece in new:
            if self._cuts.barred or not _PASSING.fullmatch(piece):
                self._known[piece] = found[piece]
        return lengths

    def inner(self, text: str) -> int:
        """The tokens of a text that begins with a blank, between two words."""
        return self.inners([text])[0]

    def inners(self, texts: Sequence[str]) -> list[int]:
        """The same of many texts, all of which are tokenized at once."""
        if not self.additive:
            return [0] * len(texts)
        inside = [self._words(self._cut.split(text)) for text in texts]
        lengths = self._lengths(chain.from_iterable(inside))
        return [sum(map(lengths.__getitem__, pieces)) for pieces in inside]

    def known(self, text: str) -> str | Known:
        """A text to be used again; one that cannot be cut stays as it is."""
        pieces = self._cut.split(text)
        if not self.additive or len(pieces) == 1:
            return text
        return Known(text, pieces[0], self._tokens(pieces[1:-1]), pieces[-1])

    def repeated(self, text: str) -> Repeated:
        """A text that comes several times in a row."""
        known = self.known(text)
        if isinstance(known, str):
            return Repeated(Known(text, text, 0, ""), 0)
        return Repeated(known, self._tokens(self._cut.split(known.right + known.left)))
