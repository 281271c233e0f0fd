"""A tokenizer's library in a child process, where it loads a stranger's file and reads prompts.

What it may take follows from the sizes of the file and of the text.
"""

import json
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Protocol

from needlework import bounded
from needlework.bounded import Limits
from needlework.door import opens
from needlework.errors import ResourceError

TO_LOAD = Limits(seconds=30, megabytes=1000)
TO_LOAD_A_MEGABYTE = Limits(seconds=10, megabytes=50)
TO_READ = Limits(seconds=30, megabytes=1000)
TO_READ_A_MEGABYTE = Limits(seconds=30, megabytes=500)
"""A hundred times what honest tokenizers need, who expand and search, too."""
_ID = "I"
"""A token in an answer: an unsigned number of four bytes."""
_STARTS = "starts"
"""The question where tokens begin, which has a text."""


class Library(Protocol):
    """What a library made of a file, as the child has it."""

    def ids(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """The ids of every text."""

    def starts(self, text: str) -> list[int]:
        """At which character each token of a text begins."""

    def tell(self, question: str, words: Sequence[str]) -> Any:  # noqa: ANN401 - as JSON has it
        """What else is asked of it."""


class Reader:
    """A tokenizer of a file, loaded and asked in a child process."""

    def __init__(self, path: Path, load: Callable[[], Library], *, size: int) -> None:
        """Load a file of so many bytes.

        Raises:
            LimitError: that takes more time or memory than such a file may.
            NeedleworkError: `load` raised one.
        """
        self._path = path
        limits = _limits(TO_LOAD, TO_LOAD_A_MEGABYTE, size)
        self._apart = bounded.Apart(lambda: _serving(path, load()), what=str(path), limits=limits)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text.

        Raises:
            LimitError: they take more time or memory than such texts may.
            ResourceError: the library fails on them.
        """
        pieces = [text.encode() for text in texts]
        request = _joined(list(map(len, pieces)), b"".join(pieces))
        counts, told = _parted(self._of_texts(request, size=sum(map(len, texts))))
        ids = array(_ID, told).tolist()
        return [ids[start:end] for start, end in pairwise(accumulate(counts, initial=0))]

    def starts(self, text: str) -> list[int]:
        """At which character of `text` each of its tokens begins; raises as `encode` does."""
        found: list[int] = json.loads(self._of_texts(_joined([_STARTS, text], b""), size=len(text)))
        return found

    def _of_texts(self, request: bytes, *, size: int) -> bytes:
        """The answer about texts of so many characters."""
        limits = _limits(TO_READ, TO_READ_A_MEGABYTE, size)
        what = f"{self._path}: a text of {size / bounded.MEGABYTE:.3g} MB"
        return self._apart.ask(request, what=what, limits=limits)

    def tell(self, question: str, *words: str) -> Any:  # noqa: ANN401 - as JSON has it
        """What a library says of itself; raises as `encode` does."""
        request = _joined([question, *words], b"")
        return json.loads(self._apart.ask(request, what=str(self._path), limits=TO_READ))


def _limits(free: Limits, a_megabyte: Limits, size: int) -> Limits:
    many = size / bounded.MEGABYTE
    return Limits(*(some + many * more for some, more in zip(free, a_megabyte, strict=True)))


def _joined(head: Sequence[object], body: bytes) -> bytes:
    return json.dumps(head).encode() + b"\n" + body


def _parted(message: bytes) -> tuple[list[Any], bytes]:
    head, _, body = message.partition(b"\n")
    return json.loads(head), body


def _serving(path: Path, library: Library) -> Callable[[bytes], bytes]:
    """What answers requests in the child."""

    def answer(request: bytes) -> bytes:
        head, body = _parted(request)
        if head and head[0] == _STARTS:
            return json.dumps(_starts(path, library, head[1])).encode()
        if head and isinstance(head[0], str):
            return json.dumps(library.tell(head[0], head[1:])).encode()
        ends = accumulate(head, initial=0)
        found = _ids(path, library, [body[start:end].decode() for start, end in pairwise(ends)])
        ids = array(_ID)
        for each in found:
            ids.extend(each)
        return _joined(list(map(len, found)), ids.tobytes())

    return answer


@opens("a text for a tokenizer", "", error=ResourceError, way_out="name another tokenizer")
def _ids(_: Path, library: Library, texts: Sequence[str]) -> list[Sequence[int]]:
    """The ids of texts; whatever a library says of a text is one line with its file."""
    return library.ids(texts)


@opens("a text for a tokenizer", "", error=ResourceError, way_out="name another tokenizer")
def _starts(_: Path, library: Library, text: str) -> list[int]:
    """Where the tokens of a text begin; raises as `_ids` does."""
    return library.starts(text)
