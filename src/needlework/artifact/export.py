"""A study's answers and scores in the files of other tools."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from needlework.artifact.reading import part_of
from needlework.errors import RecordError
from needlework.files import json_line, read_records, write_text
from needlework.records import Prediction, Sample
from needlework.scores.cells import CellEstimate, read_estimates, read_scores, scored
from needlework.study.config import Study
from needlework.study.grid import Cell, Grid
from needlework.study.shown import ShownModel
from needlework.tasks.metrics import clean
from needlework.tasks.specs import Spec

METRIC = "{length},none"
"""How lm-evaluation-harness names the score of a RULER task at a length."""


def write_ruler(study: Path, output: Path) -> None:
    """Write `{model}/{suite}/{length}/`: one prediction file a task, and RULER's `summary.csv`.

    RULER's own `evaluate.py` finds what it needs in these folders and writes the same numbers.

    Raises:
        RecordError: a file of the study is damaged or absent, or answers do not give the scores.
        StudyError: a part of its plan is damaged or absent.
    """
    content = _Content(study)
    scores = _checked_scores(study)
    for key, rows in scores.group_by("model", "suite", "length", maintain_order=True):
        model, suite, length = map(str, key)
        folder = output / model / suite / length
        answers = content.answers(model, suite, length)
        for task, own in answers.items():
            lines = [_ruler_row(content.sample(model, length, each), each) for each in own]
            write_text(folder / f"{task}.jsonl", "".join(map(json_line, lines)))
        write_text(folder / "summary.csv", _summary(rows, answers))


def write_lm_eval(study: Path, output: Path) -> None:
    """Write `{model}/results.json` and `{model}/samples_{task}.jsonl`, all lengths together.

    Raises:
        RecordError: a file of the study is damaged or absent, or answers do not give the scores.
        StudyError: a part of its plan is damaged or absent.
    """
    content = _Content(study)
    scores = _checked_scores(study)
    estimates = read_estimates(study / "estimates.parquet")
    for (name,), own in scores.group_by("model", maintain_order=True):
        model = str(name)
        cells = [cell for cell in estimates if cell.model == model]
        text = json.dumps(_results(study.name, cells), indent=2) + "\n"
        write_text(output / model / "results.json", text)
        for (task,), rows in own.group_by("task", maintain_order=True):
            lines = [json_line(row) for row in _lm_eval_rows(content, rows)]
            write_text(output / model / f"samples_{task}.jsonl", "".join(lines))


FORMATS: Mapping[str, Callable[[Path, Path], None]] = {
    "lm-eval": write_lm_eval,
    "ruler": write_ruler,
}
"""What can be written, by the name of the tool."""


def _checked_scores(study: Path) -> pl.DataFrame:
    """The scores of a study, every one of which its answers give."""
    scores = read_scores(study / "scores.parquet")
    samples = part_of(study, "study", Study).samples
    suites = part_of(study, "grid", Grid).suites
    tasks = {suite: part_of(study, f"suites/{suite}", dict[str, Spec]) for suite in suites}
    for key, rows in scores.partition_by(*Cell._fields, as_dict=True).items():
        cell = Cell(*key)
        path = study / "predictions" / cell.model / cell.suite / f"{cell.length}.jsonl"
        if not scored(path, cell=cell, tasks=tasks[cell.suite], samples=samples).equals(rows):
            raise RecordError(
                f"{path}: gives other scores than scores.parquet; run the study again"
            )
    return scores


class _Content:
    """The answers and samples of a study, of which only the last used are kept in memory."""

    def __init__(self, study: Path) -> None:
        models = part_of(study, "models", tuple[ShownModel, ...])
        self._study = study
        self._prompts = {model.name: model.prompts for model in models}
        self._samples: tuple[Path | None, dict[int, Sample]] = (None, {})
        self._answers: dict[tuple[str, str, str], dict[str, list[Prediction]]] = {}

    def sample(self, model: str, length: str, answer: Prediction) -> Sample:
        """The sample that a prediction answers.

        Raises:
            RecordError: there is none.
        """
        if model not in self._prompts:
            raise RecordError(f"{self._study / 'plan/models.json'}: no {model}, which has scores")
        folder = self._study / "data" / self._prompts[model] / length
        path = folder / f"{answer.task}.jsonl"
        if path != self._samples[0]:
            self._samples = path, {sample.index: sample for sample in read_records(path, Sample)}
        found = self._samples[1].get(answer.index)
        if found is None:
            raise RecordError(f"{path}: no sample {answer.index}, which {model} answered")
        return found

    def answers(self, model: str, suite: str, length: str) -> dict[str, list[Prediction]]:
        """The predictions of a cell, by task."""
        if not any(model == known for known, *_ in self._answers):
            self._answers.clear()
        if (model, suite, length) not in self._answers:
            path = self._study / "predictions" / model / suite / f"{length}.jsonl"
            by_task: dict[str, list[Prediction]] = {}
            for answer in read_records(path, Prediction):
                by_task.setdefault(answer.task, []).append(answer)
            self._answers[model, suite, length] = by_task
        return self._answers[model, suite, length]


def _ruler_row(sample: Sample, answer: Prediction) -> dict[str, Any]:
    """One line of RULER's prediction files, in its order of fields."""
    return {
        "index": sample.index,
        "pred": answer.pred,
        "input": sample.input,
        "outputs": list(sample.outputs),
        "others": answer.others,
        "truncation": -1,
        "length": sample.length,
    }


def _summary(rows: pl.DataFrame, answers: Mapping[str, Sequence[Prediction]]) -> str:
    """RULER's summary: three lines below a header of column numbers; empty answers are nulls."""
    means = {
        str(task): round(100 * group["score"].fill_null(0.0).sum() / len(group), 2)
        for (task,), group in rows.group_by("task")
    }
    nulls = {task: sum(not clean(answer.pred) for answer in own) for task, own in answers.items()}
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [
            range(len(answers) + 1),
            ["Tasks", *answers],
            ["Score", *(means[task] for task in answers)],
            ["Nulls", *(f"{nulls[task]}/{len(own)}" for task, own in answers.items())],
        ]
    )
    return text.getvalue()


def _results(study: str, cells: Sequence[CellEstimate]) -> dict[str, Any]:
    """The result file of one model."""
    results: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for cell in cells:
        task = results.setdefault(cell.task, {"alias": cell.task})
        task[METRIC.format(length=cell.length)] = cell.estimate.mean
        task[f"{cell.length}_stderr,none"] = "N/A"
        counts[cell.task] = counts.get(cell.task, 0) + cell.estimate.count
    return {
        "results": results,
        "configs": {task: {"task": task, "output_type": "generate_until"} for task in results},
        "versions": dict.fromkeys(results, 1),
        "n-shot": dict.fromkeys(results, 0),
        "n-samples": {
            task: {"original": count, "effective": count} for task, count in counts.items()
        },
        "config": {"model": "needlework", "model_args": f"study={study}"},
        "model_name": cells[0].model,
    }


def _lm_eval_rows(content: _Content, rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """One line a sample, lengths one after the other."""
    document = 0
    for key, group in rows.group_by("model", "suite", "task", "length", maintain_order=True):
        model, suite, task, length = map(str, key)
        scores = dict(zip(group["index"], group["score"], strict=True))
        for answer in content.answers(model, suite, length)[task]:
            sample = content.sample(model, length, answer)
            yield _lm_eval_row(document, sample, answer, length, scores[answer.index])
            document += 1


def _lm_eval_row(
    document: int, sample: Sample, answer: Prediction, length: str, score: float | None
) -> dict[str, Any]:
    metric = METRIC.format(length=length)
    target = "\n".join(sample.outputs)
    return {
        "doc_id": document,
        "doc": {**sample.model_dump(mode="json"), "max_length": int(length)},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": sample.input, "arg_1": {"do_sample": False}}},
        "resps": [[answer.pred]],
        "filtered_resps": [answer.pred],
        "filter": "none",
        "metrics": [metric],
        "doc_hash": _hash(json.dumps(sample.model_dump(mode="json"))),
        "prompt_hash": _hash(sample.input),
        "target_hash": _hash(target),
        metric: score or 0.0,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
