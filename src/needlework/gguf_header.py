"""What stands in a GGUF file before its weights: settings, vocabulary, and where each tensor lies.

The library's own reader makes an array of every word of the vocabulary, which takes seconds that
each dataset of a study would wait for.
"""

import math
import mmap
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from needlework.door import opens
from needlework.errors import CheckpointError

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_NUMBERS[12] = "d"
"""How the struct module reads a value, by the number of its type."""
_ALIGNMENT = 32
_SMALLEST_SHARE = 0.01
"""Types of fewer of the parameters are not named."""


@dataclass(frozen=True)
class Weight:
    """A tensor, as far as it can be told without its values."""

    name: str
    shape: tuple[int, ...]
    """As torch has it: rows first."""
    kind: str
    """The type of its values, as the gguf library calls it: F32, Q4_1."""
    start: int
    """Its first byte in the file."""
    size: int
    """Its bytes."""


@dataclass(frozen=True)
class Header:
    """Everything but the values of the weights."""

    path: Path
    settings: Mapping[str, Any]
    """Numbers, texts and lists by their keys."""
    weights: tuple[Weight, ...]

    @property
    def architecture(self) -> str:
        """What the file calls its family."""
        return str(self.require("general.architecture"))

    def require(self, key: str) -> Any:  # noqa: ANN401 - as the file has it
        """The value of a setting.

        Raises:
            CheckpointError: the file has none.
        """
        if key not in self.settings:
            raise CheckpointError(
                f"{self.path} has no `{key}`; it is not complete: convert the model again"
            )
        return self.settings[key]

    @property
    def quantisation(self) -> str:
        """What its weights are rounded to, by their share of the parameters."""
        counts: Counter[str] = Counter()
        for weight in self.weights:
            counts[weight.kind] += math.prod(weight.shape)
        shares = [(kind, count / counts.total()) for kind, count in counts.most_common()]
        named = [(kind, share) for kind, share in shares if share >= _SMALLEST_SHARE]
        if len(named) == 1:
            return named[0][0]
        return ", ".join(f"{kind} ({100 * share:.0f} %)" for kind, share in named)


def is_gguf(path: str | Path) -> bool:
    """Whether a checkpoint or tokenizer is a GGUF file by its name."""
    return Path(path).suffix == SUFFIX


def quantisation_of(checkpoint: str | Path) -> str | None:
    """What the weights of a checkpoint are rounded to; None where it is no GGUF file."""
    return read_header(checkpoint).quantisation if is_gguf(checkpoint) else None


@opens("a GGUF file", "model.gguf", error=CheckpointError)
def read_header(path: str | Path) -> Header:
    """The header of a GGUF file.

    Raises:
        CheckpointError: it is absent, torn, of another format, or has tensors of a type that the
            gguf library does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; correct the path, or fetch it")
    known = path.stat()
    return _read(path, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, _: int, size: int) -> Header:
    if size < len(_MAGIC) + 4:
        raise CheckpointError(f"{path} is {size} bytes long, which is no GGUF file; fetch it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _Reader(path, content).header()


class _Reader:
    """Reads from front to end; every length is held against what is left of the file."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path = path
        self.content = content
        self.place = 0

    def header(self) -> Header:
        tensors = self._opening()
        (settings,) = self._numbers("Q", 1)
        found: dict[str, Any] = {}
        for _ in range(settings):
            key = self._text()
            if key in found:
                self._refuse(f"names `{key}` twice")
            (kind,) = self._numbers("I", 1)
            found[key] = value = self._value(kind)
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, float) and not math.isfinite(number):
                    self._refuse(f"says {number} in `{key}`, which is no finite number")
        if (parts := found.get("split.count", 1)) not in (0, 1):
            self._refuse(f"is one of {parts} parts; join them with llama-gguf-split --merge")
        infos = [self._info() for _ in range(tensors)]
        alignment = found.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            self._refuse(f"has alignment {alignment!r}")
        start = -(-self.place // alignment) * alignment
        weights = tuple(self._weights(infos, start))
        names = Counter(weight.name for weight in weights)
        if names and (twice := names.most_common(1)[0])[1] > 1:
            self._refuse(f"has tensor {twice[0]} twice")
        return Header(self.path, found, weights)

    def _opening(self) -> int:
        """The number of tensors, once the file is of a format that is read here."""
        if self.content[:4] != _MAGIC:
            self._refuse("does not begin with GGUF")
        self.place = 4
        (version,) = self._numbers("I", 1)
        if version not in _VERSIONS:
            told = "big-endian" if version & 0xFFFF == 0 else f"version {version}"
            self._refuse(f"is {told}, and little-endian files of versions 2 and 3 are read")
        (tensors,) = self._numbers("Q", 1)
        return int(tensors)

    def _value(self, kind: int) -> Any:  # noqa: ANN401 - as the file has it
        if kind == _STRING:
            return self._text()
        if kind in _NUMBERS:
            return self._numbers(_NUMBERS[kind], 1)[0]
        if kind != _ARRAY:
            self._refuse(f"has a setting of the unknown type {kind}")
        (inner,) = self._numbers("I", 1)
        (count,) = self._numbers("Q", 1)
        if inner in _NUMBERS:
            return list(self._numbers(_NUMBERS[inner], count))
        if inner != _STRING:
            self._refuse(f"has a list of values of the type {inner}, which is not read here")
        return [self._text() for _ in range(count)]

    def _info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text()
        (axes,) = self._numbers("I", 1)
        shape = self._numbers("Q", axes)
        (kind,) = self._numbers("I", 1)
        (offset,) = self._numbers("Q", 1)
        return name, tuple(reversed(shape)), kind, offset

    def _weights(
        self, infos: list[tuple[str, tuple[int, ...], int, int]], start: int
    ) -> Iterator[Weight]:
        # Imported here: a tokenizer of another format need not wait for it.
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        for name, shape, number, offset in infos:
            try:
                kind = GGMLQuantizationType(number)
                block, size = GGML_QUANT_SIZES[kind]
            except (ValueError, KeyError):
                self._refuse(
                    f"has {name} in quantisation type {number}, which this version of the gguf "
                    "library does not know; update gguf, or quantise the model another way",
                )
            if not shape or shape[-1] % block:
                self._refuse(f"has {name} of shape {shape} in blocks of {block} {kind.name}")
            weight = Weight(
                name, shape, kind.name, start + offset, math.prod(shape) // block * size
            )
            if weight.start + weight.size > len(self.content):
                self._torn(f"{name} would end at byte {weight.start + weight.size:,}")
            yield weight

    def _numbers(self, code: str, count: int) -> tuple[Any, ...]:
        size = struct.calcsize(code) * count
        if size > len(self.content) - self.place:
            self._torn(f"{size:,} bytes are to follow byte {self.place:,}")
        found = struct.unpack_from(f"<{count}{code}", self.content, self.place)
        self.place += size
        return found

    def _text(self) -> str:
        (size,) = self._numbers("Q", 1)
        end = self.place + size
        if end > len(self.content):
            self._torn(f"a text would end at byte {end:,}")
        try:
            found = self.content[self.place : end].decode("utf-8")
        except UnicodeDecodeError:
            self._refuse(f"has a text at byte {self.place:,} that is not UTF-8")
        self.place = end
        return found

    def _torn(self, reason: str) -> NoReturn:
        self._refuse(f"is truncated: {reason}, but it has {len(self.content):,}")

    def _refuse(self, reason: str) -> NoReturn:
        way_out = "" if ";" in reason else "; fetch it again, or convert the model again"
        raise CheckpointError(f"{self.path} {reason}{way_out}")
