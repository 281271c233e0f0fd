"""Tokenizers in the `.model` format of the SentencePiece library, as LLaMA and Gemma ship them.

Text that looks like a special token (`<s>`) is text, as it is to the library.
"""

from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from needlework.errors import ResourceError
from needlework.files import sha256
from needlework.tokenizers.cuts import MARK, Blank, Cuts


class SentencePieceTokenizer:
    """A `.model` file; a prompt begins with its begin token if it has one."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ResourceError(f"{path}: no such tokenizer; fetch it with `needlework fetch`")
        self._inner = sentencepiece.SentencePieceProcessor()
        try:
            self._inner.Load(str(path))
        except (OSError, RuntimeError) as error:
            raise ResourceError(f"{path}: not a SentencePiece model; fetch it again") from error
        self.identity = f"{path.parent.name}@{sha256(path)[:12]}"
        self.vocabulary: int = self._inner.get_piece_size()
        self.begin = tuple(_present(self._inner.bos_id()))
        self.end = frozenset(_present(self._inner.eos_id()))
        self.blank = self._find_blank()
        self.cuts = None if self.blank is None else Cuts(self.blank)

    def _find_blank(self) -> Blank | None:
        """Blanks may be cut where no piece holds one after something else.

        A merge across the cut would make such a piece, so there is none. In a model that puts a
        blank before the text itself, the rest of the text must then lose its own. Only models that
        merge (BPE) are looked at; their scores are ranks, while those of others are logarithms.
        """
        numbers = range(self.vocabulary)
        if any(self._inner.get_score(each) % 1 for each in numbers):
            return None
        if any(MARK in self._inner.id_to_piece(each).lstrip(MARK) for each in numbers):
            return None
        word = self._inner.encode("a")
        if word == self._inner.encode(" a"):
            return None
        return "parts" if self._inner.id_to_piece(word[0]).startswith(MARK) else "leads"

    def encode(self, text: str) -> list[int]:
        """The ids of `text`."""
        ids: list[int] = self._inner.encode(text)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text."""
        ids: list[list[int]] = self._inner.encode(list(texts))
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special tokens left out."""
        kept = [token for token in tokens if not self._inner.is_control(token)]
        text: str = self._inner.decode(kept)
        return text


def _present(token: int) -> list[int]:
    """SentencePiece says -1 for a special token that a model does not have."""
    return [token] if token >= 0 else []
