"""The one door for files that others wrote: whatever is wrong with one, it is one line of ours.

Libraries fail in any way on damaged, huge, wrongly encoded or wrongly typed files. So code that
opens a foreign format does it in a function that is registered here by `opens`, and everything that
the function raises becomes one line that names the file and the way out. A test feeds every
registered function broken files, and another one finds code that goes past the door.
"""

import errno
import functools
import inspect
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from needlework.errors import NeedleworkError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

LONGEST_SHOWN = 60
AGAIN = "fetch it again"
"""The usual way out."""


@dataclass(frozen=True)
class Opener:
    """A function that opens files of one format; its first argument is the path."""

    format: str
    names: tuple[str, ...]
    """What such files are called."""
    open: Callable[..., Any]


MACHINE = frozenset(
    getattr(errno, name)
    for name in "ENOENT EACCES EPERM EISDIR ENOTDIR ELOOP ENAMETOOLONG ESTALE ENOSPC EDQUOT EROFS "
    "EIO EMFILE ENFILE ENOMEM".split()
)
"""What the system says of a file whose content it has not looked at."""

OPENERS: dict[str, Opener] = {}
"""Everything that opens a strange file, by module and name."""


def opens(
    format: str,  # noqa: A002 - the word
    *names: str,
    error: type[NeedleworkError],
    way_out: str = AGAIN,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Register a function whose first argument is the path of a file of this format.

    Whatever it raises, or raises while it is iterated over, is an `error` in one line; our own
    errors and those of the machine (a file that is absent, a full disk, no memory) pass.
    """

    def register(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        def refused(cause: Exception, path: object) -> NeedleworkError:
            return error(f"{path} is not {format} that can be read ({told(cause)}); {way_out}")

        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def guarded(*args: Any, **named: Any) -> Iterator[Any]:  # noqa: ANN401 - as wrapped
                with strangers(lambda cause: refused(cause, args[0])):
                    yield from function(*args, **named)

        else:

            @functools.wraps(function)
            def guarded(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - as wrapped
                with strangers(lambda cause: refused(cause, args[0])):
                    return function(*args, **named)

        OPENERS[f"{function.__module__}.{function.__qualname__}"] = Opener(format, names, guarded)
        return cast(Callable[Parameters, Result], guarded)

    return register


@contextmanager
def strangers(refused: Callable[[Exception], NeedleworkError]) -> Iterator[None]:
    """Turn whatever code or files of strangers raise into what `refused` makes of it.

    Our own errors pass, and those of the machine. This is the only place that catches everything:
    what a stranger wrote may fail in any way, and no list of ways is ever complete.
    """
    try:
        yield
    except (NeedleworkError, MemoryError):
        raise
    except Exception as cause:
        _pass_the_machines(cause)
        raise refused(cause) from cause


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what the code of strangers prints from the user, bars of progress above all.

    Each library has a switch of its own for that, or none; what matters is an error, and raised.
    """
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


def _pass_the_machines(cause: Exception) -> None:
    """Raise what the machine says again, a full disk or a file that is gone: no fault of a file."""
    if isinstance(cause, OSError) and cause.errno in MACHINE:
        raise cause


def told(cause: BaseException) -> str:
    """What an error says, in one line of bounded length; its kind where it says nothing."""
    text = " ".join(str(cause).split())[:200]
    words = text if text.isprintable() else text.encode("unicode_escape").decode()
    return words if isinstance(cause, NeedleworkError) else f"{type(cause).__name__}: {words}"


def shown(value: object) -> str:
    """A value of a stranger's as a message repeats it: in one line, and not all of a long one."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def read_json(
    path: Path,
    *,
    error: type[NeedleworkError],
    kind: type[Result],
    way_out: str = AGAIN,
) -> Result:
    """The content of a JSON file, a `kind` at its top.

    Raises:
        NeedleworkError: an `error`: it is not JSON, or something else stands in it.
    """
    return _json(path, error, kind, way_out)


def read_settings(
    path: Path, *, error: type[NeedleworkError], way_out: str = AGAIN
) -> dict[str, Any]:
    """The content of a checkpoint's configuration, in which every number is finite.

    Python reads NaN and Infinity in JSON, and 1e999; computed with, they make every answer theirs.
    Infinity may stand where it means something: nothing is cut off at a limit that is infinite.

    Raises:
        NeedleworkError: an `error`: it is not JSON, no object, or has such a number.
    """
    content: dict[str, Any] = read_json(path, error=error, kind=dict, way_out=way_out)
    left: list[tuple[str, object]] = list(content.items())
    while left:
        place, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{place}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            left += [(place, each) for each in value]
        elif isinstance(value, float) and not _means_something(value, place):
            raise error(f"{path}: {shown(place)} is {value}, no finite number; {way_out}")
    return content


def _means_something(value: float, place: str) -> bool:
    return math.isfinite(value) or (value == math.inf and place.endswith("_limit"))


def parse_json(
    text: str | bytes,
    where: Path | str,
    *,
    error: type[NeedleworkError],
    kind: type[Result],
    way_out: str = AGAIN,
) -> Result:
    """JSON that came otherwise than as a file of its own; as `read_json`.

    Raises:
        NeedleworkError: an `error`: it is not JSON, or something else stands in it.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is not JSON that can be read ({told(cause)}); {way_out}") from cause
    if _torn(text, content):
        raise error(f"{where} holds half of a character; {way_out}")
    if not isinstance(content, kind):
        names = {dict: "an object", list: "a list", str: "text"}
        raise error(
            f"{where} holds {type(content).__name__}, not {names[kind]}; {way_out}"  # type: ignore[index]
        )
    return content


def _torn(text: str | bytes, content: object) -> bool:
    """Whether some text is no text: a surrogate without its other half, which nothing can write."""
    escaped = b"\\ud" if isinstance(text, bytes) else "\\ud"
    lowered = text[: 1 << 26].lower()
    if escaped not in lowered:  # type: ignore[operator]
        return False
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _json(path: Path, error: type[NeedleworkError], kind: type[Result], way_out: str) -> Result:
    return parse_json(path.read_bytes(), path, error=error, kind=kind, way_out=way_out)
