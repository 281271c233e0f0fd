"""What still tells a corrected prompt from a released one when every defect is on, counted.

Every task is made both ways and compared part by part: the form of its text, and the laws of what is
drawn. What differs must be what `docs/prompts.md` lists, no more and no less.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from needlework import released, tokenizers, words
from needlework.haystacks import essay_sentences
from needlework.prompts import WRAPPERS
from needlework.records import Sample, SampleDetail
from needlework.tasks import english, generate, ruler
from needlework.tasks.specs import NiahSpec, QaSpec, Spec
from needlework.variants import misread
from tests.prompt_forms_for_tests import Form, Parts, cut, form, frame_of, merged
from tests.released_for_tests import Material
from tests.tasks_for_tests import ENGLISH, ROOT

PAGE = ROOT / "docs/prompts.md"
SHORT, LONG = 1024, 4096
SAMPLES = 8
QUESTIONS = {"qa_1": "golden/qa/squad.json", "qa_2": "golden/qa/hotpotqa.json"}
TUNED = {"released": "sheared_llama-chat", "corrected": "sheared-llama-sharegpt"}
"""The same format of a tuned model, by the names that the two protocols know."""
LINE = 40
"""Tokens of a line of noise, or of a needle of words and numbers, at most; of one of UUIDs, twice that."""
GRID = tuple(round(100 * place / 39) for place in range(40))
"""The artifact's depths in percent."""


class Made(NamedTuple):
    """A dataset at two lengths."""

    task: str
    spec: Spec
    short: tuple[tuple[Sample, SampleDetail], ...]
    long: tuple[tuple[Sample, SampleDetail], ...]
    shared: Path

    @property
    def rows(self) -> tuple[tuple[Sample, SampleDetail], ...]:
        return self.short + self.long

    def parts(self) -> list[Parts]:
        wording, _ = words_of(self.shared)
        return [cut(sample.input, frame_of(wording, self.spec)) for sample, _ in self.rows]

    def form(self) -> Form:
        wording, noise = words_of(self.shared)
        return merged([form(s.input, self.spec, wording, noise) for s, _ in self.long])


@cache
def words_of(shared: Path) -> tuple[ruler.Wording, str]:
    source = Material(shared).prompts
    return ruler.wording(source), source.noise


@cache
def made(task: str, protocol: str, shared: Path, *, tuned: bool = False) -> Made:
    """A task with every defect of the data on, in the bare format or in that of a tuned model."""
    tokenizer = tokenizers.load(str(shared / "mirror/tokenizers/gpt-neox-20b"))
    questions = shared / QUESTIONS[task] if task in QUESTIONS else None
    wrapper = TUNED[protocol] if tuned else "base"
    spec = misread(ENGLISH[task], ["uuid-numbers"])

    def rows(length: int) -> tuple[tuple[Sample, SampleDetail], ...]:
        if protocol == "released":
            reference = Material(shared)
            return tuple(
                released.generate(
                    task,
                    length=length,
                    samples=SAMPLES,
                    seed=42,
                    tokenizer=tokenizer,
                    prompts=reference.prompts,
                    wrapper=wrapper,
                    resources=reference.resources,
                    questions=questions,
                )
            )
        material = english.material(shared / "mirror", questions)
        return tuple(
            generate(
                spec,
                material=replace(material, wrapper=WRAPPERS[wrapper]),
                tokenizer=tokenizer,
                length=length,
                samples=SAMPLES,
                seed=42,
                task=task,
            )
        )

    return Made(task, spec, rows(SHORT), rows(LONG), shared)


# --- What is looked at: one function for each row of the page, equal where the protocols agree.


def misspelling(data: Made) -> object:
    return data.form().ending


def example(data: Made) -> object:
    return data.form().opening


def layout(data: Made) -> object:
    found = data.form()
    return found.head, found.needles, found.seams


def edges(data: Made) -> object:
    """White space at the ends of the haystack."""
    return {
        (body[: len(body) - len(body.lstrip())], body[len(body.rstrip()) :])
        for body in (parts.body for parts in data.parts())
    }


def last_sentence(data: Made) -> object:
    """Whether the haystack ends where a sentence of the essays does."""
    if not is_needles(data.spec, "essay"):
        return None
    mirror = data.shared / "mirror"
    book = essay_sentences(mirror / "essays/PaulGrahamEssays.json", punkt(data.shared), LONG)
    ends = {sentence[-12:] for sentence in book}
    return all(hay(sample, detail, data)[-12:] in ends for sample, detail in data.rows)


def streams(data: Made) -> object:
    """Whether a sample asks for the same at both lengths, and whether questions come in file order."""
    return [s.outputs for s, _ in data.short] == [s.outputs for s, _ in data.long]


def questions(data: Made) -> object:
    """Whether the first samples ask the first questions of the file."""
    if not isinstance(data.spec, QaSpec):
        return None
    text = (data.shared / QUESTIONS[data.task]).read_text(encoding="utf-8")
    found = [re.findall(r"Question: (.*?) Answer:", s.input)[-1] for s, _ in data.long]
    places = [text.find(question[:30]) for question in found]
    return places == sorted(places)


def frozen(data: Made) -> object:
    """Whether all samples with a haystack of one size have what is asked for at the same places."""
    layouts: dict[object, list[object]] = {}
    for sample, detail in data.rows:
        size, places = places_of(sample, detail, data)
        layouts.setdefault(size, []).append(places)
    repeated = [each for each in layouts.values() if len(each) > 1]
    return bool(repeated) and all(len(set(each)) == 1 for each in repeated)


def places_of(sample: Sample, detail: SampleDetail, data: Made) -> tuple[object, object]:
    """The size of a haystack and the order of what is asked for in it."""
    wording, _ = words_of(data.shared)
    body = cut(sample.input, frame_of(wording, data.spec)).body
    if isinstance(data.spec, NiahSpec):
        if data.spec.values == 1:
            return sample.index, None
        return 0, tuple(sorted(range(4), key=lambda each: body.index(sample.outputs[each])))
    if isinstance(data.spec, QaSpec):
        if data.task == "qa_2":
            return sample.index, None
        numbers = re.findall(r"Document (\d+):\n", sample.input[: detail.needles[0].start + 15])
        return body.count("Document "), numbers[-1]
    listed = re.sub(r"\d+\. ", "", body).split()
    return len(listed), tuple(
        place for place, word in enumerate(listed) if word in sample.outputs
    ) if data.spec.generator in ("common_words", "frequent_words") else sample.index


def gold(data: Made) -> object:
    """How many documents with an answer a prompt shows, where a question has documents."""
    if not isinstance(data.spec, QaSpec):
        return None
    return {len(detail.needles) for _, detail in data.rows}


def filled(data: Made) -> object:
    """Whether no prompt has room for one more line."""
    lines = {"repeat": LINE, "needle": LINE}
    haystack = data.spec.haystack if isinstance(data.spec, NiahSpec) else "repeat"
    if haystack == "essay" or data.spec.generator not in ("niah", "variable_tracking"):
        return None
    line = 3 * LINE if getattr(data.spec, "key_kind", "") == "uuids" else lines[haystack]
    return all(
        length - detail.prompt_tokens - data.spec.tokens_to_generate < line
        for length, rows in ((SHORT, data.short), (LONG, data.long))
        for _, detail in rows
    )


def room(data: Made) -> object:
    """Whether every answer fits into the context."""
    return all(
        detail.prompt_tokens + data.spec.tokens_to_generate <= length
        for length, rows in ((SHORT, data.short), (LONG, data.long))
        for _, detail in rows
    )


def grid(data: Made) -> object:
    """Whether drawn depths in essays are among the artifact's forty."""
    if not is_needles(data.spec, "essay") or data.spec.depth is not None:  # type: ignore[union-attr]
        return None
    near = 100 / 130  # percent between two sentences of 4096 tokens
    depths = [depth for _, detail in data.long for depth in detail.depths]
    return all(any(-0.01 <= each - depth <= near for each in GRID) for depth in depths)


def nearest(data: Made) -> object:
    """Whether fixed depths are rounded down."""
    asked = getattr(data.spec, "depth", None)
    if asked is None:
        return None
    return all(detail.depths[0] <= asked for _, detail in data.rows)


def pool(data: Made) -> object:
    """Whether a list has words that are part of other words."""
    if data.spec.generator != "common_words":
        return None
    apart = set(words.separable())
    listed = {word for part in data.parts() for word in re.findall(r"\d+\. (\S+)", part.body)}
    return not listed <= apart


def repeats(data: Made) -> object:
    """How often the words of a list come."""
    if data.spec.generator != "common_words":
        return None
    bodies = [re.findall(r"\d+\. (\S+)", part.body) for part in data.parts()]
    return [set(Counter(body).values()) for body in bodies]


def references(data: Made) -> object:
    """Whether an answer is a reference twice."""
    return any(len(set(s.outputs)) < len(s.outputs) for s, _ in data.rows)


def wrapped_template(task: str, protocol: str, shared: Path) -> object:
    found = made(task, protocol, shared, tuned=True).form()
    return re.split(r"### Input:\n", found.opening, maxsplit=1)[0], found.ending


def wrapped_example(task: str, protocol: str, shared: Path) -> object:
    return made(task, protocol, shared, tuned=True).form().opening.count("### Response")


LOOKED_AT: Mapping[str, Callable[[Made], object]] = {
    "misspelling": misspelling,
    "example": example,
    "lines": layout,
    "edges": edges,
    "last-sentence": last_sentence,
    "streams": streams,
    "frozen-order": frozen,
    "questions": questions,
    "gold": gold,
    "fill": filled,
    "answer-room": room,
    "depth-grid": grid,
    "nearest-depth": nearest,
    "word-pool": pool,
    "repeats": repeats,
    "references": references,
}
IN_A_FORMAT: Mapping[str, Callable[[str, str, Path], object]] = {
    "format-words": wrapped_template,
    "format-turn": wrapped_example,
}


def is_needles(spec: Spec, haystack: str) -> bool:
    return isinstance(spec, NiahSpec) and spec.haystack == haystack


def punkt(shared: Path) -> Path:
    return shared / "mirror/nltk/punkt_tab/english"


def hay(sample: Sample, detail: SampleDetail, data: Made) -> str:
    """The haystack without its needles."""
    text = sample.input[: detail.question_start]
    for span in reversed(detail.needles):
        text = f"{text[: span.start].rstrip()} {text[span.end :].lstrip()}"
    return text.rstrip()


def found(shared: Path) -> dict[str, set[str]]:
    """The tasks in which each thing that is looked at differs."""
    differing: dict[str, set[str]] = {}
    for task in ENGLISH:
        one, other = (made(task, protocol, shared) for protocol in ("released", "corrected"))
        for name, look in LOOKED_AT.items():
            if look(one) != look(other):
                differing.setdefault(name, set()).add(task)
        for name, compare in IN_A_FORMAT.items():
            if task in FORMATTED and (
                compare(task, "released", shared) != compare(task, "corrected", shared)
            ):
                differing.setdefault(name, set()).add(task)
    return differing


FORMATTED = ("niah_single_1", "niah_multivalue", "cwe", "fwe", "qa_1")
"""Tasks that are also made in the format of a tuned model."""


if __name__ == "__main__":
    import os, sys

    for name, tasks in found(Path(os.environ["NEEDLEWORK_SHARED"])).items():
        print(name, sorted(tasks))
