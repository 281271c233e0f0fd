"""YAML and JSON as closed records, with one line for each error in them.

`strict_yaml` reads the files: a value is what was written, so a number is written in digits, and
only true and false are switches.
"""

import difflib
import json
from collections.abc import Hashable, Iterable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json

from needlework import installed, strict_yaml
from needlework.door import opens
from needlework.errors import StudyError

Parsed = TypeVar("Parsed")

BRANCH = "="
"""How tags begin that say which of several forms a value has; people need not know them."""
FORMS = {"=text": "a word", "=list": "a list", "=keys": "keys with values"}
"""What people call those forms."""
WRITTEN = {
    "int_type": "must be a whole number, written in digits alone",
    "float_type": "must be a number, written in digits",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must hold keys",
    "model_type": "must hold keys",
    "tuple_type": "must be a list",
}
"""What is said of a value of another kind, in place of pydantic's words."""


def _printable(text: str) -> str:
    strange = next((character for character in text if not character.isprintable()), None)
    if strange is not None:
        raise ValueError(
            f"holds U+{ord(strange):04X}, which is no printable character; write one printable line"
        )
    return text


Line = Annotated[str, AfterValidator(_printable)]
"""Text that people read in tables, figures and messages: one printable line."""


class Closed(BaseModel):
    """A record that refuses fields it does not know and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@opens("YAML or JSON", "study.yaml", "study.json", error=StudyError, way_out="mend it")
def read(path: Path) -> object:
    """The content of a YAML file or, by its suffix, of a JSON file, read by `strict_yaml`.

    Raises:
        StudyError: the file is absent or is not what its name says; names the line.
    """
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8")
        return strict_yaml.from_json(text) if kind == "JSON" else strict_yaml.from_yaml(text)
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; copy it from the repository") from error
    except strict_yaml.TooLongError as error:
        raise StudyError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path} is not {kind}: {' '.join(str(error).split())[:300]}") from error


def read_added(path: Path, *, depth: int) -> object:
    """The content of a file of `config/`, with what the packaged file of its name has beside it.

    Keys down to `depth` are joined, and those of `path` win; a file that is not there adds nothing.

    Raises:
        StudyError: a file is not YAML.
    """
    packaged = installed.beside(path)
    if packaged is None:
        return read(path)
    return joined(read(path) if path.exists() else None, read(packaged), depth=depth)


def joined(own: object, packaged: object, *, depth: int) -> object:
    """What is packaged with what is a user's own; what is no mapping is left for its reader."""
    if own is None:
        return packaged
    if not (isinstance(own, dict) and isinstance(packaged, dict) and depth):
        return own
    both = {key: joined(own.get(key), each, depth=depth - 1) for key, each in packaged.items()}
    return both | {key: each for key, each in own.items() if key not in packaged}


def read_keys(path: Path) -> dict[str, object]:
    """The keys of a study config.

    Raises:
        StudyError: the file is absent, is not YAML, or has none.
    """
    keys = read(path)
    if not isinstance(keys, dict):
        raise StudyError(f"{path} holds no keys; start from config/config.yaml")
    return keys


def parse(kind: type[Parsed], values: object, *, where: str) -> Parsed:
    """The values as a `kind`.

    Raises:
        StudyError: one line per mistake; an unknown key comes with the nearest known one.
    """
    adapter: TypeAdapter[Parsed] = _adapter(cast(Hashable, kind))
    try:
        # As JSON, because that has types of its own: true is no 1 there, and text no number.
        return adapter.validate_json(to_json(values), strict=True)
    except ValidationError as error:
        lines = [f"{where}: {line}" for line in _explanations(error, known_keys(adapter))]
        raise StudyError("\n".join(lines)) from error
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"{where}: holds what is no text, number or list ({reason})") from error


def parse_json(kind: type[Parsed], text: str, *, where: str) -> Parsed:
    """A slice of a study, as rules hand it to commands.

    Raises:
        StudyError: the text is not JSON or not a `kind`.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{where}: not JSON ({error}); quote it for the shell") from error
    return parse(kind, values, where=where)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type, or what is built of some
    """What reads a kind; to build it takes longer than to read a file of it."""
    return TypeAdapter(kind)


@cache
def known_keys(adapter: TypeAdapter[Parsed]) -> set[str]:
    """Every key that a record and the records inside it know."""
    definitions = adapter.json_schema()
    sections = [definitions, *definitions.get("$defs", {}).values()]
    return {key for section in sections for key in section.get("properties", {})}


def _explanations(error: ValidationError, known: set[str]) -> Iterator[str]:
    """One line per mistake; a key that is misspelt is not missing as well."""
    found = error.errors()
    misspelt = {
        (*place["loc"][:-1], near)
        for place in found
        if place["type"] == "extra_forbidden" and (near := _nearest(str(place["loc"][-1]), known))
    }
    for place in found:
        if place["type"] == "too_short" and _has_other_mistakes(place["loc"], found):
            continue
        if place["type"] != "missing" or place["loc"] not in misspelt:
            yield _explain(place["type"], place["loc"], place["msg"], place["input"], known)


def _has_other_mistakes(place: tuple[int | str, ...], found: list[ErrorDetails]) -> bool:
    """Whether a list is short because its members are wrong."""
    return any(len(each["loc"]) > len(place) == _common(each["loc"], place) for each in found)


def _common(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _explain(
    kind: str, place: tuple[int | str, ...], message: str, value: object, known: set[str]
) -> str:
    """One pydantic error as `key: what is wrong; what to do`."""
    place = tuple(part for part in place if not str(part).startswith(BRANCH))
    path = ".".join(map(str, place))
    if kind == "extra_forbidden":
        section = ".".join(map(str, place[:-1]))
        return ": ".join(filter(None, [section, unknown(str(place[-1]), known)]))
    if kind == "missing":
        return f"{path}: is missing"
    if kind == "union_tag_invalid" and "by_form" in message:
        wanted = [
            name for tag, name in FORMS.items() if f"'{tag}'" in message.partition("any of")[2]
        ]
        message = f"must be {' or '.join(wanted)}"
    message = WRITTEN.get(kind, message)
    if kind == "string_pattern_mismatch" and "[a-z0-9]" in message:
        message = "may hold small letters, digits, `_`, `.` and `-` only, and begins with one"
    got = "" if isinstance(value, dict) else f" (got {value!r})"
    text = f"{message.removeprefix('Value error, ')}{got}"
    return f"{path}: {text}" if path else text


def as_name(value: object) -> object:
    """Digits as text, for names that are made of nothing else."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def by_form(value: object) -> str:
    """The tag of a value's form: text, a list or keys. For unions whose members differ in it."""
    if isinstance(value, str):
        return "=text"
    return "=list" if isinstance(value, list | tuple) else "=keys"


def unknown(name: str, known: Iterable[str]) -> str:
    """Says that a name is unknown, with the nearest known one."""
    near = _nearest(name, known)
    if near == name:
        return f"`{name}` does not belong here"
    suggestion = f"did you mean `{near}`?" if near else f"known: {', '.join(sorted(known))}"
    return f"`{name}` is unknown; {suggestion}"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
