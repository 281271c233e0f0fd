"""Sentences by Punkt (Kiss and Strunk, 2006), as the artifact's NLTK of June 2024 finds them.

It is a module of its own because importing NLTK takes longer than making most datasets, and because
later releases of NLTK changed the rules (curly quotes). Tests compare it with NLTK. White space is
single blanks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from needlework.errors import ResourceError

_BEGINS_UPPER, _MIDDLE_UPPER, _UPPER = 1 << 1, 1 << 2, 0b111 << 1
_BEGINS_LOWER, _LOWER = 1 << 4, 0b111 << 4
"""How Punkt's training text wrote a word: bits of the orthography table."""

_NON_WORD = r"""[)";}\]*:@'({\[?!]"""
_MARKS = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
_WORD_END = rf"(?=\s|$|{_NON_WORD}|{_MARKS}|,(?=$|\s|{_NON_WORD}|{_MARKS}))"
_TOKEN = re.compile(rf"""{_MARKS}|(?=[^("`{{\[:;&#*@)}}\]\-,])\S+?{_WORD_END}|\S""")
_END = re.compile(rf"[.?!](?=(?P<after>{_NON_WORD}|\s+(?P<next>\S+)))")
_CLOSING = re.compile(r"""["')\]}]+?(?:\s+|(?=--)|$)""")
_NUMBER = re.compile(r"^-?[.,]?\d[\d,.-]*\.?$")
_INITIAL = re.compile(r"[^\W\d]\.$")
_PUNCTUATION = frozenset(";:,.!?")
_TABLES = ("abbrev_types.txt", "collocations.tab", "sent_starters.txt", "ortho_context.tab")


class _Token:
    """A word or mark, with what Punkt's first pass says of it alone."""

    __slots__ = ("abbreviation", "breaks", "ellipsis", "kind", "text")

    def __init__(self, text: str, abbreviations: frozenset[str]) -> None:
        self.text = text
        self.kind = _NUMBER.sub("##number##", text.lower())
        self.ellipsis = text.endswith("..") and not text.strip(".")
        stem = text[:-1].lower()
        period = text.endswith(".") and not text.endswith("..")
        self.abbreviation = (
            period
            and text != "."
            and (stem in abbreviations or stem.rpartition("-")[2] in abbreviations)
        )
        self.breaks = text in {".", "?", "!"} or (period and not self.abbreviation)

    def bare(self) -> str:
        """The kind of word, its last period taken off."""
        return self.kind[:-1] if len(self.kind) > 1 and self.kind.endswith(".") else self.kind


@dataclass(frozen=True)
class Splitter:
    """Punkt with the tables of a language."""

    abbreviations: frozenset[str]
    collocations: frozenset[tuple[str, str]]
    starters: frozenset[str]
    orthography: dict[str, int]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """First and last character of every sentence; no blanks around `text`."""
        shift = 0
        previous: tuple[int, int] | None = None
        for start, end in self._slices(text):
            if previous is not None:
                first = previous[0] + shift
                closing = _CLOSING.match(text[start:end])
                shift = closing.end() if closing else 0
                last = start + len(closing.group().rstrip()) if closing else previous[1]
                if closing or first < last:
                    yield first, last
            previous = start, end
        if previous is not None and previous[0] + shift < previous[1]:
            yield previous[0] + shift, previous[1]

    def _slices(self, text: str) -> Iterator[tuple[int, int]]:
        """Sentences before closing marks are given back to the one they close."""
        start = 0
        for match, context in _candidates(text):
            if self._breaks(context):
                yield start, match.end()
                start = match.end() if match["next"] is None else match.start("next")
        yield start, len(text)

    def _breaks(self, context: str) -> bool:
        """Whether a sentence ends within a word, its mark and what follows them."""
        tokens = [_Token(each, self.abbreviations) for each in _TOKEN.findall(context)]
        return any(self._breaks_between(*pair) for pair in pairwise(tokens))

    def _breaks_between(self, token: _Token, following: _Token) -> bool:
        """Punkt's second pass: the first decision about `token`, seen with the word after it."""
        if not token.text.endswith("."):
            return token.breaks
        kind = token.bare()
        next_kind = following.bare() if following.breaks else following.kind
        if (kind, next_kind) in self.collocations:
            return False
        initial = _INITIAL.match(token.text) is not None
        starts = self._starts_sentence(following, next_kind)
        capital = following.text[0].isupper()
        likely = starts is True or (capital and next_kind in self.starters)
        if (token.abbreviation or token.ellipsis) and not initial and likely:
            return True
        if initial or kind == "##number##":
            if starts is False:
                return False
            never_lower = not self.orthography.get(next_kind, 0) & _LOWER
            if starts is None and initial and capital and never_lower:
                return False
        return token.breaks

    def _starts_sentence(self, token: _Token, kind: str) -> bool | None:
        """What the spelling of a word says about it: starts a sentence, does not, or neither."""
        if token.text in _PUNCTUATION:
            return False
        seen = self.orthography.get(kind, 0)
        if token.text[0].isupper() and seen & _LOWER and not seen & _MIDDLE_UPPER:
            return True
        if token.text[0].islower() and (seen & _UPPER or not seen & _BEGINS_LOWER):
            return False
        return None


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Marks that may end a sentence with the words around them, the last one of each word."""
    held: re.Match[str] | None = None
    word = 0
    for match in _END.finditer(text):
        blank = text.rfind(" ", held.start() if held else 0, match.start())
        # A mark gives way to a later one of its word, unless no letter stands before it.
        if held is not None and (blank >= 0 or word == held.start()):
            yield held, text[word : held.end()] + held["after"]
        held, word = match, blank + 1 if blank >= 0 else word
    if held is not None:
        yield held, text[word : held.end()] + held["after"]


def read(folder: Path) -> Splitter:
    """The splitter with the tables in a folder, NLTK's `punkt_tab` format.

    Raises:
        ResourceError: a table is absent or has another form.
    """
    try:
        abbreviations, collocations, starters, orthography = (
            (folder / name).read_text(encoding="utf-8").split("\n") for name in _TABLES
        )
        pairs = [row.split("\t") for row in collocations]
        return Splitter(
            frozenset(abbreviations),
            frozenset((first, second) for first, second in pairs),
            frozenset(starters),
            {word: int(bits) for word, bits in (row.split("\t") for row in orthography)},
        )
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ResourceError(
            f"{folder}: no Punkt tables there; fetch them with `needlework fetch punkt`"
        ) from error
