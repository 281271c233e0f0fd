"""Generators of one's own: what a function is given, and every way in which it can go wrong."""

from pathlib import Path
from typing import Any

import pytest

from needlework.errors import BudgetError, StudyError
from needlework.nano import language
from needlework.parsing import parse
from needlework.tasks import generate, own
from needlework.tasks.specs import OwnSpec, Spec
from tests.tasks_for_tests import Row, nano_tokenizer

GOOD = """
from __future__ import annotations

from dataclasses import dataclass

from needlework.tasks.drafts import Draft, Outline


@dataclass
class Fact:
    number: str


def facts(parameters, material, item):
    fact = Fact(material.draws["numbers"](item.stream("numbers")))
    prompt = f"{parameters['key']} is {fact.number} . "

    def compose(size):
        text = prompt + "the " * size + "?"
        return Draft(text, (), len(prompt), (fact.number,), "")

    return Outline(compose, most=item.budget)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of one's own start at the working directory."""
    monkeypatch.chdir(tmp_path)
    own._module.cache_clear()


def spec(**changed: Any) -> OwnSpec:
    values = {
        "generator": "mine.py:facts",
        "parameters": {"key": "anchor"},
        "metric": "all",
        "tokens_to_generate": 4,
    }
    made: OwnSpec = parse(Spec, values | changed, where="tasks.yaml")  # type: ignore[arg-type]
    return made


def rows(source: str = GOOD, *, length: int = 64, **changed: Any) -> list[Row]:
    Path("mine.py").write_text(source, encoding="utf-8")
    return list(
        generate(
            spec(**changed),
            material=language.material(),
            tokenizer=nano_tokenizer(),
            length=length,
            samples=3,
            seed=42,
            task="facts",
        )
    )


def refusal(source: str, **changed: Any) -> str:
    with pytest.raises(StudyError) as caught:
        rows(source, **changed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_function_plans_samples_that_fill_their_length() -> None:
    found = rows()
    assert [sample.length for sample, _ in found] == [63] * 3
    assert len({sample.outputs for sample, _ in found}) == 3
    assert all(sample.input.startswith(f"anchor is {sample.outputs[0]}") for sample, _ in found)


def test_a_sample_has_the_same_facts_at_every_length() -> None:
    short, long = rows(), rows(length=128)
    assert [row[0].outputs for row in short] == [row[0].outputs for row in long]


def test_no_bytecode_is_left_beside_the_file_or_taken_from_there() -> None:
    rows()
    assert [path.name for path in Path.cwd().iterdir()] == ["mine.py"]


def test_another_file_is_not_importable() -> None:
    """Only the file itself is part of what a dataset depends on."""
    Path("other.py").write_text("", encoding="utf-8")
    assert refusal("import other").startswith(
        "mine.py:facts: ModuleNotFoundError: No module named 'other' (line 1)"
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def facts(:", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("x = 1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (line 2)"),
        ("def others(): pass", "there is no such function; it has others"),
        ("facts = 3", "there is no such function; it has none"),
        ("def facts(): pass", "TypeError: facts() takes 0 positional arguments but 3 were given"),
        ("def facts(p, m, i): return 7", "gives a int instead of a tasks.drafts.Outline"),
        (GOOD.replace("'key'", "'kye'"), "KeyError: 'kye' (line 16)"),
        (GOOD.replace("compose, most=item.budget", "7, most=1"), "gives a Outline whose `most`"),
        (GOOD.replace("most=item.budget", "most=-1"), "gives a Outline whose `most`"),
        (GOOD.replace("return Draft(", "return ("), "composes a tuple instead of a"),
        (GOOD.replace("(fact.number,)", "()"), "composes a prompt without `outputs`"),
        (GOOD.replace("(fact.number,)", "(7,)"), "composes a prompt without `outputs`"),
        (GOOD.replace("(fact.number,)", "(' ',)"), "composes a prompt whose reference ' ' is"),
        (GOOD.replace("len(prompt)", "10_000"), "composes a prompt whose needles or question"),
        (GOOD.replace('"the " * size', '"the " * (1 // size)'), "ZeroDivisionError: "),
        (
            GOOD.replace('item.stream("numbers")', "__import__('random')"),
            "plans another sample when it is asked again; draw from item.stream(...) alone",
        ),
        (
            GOOD.replace("prompt =", "material.book(9); prompt ="),
            "reads a book, but its task does not say `needs: [essays]`; add it",
        ),
    ],
    ids=lambda value: value[-30:],
)
def test_what_goes_wrong_in_it_is_one_line_that_names_file_and_function(
    source: str, told: str
) -> None:
    assert refusal(source).startswith(f"mine.py:facts: {told}")


def test_a_book_is_there_for_those_who_ask_for_it() -> None:
    assert rows(GOOD.replace("prompt =", "material.book(9); prompt ="), needs=["essays"])


def test_what_is_too_long_is_said_as_of_every_task() -> None:
    with pytest.raises(BudgetError, match="raise the length"):
        rows(length=8)


def test_a_function_cannot_change_its_parameters_for_the_next_sample() -> None:
    source = GOOD.replace("fact =", 'parameters["key"] += " anchor"; fact =')
    assert all(sample.input.startswith("anchor anchor is") for sample, _ in rows(source))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(StudyError, match=r"^absent\.py: no such file; a path starts at"):
        rows(generator="absent.py:facts")


@pytest.mark.parametrize("generator", ["m.py", "m.py:", "m.py:a b", "../m.py:f", "m.pyx:f"])
def test_a_generator_is_a_file_and_a_function(generator: str) -> None:
    with pytest.raises(StudyError, match=r"generator"):
        spec(generator=generator)


def test_parameters_are_finite_values_of_json() -> None:
    with pytest.raises(StudyError, match="parameters: numbers of a task must be finite"):
        spec(parameters={"share": float("nan")})


def test_it_is_told_apart_by_everything_it_says() -> None:
    """Estimates of cost are kept by the tasks of a cell."""
    assert hash(spec()) == hash(spec())
    assert hash(spec()) != hash(spec(parameters={"key": "candle"}))
