"""The paper's artifact, replayed: the datasets its generators would have written, byte for byte.

Random draws are the artifact's own, those of its search for a size included, but token counts are
added up from counted parts (`counting`), essays are split once (`book`) and the list of word pairs
is computed, not built (`tasks.words`).
"""

from collections.abc import Iterator
from pathlib import Path

from needlework.external.registry import Resources
from needlework.records import Sample, SampleDetail, Span
from needlework.tasks.released import catalog, generators
from needlework.tasks.released.catalog import Task
from needlework.tasks.released.counting import Counter, joined
from needlework.tasks.released.draws import Draws
from needlework.tasks.released.generators import Made, Order, collapse
from needlework.tasks.released.prompts import Prompts
from needlework.tokenizers import Tokenizer


def generate(
    task: str | Task,
    *,
    length: int,
    samples: int,
    seed: int,
    tokenizer: Tokenizer,
    prompts: Prompts,
    wrapper: str,
    resources: Resources,
    questions: Path | None = None,
    uuid_numbers: bool = True,
    remove_newline_tab: bool = False,
    pre_samples: int = 0,
) -> Iterator[tuple[Sample, SampleDetail]]:
    """What the artifact's generator writes, sample by sample, and what we know beyond that.

    `task` is a name of the artifact's two task files, or parameters of one's own. `uuid_numbers`,
    `remove_newline_tab` and `pre_samples` are the artifact's: hazard H4, white space collapsed at
    the end, and questions of a qa file that are skipped.

    Raises:
        BudgetError: the length is too short, or longer than there is material for.
        ResourceError: a file is absent, unverified or of another form.
        StudyError: the task, the wrapper, the seed or the questions are not there.
    """
    order = Order(
        task=catalog.find(task, uuid_numbers=uuid_numbers) if isinstance(task, str) else task,
        length=length,
        samples=samples,
        first=pre_samples,
        wrapper=wrapper,
        collapse=remove_newline_tab,
        prompts=prompts,
        resources=resources,
        questions=questions,
        counter=Counter(tokenizer),
        draws=Draws(seed),
    )
    return (_record(order, made) for made in generators.make(order))


def _record(order: Order, made: Made) -> tuple[Sample, SampleDetail]:
    """A sample as it is written, and its details."""
    text, tokens = joined(made.rope), made.tokens
    if order.collapse:
        text = collapse(text)
        (tokens,) = order.counter.count([[text]])
    elif tokens is None:
        (tokens,) = order.counter.count([made.rope])
    sample = Sample(
        index=made.index, input=text, outputs=tuple(made.draft.answers), length=made.length
    )
    return sample, _detail(made, text, tokens=tokens, collapsed=order.collapse)


def _detail(made: Made, text: str, *, tokens: int, collapsed: bool) -> SampleDetail:
    """Where the needles are; they are looked for from the question backwards, past any example."""
    question = collapse(made.draft.question) if collapsed else made.draft.question
    end = question_start = len(text) - len(question)
    spans: list[Span] = []
    needles = made.draft.needles()
    for needle in reversed(needles):
        shown = collapse(needle.text) if collapsed else needle.text
        end = text.rindex(shown, 0, end)
        spans.insert(0, Span(start=end, end=end + len(shown)))
    return SampleDetail(
        index=made.index,
        prompt_tokens=tokens,
        depths=tuple(needle.depth for needle in needles),
        needles=tuple(spans),
        answers=tuple(needle.answer for needle in needles),
        question_start=question_start,
        distractors=tuple(made.draft.others()) or None,
    )
