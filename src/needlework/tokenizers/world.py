"""The RWKV World tokenizer: at every place of the text, the longest entry of the vocabulary.

It is the official greedy tokenizer, which the hub's port is not: that one strips blanks and
prepends a token.
"""

import ast
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from needlework.door import opens
from needlework.errors import ResourceError
from needlework.files import sha256
from needlework.tokenizers.cuts import Blank, Cuts

_END = 0
"""Ends a text; it has no bytes and is not in the vocabulary file."""
_LINE = re.compile(r"(\d+) (.*) (\d+)")
_WORD = re.compile(r"(?<=\S)(?= )")
"""Where most texts can be cut, so that each word is looked up once."""
_INNER_BLANK = re.compile(rb"\S ")
_MEMORY = 1 << 17
"""Words remembered before the memory starts anew, some tens of megabytes."""
_LONGEST_REMEMBERED = 48
LARGEST, LONGEST = 4 << 20, 256
"""Bytes of a vocabulary's file and of one entry: the published ones have 1.1 million and 128. Every
length of an entry may have to be tried at every place of a text."""


class WorldTokenizer:
    """A vocabulary of byte strings, matched greedily; every byte string comes back unchanged."""

    def __init__(self, path: Path) -> None:
        self._bytes = _read(path)
        self._ids = {entry: token for token, entry in self._bytes.items()}
        if any(bytes([byte]) not in self._ids for byte in range(256)):
            raise ResourceError(f"{path}: lacks single bytes, so texts are lost; fetch it again")
        self._lengths = _lengths(self._ids)
        self._memory: dict[str, list[int]] = {}
        self.identity = f"{path.parent.name}@{sha256(path)[:12]}"
        self.vocabulary = max(self._bytes) + 1
        self.begin: tuple[int, ...] = ()
        self.end = frozenset({_END})
        self.blank: Blank | None = "leads" if _blanks_lead(self._ids) else None
        self.cuts = None if self.blank is None else Cuts(self.blank)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`."""
        if self.blank is None:
            return self.encode_bytes(text.encode())
        ids: list[int] = []
        remembered = self._memory.get
        for word in _WORD.split(text):
            known = remembered(word)
            ids += self._learn(word) if known is None else known
        return ids

    def _learn(self, word: str) -> list[int]:
        ids = self.encode_bytes(word.encode())
        if len(word) <= _LONGEST_REMEMBERED:
            if len(self._memory) >= _MEMORY:
                self._memory.clear()
            self._memory[word] = ids
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """The ids of any byte string, text or not."""
        ids, lengths, find = [], self._lengths, self._ids.get
        place, size = 0, len(data)
        while place < size:
            for length in lengths.get(data[place : place + 2], (1,)):
                entry = data[place : place + length]
                token = find(entry)
                if token is not None:
                    ids.append(token)
                    place += len(entry)
                    break
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text."""
        return [self.encode(text) for text in texts]

    def starts(self, text: str) -> list[int]:
        """At which character of `text` each of its tokens begins."""
        sizes = (len(self._bytes[token]) for token in self.encode(text))
        ends = list(itertools.accumulate(sizes, initial=0))[:-1]
        if text.isascii():
            return ends
        # The bytes of a letter that go on with it have the bits 10 in front.
        letters = itertools.accumulate(byte & 0xC0 != 0x80 for byte in text.encode())
        place = [count - 1 for count in letters]
        return [place[end] for end in ends]

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """The bytes of `tokens`, the end token left out, and ids that the vocabulary lacks."""
        return b"".join(self._bytes.get(token, b"") for token in tokens if token != _END)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, the end token left out; torn characters become U+FFFD."""
        return self.decode_bytes(tokens).decode("utf-8", errors="replace")


@opens("an RWKV vocabulary", "rwkv_vocab.txt", error=ResourceError)
def _read(path: Path) -> dict[int, bytes]:
    """The vocabulary: a line is an id, a Python literal of text or bytes, and its length in bytes.

    Raises:
        ResourceError: the file is absent or a line is something else.
    """
    if not path.is_file():
        raise ResourceError(f"{path}: no such vocabulary; fetch it with `needlework fetch`")
    if (size := path.stat().st_size) > LARGEST:
        raise ResourceError(
            f"{path}: has {size:,} bytes, and a vocabulary has {LARGEST:,} at most; fetch it again"
        )
    lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    found = [row.groups() for row in map(_LINE.fullmatch, lines) if row is not None]
    literals = ast.literal_eval("[" + ",".join(literal for _, literal, _ in found) + "]")
    if not all(isinstance(each, str | bytes) for each in literals):
        raise ResourceError(f"{path}: not an RWKV vocabulary; fetch it again")
    entries = [each.encode() if isinstance(each, str) else each for each in literals]
    sizes = [int(size) for _, _, size in found]
    if len(found) != len(lines) or list(map(len, entries)) != sizes:
        raise ResourceError(f"{path}: not an RWKV vocabulary; fetch it again")
    if (longest := max(sizes, default=0)) > LONGEST:
        raise ResourceError(
            f"{path}: has an entry of {longest:,} bytes, and {LONGEST} is the most; fetch it again"
        )
    return dict(zip((int(token) for token, _, _ in found), entries, strict=True))


def _lengths(entries: dict[bytes, int]) -> dict[bytes, tuple[int, ...]]:
    """For every first two bytes, the lengths of entries, longest first; the last always fits."""
    found: dict[bytes, set[int]] = {}
    for entry in entries:
        if len(entry) > 1:
            found.setdefault(entry[:2], {1}).add(len(entry))
    return {start: tuple(sorted(each, reverse=True)) for start, each in found.items()}


def _blanks_lead(entries: dict[bytes, int]) -> bool:
    """Whether no entry goes on with a blank after anything but white space.

    No match then reaches across such a place, so a text cut there has the same tokens.
    """
    return not any(map(_INNER_BLANK.search, entries))
