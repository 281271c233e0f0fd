"""Parts: a lone table asks for what it shows; everything else asks for whole cells."""

from needlework.study import parts
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from tests.study_for_tests import small_plan

PLAN = small_plan()
LLAMA = Cell("nano-llama", "ruler", 128)


def places(table: str, asked: list[str], *, there: str = "", plan: Plan = PLAN) -> list[str]:
    """Where the scores of Llama's cells are that a table shows."""
    found = parts.parts(plan, table, asked, exists=lambda file: bool(there) and there in file)
    return [part.scores for part in found if part.cell.model == "nano-llama"]


def test_a_whole_study_asks_for_whole_cells() -> None:
    assert places("table_06", []) == [
        "scores/nano-llama/ruler/128.parquet",
        "scores/nano-llama/ruler/256.parquet",
    ]


def test_a_lone_table_asks_for_its_tasks() -> None:
    assert places("table_06", ["table_06"]) == [
        "shards/nano-llama/ruler/128/table_06.parquet",
        "shards/nano-llama/ruler/256/table_06.parquet",
    ]
    part = parts.named(PLAN, LLAMA, "table_06")
    assert part.tasks == ("niah_single_1",)
    assert part.predictions == "shards/nano-llama/ruler/128/table_06.jsonl"


def test_a_table_of_all_tasks_asks_for_whole_cells() -> None:
    assert places("table_02", ["table_02"]) == ["scores/nano-llama/depth/256.parquet"]


def test_tables_that_are_asked_for_together_share_a_part() -> None:
    """One job reads the model once."""
    for table in ("table_06", "table_14"):
        found = places(table, ["table_14", "table_06"])
        assert found[0] == "shards/nano-llama/ruler/128/table_06+table_14.parquet"
    assert parts.named(PLAN, LLAMA, "table_06+table_14").tasks == ("niah_single_1", "vt")


def test_tables_that_show_all_of_a_cell_together_ask_for_it_whole() -> None:
    found = places("table_06", ["table_01", "table_06"])
    assert found[0] == "scores/nano-llama/ruler/128.parquet"


def test_a_cell_that_is_there_is_not_asked_for_in_parts() -> None:
    found = places("table_06", ["table_06"], there="ruler/128.jsonl")
    assert found == [
        "scores/nano-llama/ruler/128.parquet",
        "shards/nano-llama/ruler/256/table_06.parquet",
    ]


def test_a_name_that_no_file_system_takes_is_a_whole_cell() -> None:
    tables = [
        {"name": f"{'a' * 60}{number}", "suite": "ruler", "tasks": ["vt"]} for number in range(4)
    ]
    plan = small_plan(tables=tables)
    names = [table.name for table in plan.shows.tables]
    assert places(names[0], names, plan=plan)[0] == "scores/nano-llama/ruler/128.parquet"
    assert places(names[0], names[:2], plan=plan)[0].startswith("shards/")


def test_everything_made_lies_at_a_place_of_its_own() -> None:
    made = list(dict.fromkeys(parts.made(PLAN, parts.whole(PLAN, PLAN.grid().cells()))))
    assert len(made) == 2 * 13 + 3 * 21 + 2 + 2 * (2 + 3) * 2
