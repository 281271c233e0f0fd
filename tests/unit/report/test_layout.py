"""Layout: which number stands where, what an average rests on, and what is missing."""

from collections.abc import Callable

import pytest

from needlework.errors import RecordError
from needlework.report.layout import Table, build
from needlework.scores.cells import CellEstimate
from needlework.scores.estimates import Scores
from needlework.statistics.means import Estimate
from needlework.study.definitions import TableDefinition
from needlework.study.grid import Cell
from needlework.study.paper import TASKS
from tests.study_for_tests import estimates, right, score_tables, scores_of, small_plan, table_of

PLAN = small_plan()
MODELS = PLAN.shown()


def table(number: int, score: object = None) -> Table:
    scores = scores_of(PLAN) if score is None else scores_of(PLAN, score)  # type: ignore[arg-type]
    return build(table_of(PLAN, number), scores, MODELS)


def means(found: Table) -> list[list[float | None]]:
    return [[entry.shown for entry in row.entries] for row in found.rows]


def by_depth(model: str, task: str, length: int) -> Estimate:
    """All right at depth 0, none elsewhere; ten points less for the second model."""
    return right(10 if task.endswith("_0") else 0)


@pytest.mark.parametrize("number", [int(each.label) for each in score_tables(PLAN)])
def test_every_table_has_a_row_per_model(number: int) -> None:
    labels = {row.model.label for row in table(number).rows}
    assert labels == {"Mamba2", "Llama"}


def test_table_1_averages_the_tasks_of_ruler_alone() -> None:
    found = table(1, lambda model, task, length: right(10 if task in TASKS[:1] else 0))
    assert means(found)[0] == [pytest.approx(7.69), pytest.approx(7.69), pytest.approx(7.69)]


def test_table_2_stands_at_the_training_length_and_table_3_at_twice_that() -> None:
    assert [row.heads for row in table(2).rows] == [("Mamba2", "256"), ("Llama", "256")]
    assert [row.heads for row in table(3).rows] == [("Mamba2", "512"), ("Llama", "512")]


def test_table_2_shows_depths_and_their_average() -> None:
    found = table(2, by_depth)
    assert found.columns == ("0", "20", "40", "50", "60", "80", "100", "Avg.")
    assert means(found)[0] == [100, 0, 0, 0, 0, 0, 0, pytest.approx(14.29)]


def test_table_2_averages_the_formats() -> None:
    found = table(2, lambda model, task, length: right(9 if "uuids" in task else 0))
    assert means(found)[0][0] == 30.0


def test_table_4_shows_formats_side_by_side() -> None:
    found = table(4, lambda model, task, length: right(9 if "repeat" in task else 0))
    assert [title for title, _ in found.spans] == [
        "essay-word-num",
        "essay-word-uuid",
        "repeat-word-num",
    ]
    assert means(found)[0] == [0, 0, 0, 0, 0, 0, 90, 90, 90]


def test_table_4_goes_from_half_to_twice_the_training_length() -> None:
    assert [row.heads[1] for row in table(4).rows] == ["128", "256", "512"] * 2


def test_task_tables_follow_the_papers_order() -> None:
    found = table(14, lambda model, task, length: right(3 if task == "vt" else 0))
    assert means(found)[0] == [30.0, 30.0, 30.0]


def test_the_training_length_is_marked() -> None:
    row = table(6).rows[0]
    assert [entry.trained for entry in row.entries] == [False, True, False]


def test_an_average_over_depths_is_not_narrower_than_its_parts() -> None:
    """All depths hide the same needles, so seven of them are not seven times the evidence."""
    row = table(2).rows[0]
    part, average = row.entries[0].estimate, row.entries[-1].estimate
    assert part is not None
    assert average is not None
    assert average.high - average.low == pytest.approx(part.high - part.low)


def own(**changed: object) -> Table:
    """A table that the study itself describes."""
    keys: dict[str, object] = {"name": "mine", "suite": "ruler"}
    definition = TableDefinition.model_validate(keys | changed)
    return build(definition, scores_of(PLAN, by_length), MODELS)


def by_length(model: str, task: str, length: int) -> Estimate:
    return right(8 if length == 128 else 4)


def test_a_table_of_some_tasks_and_lengths_says_what_it_shows() -> None:
    found = own(tasks=["vt", "cwe"], lengths=[128])
    assert (found.label, found.title) == ("mine", "ruler: mean over 2 tasks")
    assert found.columns == ("128", "Avg.")
    assert means(found) == [[80, 80]] * 2
    assert [source.task for source in found.rows[0].entries[0].sources] == ["vt", "cwe"]


def test_tasks_may_stand_side_by_side() -> None:
    found = own(tasks=["vt", "cwe"], columns=["task"], rows=["model", "length"])
    assert found.columns == ("vt", "cwe", "Avg.")
    assert [row.heads for row in found.rows][:2] == [("Mamba2", "128"), ("Mamba2", "256")]
    assert {row.rivals for row in found.rows} == {"128", "256"}
    assert found.rows[0].entries[-1].is_average


def test_depths_may_stand_at_every_length() -> None:
    found = own(suite="depth", columns=["depth"], rows=["model", "length"])
    assert [row.heads[1] for row in found.rows] == ["128", "256", "512"] * 2
    assert found.columns == ("0", "20", "40", "50", "60", "80", "100", "Avg.")
    assert [entry.trained for entry in found.rows[1].entries][:2] == [True, True]


def test_formats_may_be_averaged() -> None:
    found = own(suite="depth", columns=["format"], rows=["model", "length"], depths=[50])
    assert found.columns == ("essay-word-num", "essay-word-uuid", "repeat-word-num", "Avg.")


def test_tasks_that_ask_the_same_are_no_evidence_of_their_own() -> None:
    """Formats and depths of one needle, unlike different tasks."""
    tasks = ["niah_essay_numbers_0", "niah_essay_numbers_50"]
    shared = own(suite="depth", tasks=tasks).rows[0].entries[0].estimate
    apart = own(tasks=["vt", "cwe"]).rows[0].entries[0].estimate
    assert shared is not None
    assert apart is not None
    assert shared.mean == apart.mean
    assert apart.high - apart.low < shared.high - shared.low


def test_a_cell_that_is_none_of_the_study_is_an_error_with_its_address() -> None:
    with pytest.raises(RecordError, match="this study has no suite short"):
        own(suite="short")


def without(gone: Callable[[CellEstimate], bool]) -> Scores:
    """The scores of a study in which some cells were not computed."""
    return Scores([cell for cell in estimates(PLAN) if not gone(cell)], PLAN.grid())


def test_a_cell_that_was_not_computed_has_a_place_and_a_name() -> None:
    gone = Cell("nano-llama", "ruler", 256)
    scores = without(lambda cell: (cell.model, cell.suite, cell.length) == gone)
    first, second = build(table_of(PLAN, 6), scores, MODELS).rows
    assert [entry.shown for entry in second.entries] == [50.0, None, None]
    assert [entry.missing for entry in second.entries] == [(), (gone,), (gone,)]
    assert all(entry.shown == 50.0 for entry in first.entries)


def test_a_mean_over_fewer_tasks_is_no_mean() -> None:
    """One task of 13 is missing: no RULER score, and no average over lengths either."""
    scores = without(lambda cell: (cell.model, cell.task, cell.length) == ("nano-llama", "vt", 128))
    row = build(table_of(PLAN, 1), scores, MODELS).rows[1]
    assert [entry.shown for entry in row.entries] == [None, 50.0, None]


def test_a_length_without_any_score_keeps_its_column() -> None:
    scores = without(lambda cell: cell.suite == "ruler" and cell.length == 256)
    assert build(table_of(PLAN, 1), scores, MODELS).columns == ("128", "256", "Avg.")


@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_missing_depth_cell_leaves_the_others(number: int) -> None:
    scores = without(
        lambda cell: (cell.model, cell.suite) == ("nano-mamba2", "depth") and cell.length >= 256
    )
    found = build(table_of(PLAN, number), scores, MODELS)
    lacking = {row.heads for row in found.rows if row.entries[0].shown is None}
    assert (
        lacking
        == {
            2: {("Mamba2", "256")},
            3: {("Mamba2", "512")},
            4: {("Mamba2", "256"), ("Mamba2", "512")},
        }[number]
    )


def test_estimates_of_another_study_are_refused() -> None:
    smaller = PLAN.grid().model_copy(update={"models": ("nano-llama",)})
    with pytest.raises(RecordError, match="nano-mamba2 on depth at length 128, which this study"):
        Scores(estimates(PLAN), smaller)
