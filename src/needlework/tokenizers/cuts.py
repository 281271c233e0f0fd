"""Where a text may be cut without changing its tokens, by what a `tokenizer.json` says.

Only layouts of that format for which this can be proved are covered; the result is None for all
others. A cut lies before a run of blanks that follows a word and precedes one:

- Pre-tokenizers that split there (GPT-2's expression, white space): tokens never leave a pre-token.
- LLaMA and Gemma, which write a blank as a mark and then merge: no entry of the vocabulary holds
  the mark after anything else, so no merge can make one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Blank = Literal["leads", "parts"]

MARK = "\u2581"
"""How SentencePiece and its descendants write a blank."""

_UNICODE_FORMS = frozenset({"NFC", "NFD", "NFKC", "NFKD"})
PLAIN = re.compile(r"(?:[.,:'A-Za-z0-9-]|[ \n](?=\S))+")
"""Texts in which GPT-2's expression finds exactly the words that `PLAIN_WORD` does."""
_IN_PLAIN = re.compile(r"(?!.*(?:  |\n\n))[ \n.,:'A-Za-z0-9-]+", re.DOTALL)
"""What may occur within such a text."""
PLAIN_WORD = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[.,:'-]+|\n")


@dataclass(frozen=True)
class Cuts:
    """How the pieces of a cut text are tokenized."""

    blank: Blank
    """Whether the first blank leads the word after it, or only parts it from the one before."""
    barred: tuple[str, str] | None = None
    """Characters before and after the blanks that forbid a cut: ends and starts of added tokens."""
    words: bool = False
    """Whether a plain text is the sum of its words."""


def of_layout(layout: dict[str, Any], added: Iterable[str] = ()) -> Cuts | None:
    """What can be proved about a `tokenizer.json`; `added` are tokens that only sidecars know."""
    told = [*layout.get("added_tokens", ()), *({"content": each} for each in added)]
    layout = layout | {"added_tokens": told}
    if not all(map(_is_local, told)) or layout["model"].get("dropout"):
        return None
    steps = {step["type"]: step for step in _steps(layout.get("normalizer"))}
    splitter = layout.get("pre_tokenizer") or {}
    if steps.keys() <= _UNICODE_FORMS:
        return _of_splitter(splitter, layout)
    return _of_marks(steps, splitter, layout)


def _is_local(token: dict[str, Any]) -> bool:
    """Whether an added token is found by its own characters alone, none of them behind a cut."""
    content = token["content"]
    reaches = token.get("lstrip") or token.get("rstrip") or token.get("single_word")
    return not reaches and " " not in content.lstrip(" ")


def _steps(normalizer: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The steps of a normalizer, taken out of their sequences."""
    if normalizer is None:
        return
    if normalizer["type"] != "Sequence":
        yield normalizer
        return
    for each in normalizer["normalizers"]:
        yield from _steps(each)


def _of_splitter(splitter: dict[str, Any], layout: dict[str, Any]) -> Cuts | None:
    if splitter.get("type") == "WhitespaceSplit":
        return Cuts("leads")
    first, *rest = splitter.get("pretokenizers", [splitter])
    if first.get("type") == "Digits" and len(rest) == 1:
        # Every digit by itself, then GPT-2's expression: blanks before a digit are left behind a
        # word, where that expression parts them from it, as it does after a cut.
        (splitter,) = rest
    byte_level = splitter.get("type") == "ByteLevel" and splitter.get("use_regex", True)
    if not byte_level or splitter.get("add_prefix_space", True):
        return None
    added = [token["content"] for token in layout.get("added_tokens", ())]
    return Cuts("leads", words=not any(map(_IN_PLAIN.fullmatch, added)))


def _of_marks(
    steps: dict[str, dict[str, Any]], splitter: dict[str, Any], layout: dict[str, Any]
) -> Cuts | None:
    replace = steps.get("Replace", {})
    writes_mark = replace.get("content") == MARK and replace.get("pattern") == {"String": " "}
    splits_blanks = not splitter or splitter.get("pattern") == {"String": " "}
    model = layout["model"]
    if steps.keys() - {"Prepend", "Replace"} or not (writes_mark and splits_blanks):
        return None
    if model["type"] != "BPE" or MARK not in model["vocab"]:
        return None
    if any(MARK in word.lstrip(MARK) for word in model["vocab"]):
        return None
    if "Prepend" not in steps:
        return Cuts("leads")
    if steps["Prepend"].get("prepend") != MARK:
        return None
    # The text after an added token gets a mark of its own, as the whole text does.
    added = [token["content"] for token in layout.get("added_tokens", ())]
    if any(" " in content for content in added):
        return None
    ends, starts = ("".join(sorted({content[each] for content in added})) for each in (-1, 0))
    return Cuts("parts", barred=(ends, starts) if added else None)
