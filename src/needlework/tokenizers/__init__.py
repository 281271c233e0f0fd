"""One interface to every tokenizer; the reader is chosen by what a path holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from needlework import installed
from needlework.errors import ResourceError
from needlework.gguf_header import is_gguf
from needlework.tokenizers.cuts import Blank, Cuts

__all__ = ["Blank", "Cuts", "Tokenizer", "load"]


class Tokenizer(Protocol):
    """Text to token ids and back; special tokens are data, never inserted by `encode`."""

    identity: str
    """Name and digest of what defines the tokens, for records."""
    begin: tuple[int, ...]
    """Ids that the model expects before a prompt, possibly none."""
    end: frozenset[int]
    """Ids that end a text."""
    vocabulary: int
    """All ids are smaller."""
    blank: Blank | None
    """How a text may be cut at a single blank between two words without changing its tokens.

    "leads": the blank belongs to the word after it; "parts": each word stands alone, as at the
    start of a text; None: it may not be cut.
    """
    cuts: Cuts | None
    """The same for runs of blanks, and the exceptions."""

    def encode(self, text: str) -> list[int]:
        """The ids of `text`."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text."""

    def starts(self, text: str) -> list[int]:
        """At which character of `text` each of its tokens begins, in the order of `encode`.

        Tokens that share a character, as those of one letter in bytes do, begin at the same.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special tokens left out."""


def load(path_or_hub_id: str, *, revision: str | None = None, begins: bool = True) -> Tokenizer:
    """The tokenizer at a path, or of a repository on the Hugging Face hub.

    Without `begins` it has no begin token: prompts have theirs, or are to have none.

    A folder with `tokenizer.json`, or that file, is read by the tokenizers library, `*.model` by
    SentencePiece, `rwkv_vocab*.txt` by the RWKV World reader, `*.gguf` has one inside; what is not
    a path is a hub id.

    Raises:
        ResourceError: the path holds no tokenizer, or the hub has none under that name.
    """
    tokenizer = _open(path_or_hub_id, revision=revision)
    if not begins:
        tokenizer.begin = ()
    return tokenizer


def _open(path_or_hub_id: str, *, revision: str | None) -> Tokenizer:
    path = _definition(installed.find(path_or_hub_id))
    if path.suffix == ".model":
        from needlework.tokenizers.sentencepiece import SentencePieceTokenizer

        return SentencePieceTokenizer(path)
    if path.name.startswith("rwkv_vocab"):
        from needlework.tokenizers.world import WorldTokenizer

        return WorldTokenizer(path)
    if is_gguf(path):
        from needlework.tokenizers.gguf import GgufTokenizer

        return GgufTokenizer(path)
    from needlework.tokenizers import hub

    if path.exists():
        return hub.open_path(path)
    folder = hub.download(path_or_hub_id, revision=revision)
    return _open(str(_definition(folder)), revision=None)


def _definition(path: Path) -> Path:
    """The file in a folder that defines a tokenizer, or the path itself.

    Raises:
        ResourceError: the folder holds several of a kind.
    """
    if not path.is_dir():
        return path
    for pattern in ("tokenizer.json", "*.model", "rwkv_vocab*.txt"):
        found = sorted(path.glob(pattern))
        if len(found) > 1:
            raise ResourceError(f"{path} holds {len(found)} files {pattern}; name the one you mean")
        if found:
            return found[0]
    return path
