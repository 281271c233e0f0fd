"""The tokenizer inside a GGUF file, written down as a `tokenizer.json` with its sidecar.

llama.cpp's names of vocabularies, kinds of tokens and ways to split a text become those of the
tokenizers library, so that special tokens and chat templates are read as from a hub repository.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from needlework.errors import ResourceError
from needlework.gguf_header import Header, read_header
from needlework.tokenizers.cuts import MARK
from needlework.tokenizers.hub import HubTokenizer
from needlework.tokenizers.sidecars import Sidecars

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4
"""Kinds of tokens, of which the last two are found in a text before it is split."""
_DIGITS = {"type": "Digits", "individual_digits": True}
_WORDS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_BYTES = {**_WORDS, "use_regex": False}
_TIKTOKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How OpenAI's tokenizers, and after them Llama 3 and Qwen2, split a text."""


def _split(numbers: str) -> dict[str, Any]:
    pattern = {"Regex": _TIKTOKEN.format(numbers=numbers)}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _BYTES]}


_GPT_2 = {"pre_tokenizer": _WORDS}
_SMOLLM = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [_DIGITS, _WORDS]}}
_LLAMA_3 = {"pre_tokenizer": _split(r"\p{N}{1,3}"), "ignore_merges": True, "begins": True}
_QWEN_2 = {"pre_tokenizer": _split(r"\p{N}"), "normalizer": {"type": "NFC"}}
SPLITS: Mapping[str, Mapping[str, Any]] = {
    "gpt-2": _GPT_2,
    "smollm": _SMOLLM,
    "starcoder": _SMOLLM,
    "llama-bpe": _LLAMA_3,
    "llama3": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "qwen2": _QWEN_2,
    "deepseek-r1-qwen": _QWEN_2,
}
"""How texts are split before merging, by the name that the file gives (`tokenizer.ggml.pre`)."""


class GgufTokenizer(HubTokenizer):
    """The tokenizer that a GGUF file describes, with its begin and end tokens."""

    def __init__(self, path: Path) -> None:
        header = read_header(path)
        source = json.dumps(layout_of(header), ensure_ascii=False)
        self._define(source, path, name=path.name, sidecars=Sidecars(path, sidecar_of(header)))
        named = ("eos_token_id", "eot_token_id", "eom_token_id")
        ids = (header.settings.get(f"tokenizer.ggml.{name}") for name in named)
        self.end = frozenset(each for each in ids if each is not None)


def sidecar_of(header: Header) -> dict[str, Any]:
    """What a `tokenizer_config.json` would say: special tokens and the chat template."""
    settings, tokens = header.settings, _tokens(header)
    found: dict[str, Any] = {"add_bos_token": _begins(header)}
    for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        number = settings.get(f"tokenizer.ggml.{key}_token_id")
        if number is None:
            continue
        if not 0 <= number < len(tokens):
            raise ResourceError(
                f"{header.path}: its {key} token {number} is none of its {len(tokens)} tokens; "
                "convert the model again"
            )
        found[f"{name}_token"] = tokens[number]
    if (template := settings.get("tokenizer.chat_template")) is not None:
        found["chat_template"] = template
    return found


def layout_of(header: Header) -> dict[str, Any]:
    """The `tokenizer.json` of a file, as data.

    Raises:
        ResourceError: it has no tokenizer, or one of a kind that is not read here.
    """
    tokens = _tokens(header)
    kinds = header.settings.get("tokenizer.ggml.token_type") or [_NORMAL] * len(tokens)
    if len(kinds) != len(tokens):
        raise ResourceError(
            f"{header.path} has {len(tokens)} tokens and {len(kinds)} kinds of them; convert the "
            "model again"
        )
    model = header.settings.get("tokenizer.ggml.model")
    if model == "gpt2":
        parts = _byte_level(header, tokens)
    elif model == "llama":
        parts = _marked(header, tokens, kinds)
    else:
        raise ResourceError(
            f"{header.path} has a tokenizer of the kind {model!r}, and gpt2 and llama are read; "
            "name the tokenizer of the original model"
        )
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(_added(tokens, kinds)),
        "post_processor": None,
        **parts,
    }


def _tokens(header: Header) -> Sequence[str]:
    tokens: list[str] = header.settings.get("tokenizer.ggml.tokens") or []
    if not tokens:
        raise ResourceError(
            f"{header.path} has no tokenizer (`tokenizer.ggml.tokens`); name one of its own: a "
            "folder, a file or a hub id"
        )
    return tokens


def _added(tokens: Sequence[str], kinds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What is found in a text before it is split; control tokens are left out of answers."""
    for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True)):
        if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED):
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            yield {"id": number, "content": token, **flags, "special": kind != _USER_DEFINED}


def _begins(header: Header) -> bool:
    """Whether prompts begin with the begin token; files that do not say follow their kind."""
    settings = header.settings
    default = settings.get("tokenizer.ggml.model") == "llama" or SPLITS.get(
        str(settings.get("tokenizer.ggml.pre")), {}
    ).get("begins", False)
    return bool(settings.get("tokenizer.ggml.add_bos_token", default))


def _vocabulary(header: Header, tokens: Sequence[str]) -> dict[str, int]:
    found = {token: number for number, token in enumerate(tokens)}
    if len(found) < len(tokens):
        twice = next(token for number, token in enumerate(tokens) if found[token] != number)
        raise ResourceError(f"{header.path} has token {twice!r} twice; convert the model again")
    return found


def _byte_level(header: Header, tokens: Sequence[str]) -> dict[str, Any]:
    """Byte-level BPE, as GPT-2 has it."""
    name: str | None = header.settings.get("tokenizer.ggml.pre")
    if name is None or name not in SPLITS:
        told = "does not say how it splits a text" if name is None else f"splits as {name!r}"
        raise ResourceError(
            f"{header.path} {told} (`tokenizer.ggml.pre`), and {', '.join(SPLITS)} are read; name "
            "the tokenizer of the original model"
        )
    split = SPLITS[name]
    merges = [merge.split(" ") for merge in header.settings.get("tokenizer.ggml.merges", [])]
    return {
        "normalizer": split.get("normalizer"),
        "pre_tokenizer": split["pre_tokenizer"],
        "decoder": _WORDS,
        "model": _model(
            _vocabulary(header, tokens), merges, ignore_merges=split.get("ignore_merges", False)
        ),
    }


def _marked(header: Header, tokens: Sequence[str], kinds: Sequence[int]) -> dict[str, Any]:
    """What SentencePiece merges: blanks as marks, the best score first, bytes for the unknown."""
    vocabulary = _vocabulary(header, tokens)
    scores = header.settings.get("tokenizer.ggml.scores", [])
    if len(scores) != len(tokens):
        raise ResourceError(
            f"{header.path} has {len(tokens)} tokens and {len(scores)} scores; convert it again"
        )
    mergeable = {
        token: vocabulary[token]
        for token, kind in zip(tokens, kinds, strict=True)
        if kind == _NORMAL
    }
    ranked = sorted(mergeable, key=lambda token: (-scores[vocabulary[token]], vocabulary[token]))
    prefixed = header.settings.get("tokenizer.ggml.add_space_prefix", True)
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
    prepend = [{"type": "Prepend", "prepend": MARK}] if prefixed else []
    back = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefixed else []
    unknown = next(
        (token for token, kind in zip(tokens, kinds, strict=True) if kind == _UNKNOWN), None
    )
    return {
        "normalizer": {"type": "Sequence", "normalizers": [*prepend, replace]},
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip],
        },
        "model": _model(
            vocabulary,
            [pair for token in ranked for pair in _pairs(token, mergeable)],
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        ),
    }


def _pairs(token: str, known: Mapping[str, int]) -> list[tuple[str, str]]:
    """Every two tokens that make this one."""
    cut = ((token[:place], token[place:]) for place in range(1, len(token)))
    found = [pair for pair in cut if pair[0] in known and pair[1] in known]
    return sorted(found, key=lambda pair: (known[pair[0]], known[pair[1]]))


def _model(
    vocabulary: Mapping[str, int], merges: Sequence[Sequence[str]], **settings: object
) -> dict[str, Any]:
    defaults = {"unk_token": None, "fuse_unk": False, "byte_fallback": False}
    return {
        "type": "BPE",
        "dropout": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        **defaults,
        "ignore_merges": False,
        **settings,
        "vocab": vocabulary,
        "merges": merges,
    }
