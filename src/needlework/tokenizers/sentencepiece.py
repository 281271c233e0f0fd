"""Tokenizers in the `.model` format of the SentencePiece library, as LLaMA and Gemma ship them.

Text that looks like a special token (`<s>`) is text, as it is to the library.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import sentencepiece

from needlework.door import opens
from needlework.errors import ResourceError
from needlework.tokenizers.apart import Reader
from needlework.tokenizers.cuts import MARK, Blank, Cuts
from needlework.tokenizers.hub import begin_of, known_ids
from needlework.tokenizers.sidecars import Sidecars

MOST_GROWTH = 4
"""What a model may make of its pieces: U+FFFD is three bytes for one."""


class SentencePieceTokenizer:
    """A `.model` file; a prompt begins with its begin token if it has one.

    Tokens that only the files beside it know may end an answer, and are left out of its text. In a
    prompt they are refused: the library would read them as text.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ResourceError(f"{path}: no such tokenizer; fetch it with `needlework fetch`")
        self._path, content = path, path.read_bytes()
        self._reader = Reader(path, lambda: _Inner(path, content), size=len(content))
        self._content = content
        told = self._reader.tell("all")
        self.identity = f"{path.parent.name}@{hashlib.sha256(content).hexdigest()[:12]}"
        self.vocabulary: int = told["vocabulary"]
        sidecars = Sidecars(path.parent)
        known = range(self.vocabulary)
        self._added = {text: each for text, each in sidecars.added.items() if each not in known}
        self.begin = tuple(self._begin(sidecars, told["begin"]))
        named = known_ids(sidecars, "eos_token", self._id)
        self.end = frozenset([*told["end"], *named])
        self.blank: Blank | None = told["blank"]
        if any(" " in text for text in self._added):
            self.blank = None  # Such a token is refused in a prompt, across a cut as well.
        self.cuts = None if self.blank is None else Cuts(self.blank)

    def _begin(self, sidecars: Sidecars, own: list[int]) -> list[int]:
        """The library's begin token, but what the sidecar says comes first."""
        adds = sidecars.config.get("add_bos_token", True)
        if not adds:
            return []
        named = begin_of(sidecars, self._id) if sidecars.named("bos_token") else []
        return named or own

    def _id(self, text: str) -> int | None:
        number: int | None = self._reader.tell("id", text)
        return self._added.get(text) if number is None else number

    def _check(self, text: str) -> None:
        found = next((token for token in self._added if token in text), None)
        if found is not None:
            raise ResourceError(
                f"tokenizer {self.identity}: {found!r} stands in a prompt, and only the files "
                "beside its .model know it; convert it to tokenizer.json"
            )

    def encode(self, text: str) -> list[int]:
        """The ids of `text`.

        Raises:
            ResourceError: a token stands in it that only the files beside the model know.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text; raises as `encode` does."""
        for text in texts if self._added else ():
            self._check(text)
        return self._reader.encode(texts)

    def starts(self, text: str) -> list[int]:
        """At which character of `text` each of its tokens begins; raises as `encode` does."""
        self._check(text)
        return self._reader.starts(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special tokens left out, and ids that no piece has."""
        known = [token for token in tokens if token < self.vocabulary]
        kept = [token for token in known if not self._here.is_control(token)]
        text: str = self._here.decode(kept)
        return text

    @cached_property
    def _here(self) -> sentencepiece.SentencePieceProcessor:
        """The same in this process, for answers as they are written: it could be loaded, and what
        it may make of a token was looked at.
        """
        return _read(self._path, self._content)


class _Inner:
    """A model as the child has it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.library = path, _read(path, content)

    def ids(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """The ids of every text."""
        found: list[Sequence[int]] = self.library.encode(list(texts))
        return found

    def starts(self, text: str) -> list[int]:
        """At which character each token of a text begins."""
        found = self.library.encode(text, return_type="offset_mapping")
        return [start for start, _ in found["offsets"]]

    def tell(self, question: str, words: Sequence[str]) -> Any:  # noqa: ANN401 - as JSON has it
        """What is asked of it once: all about it, or the id of a piece."""
        if question == "id":
            number = self.library.piece_to_id(words[0])
            return number if self.library.id_to_piece(number) == words[0] else None
        size = self.library.get_piece_size()
        pieces = [self.library.id_to_piece(number) for number in range(size)]
        self._check_growth(pieces)
        return {
            "vocabulary": size,
            "begin": _present(self.library.bos_id()),
            "end": _present(self.library.eos_id()),
            "blank": self._blank(pieces),
        }

    def _check_growth(self, pieces: Sequence[str]) -> None:
        """Accept a model whose texts are little longer than their pieces.

        Raises:
            ResourceError: it has rules that make texts longer.
        """
        size = len(self.library.decode(list(range(len(pieces)))))
        most = MOST_GROWTH * sum(map(len, pieces))
        if size > most:
            raise ResourceError(
                f"{self.path}: makes {size:,} characters of its own {len(pieces)} pieces, and "
                f"{most:,} is the most; fetch it again, or name another tokenizer"
            )

    def _blank(self, pieces: Sequence[str]) -> Blank | None:
        """Blanks may be cut where no piece holds one after something else.

        A merge across the cut would make such a piece, so there is none. In a model that puts a
        blank before the text itself, the rest of the text must then lose its own. Only models that
        merge (BPE) are looked at; their scores are ranks, while those of others are logarithms.
        """
        if any(self.library.get_score(each) % 1 for each in range(len(pieces))):
            return None
        if any(MARK in piece.lstrip(MARK) for piece in pieces):
            return None
        word = self.library.encode("a")
        if word == self.library.encode(" a"):
            return None
        return "parts" if pieces[word[0]].startswith(MARK) else "leads"


@opens("a SentencePiece model", "tokenizer.model", error=ResourceError)
def _read(path: Path, content: bytes | None = None) -> sentencepiece.SentencePieceProcessor:
    inner = sentencepiece.SentencePieceProcessor()
    inner.LoadFromSerializedProto(path.read_bytes() if content is None else content)
    return inner


def _present(token: int) -> list[int]:
    """SentencePiece says -1 for a special token that a model does not have."""
    return [token] if token >= 0 else []
