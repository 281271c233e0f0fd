"""Variable tracking: chains of copies, in order, and a solved example where the wording has one."""

from dataclasses import replace
from pathlib import Path

from needlework.nano import language
from needlework.tasks import english, variable_tracking
from needlework.tasks.drafts import Draft
from needlework.tasks.specs import VariableTrackingSpec
from tests.tasks_for_tests import item


def draft(index: int = 0, **parameters: int) -> Draft:
    spec = VariableTrackingSpec(**parameters)
    return variable_tracking.plan(spec, language.material(), item(index)).compose(12)


def copies(made: Draft) -> list[tuple[str, str]]:
    texts = [made.text[each.start : each.end].split() for each in made.needles if each.answer]
    return [(source, name) for _, source, name, _ in texts]


def test_every_variable_copies_the_one_before_it() -> None:
    made = draft(hops=3)
    links = copies(made)
    assert [name for _, name in links] == list(made.outputs)
    assert [source for source, _ in links[1:]] == list(made.outputs[:-1])


def test_the_question_names_the_value_of_the_first_link() -> None:
    made = draft(hops=2)
    value = copies(made)[0][0]
    assert made.text.endswith(f" which hold {value} ? copy {value}")


def test_the_completion_follows_the_chain() -> None:
    made = draft(hops=2)
    a, b, c = made.outputs
    assert made.completion == f" {a} . copy {a} {b} . copy {b} {c} ."


def test_other_chains_are_not_answers() -> None:
    made = draft(chains=2, hops=1)
    assert sum(needle.answer for needle in made.needles) == 2
    assert len(made.needles) == 4


def test_english_shows_one_solved_example_to_all_samples(tmp_path: Path) -> None:
    material = english.material(tmp_path, wording="plain")
    plans = [
        variable_tracking.plan(VariableTrackingSpec(), material, item(index)) for index in (0, 1)
    ]
    one, other = (plan.compose(3).text.split("\n\nBetween")[0] for plan in plans)
    assert one == other
    assert one.endswith(".")
    assert "Answer: The 5 variables" in one


def test_without_an_example_the_prompt_starts_with_the_task(tmp_path: Path) -> None:
    plain = english.material(tmp_path, wording="plain")
    plain = replace(plain, wording=replace(plain.wording, shows_example=False))
    text = variable_tracking.plan(VariableTrackingSpec(), plain, item()).compose(3).text
    assert text.count("Question:") == 1
