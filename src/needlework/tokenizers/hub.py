"""Tokenizers in the `tokenizer.json` format of the tokenizers library.

The sidecar `tokenizer_config.json` is read as well. transformers is not imported.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from needlework.errors import ResourceError
from needlework.external import snapshots
from needlework.tokenizers import cuts


class HubTokenizer:
    """A `tokenizer.json`, with begin and end tokens from the sidecar when there is one."""

    def __init__(self, path: Path) -> None:
        source = path.read_text(encoding="utf-8", errors="replace")
        sidecar = path.with_name("tokenizer_config.json")
        self._define(source, path, name=path.parent.name, sidecar=lambda: read_sidecar(sidecar))

    def _define(
        self, source: str, path: Path, *, name: str, sidecar: Callable[[], dict[str, Any]]
    ) -> None:
        """Become what `source`, the text of a `tokenizer.json`, and its sidecar describe."""
        with _Reading(path):
            self._inner = tokenizers.Tokenizer.from_str(source)
        layout = _layout(source)
        self._inner.no_truncation()
        self._inner.no_padding()
        digest = hashlib.sha256(source.encode()).hexdigest()
        self.identity = f"{name}@{digest[:12]}"
        self.vocabulary = self._inner.get_vocab_size(with_added_tokens=True)
        self.cuts = cuts.of_layout(layout)
        self.blank = None if self.cuts is None or self.cuts.barred else self.cuts.blank
        self._words = _closed_vocabulary(layout)
        config = sidecar()
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
        self._check([text])
        ids: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text; raises as `encode` does."""
        self._check(texts)
        encoded = self._inner.encode_batch(list(texts), add_special_tokens=False)
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
        if kind is Exception:
            raise ResourceError(
                f"{self.path} is not a tokenizer that the tokenizers library reads ({error}); "
                "fetch it again"
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
