"""The tokens of many texts that are made of the same sentences and words.

The prompts of a cell repeat their haystack: of 250 essays of 16,384 tokens a few hundred sentences
are not the same. Where a tokenizer tells how a text may be cut without changing its tokens
(`Tokenizer.cuts`), each sentence is put together once, of words that are tokenized once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from needlework.tokenizers import Tokenizer
from needlework.tokenizers.cuts import PLAIN, PLAIN_WORD
from needlework.tokenizers.prefixes import Tokens

MOST = 1 << 18
"""Sentences, and words, that are remembered from one batch to the next."""
BATCH = 1 << 24
"""Characters that are taken apart at a time, into ten times as much memory."""
SHORTEST, LONGEST = 16, 4096
"""Characters of sentences that are worth remembering: shorter ones are no less work than words, and
longer ones hardly ever repeat."""
_STOP = "."
_ID = np.int32


class Repeated:
    """A tokenizer of prompts that remembers what it has read."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        cuts = tokenizer.cuts
        self._cuts = cuts
        self._blank = "" if cuts is not None and cuts.blank == "parts" else " "
        """What leads a word behind a cut."""
        self._ends, self._starts = (cuts and cuts.barred) or ("", "")
        self._sentences: dict[str, bytes] = {}
        self._words: dict[str, bytes] = {}
        self._inner: set[str] = set()
        """Words before and behind which there may be a cut."""

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The ids of every text behind the begin token: those that `Tokenizer.encode` gives.

        Raises as `Tokenizer.encode_batch` does.
        """
        return [found for some in _batches(texts) for found in self._encode(some)]

    def _encode(self, texts: Sequence[str]) -> list[Tokens]:
        for known in (self._sentences, self._words, self._inner):
            if len(known) > MOST:
                known.clear()
        begin = np.array(self._tokenizer.begin, dtype=_ID).tobytes()
        found = []
        parts = [self._sentences_of(text) for text in texts]
        self._read(dict.fromkeys(each for own in parts for each in own))
        for own in parts:
            # What a bytearray holds may be written to, as torch wants it of arrays.
            ids = bytearray().join([begin, *map(self._sentences.__getitem__, own)])
            found.append(np.frombuffer(ids, dtype=_ID))
        for long in {each for own in parts for each in own if len(each) > LONGEST}:
            del self._sentences[long]
        return found

    def _sentences_of(self, text: str) -> list[str]:
        """The text in parts, which end with a full stop where there may be a cut behind it."""
        if self._cuts is None or _STOP in self._ends:
            return [text]
        parts = text.split(f"{_STOP} ")
        if SHORTEST * len(parts) > len(text):
            return [text]
        if not all(map(self._may_start, parts[1:])):
            parts = _joined(parts, f"{_STOP} ", lambda _, after: self._may_start(after))
        first, *rest = parts
        *inner, last = [first, *(f"{self._blank}{each}" for each in rest)]
        return [*(f"{each}{_STOP}" for each in inner), last]

    def _may_start(self, part: str) -> bool:
        """Whether there may be a cut before the blank that this stands behind."""
        return part != "" and not part[0].isspace() and part[0] not in self._starts

    def _may_end(self, part: str) -> bool:
        """Whether there may be a cut behind this, where a blank stands."""
        return part != "" and not part[-1].isspace() and part[-1] not in self._ends

    def _read(self, sentences: Iterable[str]) -> None:
        """Learn the tokens of every sentence that is not known."""
        new = {each: self._words_of(each) for each in sentences if each not in self._sentences}
        unknown = dict.fromkeys(word for own in new.values() for word in own)
        self._learn([word for word in unknown if word not in self._words])
        for sentence, own in new.items():
            self._sentences[sentence] = b"".join(map(self._words.__getitem__, own))

    def _words_of(self, sentence: str) -> list[str]:
        """The sentence in words; a blank that leads it leads its first word."""
        if self._cuts is None:
            return [sentence]
        lead = " " if sentence[:1] == " " else ""
        first, *rest = sentence[len(lead) :].split(" ")
        words = [f"{lead}{first}", *(f"{self._blank}{each}" for each in rest)]
        inner = words[1:-1]
        at_ends = not rest or (self._may_end(first) and self._may_start(rest[-1]))
        if at_ends and self._inner.issuperset(inner):
            return words
        if at_ends and all(self._may_start(each) and self._may_end(each) for each in rest[:-1]):
            self._inner.update(inner)
            return words
        first, *rest = _joined([first, *rest], " ", self._may_part)
        return [f"{lead}{first}", *(f"{self._blank}{each}" for each in rest)]

    def _may_part(self, before: str, after: str) -> bool:
        """Whether there may be a cut between these, which a blank parts."""
        return self._may_end(before) and self._may_start(after)

    def _learn(self, words: Sequence[str]) -> None:
        """The tokens of these words, each of which may be the sum of smaller ones."""
        if self._cuts is not None and self._cuts.words:
            small = {word: PLAIN_WORD.findall(word) for word in words if PLAIN.fullmatch(word)}
        else:
            small = {}
        unknown = dict.fromkeys(each for word in words for each in small.get(word, [word]))
        asked = [word for word in unknown if word not in self._words]
        encoded = self._tokenizer.encode_batch(asked) if asked else []
        for word, ids in zip(asked, encoded, strict=True):
            self._words[word] = np.array(ids, dtype=_ID).tobytes()
        for word, parts in small.items():
            self._words[word] = b"".join(map(self._words.__getitem__, parts))


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in their order, as many together as have so many characters, or one."""
    start = size = 0
    for place, text in enumerate(texts):
        size += len(text)
        if size > BATCH and place > start:
            yield texts[start:place]
            start, size = place, len(text)
    if start < len(texts):
        yield texts[start:]


def _joined(parts: Sequence[str], between: str, cut: Callable[[str, str], bool]) -> list[str]:
    """The parts that may be apart; those between which there may be no cut are put together."""
    joined = [[parts[0]]]
    for before, part in pairwise(parts):
        if cut(before, part):
            joined.append([part])
        else:
            joined[-1].append(part)
    return [between.join(each) for each in joined]
