"""Questions over documents: gold documents under any number, the others around them."""

from pathlib import Path

from needlework.nano import language
from needlework.tasks import english, qa
from needlework.tasks.drafts import Draft
from needlework.tasks.specs import QaSpec
from tests.tasks_for_tests import item


def draft(shared: Path, *, size: int = 6, index: int = 0) -> Draft:
    material = english.material(shared / "mirror", shared / "golden/qa/hotpotqa.json")
    return qa.plan(QaSpec(source="hotpotqa"), material, item(index)).compose(size)


def test_documents_are_numbered_in_text_order(shared: Path) -> None:
    text = draft(shared).text
    numbers = [int(part.partition(":")[0]) for part in text.split("Document ")[1:]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_gold_documents_are_the_needles(shared: Path) -> None:
    made = draft(shared)
    texts = [made.text[each.start : each.end] for each in made.needles]
    assert all(text.startswith("Document ") for text in texts)
    assert any(made.outputs[0] in text for text in texts)


def test_the_gold_documents_move_between_samples(shared: Path) -> None:
    """In RULER the gold document of qa_1 has one fixed place for each number of documents."""
    depths = {tuple(each.depth for each in draft(shared, index=n).needles) for n in range(6)}
    assert len(depths) >= 3


def test_every_sample_asks_another_question(shared: Path) -> None:
    questions = {draft(shared, index=n).text.rpartition("Question: ")[2] for n in range(6)}
    assert len(questions) == 6


def test_nano_asks_for_one_of_two_facts() -> None:
    plans = [qa.plan(QaSpec(source="facts"), language.material(), item(n)) for n in range(12)]
    asked = {plan.compose(0).text.partition("what is the ")[2].split()[0] for plan in plans}
    assert asked == {"home", "work"}
