"""The committed output of the default study is what the code makes: a slice of it, made again.

Renew after a change that is meant: `make study`, then `make nano-report`.
"""

from pathlib import Path

import polars as pl
import pytest
import torch

from needlework import tokenizers
from needlework.engine.cell import Dataset, predict_cell
from needlework.models import load
from needlework.nano import language
from needlework.parsing import parse, read
from needlework.scoring import metric_of, score
from needlework.study import Study, Tasks
from needlework.tasks import generate

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "reports" / "nano"
LENGTH = 128


@pytest.fixture(scope="module")
def study() -> Study:
    return parse(Study, read(ROOT / "config" / "config.yaml"), where="config.yaml")


def committed(model: str, task: str) -> float:
    """Mean score of one ruler task at 128 tokens, as the committed table has it."""
    (file,) = [
        path
        for path in sorted((REPORT / "tables").glob("table_*.csv"))
        if task in path.read_text().splitlines()[1].split(",")
    ]
    rows = pl.read_csv(file).filter(pl.col("model") == model, pl.col("length") == str(LENGTH))
    return float(rows["mean"][0])


@pytest.mark.parametrize("model", ["llama", "rwkv6"])
def test_a_slice_of_the_committed_tables_is_made_again(
    model: str, study: Study, tmp_path: Path
) -> None:
    """Three tasks of one cell: datasets, answers and scores, from the shipped weights."""
    torch.set_num_threads(1)
    tasks = parse(Tasks, read(ROOT / "config" / "tasks.yaml"), where="tasks.yaml").nano.ruler
    tokenizer = tokenizers.load(str(ROOT / "resources" / "nano" / "tokenizer"))
    decoder = load(ROOT / "resources" / "nano" / model)
    chosen = ("niah_multikey_3", "cwe", "qa_1")
    datasets = {
        task: Dataset(
            samples=[
                sample
                for sample, _ in generate(
                    tasks[task],
                    material=language.material(),
                    tokenizer=tokenizer,
                    length=LENGTH,
                    samples=study.samples,
                    seed=study.seed,
                    task=task,
                )
            ],
            tokens_to_generate=tasks[task].tokens_to_generate,
            metric=metric_of(tasks[task].generator),
        )
        for task in chosen
    }
    predictions = predict_cell(
        decoder, tokenizer, datasets, revision="shipped", journal=tmp_path / "journal"
    )
    for task in chosen:
        scores = [
            score(each.pred, each.outputs, metric=datasets[task].metric)
            for each in predictions
            if each.task == task
        ]
        mean = sum(scores) / len(scores)
        assert mean == pytest.approx(committed(f"nano-{model}", task), abs=1e-12), task
