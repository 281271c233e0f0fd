"""Which generator makes a task, and how its size and samples are found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from needlework.errors import StudyError
from needlework.external.registry import Resources
from needlework.tasks.released import (
    book,
    common_words,
    frequent_words,
    niah,
    qa,
    sentences,
    variable_tracking,
)
from needlework.tasks.released.catalog import Task
from needlework.tasks.released.counting import Counter, Rope, joined
from needlework.tasks.released.draws import Draws
from needlework.tasks.released.prompts import Prompts
from needlework.tasks.released.replay import Draft, Replay
from needlework.tasks.specs import (
    CommonWordsSpec,
    FrequentWordsSpec,
    NiahSpec,
    QaSpec,
    VariableTrackingSpec,
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """One dataset to be made, and what it is made with."""

    task: Task
    length: int
    samples: int
    first: int
    """The first question asked, in qa."""
    wrapper: str
    collapse: bool
    """Whether every run of white space becomes one blank when all else is done."""
    prompts: Prompts
    resources: Resources
    questions: Path | None
    counter: Counter
    draws: Draws

    def template(self, kind: str) -> str:
        """The whole template of a kind of task."""
        return self.prompts.template(kind, self.wrapper)


@dataclass(frozen=True)
class Made:
    """A sample before it is written."""

    index: int
    draft: Draft
    rope: Rope
    """The whole prompt."""
    length: int
    """What the artifact writes down: prompt and answer, not quite in `vt`."""
    tokens: int | None
    """Tokens of the prompt, where they do not follow from the length."""


def collapse(text: str) -> str:
    """A text as the artifact's `--remove_newline_tab` leaves it."""
    return " ".join(text.split())


def _niah(order: Order, spec: NiahSpec, answer: int) -> Iterator[Made]:
    essays = None
    if spec.haystack == "essay":
        splitter = sentences.read(order.resources.directory("punkt"))
        essays = book.read(order.resources.path("essays"), splitter, order.counter)
    needles = niah.Niah(
        spec,
        order.prompts,
        template=order.template("niah"),
        draws=order.draws,
        counter=order.counter,
        book=essays,
    )
    step = niah.step(spec, order.length, fine=order.task.fine_steps)
    loops = Replay(needles.draw, order.draws, order.counter, step, order.length - answer)
    size = loops.search(check=None if essays is None else essays.check)
    yield from _plain(loops, order, size, answer)


def _plain(loops: Replay, order: Order, size: int, answer: int) -> Iterator[Made]:
    """Samples whose recorded length is their own."""
    for index, draft, tokens in loops.samples(order.samples, size):
        yield Made(index, draft, draft.rope, tokens + answer, tokens)


def _variable_tracking(order: Order, spec: VariableTrackingSpec, answer: int) -> Iterator[Made]:
    """First the solved example, a dataset of one sample; then the samples that show it."""

    def tracking(budget: int, step: int, *, example: bool) -> Replay:
        made = variable_tracking.Tracking(
            spec,
            order.prompts,
            template=order.template(variable_tracking.KIND),
            draws=order.draws,
            counter=order.counter,
            example=example,
        )
        return Replay(made.draw, order.draws, order.counter, step, budget, shrinks=False)

    loops = tracking(
        variable_tracking.EXAMPLE_LENGTH - answer, variable_tracking.EXAMPLE_STEP, example=True
    )
    _, draft, _ = next(loops.samples(1, loops.search()))
    prompt = joined(draft.rope)
    shown = variable_tracking.solved(collapse(prompt) if order.collapse else prompt, draft.answers)
    reserved = answer + order.counter.count([[shown]])[0]
    example = order.counter.known(shown)
    loops = tracking(order.length - reserved, 1, example=False)
    for index, draft, tokens in loops.samples(order.samples, loops.search()):
        rope = variable_tracking.with_example(draft.rope, example, order.prompts)
        yield Made(index, draft, rope, tokens + reserved, None)


def _common_words(order: Order, spec: CommonWordsSpec, answer: int) -> Iterator[Made]:
    listed = common_words.CommonWords(
        spec,
        template=order.template(common_words.KIND),
        length=order.length,
        draws=order.draws,
        counter=order.counter,
    )
    loops = Replay(
        listed.draw, order.draws, order.counter, common_words.STEP, order.length - answer
    )
    yield from _plain(loops, order, loops.search(most=listed.most), answer)


def _frequent_words(order: Order, spec: FrequentWordsSpec, answer: int) -> Iterator[Made]:
    coded = frequent_words.FrequentWords(
        spec.alpha,
        template=order.template(frequent_words.KIND),
        length=order.length,
        draws=order.draws,
        counter=order.counter,
    )
    for index, draft, tokens in coded.samples(order.samples, coded.search()):
        yield Made(index, draft, draft.rope, tokens + answer, tokens)


def _qa(order: Order, spec: QaSpec, answer: int) -> Iterator[Made]:
    path = order.questions or order.resources.path(spec.source)
    collection = qa.read(spec.source, path)
    if order.first + order.samples > len(collection.questions):
        raise StudyError(
            f"{path} has {len(collection.questions)} answerable questions, but samples "
            f"{order.first} to {order.first + order.samples} are wanted; lower --samples"
        )
    asked = qa.Qa(
        collection, template=order.template(qa.KIND), draws=order.draws, counter=order.counter
    )
    loops = Replay(
        asked.draw, order.draws, order.counter, qa.STEP, order.length - answer, first=order.first
    )
    yield from _plain(loops, order, loops.search(most=asked.most), answer)


_Generator = Callable[[Order, Any, int], Iterator[Made]]
_GENERATORS: Mapping[str, tuple[str, _Generator]] = MappingProxyType(
    {
        "niah": ("niah", _niah),
        "variable_tracking": (variable_tracking.KIND, _variable_tracking),
        "common_words": (common_words.KIND, _common_words),
        "frequent_words": (frequent_words.KIND, _frequent_words),
        "qa": (qa.KIND, _qa),
    }
)
"""By the generator of a spec: the artifact's name for it, and the way through its loops."""


def make(order: Order) -> Iterator[Made]:
    """Every sample of a dataset.

    Raises:
        BudgetError: the length is too short, or longer than there is material for.
        ResourceError: a file is absent, unverified or of another form.
        StudyError: the wrapper or the questions are not there.
    """
    kind, generator = _GENERATORS[order.task.spec.generator]
    answer = order.prompts.tasks[kind].tokens_to_generate
    return generator(order, order.task.spec, answer)
