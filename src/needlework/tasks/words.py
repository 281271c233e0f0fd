"""The English words of the benchmark: wonderwords 2.2.0, verified before the first draw.

RULER draws keys by position from the sorted set of all `adjective-noun` pairs; here that set of six
million is a sequence that computes the word at a position instead of holding it.
"""

import hashlib
import importlib.metadata
import importlib.util
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import overload

from needlework.errors import ResourceError

VERSION = "2.2.0"
PAIRS_SHA256 = "020e4aab7091c71c01b31963463e27eb17631adf2926129d50b3613496a4b41a"
"""Of the sorted pairs, joined by newlines."""
_LISTED_SHA256 = "d6df582c537f9414be7e752dfb9df7939bc5b4943bc7db28d38e74b5ac265ddf"
_NOUNS, _ADJECTIVES, _VERBS = "nounlist.txt", "adjectivelist.txt", "verblist.txt"
_SIZES = {_NOUNS: 6786, _ADJECTIVES: 912, _VERBS: 1042}


class Pairs(Sequence[str]):
    """The sorted set of `left-right` for every left and right word, without building it.

    A left word's pairs stand together, unless another left word begins with it and a hyphen ("blue"
    and "blue-eyed"): then the longer one's pairs are inserted where they belong.
    """

    def __init__(self, lefts: Sequence[str], rights: Sequence[str]) -> None:
        self._rights = sorted(set(rights))
        heads = sorted({f"{left}-" for left in lefts})
        self._runs = list(self._cut(heads, 0, len(heads), ""))
        self._starts = [0]
        for _, low, high in self._runs:
            self._starts.append(self._starts[-1] + high - low)

    def _cut(
        self, heads: Sequence[str], low: int, high: int, within: str
    ) -> Iterator[tuple[str, int, int]]:
        """Runs (head, first and last right word) of the sorted heads low..high, inside `within`."""
        done = 0
        while low < high:
            head = heads[low]
            nested = low + 1
            while nested < high and heads[nested].startswith(head):
                nested += 1
            if within:
                place = self._place(head.removeprefix(within))
                yield within, done, place
                done = place
            yield from (
                self._cut(heads, low + 1, nested, head)
                if nested > low + 1
                else [(head, 0, len(self._rights))]
            )
            low = nested
        if within:
            yield within, done, len(self._rights)

    def _place(self, tail: str) -> int:
        """How many right words sort before everything that begins with `tail`."""
        place = bisect_left(self._rights, tail)
        assert place == len(self._rights) or not self._rights[place].startswith(tail)
        return place

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """The word at a position of the sorted set."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        run = bisect_right(self._starts, position) - 1
        head, low, _ = self._runs[run]
        return head + self._rights[low + position - self._starts[run]]

    def __iter__(self) -> Iterator[str]:
        """All words in order, much faster than one position after the other."""
        for head, low, high in self._runs:
            for right in self._rights[low:high]:
                yield head + right


@cache
def pairs() -> Pairs:
    """Every `adjective-noun` there is, sorted: what RULER draws its keys from.

    Raises:
        ResourceError: wonderwords is not version 2.2.0.
    """
    lists = _lists()
    return Pairs(lists[_ADJECTIVES], lists[_NOUNS])


def listed() -> list[str]:
    """Every noun, adjective and verb, sorted and each once: what word lists are made of.

    Raises:
        ResourceError: wonderwords is not version 2.2.0.
    """
    return sorted({word for words in _lists().values() for word in words})


def separable() -> list[str]:
    """The words of `listed` that no other one contains: found in a text, they were meant.

    Raises:
        ResourceError: wonderwords is not version 2.2.0.
    """
    words = listed()
    parts = {
        word[start:end]
        for word in words
        for start in range(len(word))
        for end in range(start + 1, len(word) + 1)
        if end - start < len(word)
    }
    return [word for word in words if word not in parts]


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    """Every list by its file name, in file order, once it is known to be the right one.

    The files are read without importing the package, whose import warns and is not needed.
    """
    package = importlib.util.find_spec("wonderwords")
    assert package is not None
    assert package.origin is not None
    assets = Path(package.origin).parent / "assets"
    lists = {
        name: tuple(map(str.rstrip, (assets / name).read_text(encoding="utf-8").splitlines()))
        for name in _SIZES
    }
    verify(lists)
    return lists


def verify(lists: dict[str, tuple[str, ...]]) -> None:
    """Accept the lists of wonderwords 2.2.0 alone.

    Raises:
        ResourceError: any other word would move every later draw.
    """
    words = sorted({word for each in lists.values() for word in each})
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    sizes = {name: len(each) for name, each in lists.items()}
    if sizes != _SIZES or digest != _LISTED_SHA256:
        found = importlib.metadata.version("wonderwords")
        raise ResourceError(
            f"the word lists of wonderwords {found} are not those of {VERSION} "
            f"({len(words)} words, sha256 {digest[:12]} instead of {_LISTED_SHA256[:12]}); "
            f"every draw would differ, so install wonderwords=={VERSION}"
        )
