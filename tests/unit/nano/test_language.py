"""The nano language: its tokenizer, and items that models are trained on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from needlework.errors import BudgetError
from needlework.nano import language, vocabulary
from needlework.tasks.specs import NiahSpec
from tests.tasks_for_tests import NANO, ROOT, RULER, nano_tokenizer, rows


def items(task: str, *, length: int = 128, count: int = 5) -> Iterator[language.TrainingItem]:
    for each in range(count):
        yield language.training_item(NANO[task], length=length, seed=0, address=(task, each))


def test_the_shipped_tokenizer_is_what_the_code_makes(tmp_path: Path) -> None:
    language.write_tokenizer(tmp_path)
    for made in tmp_path.iterdir():
        shipped = ROOT / "resources/nano/tokenizer" / made.name
        assert shipped.read_bytes() == made.read_bytes()


def test_tokens_are_those_of_the_tokenizer() -> None:
    text = rows("qa_2")[0][0].input
    assert language.tokens(text) == nano_tokenizer().encode(text)


def test_every_word_has_one_id() -> None:
    assert len(vocabulary.IDS) == len(vocabulary.VOCABULARY) == nano_tokenizer().vocabulary == 512


def test_no_answer_is_part_of_another_word() -> None:
    """Scores look for the answer anywhere in the text."""
    answers = {
        *vocabulary.KEYS,
        *vocabulary.NUMBERS,
        *vocabulary.CODES,
        *vocabulary.PLACES,
        *vocabulary.JOBS,
        *vocabulary.WORDS,
    }
    for answer in answers:
        assert [word for word in vocabulary.VOCABULARY if answer in word] == [answer]


@pytest.mark.parametrize("task", NANO)
def test_a_training_item_fits_its_length_and_its_completion_is_the_answer(task: str) -> None:
    for item in items(task):
        answer = " ".join(vocabulary.VOCABULARY[each] for each in item.completion)
        assert item.prompt[0] == language.BEGIN
        assert answer.endswith("<eos>")
        assert len(item.prompt) + len(item.completion) <= 128


@pytest.mark.parametrize("task", NANO)
def test_tokens_to_generate_leave_room_for_the_completion(task: str) -> None:
    """Two more than a perfect answer with its end token, so that no answer is cut off."""
    for item in items(task):
        assert len(item.completion) + 2 == NANO[task].tokens_to_generate


@pytest.mark.parametrize("task", RULER)
def test_the_completion_holds_every_reference(task: str) -> None:
    """The gold continuation of an item scores full marks."""
    spec = RULER[task]
    item = language.Item(42, ("evaluate", task), 0, 256, 256)
    plan = language.tasks.generators.plan(spec, language.material(), item)
    draft = plan.compose(5)
    assert all(f" {output} " in draft.completion for output in draft.outputs)


def test_items_have_hay_of_their_own() -> None:
    first_words = {tuple(item.prompt[1:6]) for item in items("niah_single_1", count=20)}
    assert len(first_words) > 15


def test_an_item_is_the_same_for_the_same_address() -> None:
    assert list(items("cwe")) == list(items("cwe"))


def test_an_item_that_does_not_fit_is_refused() -> None:
    spec = RULER["niah_multiquery"]
    item = language.training_item(spec, length=256, seed=0, address=(0,))
    least = len(item.completion) + spec.tokens_to_generate
    with pytest.raises(BudgetError):
        language.training_item(spec, length=least, seed=0, address=(0,))


def test_any_spec_can_be_trained() -> None:
    spec = NiahSpec(haystack="needle", key_kind="uuids", queries=2, keys=3, tokens_to_generate=20)
    item = language.training_item(spec, length=96, seed=0, address=(0,))
    words = [vocabulary.VOCABULARY[each] for each in item.completion]
    assert (words[0] in vocabulary.NUMBERS, words[-2:]) == (True, [".", "<eos>"])


def test_the_unseen_grammar_asks_the_same_in_another_book() -> None:
    """What a model has learnt of the book it reads is then the only difference."""
    unseen = language.material("unseen")
    for known, new in zip(
        rows("niah_single_2"), rows("niah_single_2", material=unseen), strict=True
    ):
        assert known[0].outputs == new[0].outputs
        assert known[0].input[:40] != new[0].input[:40]
