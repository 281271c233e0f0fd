"""Published tables that were never published: whole, consistent, from a fixed stream."""

import csv
from pathlib import Path
from typing import NamedTuple

from needlework.paper.granularity import REFERENCES
from needlework.rng import stream
from needlework.study.paper import DEPTHS, FORMAT_DEPTHS, FORMATS, TASKS

MODELS = {"first": "First", "second": "Second", "third": "Third", "fourth": "Fourth"}
SHOWN_BY_FORMAT = ("first", "second")
LENGTHS = (1024, 2048, 4096)
SAMPLES = 250

Rows = list[dict[str, str]]


class Print(NamedTuple):
    """How numbers are printed."""

    cells: int
    """Decimals."""
    averages: int
    zeros: bool
    """Whether zeros at the end are kept."""

    def number(self, value: float, *, average: bool) -> str:
        decimals = self.averages if average else self.cells
        text = f"{value:.{decimals}f}"
        return text if self.zeros or not decimals else text.rstrip("0").rstrip(".")


AS_THE_PAPER = Print(2, 2, zeros=False)


def clean_tables(seed: int, printed: Print = AS_THE_PAPER) -> dict[str, Rows]:
    """The three files of a study in which every printed number follows from counted answers."""
    ruler, depth, by_format = _ruler(seed, printed), _depth(seed, printed), _format(seed, printed)
    return {"ruler": ruler, "depth": depth, "format": by_format}


def write_tables(folder: Path, tables: dict[str, Rows]) -> Path:
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return folder


def _row(
    head: dict[str, str], columns: dict[str, float], *, average: bool, printed: Print
) -> dict[str, str]:
    row = head | {name: printed.number(value, average=False) for name, value in columns.items()}
    mean = _mean(list(columns.values()))
    return row | ({"average": printed.number(mean, average=True)} if average else {})


def _task_score(seed: int, model: str, task: str, length: int) -> float:
    parts = SAMPLES * REFERENCES.get(task, 1)
    return 100 * stream(seed, model, task, length).randint(0, parts) / parts


def _format_score(seed: int, model: str, form: str, length: int, depth: int) -> float:
    return 100 * stream(seed, model, form, length, depth).randint(0, SAMPLES) / SAMPLES


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _ruler(seed: int, printed: Print) -> Rows:
    scores = {
        task: {
            model: {str(n): _task_score(seed, model, task, n) for n in LENGTHS} for model in MODELS
        }
        for task in TASKS
    }
    scores = {
        "ruler": {
            model: {str(n): _mean([scores[task][model][str(n)] for task in TASKS]) for n in LENGTHS}
            for model in MODELS
        }
    } | scores
    return [
        _row(
            {"table": str(table), "task": task, "model": model, "label": MODELS[model]},
            columns,
            average=True,
            printed=printed,
        )
        for table, (task, models) in zip((1, *range(6, 19)), scores.items(), strict=True)
        for model, columns in models.items()
    ]


def _depth(seed: int, printed: Print) -> Rows:
    return [
        _row(
            {"table": str(table), "model": model, "label": MODELS[model], "length": str(length)},
            {
                str(depth): _mean(
                    [_format_score(seed, model, form, length, depth) for form in FORMATS]
                )
                for depth in DEPTHS
            },
            average=True,
            printed=printed,
        )
        for table, length in ((2, 2048), (3, 4096))
        for model in MODELS
    ]


def _format(seed: int, printed: Print) -> Rows:
    return [
        _row(
            {"table": "4", "model": model, "label": MODELS[model], "length": str(length)}
            | {"format": form},
            {
                str(depth): _format_score(seed, model, form, length, depth)
                for depth in FORMAT_DEPTHS
            },
            average=False,
            printed=printed,
        )
        for model in SHOWN_BY_FORMAT
        for length in LENGTHS
        for form in FORMATS
    ]
