"""Facts: documents agree with one another, and the question has one answer."""

from needlework.nano import facts, language
from needlework.tasks.material import Question
from tests.tasks_for_tests import item


def statements(question: Question, others: int) -> set[tuple[str, str, str]]:
    """Every (relation, person, value) that the documents state."""
    words = " ".join([*question.gold, *question.others.first(others)]).split()
    return {
        (words[at + 1], words[at + 3], words[at + 4])
        for at, word in enumerate(words)
        if word == "the" and words[at + 1] in ("home", "work", "friend")
    }


def test_one_fact_answers() -> None:
    asked = facts.facts(language.material(), item())
    _, relation, _, person = asked.prefix.split()
    assert (relation, person, asked.answers[0]) in statements(asked, 0)


def test_two_facts_answer_together() -> None:
    asked = facts.linked_facts(language.material(), item())
    person = asked.prefix.split()[-1]
    stated = statements(asked, 0)
    (friend,) = [
        value for relation, name, value in stated if (relation, name) == ("friend", person)
    ]
    assert ("home", friend, asked.answers[0]) in stated
    assert asked.completion == f" {friend} . the home of {friend} {asked.answers[0]} ."


def test_documents_never_contradict_one_another() -> None:
    """Long prompts tell of everybody more than once."""
    for source in (facts.facts, facts.linked_facts):
        stated = statements(source(language.material(), item()), 300)
        assert len({(relation, person) for relation, person, _ in stated}) == len(stated)


def test_nobody_is_their_own_friend() -> None:
    asked = facts.linked_facts(language.material(), item())
    assert all(
        person != value for relation, person, value in statements(asked, 78) if relation == "friend"
    )
