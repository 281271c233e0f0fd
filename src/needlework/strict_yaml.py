"""YAML and JSON as people mean them: a value is what is written, and nothing is said twice.

Of YAML it is the core schema of version 1.2 without octal and hexadecimal numbers: `yes` and `on`
are words, `042`, `1_000` and `48:00:00` are text, and so are dates. PyYAML makes numbers or
switches of all of them, silently.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same in C where PyYAML was built with it, which every command waits for."""
TAG = "tag:yaml.org,2002:"
PLAIN = {
    "null": (r"~|null|Null|NULL|", "~nN"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"-?(0|[1-9][0-9]*)", "-0123456789"),
    "float": (r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", "-0123456789"),
    "merge": (r"<<", "<"),
}
"""What plain words are, by pattern and possible first letters; all others are text."""
OTHERS = ("str", "seq", "map")
DEEPEST = 100
"""Lists and keys inside of one another; the parser, which is C, falls over 20,000 of them."""
MOST = 1_000_000
"""Values in a file with all its repetitions (`*name`), of which ten lines can make billions."""


class TooLongError(ValueError):
    """A file with more values than one may have."""


class _Loader(Base):  # type: ignore[misc]
    """PyYAML's safe loader, with these rules for what a plain word is."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, (_pattern, _letters) in PLAIN.items():
    _Loader.add_implicit_resolver(
        TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_letters) + [""] * (_name == "null")
    )


def from_yaml(text: str) -> object:
    """The content of a YAML document.

    Raises:
        TooLongError: it has too many values, all repetitions counted; names where they are.
        ValueError: it is not YAML, says a key twice, has types of its own, or repeats itself
            without end; tells the line.
    """
    loader = _Loader(text)
    try:
        _check_events(text)
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _check(node, sizes) > MOST:
            raise _too_long(node, sizes)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    finally:
        loader.dispose()


def _check_events(text: str) -> None:
    """Accept a text that is neither too deep nor too long, before anything is made of it.

    Raises:
        TooLongError: it has too many values; names where they are.
        YAMLError: it is too deep.
    """
    open_ones: list[_Open] = []
    count = 0
    for event in yaml.parse(text, Loader=Base):
        if isinstance(event, yaml.CollectionEndEvent):
            count_inside = open_ones.pop().values
            if open_ones:
                open_ones[-1].values += count_inside
        elif isinstance(event, yaml.NodeEvent):
            count += 1
            if open_ones:
                open_ones[-1].add(event)
            if isinstance(event, yaml.CollectionStartEvent):
                open_ones.append(_Open(event))
        if len(open_ones) > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} lists or keys inside of one another")
        if count > MOST:
            raise _long_before_its_end(open_ones, count)


class _Open:
    """A list, or keys with values, whose end has not come yet."""

    def __init__(self, event: yaml.CollectionStartEvent) -> None:
        self.line = event.start_mark.line + 1 if event.start_mark else 1
        self.values, self.name = 1, ""
        self._has_keys = isinstance(event, yaml.MappingStartEvent)
        self._next_is_key = self._has_keys

    def add(self, event: yaml.Event) -> None:
        """Count a key or a value, and remember which key it has."""
        self.values += not isinstance(event, yaml.CollectionStartEvent)
        if self._next_is_key:
            self.name = str(getattr(event, "value", ""))[:60]
        self._next_is_key = self._has_keys and not self._next_is_key


def _long_before_its_end(open_ones: list[_Open], count: int) -> TooLongError:
    """Names the innermost of those that hold most of the values."""
    inside = [sum(each.values for each in open_ones[place:]) for place in range(len(open_ones))]
    place = max(number for number, values in enumerate(inside) if 2 * values > count)
    path = ".".join(each.name for each in open_ones[:place] if each.name)
    return _long(path, open_ones[place].line, f"more than {inside[place] - 1:,}")


def _long(path: str, line: int, values: str) -> TooLongError:
    what = f"`{path}` in line {line}" if path else "it"
    return TooLongError(
        f"{what} is too long: it stands for {values} values, and a whole file has {MOST:,} at most"
    )


def _check(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for; looked at once, however often it is repeated.

    Raises:
        YAMLError: something in it is refused.
    """
    known = sizes.get(id(node))
    if known == 0:
        raise _refused(node, "a value repeats itself inside of itself")
    if known is not None:
        return known
    sizes[id(node)] = 0
    kind = node.tag.removeprefix(TAG)
    if kind not in PLAIN and kind not in OTHERS:
        raise _refused(node, f"{node.tag} is no type that is known here")
    if kind in PLAIN and not re.fullmatch(PLAIN[kind][0], str(node.value)):
        raise _refused(node, f"`{str(node.value)[:60]}` is no {kind}")
    children = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        children = [part for pair in node.value for part in pair]
    size = 1 + sum(_check(child, sizes) for child in children)
    sizes[id(node)] = size
    return size


def _too_long(node: yaml.Node, sizes: dict[int, int]) -> TooLongError:
    """Names what most of the values of a node stand in, as far down as that is one thing."""
    found, place, whole = node, [], sizes[id(node)]
    while inner := [each for each in _named(found) if 2 * sizes[id(each[1])] > whole]:
        place.append(inner[0][0])
        found = inner[0][1]
    return _long(".".join(place), found.start_mark.line + 1, f"{sizes[id(found)]:,}")


def _named(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """What is inside of a node, by key or place."""
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value)[:60], value) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((str(number), value) for number, value in enumerate(node.value))


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refused(key, "a key must be a word")
        if key.value in seen and key.tag != f"{TAG}merge":
            raise _refused(key, f"`{key.value}` stands twice")
        seen.add(key.value)


def _refused(node: yaml.Node, why: str) -> yaml.YAMLError:
    return yaml.YAMLError(f"{why} in line {node.start_mark.line + 1}")


def from_json(text: str) -> object:
    """The content of a JSON document.

    Raises:
        ValueError: it is not JSON, or says a key twice.
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"`{key}` stands twice")
        found[key] = value
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
