"""Tokenizers in the `.model` format of the SentencePiece library, as LLaMA and Gemma ship them.

Text that looks like a special token (`<s>`) is text, as it is to the library.
"""

from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from needlework.door import opens
from needlework.errors import ResourceError
from needlework.files import sha256
from needlework.tokenizers.cuts import MARK, Blank, Cuts
from needlework.tokenizers.hub import begin_of, known_ids
from needlework.tokenizers.sidecars import Sidecars


class SentencePieceTokenizer:
    """A `.model` file; a prompt begins with its begin token if it has one.

    Tokens that only the files beside it know may end an answer, and are left out of its text. In a
    prompt they are refused: the library would read them as text.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ResourceError(f"{path}: no such tokenizer; fetch it with `needlework fetch`")
        self._inner = _read(path)
        self.identity = f"{path.parent.name}@{sha256(path)[:12]}"
        self.vocabulary: int = self._inner.get_piece_size()
        sidecars = Sidecars(path.parent)
        known = range(self.vocabulary)
        self._added = {text: each for text, each in sidecars.added.items() if each not in known}
        self.begin = tuple(self._begin(sidecars))
        named = known_ids(sidecars, "eos_token", self._id)
        self.end = frozenset([*_present(self._inner.eos_id()), *named])
        self.blank = self._find_blank()
        self.cuts = None if self.blank is None else Cuts(self.blank)

    def _begin(self, sidecars: Sidecars) -> list[int]:
        """The library's begin token, but what the sidecar says comes first."""
        adds = sidecars.config.get("add_bos_token", True)
        if not adds:
            return []
        named = begin_of(sidecars, self._id) if sidecars.named("bos_token") else []
        return named or _present(self._inner.bos_id())

    def _id(self, text: str) -> int | None:
        number: int = self._inner.piece_to_id(text)
        return number if self._inner.id_to_piece(number) == text else self._added.get(text)

    def _check(self, text: str) -> None:
        found = next((token for token in self._added if token in text), None)
        if found is not None:
            raise ResourceError(
                f"tokenizer {self.identity}: {found!r} stands in a prompt, and only the files "
                "beside its .model know it; convert it to tokenizer.json"
            )

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
        """The ids of `text`.

        Raises:
            ResourceError: a token stands in it that only the files beside the model know.
        """
        self._check(text)
        ids: list[int] = self._inner.encode(text)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text; raises as `encode` does."""
        for text in texts if self._added else ():
            self._check(text)
        ids: list[list[int]] = self._inner.encode(list(texts))
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special tokens left out, and ids that no piece has."""
        known = [token for token in tokens if token < self.vocabulary]
        kept = [token for token in known if not self._inner.is_control(token)]
        text: str = self._inner.decode(kept)
        return text


@opens("a SentencePiece model", "tokenizer.model", error=ResourceError)
def _read(path: Path) -> sentencepiece.SentencePieceProcessor:
    inner = sentencepiece.SentencePieceProcessor()
    inner.Load(str(path))
    return inner


def _present(token: int) -> list[int]:
    """SentencePiece says -1 for a special token that a model does not have."""
    return [token] if token >= 0 else []
