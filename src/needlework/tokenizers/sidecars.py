"""What the files beside a tokenizer and a checkpoint say of special tokens.

A special token may be named in several places, and no single one of them is complete in the wild:
so all of them are read, and what ends a text is the union.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from needlework.door import read_json, shown
from needlework.errors import CheckpointError, NeedleworkError, ResourceError

CONFIG, SPECIAL, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
ENDS = ("config.json", "generation_config.json")
"""Where a checkpoint says which ids end a text."""
_END = "eos_token_id"
_EVERYWHERE = frozenset(f"{kind}_token" for kind in "bos eos unk sep pad cls mask".split())
_EXTRA, _TYPE = "extra_special_tokens", "__type"


class Sidecars:
    """The files beside a tokenizer; those that are not there say nothing."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        """Those in a folder; with `config`, of one file that says all of it by itself."""
        self.folder = folder
        alone = config is not None
        self.config = config if config is not None else _object(folder / CONFIG)
        self._special = {} if alone else _object(folder / SPECIAL)

    def named(self, kind: str) -> list[str]:
        """What is called `bos_token`, `eos_token` or the like, each once.

        Raises:
            ResourceError: it is called so, but is no text.
        """
        found = [
            content(said[kind], self.folder / name, kind)
            for name, said in ((CONFIG, self.config), (SPECIAL, self._special))
            if said.get(kind) is not None
        ]
        return list(dict.fromkeys(found))

    @cached_property
    def added(self) -> dict[str, int]:
        """Tokens that are added to a vocabulary, with their ids, in ascending order.

        Raises:
            ResourceError: one has no text or no id.
        """
        listed = self.config.get("added_tokens_decoder")
        if listed is None:
            path = self.folder / ADDED
            found = {text: _id(number, path) for text, number in _object(path).items()}
        else:
            path = self.folder / CONFIG
            if not isinstance(listed, dict):
                raise ResourceError(f"{path}: added_tokens_decoder is no object; fetch it again")
            found = {
                content(each, path, f"added_tokens_decoder.{number}"): _id(number, path)
                for number, each in listed.items()
            }
        return dict(sorted(found.items(), key=lambda token: token[1]))

    def for_templates(self) -> dict[str, str]:
        """The special tokens by the names that chat templates use, as transformers resolves them.

        The map of special tokens comes before the sidecar, but not where that describes all tokens;
        names that only some models have are the sidecar's, and those listed as extra come first.
        """
        said = {name: self.config[name] for name in self.config if name.endswith("_token")}
        own = {name: token for name, token in said.items() if name not in _EVERYWHERE}
        typed = {name for name, token in own.items() if isinstance(token, dict) and _TYPE in token}
        mapped = {} if "added_tokens_decoder" in self.config else self._special
        found = {name: said[name] for name in said.keys() - own.keys() | typed}
        found |= {name: token for name, token in mapped.items() if name.endswith("_token")}
        found |= {name: token for name, token in own.items() if isinstance(token, str)}
        for extra in (self.config.get(_EXTRA), mapped.get(_EXTRA)):
            found |= extra if isinstance(extra, dict) else {}
        return {
            name: content(token, self.folder / CONFIG, name)
            for name, token in found.items()
            if isinstance(token, str | dict)
        }


def content(token: object, path: Path, name: str) -> str:
    """The text of a token, which is written as that or as an object around it.

    Raises:
        ResourceError: it is neither.
    """
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str) or not text:
        raise ResourceError(
            f"{path}: {name} is {shown(token)}, which is no token; write its text, or null"
        )
    return text


def ends_of_checkpoint(folder: Path) -> frozenset[int]:
    """The ids that end a text by what lies beside the weights in a folder.

    Raises:
        CheckpointError: a file says something that is no id.
    """
    if not folder.is_dir():
        return frozenset()
    return frozenset(each for name in ENDS for each in _ends(folder / name))


def _ends(path: Path) -> Iterator[int]:
    said = _object(path, CheckpointError)
    inner = said.get("text_config")
    for where in (said, inner if isinstance(inner, dict) else {}):
        value = where.get(_END)
        for each in value if isinstance(value, list) else [value]:
            if each is None or each == -1:  # Some files write -1 for none.
                continue
            if not isinstance(each, int) or isinstance(each, bool) or each < 0:
                raise CheckpointError(
                    f"{path}: {_END} is {shown(value)}, which is no id; correct it"
                )
            yield each


def _object(path: Path, error: type[NeedleworkError] = ResourceError) -> dict[str, Any]:
    """What stands in a JSON file; nothing where there is none."""
    return read_json(path, error=error, kind=dict) if path.is_file() else {}


def _id(number: object, path: Path) -> int:
    text = str(number)
    if isinstance(number, bool) or not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ResourceError(f"{path}: {shown(number)} is no id of a token; fetch it again")
    return int(text)
