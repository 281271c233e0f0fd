"""Tokenizers in the `tokenizer.json` format of the tokenizers library.

The sidecar `tokenizer_config.json` is read as well. transformers is not imported.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import tokenizers

from needlework.door import opens
from needlework.errors import ResourceError
from needlework.external import snapshots
from needlework.tokenizers import cuts
from needlework.tokenizers.apart import Reader
from needlework.tokenizers.sidecars import CONFIG, SPECIAL, Sidecars

log = logging.getLogger(__name__)

Find = Callable[[str], int | None]
"""What gives a token its id."""

PATTERN = re.compile(r'"Regex"\s*:\s*"((?:[^"\\]|\\.)*+)')
LONGEST_PATTERN = 20_000
"""Characters of all expressions of a tokenizer; a million of them take gigabytes to be prepared."""
MOST_GROWTH = 1000
"""What a decoder may make of a character; honest ones replace one by one."""


class HubTokenizer:
    """A `tokenizer.json`, with begin and end tokens from the sidecar when there is one."""

    def __init__(self, path: Path) -> None:
        source = path.read_text(encoding="utf-8", errors="replace")
        self._define(source, path, name=path.parent.name, sidecars=Sidecars(path.parent))

    def _define(self, source: str, path: Path, *, name: str, sidecars: Sidecars) -> None:
        """Become what `source`, the text of a `tokenizer.json`, and its sidecars describe."""
        self._path, self._source = path, source
        self._added = sidecars.added
        _check_patterns(path, source)
        added = self._added
        self._reader = Reader(path, lambda: _Inner(path, source, added), size=len(source))
        layout = _layout(path, source)
        told = self._reader.tell("all")
        digest = hashlib.sha256((source + "".join(told["added"])).encode()).hexdigest()
        self.identity = f"{name}@{digest[:12]}"
        self.vocabulary = told["vocabulary"]
        self.cuts = cuts.of_layout(layout, told["added"])
        self.blank = None if self.cuts is None or self.cuts.barred else self.cuts.blank
        self._words = _closed_vocabulary(layout)
        self.begin = tuple(self._begin(sidecars, layout))
        self.end = frozenset(known_ids(sidecars, "eos_token", self._find))

    def _find(self, token: str) -> int | None:
        found: int | None = self._reader.tell("id", token)
        return found

    def _begin(self, sidecars: Sidecars, layout: dict[str, Any]) -> list[int]:
        """What the sidecar says, or else what the post-processor, as in Llama 3, puts first."""
        if (adds := sidecars.config.get("add_bos_token")) is not None:
            return begin_of(sidecars, self._find) if adds else []
        if self._words is not None or not layout.get("post_processor"):
            return []
        found: list[int] = self._reader.tell("begin")
        return found

    def encode(self, text: str) -> list[int]:
        """The ids of `text`.

        Raises:
            ResourceError: the tokenizer knows whole words only, and not one of these.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text; raises as `encode` does."""
        self._check(texts)
        return self._reader.encode(texts)

    def starts(self, text: str) -> list[int]:
        """At which character of `text` each of its tokens begins; raises as `encode` does."""
        self._check([text])
        return self._reader.starts(text)

    def _check(self, texts: Sequence[str]) -> None:
        if self._words is None:
            return
        for text in texts:
            unknown = next((word for word in text.split() if word not in self._words), None)
            if unknown is not None:
                raise ResourceError(
                    f"{unknown!r} is none of the {len(self._words)} words of tokenizer "
                    f"{self.identity}; it reads its own language only, so choose that material"
                )

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special tokens left out."""
        text: str = self._here.decode(list(tokens), skip_special_tokens=True)
        return text

    @cached_property
    def _here(self) -> tokenizers.Tokenizer:
        """The same in this process, for answers as they are written: it could be loaded, and what
        it may make of a token was looked at.
        """
        return _Inner(self._path, self._source, self._added).library


def _check_patterns(path: Path, source: str) -> None:
    """Accept expressions of a size that the library can prepare.

    Raises:
        ResourceError: they are longer.
    """
    size = sum(len(found[1]) for found in PATTERN.finditer(source))
    if size > LONGEST_PATTERN:
        raise ResourceError(
            f"{path}: its expressions have {size} characters, and {LONGEST_PATTERN} is the most "
            "that a tokenizer may have; fetch it again, or name another tokenizer"
        )


def begin_of(sidecars: Sidecars, find: Find) -> list[int]:
    """The begin token, where the sidecar says that one is added.

    Raises:
        ResourceError: none of those that it names is a token.
    """
    found = known_ids(sidecars, "bos_token", find)
    if not found:
        raise ResourceError(
            f"{sidecars.folder / CONFIG}: add_bos_token is true, but no bos_token of the tokenizer "
            f"is named there or in {SPECIAL}; name it, or set add_bos_token to false"
        )
    return found[:1]


def known_ids(sidecars: Sidecars, kind: str, find: Find) -> list[int]:
    """The ids of what is called `kind`, each once; what is no token is told in the log."""
    found = {name: find(name) for name in sidecars.named(kind)}
    for name, number in found.items():
        if number is None:
            log.warning("%s: %s %r is none of its tokens", sidecars.folder, kind, name)
    return list(dict.fromkeys(number for number in found.values() if number is not None))


class _Inner:
    """A tokenizer that neither cuts nor fills texts, with the tokens that only sidecars know."""

    def __init__(self, path: Path, source: str, added: Mapping[str, int]) -> None:
        self.path, self.library = path, _read(path, source)
        self._added = _add(self.library, added, path.parent)

    def ids(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """The ids of every text."""
        found = self.library.encode_batch(list(texts), add_special_tokens=False)
        return [each.ids for each in found]

    def starts(self, text: str) -> list[int]:
        """At which character each token of a text begins."""
        found = self.library.encode(text, add_special_tokens=False)
        return [start for start, _ in found.offsets]

    def tell(self, question: str, words: Sequence[str]) -> Any:  # noqa: ANN401 - as JSON has it
        """What is asked of it once: all about it, the id of a token, what begins every text."""
        if question == "id":
            return self.library.token_to_id(words[0])
        if question == "begin":
            encoded = self.library.encode("a", add_special_tokens=True)
            return encoded.ids[: encoded.special_tokens_mask.index(0)]
        size = self.library.get_vocab_size(with_added_tokens=True)
        return {"vocabulary": size, "added": self._added}


@opens("a tokenizer", "tokenizer.json", error=ResourceError)
def _read(path: Path, source: str | None = None) -> tokenizers.Tokenizer:
    source = path.read_text(encoding="utf-8") if source is None else source
    inner = tokenizers.Tokenizer.from_str(source)
    inner.no_truncation()
    inner.no_padding()
    _check_growth(path, inner)
    return inner


def _check_growth(path: Path, library: tokenizers.Tokenizer) -> None:
    """Accept a decoder that makes texts little longer than the tokens they are of.

    Raises:
        ResourceError: its replacements, one after the other, may make a character much more.
    """
    decoder = library.decoder
    told = json.loads(decoder.__getstate__()) if decoder is not None else {}
    growth = prod(1 + len(step.get("content", "")) for step in _decoders(told))
    if growth > MOST_GROWTH:
        raise ResourceError(
            f"{path}: its decoder may make {growth:,} characters of one, and {MOST_GROWTH} is the "
            "most that it may; fetch it again, or name another tokenizer"
        )


def _decoders(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The replacements among the steps of a decoder."""
    if told.get("type") == "Replace":
        yield told
    for step in told.get("decoders", ()):
        yield from _decoders(step)


def _add(inner: tokenizers.Tokenizer, added: Mapping[str, int], folder: Path) -> list[str]:
    """Add the tokens that only the files beside it know; which these are.

    Raises:
        ResourceError: such a token would get another id than its file says.
    """
    missing = [text for text in added if inner.token_to_id(text) is None]
    for text in missing:
        inner.add_special_tokens([tokenizers.AddedToken(text, special=True, normalized=False)])
        if inner.token_to_id(text) != (number := added[text]):
            raise ResourceError(
                f"{folder}: its files give token {text!r} the id {number}, but the "
                f"tokenizer has room for it at {inner.token_to_id(text)}; mend added_tokens_decoder"
            )
    return missing


@opens("a tokenizer", "tokenizer.json", error=ResourceError)
def _layout(path: Path, source: str | None = None) -> dict[str, Any]:
    """The content of a `tokenizer.json`; of byte-level BPE without its words.

    They are nine tenths of the file and come last, and nothing here asks for them: reading them
    twice would cost every command as much as a small dataset.
    """
    source = path.read_text(encoding="utf-8") if source is None else source
    start = source.partition('"vocab"')[0].rstrip().removesuffix(",")
    try:
        layout: dict[str, Any] = json.loads(f"{start}}}}}")
    except json.JSONDecodeError:
        return dict(json.loads(source))
    complete = layout.keys() >= {"added_tokens", "normalizer", "pre_tokenizer", "model"}
    if not complete or not layout["model"].keys() >= {"type", "dropout"}:
        return dict(json.loads(source))
    splitter = (layout["pre_tokenizer"] or {}).get("type")
    if (layout["model"]["type"], splitter) != ("BPE", "ByteLevel"):
        return dict(json.loads(source))
    return layout


def _closed_vocabulary(layout: dict[str, Any]) -> frozenset[str] | None:
    """All words of a word-level tokenizer that has no token for an unknown one."""
    model = layout["model"]
    if model["type"] != "WordLevel" or model.get("unk_token") in model["vocab"]:
        return None
    return frozenset(model["vocab"])


def open_path(path: Path) -> HubTokenizer:
    """The tokenizer in a folder or file.

    Raises:
        ResourceError: there is no `tokenizer.json`.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file() or file.suffix != ".json":
        raise ResourceError(
            f"{path}: no tokenizer; name a folder with tokenizer.json, a *.model or rwkv_vocab*.txt"
        )
    return HubTokenizer(file)


def download(hub_id: str, *, revision: str | None) -> Path:
    """The folder with the tokenizer of a hub repository, downloaded where it is not there yet.

    Raises:
        ResourceError: the name is neither a path nor a repository that can be reached, or what was
            fetched of it is not complete any more.
    """
    if fetched := snapshots.find("tokenizers", hub_id, revision=revision):
        return fetched
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=list(snapshots.TOKENIZER))
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise ResourceError(
            f"tokenizer {hub_id!r} is neither a path nor reachable on the hub "
            f"({type(error).__name__}); check the name, or fetch it and give its path"
        ) from error
