"""The tokens of many texts that are made of the same sentences and words.

The prompts of a cell repeat their haystack: of 250 essays of 16,384 tokens a few hundred sentences
are not the same. Where a tokenizer tells how a text may be cut without changing its tokens
(`Tokenizer.cuts`), each sentence is put together once, of words that are tokenized once.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from needlework.tokenizers import Tokenizer
from needlework.tokenizers.prefixes import Tokens

MOST = 1 << 18
"""Sentences, and words, that are remembered from one call to the next: some tens of megabytes."""
_STOP = "."
_ID = np.int32


class Repeated:
    """A tokenizer of prompts that remembers what it has read."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        cuts = tokenizer.cuts
        self._cuts = cuts is not None
        self._blank = "" if cuts is not None and cuts.blank == "parts" else " "
        """What leads a word behind a cut."""
        self._ends, self._starts = (cuts and cuts.barred) or ("", "")
        self._sentences: dict[str, bytes] = {}
        self._words: dict[str, bytes] = {}

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The ids of every text behind the begin token: those that `Tokenizer.encode` gives.

        Raises as `Tokenizer.encode_batch` does.
        """
        for known in (self._sentences, self._words):
            if len(known) > MOST:
                known.clear()
        begin = np.array(self._tokenizer.begin, dtype=_ID).tobytes()
        parts = [self._sentences_of(text) for text in texts]
        self._read(dict.fromkeys(each for own in parts for each in own))
        # What a bytearray holds may be written to, as torch wants it of arrays.
        found = (bytearray().join([begin, *map(self._sentences.__getitem__, own)]) for own in parts)
        return [np.frombuffer(each, dtype=_ID) for each in found]

    def _sentences_of(self, text: str) -> list[str]:
        """The text in parts, which end with a full stop where there may be a cut behind it."""
        if not self._cuts or _STOP in self._ends:
            return [text]
        parts = text.split(f"{_STOP} ")
        if not all(map(self._may_start, parts[1:])):
            parts = self._joined(parts)
        first, *rest = parts
        *inner, last = [first, *(f"{self._blank}{each}" for each in rest)]
        return [*(f"{each}{_STOP}" for each in inner), last]

    def _joined(self, parts: Sequence[str]) -> list[str]:
        """The parts between which there may be cuts, the others put together again."""
        joined: list[list[str]] = []
        for part in parts:
            if joined and not self._may_start(part):
                joined[-1].append(part)
            else:
                joined.append([part])
        return [f"{_STOP} ".join(each) for each in joined]

    def _may_start(self, part: str) -> bool:
        """Whether there may be a cut before the blank that this stands behind."""
        return part != "" and not part[0].isspace() and part[0] not in self._starts

    def _may_end(self, part: str) -> bool:
        return part != "" and not part[-1].isspace() and part[-1] not in self._ends

    def _read(self, sentences: Mapping[str, None]) -> None:
        """Learn the tokens of every sentence that is not known."""
        new = {each: self._words_of(each) for each in sentences if each not in self._sentences}
        words = dict.fromkeys(word for own in new.values() for word in own)
        unknown = [word for word in words if word not in self._words]
        if unknown:
            encoded = self._tokenizer.encode_batch(unknown)
            for word, ids in zip(unknown, encoded, strict=True):
                self._words[word] = np.array(ids, dtype=_ID).tobytes()
        for sentence, own in new.items():
            self._sentences[sentence] = b"".join(map(self._words.__getitem__, own))

    def _words_of(self, sentence: str) -> list[str]:
        """The sentence in words, or the whole of it; a blank that leads it leads its first word."""
        if not self._cuts:
            return [sentence]
        lead = " " if sentence[:1] == " " else ""
        first, *rest = sentence[len(lead) :].split(" ")
        if not (all(map(self._may_end, [first, *rest][:-1])) and all(map(self._may_start, rest))):
            return [sentence]
        return [f"{lead}{first}", *(f"{self._blank}{each}" for each in rest)]
