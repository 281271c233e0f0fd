"""Export: other tools find their fields, and RULER's own formula gives the same numbers."""

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from needlework.artifact.export import write_lm_eval, write_ruler
from needlework.errors import RecordError


def string_match_all(preds: list[str], refs: list[list[str]]) -> float:
    """RULER's metric as its definition reads: share of references in the text, in percent."""
    shares = [
        sum(1.0 if r.lower() in pred.lower() else 0.0 for r in ref) / len(ref)
        for pred, ref in zip(preds, refs, strict=True)
    ]
    return round(sum(shares) / len(preds) * 100, 2)


def test_rulers_own_formula_gives_the_same_summary(study: Path, tmp_path: Path) -> None:
    write_ruler(study, tmp_path)
    folder = tmp_path / "nano-llama/ruler/256"
    with (folder / "summary.csv").open() as file:
        numbers, tasks, scores, nulls = list(csv.reader(file))
    assert numbers == [str(k) for k in range(14)]
    assert (tasks[0], scores[0], nulls[0]) == ("Tasks", "Score", "Nulls")
    for task, score, null in zip(tasks[1:], scores[1:], nulls[1:], strict=True):
        lines = [json.loads(line) for line in (folder / f"{task}.jsonl").read_text().splitlines()]
        preds, refs = [line["pred"] for line in lines], [line["outputs"] for line in lines]
        assert float(score) == string_match_all(preds, refs)
        assert null == f"{preds.count('')}/3"


def test_an_answer_of_control_characters_is_a_null(study: Path, tmp_path: Path) -> None:
    """RULER cleans an answer before it counts: a lone newline is no answer."""
    path = study / "predictions/nano-mamba2/ruler/256.jsonl"
    answers = [json.loads(line) for line in path.read_text().splitlines()]
    wrong = next(each for each in answers if each["pred"].startswith(" </b>"))
    wrong["pred"] = "\n\x00 "
    path.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    write_ruler(study, tmp_path)
    with (tmp_path / "nano-mamba2/ruler/256/summary.csv").open() as file:
        _, tasks, _, nulls = csv.reader(file)
    assert dict(zip(tasks, nulls, strict=True))[wrong["task"]] == "1/3"


def test_a_line_has_the_fields_that_ruler_reads(study: Path, tmp_path: Path) -> None:
    write_ruler(study, tmp_path)
    first = (
        (tmp_path / "nano-llama/depth/512/niah_essay_numbers_40.jsonl").read_text().split("\n")[0]
    )
    assert list(json.loads(first)) == [
        "index",
        "pred",
        "input",
        "outputs",
        "others",
        "truncation",
        "length",
    ]


def test_lm_eval_results_are_the_cells(study: Path, tmp_path: Path) -> None:
    write_lm_eval(study, tmp_path)
    cells = pl.read_parquet(study / "estimates.parquet")
    for model in ("nano-llama", "nano-mamba2"):
        found = json.loads((tmp_path / model / "results.json").read_text())
        own = cells.filter(pl.col("model") == model)
        for row in own.iter_rows(named=True):
            assert found["results"][row["task"]][f"{row['length']},none"] == row["mean"]
        assert found["n-samples"]["vt"]["effective"] == 3 * 3


def test_lm_eval_samples_average_to_the_results(study: Path, tmp_path: Path) -> None:
    write_lm_eval(study, tmp_path)
    folder = tmp_path / "nano-llama"
    results = json.loads((folder / "results.json").read_text())["results"]
    lines = [json.loads(line) for line in (folder / "samples_fwe.jsonl").read_text().splitlines()]
    for length in (128, 256, 512):
        own = [line[f"{length},none"] for line in lines if line["doc"]["max_length"] == length]
        assert sum(own) / len(own) == pytest.approx(results["fwe"][f"{length},none"])
    assert [line["doc_id"] for line in lines] == list(range(9))
    assert lines[0]["arguments"]["gen_args_0"]["arg_0"] == lines[0]["doc"]["input"]


def test_an_answer_without_its_sample_is_named(study: Path, tmp_path: Path) -> None:
    path = study / "data/nano-base/256/vt.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(RecordError, match=r"vt\.jsonl: no sample 2"):
        write_ruler(study, tmp_path / "out")


def lines(study: Path, model: str) -> list[str]:
    return (study / f"predictions/{model}/ruler/256.jsonl").read_text().splitlines(keepends=True)


@pytest.mark.parametrize("write", [write_ruler, write_lm_eval])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda study: [*lines(study, "nano-llama"), lines(study, "nano-llama")[0]], "twice"),
        (lambda study: lines(study, "nano-llama")[1:], "without a prediction"),
        (lambda study: lines(study, "nano-mamba2"), "gives other scores"),
    ],
    ids=["twice", "missing", "of another model"],
)
def test_answers_that_do_not_give_the_scores_are_named(
    study: Path, tmp_path: Path, change: Any, message: str, write: Any
) -> None:
    path = study / "predictions/nano-llama/ruler/256.jsonl"
    path.write_text("".join(change(study)))
    with pytest.raises(RecordError, match=message):
        write(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", [write_ruler, write_lm_eval])
def test_a_study_without_its_scores_is_named(study: Path, tmp_path: Path, write: Any) -> None:
    path = study / "scores.parquet"
    pl.read_parquet(path).drop("score").write_parquet(path)
    with pytest.raises(RecordError, match="has other columns than a score file"):
        write(study, tmp_path / "out")
    path.unlink()
    with pytest.raises(RecordError, match=r"scores\.parquet: does not exist"):
        write(study, tmp_path / "out")
