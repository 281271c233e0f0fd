"""Every word of a prompt that is not haystack, as data: one wording per language.

The wording here is our own: RULER's, in which English studies ask, is fetched and parsed
(`needlework.tasks.ruler`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Literal

WordingName = Literal["ruler", "plain"]
"""RULER's own prompt texts, or ours."""


@dataclass(frozen=True)
class Wrapper:
    """What a model's training format puts around the request."""

    before: str = ""
    after: str = ""
    thinks: bool = False
    """Whether the model thinks before it answers: then the start of the answer stands in the
    request, where it is an example of what is wanted."""


@dataclass(frozen=True)
class Frame:
    """The words around a haystack, and those around and between the answers."""

    head: str
    question: str
    prefix: str
    """The start of the answer, which the model continues."""
    between: str
    """What stands before the second and every further answer."""
    end: str
    gap: str = "\n\n"
    """What stands between a solved example and the task."""

    def fill(self, **values: str) -> "Frame":
        """The frame with its placeholders filled in, but for those of `between`."""
        filled = {
            field.name: getattr(self, field.name).format(**values)
            for field in fields(self)
            if field.name != "between"
        }
        return replace(self, **filled)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How one language says everything the generators have to say."""

    nouns: Mapping[str, tuple[str, str]]
    """Singular and plural of every kind of value."""
    comma: str
    last_comma: str
    needle: str
    hay_separator: str
    """Between the sentences of a book and its needles."""
    line_separator: str
    """Between the units of all other hay and their needles."""
    one_needle: Frame
    many_needles: Frame
    assignment: str
    """A variable receives a number."""
    passing: str
    """A variable receives what another one holds."""
    tracking: Frame
    numbered: str
    named: str
    """A common word in the answer of the solved example."""
    common: Frame
    filler: str
    """The word that is most frequent and is not asked for."""
    frequent: Frame
    document: str
    document_separator: str
    documents: Frame
    shows_example: bool
    """Whether tracking and common words show a small solved example first."""

    def enumerate(self, words: Sequence[str]) -> str:
        """The words as a list within a sentence."""
        *first, last = words
        return self.last_comma.join([self.comma.join(first), last]) if first else last


ENGLISH = Wording(
    nouns=MappingProxyType(
        {
            "words": ("word", "words"),
            "numbers": ("number", "numbers"),
            "uuids": ("code", "codes"),
        }
    ),
    comma=", ",
    last_comma=" and ",
    needle="The magic {noun} of {key} is {value}.",
    hay_separator=" ",
    line_separator=" ",
    one_needle=Frame(
        head="Somewhere in the text below a magic {noun} is written down. Keep it in mind; "
        "a question about it follows the text.\n\n",
        question="\n\nQuestion: According to the text, what is the magic {noun} of {query}?",
        prefix="\nAnswer: According to the text, the magic {noun} of {query} is",
        between=", ",
        end=".",
    ),
    many_needles=Frame(
        head="In several places of the text below magic {nouns} are written down. "
        "Keep them in mind; a question about them follows the text.\n\n",
        question="\n\nQuestion: According to the text, what are all the magic {nouns} of {query}?",
        prefix="\nAnswer: According to the text, the magic {nouns} of {query} are",
        between=", ",
        end=".",
    ),
    assignment="Let {name} be {source}.",
    passing="Let {name} be {source}.",
    tracking=Frame(
        head="Between the sentences below, variables receive a number or the content of another "
        "variable. Follow who holds what.\n\n",
        question="\n\nQuestion: Which variables hold {value} in the end, directly or through "
        "another variable?",
        prefix="\nAnswer: The {count} variables that hold {value} are",
        between=", ",
        end=".",
    ),
    numbered="{number}. {word}",
    named="{word}",
    common=Frame(
        head="Some words of the numbered list below come more often than the others. "
        "Keep count.\n\n",
        question="\n\nQuestion: Which {count} words come most often in the list?",
        prefix="\nAnswer: The {count} words that come most often are",
        between=", ",
        end=".",
    ),
    filler="...",
    frequent=Frame(
        head="The text below is written in made-up words. Count how often each comes; "
        "the dots do not count.\n\n",
        question="\n\nQuestion: Which three made-up words come most often?",
        prefix="\nAnswer: The three made-up words that come most often are",
        between=", ",
        end=".",
    ),
    document="Document {number}:\n{text}",
    document_separator="\n\n",
    documents=Frame(
        head="Some of the documents below help to answer a question. Reply with the answer alone."
        "\n\n",
        question="\n\nQuestion: {question} Reply with the answer alone.",
        prefix="\nAnswer:{prefix}",
        between=", ",
        end="",
    ),
    shows_example=True,
)

NANO = Wording(
    nouns=MappingProxyType(
        {
            "words": ("words", "words"),
            "numbers": ("number", "number"),
            "uuids": ("code", "code"),
        }
    ),
    comma=" ",
    last_comma=" ",
    needle="the magic {noun} of {key} {value} .",
    hay_separator=" ",
    line_separator=" ",
    one_needle=Frame(
        head="",
        question=" what is the magic {noun} ?",
        prefix=" the magic {noun} of {first}",
        between=" . the magic {noun} of {key} ",
        end=" .",
    ),
    many_needles=Frame(
        head="",
        question=" what are the magic {noun} of {query} ?",
        prefix=" the magic {noun} of {first}",
        between=" {key} ",
        end=" .",
    ),
    assignment="copy {source} {name} .",
    passing="copy {source} {name} .",
    tracking=Frame(
        head="",
        question=" which hold {value} ?",
        prefix=" copy {value}",
        between=" . copy {previous} ",
        end=" .",
    ),
    numbered="{word}",
    named="{word}",
    common=Frame(
        head="words : ",
        question=" . what words are common ?",
        prefix=" the common are",
        between=" ",
        end=" .",
    ),
    filler="...",
    frequent=Frame(
        head="words : ",
        question=" . what words are frequent ?",
        prefix=" the frequent are",
        between=" ",
        end=" .",
    ),
    document="note : {text}",
    document_separator=" ",
    documents=Frame(
        head="",
        question=" {question}",
        prefix=" {prefix}",
        between=" ",
        end=" .",
    ),
    shows_example=False,
)

WRAPPERS: Mapping[str, Wrapper] = MappingProxyType(
    {
        "base": Wrapper(),
        "gemma": Wrapper("<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"),
        "sheared-llama-sharegpt": Wrapper(
            "You are a helpful assistant. Write a response that appropriately completes the "
            "request.\n\n### Input:\n",
            "\n\n### Response:",
        ),
    }
)
"""The official formats of tuned models, by the name `--wrapper` takes."""

CHAT = "chat"
"""The wrapper that stands for the tokenizer's own chat template (`needlework.tasks.chat`)."""
