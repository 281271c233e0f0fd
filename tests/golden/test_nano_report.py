"""The committed output of the default study is what the code makes: a slice of it, made again.

Renew after a change that is meant: `make study`, then `make nano-report`.
"""

import re
from pathlib import Path

import polars as pl
import pytest
import torch

from needlework import tokenizers
from needlework.engine.cell import Dataset, predict_cell
from needlework.models import load
from needlework.nano import language
from needlework.paper.claims import CLAIMS
from needlework.parsing import parse, read
from needlework.report.charts import pictures
from needlework.study.catalogue import read_tasks
from needlework.study.config import Study
from needlework.tasks import generate
from needlework.tasks.metrics import score
from tests.unit.report.test_figures import assert_fits_a_page

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
    tasks = read_tasks(ROOT / "config" / "tasks.yaml").nano.tasks
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
            metric=tasks[task].metric,
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


def test_the_readme_has_the_verdicts_of_the_committed_pages() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = [
        [part.strip() for part in line.strip("|").split("|")]
        for line in readme.splitlines()
        if re.match(r"\| C\d \|", line)
    ]
    pages = [pl.read_csv(REPORT / name) for name in ("published_claims.csv", "claims.csv")]
    found = [dict(page.select("claim", "verdict").iter_rows()) for page in pages]
    assert told == [
        [claim.id, claim.text, *(verdicts[claim.id] for verdicts in found)] for claim in CLAIMS
    ]


def test_the_readme_counts_the_findings_of_the_committed_audit() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"has (\d+) findings in the published numbers", readme)
    assert int(told) == pl.read_csv(REPORT / "audit.csv").height


def test_no_committed_page_shows_the_signs_that_should_have_set_it_in_bold() -> None:
    """Stars that a template wrote were once escaped as if a value held them."""
    pages = sorted((ROOT / "reports").glob("*/*.md"))
    assert any("**-" in path.read_text(encoding="utf-8") for path in pages)
    assert not [path for path in pages if "\\*\\*" in path.read_text(encoding="utf-8")]


DRAWINGS = sorted((ROOT / "reports").glob("*/figures/*.svg"))


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_every_committed_figure_fits_a_page_and_says_what_it_rests_on(path: Path) -> None:
    """Letters of some were once half as large as a page needs, and none named n or its study."""
    drawing = path.read_text(encoding="utf-8")
    assert_fits_a_page(drawing)
    said = drawing.replace("\u00a0", " ")
    assert f"Study {path.parts[-3]}: " in said
    assert re.search(
        r"of one training run\.|one training run each\.|training runs of a recipe\.", said
    )
    assert re.search(r"n = [\d,]+", said)


@pytest.mark.parametrize("figure", ["length_curve", "depth_heatmap", "format_points"])
def test_pictures_are_the_same_whatever_fonts_a_machine_has(figure: str) -> None:
    """They once followed the fonts of the machine, and a reviewer's had others."""
    drawing = (REPORT / f"figures/{figure}.svg").read_text(encoding="utf-8")
    for suffix, content in pictures(drawing).items():
        assert content == (REPORT / f"figures/{figure}{suffix}").read_bytes(), suffix
