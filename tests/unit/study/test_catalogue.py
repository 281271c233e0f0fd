"""Tasks and lists of tasks: what a suite may name, and the mistakes in naming it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from needlework.errors import StudyError
from needlework.parsing import parse
from needlework.study.catalogue import MaterialTasks, read_tasks
from tests.study_for_tests import CONFIG, small_plan

LINE = {"generator": "qa", "source": "facts"}


def catalogue(**lists: Any) -> MaterialTasks:
    """Three tasks, and these lists."""
    values = {"tasks": dict.fromkeys(("one", "two", "three"), LINE), "lists": lists}
    return parse(MaterialTasks, values, where="tasks.yaml: nano")


def names(asked: list[str] | None, suite: str = "mine", **lists: Any) -> list[str]:
    return list(catalogue(**lists).chosen(suite, asked, where="suites.mine.tasks"))


def refusal(asked: list[str] | None, suite: str = "mine", **lists: Any) -> str:
    with pytest.raises(StudyError) as caught:
        names(asked, suite, **lists)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_suite_names_tasks_and_lists_in_any_order() -> None:
    assert names(["three", "both"], both=["two", "one"]) == ["three", "two", "one"]


def test_a_list_may_name_lists_and_each_task_is_asked_once() -> None:
    lists = {"all": ["both", "three", "one"], "both": ["two", "one"]}
    assert names(["all"], **lists) == ["two", "one", "three"]


def test_a_suite_without_tasks_takes_the_list_of_its_name() -> None:
    assert names(None, suite="both", both=["two", "one"]) == ["two", "one"]


def test_a_suite_that_names_nothing_and_has_no_list_is_refused() -> None:
    told = refusal(None, both=["one"])
    assert told == (
        "suites.mine.tasks is missing, and config/tasks.yaml has no list `mine` to take in its "
        "place (it has both); name tasks or lists"
    )


def test_a_suite_of_no_tasks_is_refused() -> None:
    assert refusal([]) == "suites.mine.tasks is empty; name a task or a list, or leave it out"


def test_an_unknown_name_comes_with_the_nearest() -> None:
    assert refusal(["tow"]) == "suites.mine.tasks: `tow` is unknown; did you mean `two`?"


def test_an_unknown_name_in_a_list_is_found_before_anybody_asks_for_it() -> None:
    assert refusal(["one"], both=["thee"]) == (
        "tasks.yaml: nano: lists.both: `thee` is unknown; did you mean `three`?"
    )


def test_a_list_that_contains_itself_is_refused() -> None:
    assert "lists.both: contains itself (both > both)" in refusal(["one"], both=["one", "both"])


def test_lists_that_contain_each_other_are_refused() -> None:
    told = refusal(["one"], first=["second"], second=["third"], third=["first"])
    assert "lists.third: contains itself (first > second > third > first)" in told


def test_an_empty_list_is_refused() -> None:
    assert "lists.both is empty" in refusal(["one"], both=[])


def test_a_name_is_a_task_or_a_list() -> None:
    assert "lists.one: this is the name of a task" in refusal(["one"], one=["two"])


def test_a_yaml_list_of_itself_is_no_task_name() -> None:
    """An anchor of YAML can hold itself, all the way down."""
    itself = yaml.safe_load("&a [*a]")
    assert "holds what is no text, number or list" in refusal(["one"], both=itself)
    suites = {"ruler": {"lengths": [128], "tasks": itself}}
    with pytest.raises(StudyError, match=r"^study config: holds what is no text, number or list"):
        small_plan(suites=suites)


def test_a_study_may_ask_for_single_tasks() -> None:
    suites = {"needles": {"lengths": [128], "tasks": ["vt", "niah_single_1"]}}
    plan = small_plan(suites=suites, tables="auto")
    assert list(plan.tasks["needles"]) == ["vt", "niah_single_1"]


@pytest.mark.parametrize(
    "value",
    ["9" * 5000, "!!timestamp 2026-02-30", "!!int abc", "!!float x"],
    ids=["long", "date", "int", "float"],
)
def test_what_yaml_cannot_read_is_one_line(tmp_path: Path, value: str) -> None:
    """Not every loader's mistake is a YAMLError."""
    path = tmp_path / "tasks.yaml"
    path.write_text(f"nano: {value}\n", encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        read_tasks(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path} is not YAML: ")


@pytest.mark.parametrize("material", ["nano", "english"])
def test_the_lists_of_the_paper_have_its_tasks_in_its_order(material: str) -> None:
    """Tables, datasets and journals follow this order."""
    tasks = getattr(read_tasks(CONFIG / "tasks.yaml"), material)
    ruler = list(tasks.chosen("ruler", None, where="ruler"))
    depth = list(tasks.chosen("depth", None, where="depth"))
    assert (len(ruler), ruler[0], ruler[-1]) == (13, "niah_single_1", "qa_2")
    assert (len(depth), depth[0]) == (21, "niah_essay_numbers_0")
    assert depth[-1] == "niah_repeat_numbers_100"
    assert set(ruler + depth) <= tasks.tasks.keys()
