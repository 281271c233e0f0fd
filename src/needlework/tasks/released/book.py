"""The essays as a haystack: any number of their first words, split into sentences and counted.

The sentences of a prefix are those of the whole text up to its last word, whose own sentence alone
is split anew: Punkt looks no further than one word ahead.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from needlework.door import opens, read_json
from needlework.errors import BudgetError, ResourceError
from needlework.tasks.released.counting import Counter, Part
from needlework.tasks.released.sentences import Splitter

_WHITE = re.compile(r"\s+")
_BLANK = re.compile(" ")
_FIRST_READ = 1 << 15
"""Characters read before any size is asked for; doubled whenever they are too few."""

FETCH = "fetch them with `needlework fetch`"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring sentences of a book, at least two."""

    book: "Book"
    first: int
    last: int

    def text(self) -> str:
        """The sentences, a blank between them."""
        return " ".join(self.book.sentences[self.first : self.last + 1])

    def ends(self) -> tuple[str, int, str]:
        """The first sentence, the tokens of those between, and the last one."""
        sums, sentences = self.book.sums, self.book.sentences
        inside = sums[self.last] - sums[self.first + 1]
        return sentences[self.first], inside, " " + sentences[self.last]


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first words of a book: whole sentences, and the rest after the last of them."""

    book: "Book"
    whole: int
    rest: tuple[str, ...]

    def __len__(self) -> int:
        return self.whole + len(self.rest)

    def part(self, first: int, after: int) -> list[str | Part]:
        """The sentences from `first` to before `after`, a blank between them."""
        whole = min(after, self.whole)
        rope: list[str | Part] = []
        if whole - first > 1:
            rope.append(Stretch(self.book, first, whole - 1))
        elif whole - first == 1:
            rope.append(self.book.sentences[first])
        rest = " ".join(self.rest[max(first - self.whole, 0) : max(after - self.whole, 0)])
        if rope and rest:
            rope.append(" ")
        return [*rope, rest] if rest else rope


class Book:
    """A text, read as far as it is needed."""

    def __init__(self, source: str, splitter: Splitter, counter: Counter) -> None:
        self._source = source.lstrip()
        self._splitter = splitter
        self._counter = counter
        self._read = 0
        self._load(_FIRST_READ)

    def _load(self, characters: int) -> None:
        """Read so many characters: sentences, their sums, and where words end."""
        self._read = min(characters, len(self._source))
        text = _WHITE.sub(" ", self._source[: self._read])
        if self._read < len(self._source):
            text = text.rpartition(" ")[0]
        self._text = text.rstrip()
        self._word_ends = [blank.start() for blank in _BLANK.finditer(self._text)]
        self._word_ends.append(len(self._text))
        spans = list(self._splitter.spans(self._text))
        self._starts = [start for start, _ in spans]
        self.sentences = [self._text[start:end] for start, end in spans]
        tokens = self._counter.inners([f" {sentence}" for sentence in self.sentences])
        self.sums = list(accumulate(tokens, initial=0))
        """Tokens of all sentences before a position, each with the blank before it."""

    def check(self, words: int) -> None:
        """Refuse more words than there are; the artifact would go on with a shorter haystack.

        Raises:
            BudgetError: the text has fewer words, one for white space at its end included.
        """
        self._reach(words)
        there_are = len(self._word_ends) + (1 if self._source[-1:].isspace() else 0)
        if words > there_are:
            raise BudgetError(
                f"the essays have {there_are} words, about {self.sums[-1]} tokens, too few for "
                "this length; lower it, or take a haystack that repeats"
            )

    def _reach(self, words: int) -> None:
        while words > len(self._word_ends) and self._read < len(self._source):
            self._load(2 * self._read)

    def prefix(self, words: int) -> Prefix:
        """The first `words` words, or all there are."""
        self._reach(words)
        words = min(words, len(self._word_ends))
        if not words:
            return Prefix(self, 0, ())
        last_word = self._word_ends[words - 2] + 1 if words > 1 else 0
        whole = bisect_right(self._starts, last_word) - 1
        while whole and self._text[self._starts[whole] - 1] != " ":
            whole -= 1
        rest = self._text[self._starts[whole] : self._word_ends[words - 1]]
        spans = self._splitter.spans(rest)
        return Prefix(self, whole, tuple(rest[start:end] for start, end in spans))


@opens("the essays", "essays.json", error=ResourceError, way_out=FETCH)
def read(path: Path, splitter: Splitter, counter: Counter) -> Book:
    """The book in an essay file, a JSON object with the field `text`.

    Raises:
        ResourceError: the file has another form.
    """
    if not path.is_file():
        raise ResourceError(f"{path}: the essays are not there; {FETCH}")
    text = read_json(path, error=ResourceError, kind=dict, way_out=FETCH)["text"]
    return Book(text, splitter, counter)
