"""Cells: every sample scored once, nothing dropped, nothing of another cell."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from needlework.cli import main
from needlework.errors import RecordError
from needlework.files import write_records
from needlework.records import Prediction
from needlework.scores.cells import collect, read_estimates, score_cell
from needlework.study.grid import Cell, Grid
from needlework.tasks.specs import NiahSpec, QaSpec, Spec

TASKS: dict[str, Spec] = {
    "needle": NiahSpec(haystack="essay", depth=40, value_kind="uuids"),
    "question": QaSpec(source="facts"),
}
CELL = Cell("model", "depth", 256)


def prediction(task: str, index: int, pred: str | None = "yes") -> Prediction:
    return Prediction(
        task=task,
        index=index,
        pred=pred or "",
        outputs=("yes", "no"),
        stop_reason="end" if pred is not None else "failed",
        error=None if pred is not None else "not a number in the logits",
        prompt_tokens=10,
        shared_tokens=4,
        generated_tokens=2,
        others={},
    )


def gather(folder: Path) -> Path:
    """The estimates of the one cell whose scores lie below `folder`."""
    collect(
        [CELL], folder, scores=folder / "scores.parquet", estimates=folder / "estimates.parquet"
    )
    return folder / "estimates.parquet"


COMPLETE = [prediction(task, index) for task in TASKS for index in range(2)]


def scored(folder: Path, predictions: list[Prediction], cell: Cell = CELL) -> Path:
    """The score file of a cell, at its place below `folder`."""
    source = folder / "predictions.jsonl"
    write_records(source, predictions)
    output = folder / cell.model / cell.suite / f"{cell.length}.parquet"
    score_cell(source, output, cell=cell, tasks=TASKS, samples=2)
    return output


def test_a_task_is_scored_by_its_own_metric(tmp_path: Path) -> None:
    """One of two references is half an answer, but a whole one to a question."""
    frame = pl.read_parquet(scored(tmp_path, COMPLETE))
    assert dict(frame.group_by("task").agg(pl.col("score").mean()).iter_rows()) == {
        "needle": 0.5,
        "question": 1.0,
    }


def test_depth_and_format_are_those_of_the_task(tmp_path: Path) -> None:
    frame = pl.read_parquet(scored(tmp_path, COMPLETE)).unique(["task"], maintain_order=True)
    assert frame["depth"].to_list() == [40, None]
    assert frame["format"].to_list() == ["essay-word-uuid", None]


def test_a_failed_sample_has_no_score_but_a_reason(tmp_path: Path) -> None:
    rows = [prediction("needle", 0, None), *COMPLETE[1:]]
    first = pl.read_parquet(scored(tmp_path, rows)).row(0, named=True)
    assert first["score"] is None
    assert first["error"] == "not a number in the logits"


@pytest.mark.parametrize(
    ("predictions", "problem"),
    [
        (COMPLETE[1:], "1 samples without a prediction, first needle #0"),
        ([*COMPLETE, COMPLETE[0]], "1 samples predicted twice, first needle #0"),
        ([*COMPLETE, prediction("needle", 2)], "1 samples not in this study, first needle #2"),
        ([*COMPLETE, prediction("other", 0)], "1 samples not in this study, first other #0"),
    ],
)
def test_a_cell_that_is_not_whole_is_refused(
    tmp_path: Path, predictions: list[Prediction], problem: str
) -> None:
    with pytest.raises(RecordError, match=problem):
        scored(tmp_path, predictions)
    assert not (tmp_path / "model").exists()


def test_answers_of_two_runs_are_refused(tmp_path: Path) -> None:
    other = COMPLETE[1].model_copy(update={"others": {"revision": "another"}})
    with pytest.raises(RecordError, match=r"needle #1 has revision another, the first answer None"):
        scored(tmp_path, [COMPLETE[0], other, *COMPLETE[2:]])


def test_shards_of_two_machines_are_one_cell(tmp_path: Path) -> None:
    machines = ({"device": "NVIDIA A100"}, {"device": "NVIDIA H100", "kernels": "torch"})
    pairs = zip(COMPLETE, machines * 2, strict=True)
    found = scored(tmp_path, [each.model_copy(update={"others": told}) for each, told in pairs])
    assert pl.read_parquet(found).height == len(COMPLETE)


def test_a_torn_line_is_named(tmp_path: Path) -> None:
    source = tmp_path / "predictions.jsonl"
    write_records(source, COMPLETE)
    source.write_text(source.read_text()[:-20])
    with pytest.raises(RecordError, match=r"predictions\.jsonl:4: "):
        score_cell(source, tmp_path / "out", cell=CELL, tasks=TASKS, samples=2)


def test_collecting_gives_one_estimate_a_task(tmp_path: Path) -> None:
    scored(tmp_path, [prediction("needle", 0, None), *COMPLETE[1:]])
    collect([CELL], tmp_path, scores=tmp_path / "all", estimates=tmp_path / "cells")
    needle, question = read_estimates(tmp_path / "cells")
    assert (needle.task, needle.depth, needle.format) == ("needle", 40, "essay-word-uuid")
    assert (needle.estimate.mean, needle.estimate.count, needle.estimate.failed) == (0.25, 2, 1)
    assert (question.depth, question.estimate.mean) == (None, 1.0)
    assert pl.read_parquet(tmp_path / "all").height == 4


def test_scores_of_another_cell_are_refused(tmp_path: Path) -> None:
    """A file copied to a wrong place must not be counted twice."""
    path = scored(tmp_path, COMPLETE)
    path.rename(path.with_name("512.parquet"))
    with pytest.raises(RecordError, match=r"512\.parquet: holds scores of"):
        collect(
            [Cell("model", "depth", 512)],
            tmp_path,
            scores=tmp_path / "all",
            estimates=tmp_path / "cells",
        )


def test_a_score_above_one_is_refused(tmp_path: Path) -> None:
    path = scored(tmp_path, COMPLETE)
    pl.read_parquet(path).with_columns(score=pl.lit(7.0)).write_parquet(path)
    with pytest.raises(RecordError, match=r"needle #0 has score 7.0, not 0 to 1"):
        gather(tmp_path)


def test_a_missing_score_file_is_named(tmp_path: Path) -> None:
    """It was once an empty line."""
    with pytest.raises(RecordError, match=r"256.parquet: does not exist"):
        gather(tmp_path)


def test_a_score_file_without_scores_is_named(tmp_path: Path) -> None:
    path = scored(tmp_path, COMPLETE)
    pl.read_parquet(path).drop("score").write_parquet(path)
    with pytest.raises(RecordError, match="has other columns than a score file"):
        gather(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells.drop("low"), "no column low"),
        (
            lambda cells: cells.with_columns(low=pl.lit(0.9)),
            "model depth needle 256 40 .*not an est",
        ),
    ],
    ids=["column", "interval"],
)
def test_estimates_that_are_none_are_named(tmp_path: Path, change: Any, message: str) -> None:
    scored(tmp_path, COMPLETE)
    path = gather(tmp_path)
    change(pl.read_parquet(path)).write_parquet(path)
    with pytest.raises(RecordError, match=message):
        read_estimates(path)


def test_a_damaged_score_file_is_named(tmp_path: Path) -> None:
    path = scored(tmp_path, COMPLETE)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordError, match=r"256\.parquet is not"):
        collect([CELL], tmp_path, scores=tmp_path / "all", estimates=tmp_path / "cells")


def collected(folder: Path, *cells: Cell) -> None:
    collect(cells, folder, scores=folder / "all", estimates=folder / "cells")


def test_a_sample_that_is_scored_twice_is_refused(tmp_path: Path) -> None:
    path = scored(tmp_path, COMPLETE)
    frame = pl.read_parquet(path)
    pl.concat([frame, frame[1:2]]).write_parquet(path)
    with pytest.raises(RecordError, match=r"256\.parquet: needle #1 is scored twice"):
        collected(tmp_path, CELL)
    assert not (tmp_path / "cells").exists()


@pytest.mark.parametrize(
    ("kept", "problem"),
    [
        (pl.col("index") < 1, "1 samples of needle, but another cell has 2"),
        (pl.col("task") == "needle", "0 samples of question, but another cell has 2"),
    ],
)
def test_cells_of_two_studies_are_refused(tmp_path: Path, kept: pl.Expr, problem: str) -> None:
    """Half as many samples, or other tasks: nobody may take their mean together."""
    other = Cell("model", "depth", 512)
    scored(tmp_path, COMPLETE)
    path = scored(tmp_path, COMPLETE, other)
    pl.read_parquet(path).filter(kept).write_parquet(path)
    with pytest.raises(
        RecordError, match=r"512\.parquet: .*results of two studies are mixed"
    ) as caught:
        collected(tmp_path, CELL, other)
    assert problem in str(caught.value)


def test_a_command_gathers_the_cells_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = [{"name": "vt", "questions": "vt"}]
    lengths = {"ruler": [128], "depth": [256, 512]}
    suites = {suite: {"tasks": one, "lengths": found} for suite, found in lengths.items()}
    grid = Grid.model_validate({"models": ["model"], "suites": suites})
    (tmp_path / "grid.json").write_text(grid.model_dump_json())
    scored(tmp_path, COMPLETE)
    words = ["collect", tmp_path, tmp_path / "all", tmp_path / "cells"]
    words += ["--grid", tmp_path / "grid.json", "--cell"]
    command = ["needlework", *map(str, words)]
    monkeypatch.setattr("sys.argv", [*command, "model/depth/256"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert len(read_estimates(tmp_path / "cells")) == 2
    monkeypatch.setattr("sys.argv", [*command, "model/depth/265"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "did you mean `model/depth/256`?" in capsys.readouterr().err
