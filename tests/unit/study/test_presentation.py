"""Presentation: what a study shows follows from its suites, and so do the cells of every table."""

from collections.abc import Mapping
from typing import Any

import pytest

from needlework.errors import StudyError
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Cell
from needlework.study.presentation import Shown
from needlework.study.selection import needs
from tests.study_for_tests import small_plan, table_of

RETRIEVAL = {"tasks": ["niah_single_2", "niah_multikey_1", "vt"], "lengths": [128, 512]}


def shows(suites: Mapping[str, Any], **changed: Any) -> Shown:
    return small_plan(suites=dict(suites), **changed).shows


def names(shown: Shown) -> list[str]:
    return [table.name for table in shown.tables]


def mine(**changed: Any) -> dict[str, Any]:
    return {"name": "mine", "suite": "retrieval"} | changed


def test_a_study_with_the_papers_cells_shows_its_18_tables() -> None:
    shown = small_plan().shows
    numbered = [f"table_{number:02}" for number in range(1, 19)]
    assert names(shown) == [*numbered, "failures", "distance"]
    assert {"claims", "audit", "findings", "report", "explorer"} <= set(shown.pages)
    assert shown.left_out == ()


def test_any_tasks_at_any_lengths_are_a_study() -> None:
    """Of a suite a mean and every task; nothing of the paper, and a line that says why."""
    shown = shows({"retrieval": RETRIEVAL})
    assert names(shown) == [
        "retrieval_mean",
        "retrieval_niah_single_2",
        "retrieval_niah_multikey_1",
        "retrieval_vt",
        "models",
        "failures",
        "distance",
    ]
    assert [figure.name for figure in shown.figures] == [
        "retrieval_length_curve",
        "retrieval_distance",
        "retrieval_failures",
        "retrieval_cost",
    ]
    assert shown.pages == ("findings", "report", "results", "explorer")
    assert shown.left_out == (
        "no tables of the paper: suites.ruler is missing, which table_01 shows; add it",
    )


def test_auto_says_nothing_of_what_was_not_asked() -> None:
    assert shows({"retrieval": RETRIEVAL}, tables="auto").left_out == ()


def test_needles_at_depths_get_tables_by_depth_and_format() -> None:
    shown = shows({"where": {"tasks": ["depth"], "lengths": [128, 1024]}})
    assert names(shown) == [
        "where_mean",
        "where_by_depth",
        "where_by_format",
        *("models", "failures", "distance"),
    ]
    drawn = [figure.name for figure in shown.figures]
    assert {"where_heatmap", "where_position"} <= set(drawn)


def test_one_task_is_its_own_mean() -> None:
    shown = shows({"one": {"tasks": ["vt"], "lengths": [128]}})
    assert names(shown) == ["one_vt", "models", "failures", "distance"]
    assert shown.tables[0].quoted


def test_suites_beside_those_of_the_paper_are_shown_beside_its_tables() -> None:
    suites = small_plan().study.model_dump()["suites"] | {"retrieval": RETRIEVAL}
    shown = shows(suites)
    assert names(shown)[17:21] == ["table_18", "failures", "distance", "retrieval_mean"]


def test_tables_of_ones_own_stand_alone() -> None:
    shown = shows({"retrieval": RETRIEVAL}, tables=[mine(tasks=["vt"])])
    assert names(shown) == ["mine"]
    assert [figure.name for figure in shown.figures] == [
        "retrieval_length_curve",
        "retrieval_distance",
        "retrieval_failures",
        "retrieval_cost",
    ]


def test_a_table_may_name_a_list_of_tasks() -> None:
    plan = small_plan(tables=[{"name": "mine", "suite": "ruler", "tasks": ["ruler"]}])
    assert len(plan.shows.tables[0].tasks) == 13


def test_a_task_may_be_in_two_suites() -> None:
    """Their cells are apart; a sample that both ask is answered by the first."""
    plan = small_plan(suites={"retrieval": RETRIEVAL, "ruler": {"lengths": [128, 256]}})
    assert plan.earlier(Cell("nano-llama", "ruler", 128)) == [Cell("nano-llama", "retrieval", 128)]
    assert plan.earlier(Cell("nano-llama", "ruler", 256)) == []
    assert plan.earlier(Cell("nano-llama", "retrieval", 128)) == []


def test_a_table_needs_what_it_shows() -> None:
    plan = small_plan()
    found = {
        number: needs(table_of(plan, number), plan.grid(), plan.shown()) for number in (2, 4, 5, 6)
    }
    assert found[2].keys() == {Cell(model, "depth", 256) for model in plan.models}
    assert {len(tasks) for tasks in found[2].values()} == {21}
    assert {cell.length for cell in found[4]} == {128, 256, 512}
    assert {len(tasks) for tasks in found[4].values()} == {9}
    assert found[5] == {}
    assert set().union(*found[6].values()) == {"niah_single_1"}


def test_the_papers_published_tables_stand_beside_its_models_alone() -> None:
    suites = {"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096]}}
    shown = shows(suites, material="english", models=["mamba2"])
    assert list(shown.comparisons)[:2] == ["comparison_01", "comparison_02"]
    assert "agreement" in shown.pages
    assert small_plan().shows.comparisons == {}


def test_a_number_may_be_left_out_of_a_numbered_name() -> None:
    assert table_of(small_plan(), 2).targets == ("table_02", "table_2")
    assert TableDefinition.model_validate(mine()).targets == ("mine",)


def test_what_defects_cost_is_told_of_the_suites_that_are_asked() -> None:
    plan = small_plan(hazards=["uuid-numbers"], suites={"depth": {"lengths": [256]}})
    assert plan.shows.pages == ("hazards", "explorer")
    assert {cell.suite for cell in plan.grid().cells()} == {"depth"}
    assert names(plan.shows) == ["table_02", "table_04", "table_05"]


REFUSED = [
    (
        {"tables": "paper"},
        "suites.ruler is missing, which table_01 shows; add it, or set tables: auto",
    ),
    ({"tables": [mine(suite="short")]}, "suites.short is missing, which mine shows"),
    ({"tables": [mine(tasks=["cwe"])]}, "suites.retrieval.tasks: cwe is missing, which mine shows"),
    ({"tables": [mine(tasks=["cwee"])]}, "did you mean `cwe`"),
    (
        {"tables": [mine(lengths=[256])]},
        "suites.retrieval.lengths: 256 is missing, which mine shows",
    ),
    ({"tables": [mine(columns=["depth"], rows=["model", "length"])]}, "no needle of a fixed depth"),
    (
        {"tables": [mine(columns=["task"], rows=["model", "length"], lengths={"trained": [1]})]},
        r"256 is missing, at which mine shows nano-mamba2 \(trained_length 256\); add it",
    ),
    ({"tables": [mine(), mine()]}, "two are called mine"),
    (
        {"tables": [mine(name="table_01"), mine(name="table_1")]},
        "two are called table_1",
    ),
    ({"tables": [mine(name="comparison_01")]}, "begin with comparison_"),
    ({"tables": [mine(columns=["depth", "format"])]}, "write one, or"),
    ({"tables": [mine(rows=["length"])]}, "write .model. or .model, length."),
    ({"tables": [mine(columns=["task"])]}, "must be either in rows or in columns"),
    ({"tables": [mine(lengths={"trained": [1]})]}, "set rows: .model, length."),
    ({"tables": [{"name": "mine"}]}, "`suite` is missing"),
    ({"tables": [mine(value="models")]}, "value `models` shows all suites"),
    ({"tables": [mine(value="failures")]}, "value `failures` shows all suites"),
    ({"tables": [mine(name="Mine")]}, "tables.0.name"),
    ({"tables": "papr"}, "tables"),
    ({"suites": {}}, "suites"),
    ({"hazards": ["uuid-numbers"]}, "uuid-numbers change no score of the suites retrieval; name"),
    ({"hazards": ["uuid-numbers"], "tables": "auto"}, "remove tables, or hazards"),
    ({"suites": {"retrieval": RETRIEVAL | {"tasks": []}}}, "suites.retrieval.tasks"),
    ({"suites": {"mine": {"lengths": [128]}}}, "no list `mine`"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_shown_is_told_in_a_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message) as refused:
        small_plan(**({"suites": {"retrieval": RETRIEVAL}} | changed))
    assert all(line.startswith("study config: ") for line in str(refused.value).splitlines())
