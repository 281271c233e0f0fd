"""The nano language: 512 words in which every task of the suites can be said in 128 tokens.

A material for the generators of `needlework.tasks`, its word-level tokenizer, and the items that
models are trained on. What is evaluated is never trained: both draw from different addresses, and
the evaluation's book and repeated paragraph occur in no training item.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from needlework import tasks
from needlework.files import write_text
from needlework.nano import grammar as grammars
from needlework.nano.facts import facts, linked_facts
from needlework.nano.grammar import Grammar
from needlework.nano.vocabulary import (
    CODES,
    IDS,
    KEYS,
    NUMBERS,
    SPECIAL,
    VOCABULARY,
    WORDS,
)
from needlework.tasks.material import Draw, Item, Material
from needlework.tasks.prompts import NANO
from needlework.tasks.specs import Spec

PAD, BEGIN, END = (IDS[word] for word in SPECIAL)
_LETTERS = 3
"""Letters of a code."""
_SENTENCE = 11
"""Words of a common sentence, the first guess of a haystack's size."""


@dataclass(frozen=True)
class TrainingItem:
    """One item as token ids: begin and prompt; then what a perfect model writes, and end."""

    prompt: list[int]
    completion: list[int]


def _key(draws: random.Random) -> str:
    return draws.choice(KEYS)


def _number(draws: random.Random) -> str:
    return draws.choice(NUMBERS)


def _letter(draws: random.Random) -> str:
    return draws.choice(CODES)


def _code(draws: random.Random) -> str:
    return " ".join(draws.choices(CODES, k=_LETTERS))


DRAWS: Mapping[str, Draw] = MappingProxyType({"words": _key, "numbers": _number, "uuids": _code})
"""How a key or value of each kind is drawn."""


def material(grammar: Grammar = "common") -> Material:
    """What evaluations are made of; the `unseen` grammar writes books no model has trained on."""
    return Material(
        name="nano" if grammar == "common" else f"nano-{grammar}",
        wording=NANO,
        draws=DRAWS,
        names=_letter,
        example_names=_letter,
        held=_number,
        book=lambda tokens: grammars.evaluation_book(grammar, tokens),
        noise=grammars.evaluation_noise(grammar),
        words=lambda: (*WORDS, *KEYS),
        coin=_letter,
        coins=len(CODES) // 2,
        questions=MappingProxyType({"facts": facts, "linked_facts": linked_facts}),
    )


def training_material(item: Item) -> Material:
    """The same words with a passage and a paragraph that belong to one training item."""
    return replace(
        material(),
        name="nano-training",
        book=lambda tokens: grammars.training_book(item.stream("book"), tokens),
        noise=grammars.training_noise(item.stream("noise")),
    )


def training_item(
    spec: Spec, *, length: int, seed: int, address: tuple[str | int, ...]
) -> TrainingItem:
    """One training item of at most `length` tokens, begin and end token included.

    Every item has hay of its own: a random passage of the training books, or a paragraph drawn
    afresh and repeated. The same seed and address give the same item.

    Raises:
        BudgetError: the spec does not fit into `length`.
    """
    budget = tasks.prompt_budget(spec, length, begin=1)
    item = Item(seed, ("train", *address), 0, budget, length)
    draft, _ = tasks.fit(spec, training_material(item), item, _count, guess=budget // _SENTENCE)
    return TrainingItem([BEGIN, *tokens(draft.text)], [*tokens(draft.completion), END])


def tokens(text: str) -> list[int]:
    """The token ids of a text, as the tokenizer gives them, without loading it."""
    return [IDS[word] for word in text.split()]


def _count(text: str) -> int:
    return len(text.split())


def write_tokenizer(folder: Path) -> None:
    """Write `tokenizer.json` and its sidecar: the words, split at white space and nothing else."""
    layout = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": IDS[word],
                "content": word,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for word in SPECIAL
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": IDS, "unk_token": "<unk>"},
    }
    sidecar = {
        "add_bos_token": True,
        "bos_token": VOCABULARY[BEGIN],
        "eos_token": VOCABULARY[END],
        "pad_token": VOCABULARY[PAD],
    }
    write_text(folder / "tokenizer.json", json.dumps(layout, indent=1) + "\n")
    write_text(folder / "tokenizer_config.json", json.dumps(sidecar, indent=1) + "\n")
