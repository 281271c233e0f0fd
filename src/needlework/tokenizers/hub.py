"""Tokenizers in the `tokenizer.json` format of the tokenizers library.

Knows that format and its sidecar `tokenizer_config.json`; does not import transformers.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from needlework import bounded
from needlework.errors import ResourceError
from needlework.external import snapshots
from needlework.tokenizers import cuts

SECONDS, SECONDS_A_MEGABYTE = 30, 30
MEGABYTES, MEGABYTES_A_MEGABYTE = 1000, 500
"""What a text may take: a hundred times what honest tokenizers need, who expand and search too."""
PATTERN = re.compile(r'"Regex"\s*:\s*"((?:[^"\\]|\\.)*+)')
LONGEST_PATTERN = 20_000
"""Characters of all expressions of a tokenizer; a million of them take gigabytes to be prepared."""


class HubTokenizer:
    """A `tokenizer.json`, with begin and end tokens from the sidecar when there is one."""

    def __init__(self, path: Path) -> None:
        source = path.read_text(encoding="utf-8", errors="replace")
        _check_patterns(path, source)
        with _Reading(path):
            self._inner = tokenizers.Tokenizer.from_str(source)
        self._path = path
        layout = _layout(source)
        self._inner.no_truncation()
        self._inner.no_padding()
        digest = hashlib.sha256(source.encode()).hexdigest()
        self.identity = f"{path.parent.name}@{digest[:12]}"
        self.vocabulary = self._inner.get_vocab_size(with_added_tokens=True)
        self.cuts = cuts.of_layout(layout)
        self.blank = None if self.cuts is None or self.cuts.barred else self.cuts.blank
        self._words = _closed_vocabulary(layout)
        config = read_sidecar(path.with_name("tokenizer_config.json"))
        self.begin = tuple(self._begin(config, layout))
        end = self._id(config.get("eos_token"))
        self.end = frozenset() if end is None else frozenset({end})

    def _begin(self, config: dict[str, Any], layout: dict[str, Any]) -> list[int]:
        """What the sidecar says, or else what the post-processor, as in Llama 3, puts first."""
        if (adds := config.get("add_bos_token")) is not None:
            begin = self._id(config.get("bos_token")) if adds else None
            return [] if begin is None else [begin]
        if self._words is not None or not layout.get("post_processor"):
            return []
        encoded = self._inner.encode("a", add_special_tokens=True)
        return encoded.ids[: encoded.special_tokens_mask.index(0)]

    def _id(self, token: str | dict[str, Any] | None) -> int | None:
        content = token["content"] if isinstance(token, dict) else token
        return None if content is None else self._inner.token_to_id(content)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`.

        Raises:
            ResourceError: the tokenizer knows whole words only, and not one of these.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text; raises as `encode` does."""
        self._check(texts)
        size = sum(map(len, texts)) / bounded.MEGABYTE
        with _Reading(self._path):
            encoded = bounded.in_thread(
                lambda: self._inner.encode_batch(list(texts), add_special_tokens=False),
                what=f"{self._path}: a text of {size:.3g} MB",
                limits=bounded.Limits(
                    seconds=SECONDS + SECONDS_A_MEGABYTE * size,
                    megabytes=MEGABYTES + MEGABYTES_A_MEGABYTE * size,
                ),
            )
        return [each.ids for each in encoded]

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
        text: str = self._inner.decode(list(tokens), skip_special_tokens=True)
        return text


@dataclass(frozen=True)
class _Reading:
    """Makes one line of what the tokenizers library raises: `Exception` itself, no kind of it."""

    path: Path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        if kind is Exception or (kind is not None and kind.__module__ == "pyo3_runtime"):
            raise ResourceError(
                f"{self.path} is not a tokenizer that the tokenizers library reads ({error}); "
                "fetch it again"
            )


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


def read_sidecar(path: Path) -> dict[str, Any]:
    """What stands in a `tokenizer_config.json`; nothing where there is none.

    Raises:
        ResourceError: it is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ResourceError(f"{path} is not a JSON object ({error}); fetch it again") from error


def _layout(source: str) -> dict[str, Any]:
    """The content of a `tokenizer.json`; of byte-level BPE without its words.

    They are nine tenths of the file and come last, and nothing here asks for them: reading them
    twice would cost every command as much as a small dataset.
    """
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
