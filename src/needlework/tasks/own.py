"""A generator of one's own: a Python function in a file beside the study.

What goes wrong in it is told in one line that names file, function and error.
"""

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from needlework.errors import NeedleworkError, StudyError
from needlework.tasks.drafts import Draft, Outline
from needlework.tasks.material import Item, Material
from needlework.tasks.metrics import plain_words
from needlework.tasks.specs import OwnSpec

Function = Callable[[dict[str, Any], Material, Item], object]


def plan(spec: OwnSpec, material: Material, item: Item) -> Outline:
    """What the function plans for one sample; its drafts are checked when they are composed.

    Raises:
        StudyError: file or function are absent, or the function fails or gives no Outline.
    """
    function = _function(spec)
    given = material if "essays" in spec.needs else replace(material, book=_undeclared)
    with _telling(spec):
        planned = _planned(function(deepcopy(spec.parameters), given, item))
        if item.index == 0:
            again = _planned(function(deepcopy(spec.parameters), given, item))
            if again.compose(0) != planned.compose(0):
                raise StudyError(
                    "plans another sample when it is asked again; draw from item.stream(...) alone"
                )

    def compose(size: int) -> Draft:
        with _telling(spec):
            draft = planned.compose(size)
            _check(draft, spec)
        return draft

    return Outline(compose, planned.most)


def _planned(found: object) -> Outline:
    """What a function gave, if it is a plan.

    Raises:
        StudyError: it is not.
    """
    if not isinstance(found, Outline):
        raise StudyError(f"gives a {type(found).__name__} instead of a tasks.drafts.Outline")
    if not (isinstance(found.most, int) and found.most >= 0 and callable(found.compose)):
        raise StudyError("gives a Outline whose `most` is no size or whose `compose` no function")
    return found


def _function(spec: OwnSpec) -> Function:
    """The function of a task.

    Raises:
        StudyError: there is none.
    """
    if not Path(spec.path).is_file():
        raise StudyError(f"{spec.path}: no such file; a path starts at the working directory")
    with _telling(spec):
        module = _module(spec.path)
        function: Function | None = getattr(module, spec.function, None)
        if not callable(function):
            own = [name for name, value in vars(module).items() if _is_own(value, module)]
            raise StudyError(f"there is no such function; it has {', '.join(own) or 'none'}")
    return function


@cache
def _module(path: str) -> types.ModuleType:
    """The module of a file: read each time, for Python may take an old `.pyc` for a new source."""
    module = types.ModuleType(f"own:{path}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # Where dataclasses look their annotations up.
    exec(compile(Path(path).read_bytes(), path, "exec"), vars(module))
    return module


def _is_own(value: object, module: types.ModuleType) -> bool:
    return isinstance(value, types.FunctionType) and value.__module__ == module.__name__


@contextmanager
def _telling(spec: OwnSpec) -> Iterator[None]:
    """Says of whatever goes wrong within it which file and function are to blame.

    Raises:
        StudyError: something went wrong.
    """
    try:
        yield
    except NeedleworkError as error:
        raise StudyError(f"{spec.generator}: {error}") from error
    except (Exception, SystemExit) as error:
        raise StudyError(
            f"{spec.generator}: {type(error).__name__}: {' '.join(str(error).split())}"
            f"{_line(error, spec)}; fix the function"
        ) from error


def _line(error: BaseException, spec: OwnSpec) -> str:
    """The last line of the file that an error came through."""
    if isinstance(error, SyntaxError):
        return ""
    lines, trace = [], error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == spec.path:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" (line {lines[-1]})" if lines else ""


def _check(draft: object, spec: OwnSpec) -> None:
    """What every prompt must have, so that models can answer it and scores are worth something.

    Raises:
        StudyError: it has not.
    """
    if not isinstance(draft, Draft):
        raise StudyError(f"composes a {type(draft).__name__} instead of a tasks.drafts.Draft")
    if not (isinstance(draft.text, str) and draft.text):
        raise StudyError("composes a prompt without text")
    if not draft.outputs or not all(isinstance(each, str) for each in draft.outputs):
        raise StudyError("composes a prompt without `outputs`, the references of its answer")
    for reference in draft.outputs:
        words = plain_words(reference) if spec.metric in ("exact", "f1") else reference.split()
        if not words:
            raise StudyError(f"composes a prompt whose reference {reference!r} is empty")
    ends = [draft.question_start, *(needle.end for needle in draft.needles)]
    starts = [draft.question_start, *(needle.start for needle in draft.needles)]
    if min(starts) < 0 or max(ends) > len(draft.text):
        raise StudyError("composes a prompt whose needles or question lie outside of its text")


def _undeclared(_: int) -> NoReturn:
    raise StudyError("reads a book, but its task does not say `needs: [essays]`; add it")
