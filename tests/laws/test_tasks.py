"""Laws of tasks: what holds for every sample of every task, whatever the task is about."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from needlework.nano import language
from needlework.tasks import english, fit, generate, generators, prompt_budget
from needlework.tasks.fitting import Counter
from needlework.tasks.prompts import WordingName
from needlework.tasks.specs import NiahSpec
from tests.tasks_for_tests import (
    DEPTH,
    DEPTHS,
    ENGLISH,
    FORMATS,
    NANO,
    RULER,
    Row,
    english_rows,
    english_tokenizer,
    item,
    nano_tokenizer,
    needle_texts,
    rows,
    without_needles,
)

# One more unit of hay does not fit: a sentence has up to 14 words, a document up to 30.
UNIT = {"qa": 30}
LONGEST_SENTENCE = 14
# A position is a place between two of at least 20 units of hay, so depths are 5 percent apart.
DEPTH_STEP = 5.0
WORDINGS: tuple[WordingName, ...] = ("ruler", "plain")
SPOKEN = [task for task, spec in ENGLISH.items() if getattr(spec, "depth", None) in (None, 0, 100)]
"""English tasks; of the depth suite, needles at both ends of every kind of hay."""


def check_answers_lie_where_claimed(row: Row) -> None:
    """Every reference is in a needle that is marked as holding an answer, before the question."""
    sample, detail = row
    marked = [
        text for text, answer in zip(needle_texts(row), detail.answers, strict=True) if answer
    ]
    assert marked
    for output in sample.outputs:
        assert any(output in text.split() or f" {output} " in text for text in marked)
    assert all(span.end <= detail.question_start for span in detail.needles)
    assert [span.start for span in detail.needles] == sorted(span.start for span in detail.needles)


def check_budget(task: str, row: Row, length: int) -> None:
    """The prompt, its begin token and its answer fit, and one more unit of hay would not."""
    sample, detail = row
    spec, tokenizer = NANO[task], nano_tokenizer()
    assert detail.prompt_tokens == len(tokenizer.encode(sample.input))
    assert sample.length == detail.prompt_tokens + spec.tokens_to_generate
    room = length - sample.length - len(tokenizer.begin)
    assert 0 <= room < UNIT.get(spec.generator, LONGEST_SENTENCE)


def check_same_address_same_sample(task: str) -> None:
    """A dataset depends on its address alone, not on what else was drawn in the process."""
    random.seed(1)
    before = rows(task)
    random.seed(2)
    random.random()
    assert rows(task) == before


def check_depth(task: str, row: Row) -> None:
    """The needle lies as near to the depth that was asked for as the units of hay permit."""
    _, detail = row
    spec = NANO[task]
    assert isinstance(spec, NiahSpec)
    assert spec.depth is not None
    assert abs(detail.depths[0] - spec.depth) <= DEPTH_STEP / 2


def check_apart(evaluated: list[Row], trained: set[tuple[int, ...]]) -> None:
    """No prompt that is evaluated was a prompt in training."""
    prompts = {tuple(language.tokens(sample.input)) for sample, _ in evaluated}
    assert not prompts & {prompt[1:] for prompt in trained}


@pytest.mark.parametrize("task", NANO)
def test_answers_lie_where_claimed(task: str) -> None:
    for row in rows(task, length=128):
        check_answers_lie_where_claimed(row)


@pytest.mark.parametrize("length", [128, 256, 1024])
@pytest.mark.parametrize("task", NANO)
def test_the_budget_is_kept_and_nearly_used(task: str, length: int) -> None:
    for row in rows(task, length=length, samples=2):
        check_budget(task, row, length)


@pytest.mark.parametrize("task", RULER)
def test_the_same_address_gives_the_same_sample(task: str) -> None:
    check_same_address_same_sample(task)


@pytest.mark.parametrize("task", RULER)
def test_another_seed_gives_other_samples(task: str) -> None:
    assert rows(task, seed=1)[0] != rows(task, seed=2)[0]


@pytest.mark.parametrize("task", RULER)
def test_samples_differ_from_one_another(task: str) -> None:
    assert len({sample.input for sample, _ in rows(task, samples=8)}) == 8


@pytest.mark.parametrize("task", RULER)
def test_asking_for_more_samples_moves_none(task: str) -> None:
    assert rows(task, samples=5)[:2] == rows(task, samples=2)


def test_another_task_in_between_moves_no_sample() -> None:
    """RULER's generators share one stream; the tasks here are made in turns and do not notice."""
    alone = {task: rows(task) for task in RULER}
    together: dict[str, list[Row]] = {task: [] for task in RULER}
    generators = {
        task: generate(
            spec,
            material=language.material(),
            tokenizer=nano_tokenizer(),
            length=256,
            samples=3,
            seed=42,
            task=task,
        )
        for task, spec in RULER.items()
    }
    for _ in range(3):
        for task, generator in generators.items():
            together[task].append(next(generator))
    assert together == alone


@pytest.mark.parametrize("task", RULER)
def test_a_sample_asks_the_same_at_every_length(task: str) -> None:
    """Length is then the only thing that differs between two cells of a model."""
    short, long = rows(task, length=128), rows(task, length=512)
    assert [sample.outputs for sample, _ in short] == [sample.outputs for sample, _ in long]


@pytest.mark.parametrize("task", DEPTH)
def test_the_depth_is_honoured(task: str) -> None:
    for row in rows(task):
        check_depth(task, row)


@pytest.mark.parametrize("form", FORMATS)
def test_a_sample_differs_between_depths_in_nothing_but_the_depth(form: str) -> None:
    first, *others = (rows(f"{form}_{depth}") for depth in DEPTHS)
    for other in others:
        assert list(map(needle_texts, other)) == list(map(needle_texts, first))
        assert list(map(without_needles, other)) == list(map(without_needles, first))


def test_formats_hide_the_same_needle() -> None:
    """Essay and repeat hide the same key and number; with codes, the same key."""
    essay, codes, repeat = (rows(f"{form}_50", samples=8) for form in FORMATS)
    assert list(map(needle_texts, essay)) == list(map(needle_texts, repeat))
    keys = [needle_texts(row)[0].split()[4] for row in essay]
    assert [needle_texts(row)[0].split()[4] for row in codes] == keys


@pytest.mark.parametrize("form", FORMATS)
def test_samples_of_a_depth_share_everything_before_the_needle(form: str) -> None:
    """The engine computes a shared prefix once, so the same hay must come first in each."""
    for (one, detail), (other, _) in itertools.pairwise(rows(f"{form}_80")):
        before = detail.needles[0].start
        assert one.input[:before] == other.input[:before]


def check_both_wordings_ask_the_same(task: str, shared: Path) -> None:
    """Answers and depths of needles are equal, prompts are not."""
    told = {name: english_rows(task, shared, wording=name) for name in WORDINGS}
    asked = [[sample.outputs for sample, _ in rows] for rows in told.values()]
    assert asked[0] == asked[1]
    prompts = [[sample.input for sample, _ in rows] for rows in told.values()]
    assert prompts[0] != prompts[1]


def check_english_answers(task: str, row: Row) -> None:
    """Every reference stands before the question; an answer of HotpotQA may be no more than yes."""
    sample, detail = row
    marked = [
        text for text, answer in zip(needle_texts(row), detail.answers, strict=True) if answer
    ]
    if getattr(ENGLISH[task], "source", None) == "squad":
        assert any(output in text for output in sample.outputs for text in marked)
    elif task != "qa_2":
        assert all(any(output in text for text in marked) for output in sample.outputs)
    assert marked
    assert all(span.end <= detail.question_start for span in detail.needles)
    assert [span.start for span in detail.needles] == sorted(span.start for span in detail.needles)


def check_english_budget(task: str, shared: Path, length: int, tokenizer: str) -> None:
    """Prompt, begin token and answer fit; with one more unit of hay they would not."""
    spec, loaded = ENGLISH[task], english_tokenizer(shared / "mirror/tokenizers" / tokenizer)
    source = getattr(spec, "source", None)
    questions = shared / f"golden/qa/{source}.json" if source else None
    budget = prompt_budget(spec, length, begin=len(loaded.begin))
    asked = replace(item(budget=budget), length=length)
    plan = generators.plan(spec, english.material(shared / "mirror", questions), asked)
    draft, size = fit(
        spec, english.material(shared / "mirror", questions), asked, Counter(loaded), guess=20
    )
    assert draft.text == plan.compose(size).text
    tokens = len(loaded.encode(draft.text)) + len(loaded.begin) + spec.tokens_to_generate
    assert tokens <= length
    more = len(loaded.encode(plan.compose(size + 1).text)) if size < plan.most else budget + 1
    assert more > budget


@pytest.mark.parametrize("task", SPOKEN)
def test_english_answers_lie_where_claimed(task: str, shared: Path) -> None:
    for row in english_rows(task, shared):
        check_english_answers(task, row)


@pytest.mark.parametrize(
    ("length", "tokenizer"), [(1024, "gpt-neox-20b"), (4096, "gpt-neox-20b"), (1024, "llama-2")]
)
@pytest.mark.parametrize("task", SPOKEN)
def test_the_budget_of_english_is_kept_and_nearly_used(
    task: str, length: int, tokenizer: str, shared: Path
) -> None:
    check_english_budget(task, shared, length, tokenizer)


@pytest.mark.parametrize("task", SPOKEN)
def test_the_same_english_address_gives_the_same_sample(task: str, shared: Path) -> None:
    random.seed(1)
    before = english_rows(task, shared)
    random.seed(2)
    assert english_rows(task, shared) == before
    assert english_rows(task, shared, samples=1) == before[:1]
    assert english_rows(task, shared, seed=43) != before


@pytest.mark.parametrize("task", SPOKEN)
def test_both_wordings_ask_for_the_same(task: str, shared: Path) -> None:
    """So that a difference between their scores is what the words do."""
    check_both_wordings_ask_the_same(task, shared)


@pytest.mark.parametrize("task", SPOKEN)
def test_an_english_sample_asks_the_same_at_every_length(task: str, shared: Path) -> None:
    short, long = (english_rows(task, shared, length=length) for length in (1024, 4096))
    assert [sample.outputs for sample, _ in short] == [sample.outputs for sample, _ in long]


@pytest.mark.parametrize("task", RULER)
def test_what_is_evaluated_was_never_trained(task: str) -> None:
    length = 128
    trained = {
        tuple(
            language.training_item(RULER[task], length=length, seed=42, address=(task, each)).prompt
        )
        for each in range(100)
    }
    assert len(trained) == 100
    check_apart(rows(task, length=length, samples=100), trained)
