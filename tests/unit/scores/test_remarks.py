"""What tables say of a cell beside its scores: from predictions to the signs in a table."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from needlework.files import write_records
from needlework.records import END, NO_END, Prediction
from needlework.report.tables import read_measured, write_table
from needlework.scores import remarks
from needlework.scores.cells import collect, score_cell
from needlework.scores.remarks import Remark
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tasks.specs import NiahSpec, QaSpec, Spec
from tests.study_for_tests import small_plan, table_of

TEMPLATES = Path(__file__).parents[3] / "reports/templates"
TASKS: dict[str, Spec] = {
    "needle": NiahSpec(haystack="essay", tokens_to_generate=30),
    "question": QaSpec(source="facts", tokens_to_generate=20),
}
CELL = Cell("nano-llama", "ruler", 1000)


def prediction(task: str, tokens: int, index: int = 0, **others: str) -> Prediction:
    return Prediction(
        task=task,
        index=index,
        pred="yes",
        outputs=("yes",),
        stop_reason="limit",
        error=None,
        prompt_tokens=tokens,
        shared_tokens=0,
        generated_tokens=2,
        others=others,
    )


@pytest.mark.parametrize(
    ("needle", "question", "short"),
    [
        ([870], [880], {}),
        ([869], [880], {"needle": 869}),
        ([870], [879], {"question": 879}),
        ([100, 870, 200], [880], {}),
        ([100, 869, 200], [1], {"needle": 869, "question": 1}),
        ([970], [980], {}),
    ],
)
def test_a_task_fills_its_length_where_its_longest_prompt_and_answer_do(
    needle: list[int], question: list[int], short: dict[str, int]
) -> None:
    """Nine tenths of 1000 tokens, of which 30 and 20 are the answer's."""
    found = [prediction("needle", tokens) for tokens in needle]
    found += [prediction("question", tokens) for tokens in question]
    assert remarks.remark(found, CELL, TASKS) == Remark(short=short)


@pytest.mark.parametrize(
    ("others", "endless"), [({}, False), ({END: "some"}, False), ({END: NO_END}, True)]
)
def test_a_model_that_nothing_ends_is_told(others: dict[str, str], endless: bool) -> None:
    assert remarks.remark([prediction("needle", 990, **others)], CELL, TASKS).endless == endless


def test_a_cell_of_which_nothing_is_to_be_told_leaves_nothing(tmp_path: Path) -> None:
    """Score files of most cells have the bytes that they had before there were remarks."""
    frame = pl.DataFrame({"a": [1]})
    remarks.write(frame, tmp_path / "one", {}, {"m/s/1": Remark()})
    remarks.write(frame, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert remarks.remarks([tmp_path / "one"]) == {}


PLAN = small_plan()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A table of two models; one writes without end, and its qa_1 is short at 256 tokens."""
    folder = tmp_path_factory.mktemp("study")
    cells = PLAN.grid().cells()
    for cell in cells:
        write_cell(folder, cell, PLAN)
    collect(cells, folder, scores=folder / "scores", estimates=folder / "estimates")
    measured = read_measured(
        [folder / "scores"], grid=PLAN.grid(), models=PLAN.shown(), verified=None
    )
    definition = table_of(PLAN, 1)
    write_table(definition, folder / "table", measured, templates=TEMPLATES)
    return lambda suffix: (folder / f"table.{suffix}").read_text(encoding="utf-8")


def write_cell(folder: Path, cell: Cell, plan: Plan) -> None:
    """The score file of a cell, as the workflow makes it."""
    tasks = plan.tasks[cell.suite]
    others = {END: NO_END} if cell.model == "nano-llama" else {}
    found = []
    for task, spec in tasks.items():
        tokens = cell.length - spec.tokens_to_generate
        if (cell.model, task, cell.length) == ("nano-llama", "qa_1", 256):
            tokens = 91
        samples = range(plan.study.samples)
        found += [prediction(task, tokens, index, **others) for index in samples]
    write_records(folder / "predictions", found)
    score_cell(
        folder / "predictions",
        folder / cell.model / cell.suite / f"{cell.length}.parquet",
        cell=cell,
        tasks=tasks,
        samples=plan.study.samples,
    )


def test_marks_stand_where_they_belong_and_nowhere_else(table: Callable[[str], str]) -> None:
    llama = next(line for line in table("md").splitlines() if line.startswith("| Llama"))
    mamba = next(line for line in table("md").splitlines() if line.startswith("| Mamba2"))
    assert ["¶" in cell for cell in llama.split("|")[1:-1]] == [False, False, True, True]
    assert llama.startswith("| Llama‖ |")
    assert "¶" not in mamba
    assert "‖" not in mamba


def test_marks_are_explained_below(table: Callable[[str], str]) -> None:
    text = table("md")
    assert "‖ No end token is known, so answers go on to their limit: Llama." in text
    told = "¶ Prompts shorter than their length, as there is no more text: qa_1 at 256 tokens"
    assert f"{told} (the longest has 91)." in text


def test_latex_has_the_same_marks(table: Callable[[str], str]) -> None:
    text = table("tex")
    assert r"Llama\textsuperscript{$\parallel$}" in text
    assert r"\textsuperscript{\P{}}" in text
    assert "No end token is known" in text
    assert r"qa\_1 at 256 tokens (the longest has 91)" in text
