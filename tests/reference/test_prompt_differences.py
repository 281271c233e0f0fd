"""What still tells a corrected prompt from a released one when every defect is on, counted.

Every task is made both ways and compared part by part: the form of its text, and the laws of what
is drawn. What differs must be what `docs/prompts.md` lists, no more and no less.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import pytest

from needlework.parsing import parse, read
from needlework.records import Sample, SampleDetail
from needlework.study.config import Models
from needlework.study.paper import MODELS as PUBLISHED
from needlework.study.variants import misread
from needlework.tasks import english, generate, released, ruler, words
from needlework.tasks.haystacks import essay_sentences
from needlework.tasks.prompts import WRAPPERS
from needlework.tasks.specs import NiahSpec, QaSpec, Spec
from tests.prompt_forms_for_tests import Form, Parts, cut, form, frame_of, merged
from tests.released_for_tests import reference
from tests.tasks_for_tests import ENGLISH, ROOT

PAGE = ROOT / "docs/prompts.md"
SHORT, LONG = 1024, 4096
SAMPLES = 6
QUESTIONS = {"qa_1": "golden/qa/squad.json", "qa_2": "golden/qa/hotpotqa.json"}
TUNED = {"released": "sheared_llama-chat", "corrected": "sheared-llama-sharegpt"}
"""The same format of a tuned model, by the names that the two protocols know."""
LINE = 40
"""Tokens of a line of noise or of a needle, at most; UUIDs take three times that."""
GRID = tuple(round(100 * place / 39) for place in range(40))
"""The artifact's depths in percent."""


@dataclass(frozen=True, eq=False)
class Made:
    """A dataset at two lengths; what several rows of the page look at is found once."""

    task: str
    spec: Spec
    short: tuple[tuple[Sample, SampleDetail], ...]
    long: tuple[tuple[Sample, SampleDetail], ...]
    shared: Path

    @property
    def rows(self) -> tuple[tuple[Sample, SampleDetail], ...]:
        return self.short + self.long

    @cached_property
    def parts(self) -> list[Parts]:
        wording, _ = words_of(self.shared)
        return [cut(sample.input, frame_of(wording, self.spec)) for sample, _ in self.rows]

    @cached_property
    def form(self) -> Form:
        wording, noise = words_of(self.shared)
        return merged([form(s.input, self.spec, wording, noise) for s, _ in self.long])


@cache
def words_of(shared: Path) -> tuple[ruler.Wording, str]:
    source = reference(shared).prompts
    return ruler.wording(source), source.noise


@cache
def made(task: str, protocol: str, shared: Path, *, tuned: bool = False) -> Made:
    """A task with every defect of the data on, in the bare format or in that of a tuned model."""
    source = reference(shared)
    tokenizer = source.tokenizer("gpt-neox-20b")
    questions = shared / QUESTIONS[task] if task in QUESTIONS else None
    wrapper = TUNED[protocol] if tuned else "base"
    spec = misread(ENGLISH[task], ["uuid-numbers"])

    def rows(length: int) -> tuple[tuple[Sample, SampleDetail], ...]:
        if protocol == "released":
            return tuple(
                released.generate(
                    task,
                    length=length,
                    samples=SAMPLES,
                    seed=42,
                    tokenizer=tokenizer,
                    prompts=source.prompts,
                    wrapper=wrapper,
                    resources=source.resources,
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
    return data.form.ending


def example(data: Made) -> object:
    return data.form.opening


def layout(data: Made) -> object:
    found = data.form
    return found.head, found.needles, found.seams


def edges(data: Made) -> object:
    """White space at the ends of the haystack."""
    return {
        (body[: len(body) - len(body.lstrip())], body[len(body.rstrip()) :])
        for body in (parts.body for parts in data.parts)
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
    """Whether a sample asks for the same at both lengths."""
    return [s.outputs for s, _ in data.short] == [s.outputs for s, _ in data.long]


def questions(data: Made) -> object:
    """Whether the first samples ask the first questions of the file."""
    if not isinstance(data.spec, QaSpec):
        return None
    content = json.loads((data.shared / QUESTIONS[data.task]).read_text(encoding="utf-8"))
    text = json.dumps(content, ensure_ascii=False)
    asked = [re.findall(r"Question: (.*?) Answer:", s.input)[-1] for s, _ in data.long]
    places = [text.index(json.dumps(question, ensure_ascii=False)) for question in asked]
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
    """The size of a haystack and the places of what is asked for in it.

    Where an answer does not tell how needles were ordered, every sample has a size of its own.
    """
    wording, _ = words_of(data.shared)
    body, spec = cut(sample.input, frame_of(wording, data.spec)).body, data.spec
    if isinstance(spec, NiahSpec) and spec.values > 1:
        order = sorted(range(spec.values), key=lambda each: body.index(sample.outputs[each]))
        return spec.values, tuple(order)
    if isinstance(spec, QaSpec) and spec.source == "squad":
        before = sample.input[: detail.needles[0].start].count("Document ")
        return body.count("Document "), before
    words = listed(body) if spec.generator == "common_words" else body.split()
    if spec.generator in ("common_words", "frequent_words"):
        places = (place for place, word in enumerate(words) if word in sample.outputs)
        return len(words), tuple(places)
    return sample.index, sample.length


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
    return not all(set(listed(part.body)) <= apart for part in data.parts)


def repeats(data: Made) -> object:
    """How often the words of a list come."""
    if data.spec.generator != "common_words":
        return None
    return [set(Counter(listed(part.body)).values()) for part in data.parts]


def references(data: Made) -> object:
    """Whether an answer is a reference twice."""
    return any(len(set(s.outputs)) < len(s.outputs) for s, _ in data.rows)


def format_words(task: str, protocol: str, shared: Path) -> object:
    """The words around the request, in a format that both protocols have."""
    found = made(task, protocol, shared, tuned=True).form
    return found.opening.partition("### Input:\n")[0]


def format_turn(task: str, protocol: str, shared: Path) -> object:
    """How often a request ends before the task begins."""
    return made(task, protocol, shared, tuned=True).form.opening.count("### Response")


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


def listed(body: str) -> list[str]:
    """The words of a numbered list, some of which have a blank in them."""
    return re.findall(r"\d+\. (.+?)(?= \d+\. |$)", body)


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


def formats(_: str, protocol: str, shared: Path) -> object:
    """What the models of the paper get around their prompts, whatever the task."""
    models = parse(Models, read(ROOT / "config/models.yaml"), where="models").models
    names = [getattr(models[name].wrapper, protocol) for name in PUBLISHED]
    if protocol == "corrected":
        return [(WRAPPERS[name].before, WRAPPERS[name].after) for name in names]
    around = [reference(shared).prompts.wrappers[name] for name in names]
    return [tuple(text.split("{task_template}")) for text in around]


IN_A_FORMAT: Mapping[str, Callable[[str, str, Path], object]] = {
    "formats": formats,
    "format-words": format_words,
    "format-turn": format_turn,
}
FORMATTED = ("niah_single_1", "niah_multivalue", "vt", "cwe", "fwe", "qa_1")
"""Tasks that are also made in the format of a tuned model."""


@cache
def differing(shared: Path) -> Mapping[str, set[str]]:
    """The tasks in which each thing that is looked at differs."""
    found: dict[str, set[str]] = {}
    for task in ENGLISH:
        one, other = (made(task, protocol, shared) for protocol in ("released", "corrected"))
        for name, look in LOOKED_AT.items():
            if look(one) != look(other):
                found.setdefault(name, set()).add(task)
    for task in FORMATTED:
        for name, compare in IN_A_FORMAT.items():
            sides = [compare(task, protocol, shared) for protocol in ("released", "corrected")]
            if sides[0] != sides[1]:
                found.setdefault(name, set()).add(task)
    return found


def rows_of_the_page() -> dict[str, int]:
    """Every difference that the page lists, and in how many tasks it says that it shows."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {row[0].strip("`"): int(row[1]) for row in cells if row and row[0].startswith("`")}


@pytest.mark.slow
def test_the_page_lists_what_differs_and_nothing_else(shared: Path) -> None:
    found = {name: len(tasks) for name, tasks in differing(shared).items()}
    assert rows_of_the_page() == found


def test_the_page_says_how_many_there_are() -> None:
    """The sentence above the table, which is what a reader remembers."""
    (stated,) = re.findall(r"\*\*(\d+) differences\*\*", PAGE.read_text(encoding="utf-8"))
    assert int(stated) == len(rows_of_the_page())


@pytest.mark.slow
def test_what_should_agree_does(shared: Path) -> None:
    """Needles, their words and how often a list repeats its words are the artifact's."""
    assert "repeats" not in differing(shared)
    assert "lines" not in {name for name, tasks in differing(shared).items() if tasks - {"vt"}}
