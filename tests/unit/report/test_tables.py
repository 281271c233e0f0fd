"""Tables as files: Markdown, LaTeX and CSV say the same, and say what failed."""

import csv
from pathlib import Path

import polars as pl
import pytest

from needlework.analysis.comparisons import SMALLEST, holm
from needlework.engine.decode import NOT_FINITE
from needlework.errors import StudyError
from needlework.records import Verification
from needlework.report.layout import Source
from needlework.report.notes import Verified, shown_reasons
from needlework.report.rendering import BELOW, FLOOR, p_value, render
from needlework.report.standing import Samples
from needlework.report.tables import Measured, read_measured, write_models, write_table
from needlework.report.writing import latex
from needlework.scores.cells import ADDRESS, SCORES, CellEstimate
from needlework.statistics.means import Estimate
from needlework.study.plan import Plan
from tests.study_for_tests import (
    answers,
    estimates,
    right,
    score_rows,
    small_plan,
    table_of,
)

PLAN = small_plan()
TEMPLATES = Path(__file__).parents[3] / "reports/templates"


def cells_file(folder: Path, cells: list[CellEstimate]) -> Path:
    path = folder / "estimates.parquet"
    rows = [
        {name: getattr(cell, name) for name in ADDRESS} | cell.estimate.model_dump()
        for cell in cells
    ]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


def scores_file(folder: Path, cells: list[CellEstimate]) -> Path:
    """Samples that give these estimates: the first are right, the last failed."""
    path = folder / "scores.parquet"
    frames = [score_rows(cell, answers(cell), error=NOT_FINITE) for cell in cells]
    (pl.concat(frames) if frames else pl.DataFrame(schema=SCORES)).write_parquet(path)
    return path


def measured(
    folder: Path,
    cells: list[CellEstimate],
    *,
    plan: Plan = PLAN,
    verified: Verified | None = None,
) -> Measured:
    """What tables show of scores that give these estimates."""
    scores = [scores_file(folder, cells)]
    return read_measured(scores, grid=plan.grid(), models=plan.shown(), verified=verified)


def models_table(folder: Path, verified: Verified | None, *, plan: Plan = PLAN) -> Path:
    """The stem of the table of models."""
    write_models(
        table_of(plan, 5),
        folder / "table_05",
        models=plan.shown(),
        templates=TEMPLATES,
        verified=verified,
    )
    return folder / "table_05"


def written(
    folder: Path,
    number: int,
    cells: list[CellEstimate] | None = None,
    *,
    verified: Verified | None = None,
    intervals: bool = False,
) -> Path:
    """The stem of a written table."""
    found = measured(folder, cells or estimates(PLAN), verified=verified)
    definition = table_of(PLAN, number)
    write_table(definition, folder / "table", found, templates=TEMPLATES, intervals=intervals)
    return folder / "table"


def better_llama(model: str, task: str, length: int) -> Estimate:
    return right(9 if model == "nano-llama" else 2)


def without_llama(length: int) -> list[CellEstimate]:
    gone = ("nano-llama", "ruler", length)
    return [cell for cell in estimates(PLAN) if (cell.model, cell.suite, cell.length) != gone]


def proof(model: str, **changed: object) -> Verification:
    fields = {
        "model": model,
        "tensors": 12,
        "parameters": 500_000,
        "reference": "transformers 5.23.0 LlamaForCausalLM",
        "reason": None,
        "dtype": "float32",
        "device": "cpu",
        "kernels": {"attention": "torch"},
        "tokens": 2048,
        "needed": 1,
        "decoded": 16,
        "largest_difference": 2e-6,
        "tolerance": 1e-3,
    }
    return Verification.model_validate(fields | changed)


UNCOMPARED = {"reference": None, "reason": "no other code loads it"}


def test_markdown_marks_best_and_training_length(tmp_path: Path) -> None:
    text = written(tmp_path, 6, estimates(PLAN, better_llama)).with_suffix(".md").read_text()
    assert "| Mamba2 | 20.00 | <ins>20.00</ins> | 20.00 |" in text
    assert "| Llama | **90.00** | **<ins>90.00</ins>** | **90.00** |" in text


def test_latex_marks_best_and_training_length(tmp_path: Path) -> None:
    text = written(tmp_path, 6, estimates(PLAN, better_llama)).with_suffix(".tex").read_text()
    assert r"Mamba2 & 20.00 & 20.00{\needleworktrained{20.00}} & 20.00 \\" in text
    marked = r"\bfseries 90.00{\needleworktrained{\bfseries 90.00}}"
    assert rf"Llama & \bfseries 90.00 & {marked} & \bfseries 90.00 \\" in text
    assert r"\toprule" in text


def test_latex_spans_the_formats_of_table_4(tmp_path: Path) -> None:
    text = written(tmp_path, 4).with_suffix(".tex").read_text()
    assert r"\multicolumn{3}{c}{essay-word-uuid}" in text


def test_csv_has_a_line_per_number_with_its_interval(tmp_path: Path) -> None:
    with written(tmp_path, 2).with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 8
    assert {row["depth"] for row in rows} >= {"0", "100", "average"}
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in rows)
    assert rows[0]["count"] == "30"


def test_failures_stand_below_the_table(tmp_path: Path) -> None:
    def failing(model: str, task: str, length: int) -> Estimate:
        return (
            right(4, failed=2) if (model, task, length) == ("nano-llama", "vt", 256) else right(5)
        )

    text = written(tmp_path, 14, estimates(PLAN, failing)).with_suffix(".md").read_text()
    assert f"† Samples that failed and score zero: Llama: 2 of 20 ({NOT_FINITE})." in text
    assert "| Llama | 50.00 | <ins>40.00</ins>† | 45.00† |" in text


def test_the_most_frequent_reasons_of_failures_are_counted() -> None:
    errors = ["too long"] * 3 + ["no memory"] * 2 + ["a", "b", "c"]
    model = PLAN.shown()[0]
    frame = pl.DataFrame({"error": errors, "index": range(8), "score": [0.0] * 8}).with_columns(
        model=pl.lit(model.name), suite=pl.lit("ruler"), task=pl.lit("vt"), length=pl.lit(256)
    )
    frame = frame.with_columns(stop_reason=pl.lit("failed"))
    vt, cwe = Source("ruler", "vt", 256), Source("ruler", "cwe", 256)
    reasons = Samples(frame, PLAN.grid()).reasons(model, [vt, vt, cwe])
    assert (
        shown_reasons(reasons)
        == "3 times: too long, 2 times: no memory, 1 times: a, 2 times: others"
    )


def test_thoughts_that_never_ended_are_counted_below_the_table() -> None:
    model = PLAN.shown()[0]
    frame = pl.DataFrame({"stop_reason": ["thinking", "end", "thinking"], "index": range(3)})
    frame = frame.with_columns(
        model=pl.lit(model.name),
        suite=pl.lit("ruler"),
        task=pl.lit("vt"),
        length=pl.lit(256),
        score=pl.lit(0.0),
        error=pl.lit(None, dtype=pl.String),
    )
    samples, vt = Samples(frame, PLAN.grid()), Source("ruler", "vt", 256)
    assert samples.thinking(model, [vt, vt, Source("ruler", "cwe", 256)]) == 2


def test_a_table_says_what_it_rests_on(tmp_path: Path) -> None:
    text = written(tmp_path, 6).with_suffix(".md").read_text()
    assert "from 10 samples" in text
    assert "not significantly different" not in text


def test_a_table_says_how_ties_were_found(tmp_path: Path) -> None:
    text = written(tmp_path, 6, estimates(PLAN, better_llama)).with_suffix(".md").read_text()
    assert "not significantly different from it (paired permutation test on the samples" in text
    assert "interval of the difference" not in text


def test_what_was_not_computed_is_named_and_shown_as_a_gap(tmp_path: Path) -> None:
    stem = written(tmp_path, 1, without_llama(256))
    page, tex = stem.with_suffix(".md").read_text(), stem.with_suffix(".tex").read_text()
    assert "> **Incomplete.** Not computed: Llama, suite ruler, at 256 tokens." in page
    assert "| Llama | 50.00 | — | — |" in page
    assert r"Llama & 50.00 & {---} & {---} \\" in tex
    assert r"\item --- Not computed: Llama, suite ruler, at 256 tokens." in tex
    with stem.with_suffix(".csv").open() as file:
        lacking = [row for row in csv.DictReader(file) if row["missing"]]
    assert [(row["length"], row["mean"]) for row in lacking] == [("256", ""), ("average", "")]
    assert {row["missing"] for row in lacking} == {"nano-llama/ruler/256"}


def test_a_whole_table_makes_no_excuses(tmp_path: Path) -> None:
    text = written(tmp_path, 1).with_suffix(".md").read_text()
    assert not any(word in text for word in ("Incomplete", "†", "‡", "—"))


def test_models_that_nobody_compared_are_marked(tmp_path: Path) -> None:
    verified = {
        "nano-mamba2": proof("nano-mamba2"),
        "nano-llama": proof("nano-llama", **UNCOMPARED),
    }
    stem = written(tmp_path, 6, verified=verified)
    page = stem.with_suffix(".md").read_text()
    assert "| Llama‡ |" in page
    assert "| Mamba2 |" in page
    assert "‡ Weights not compared with another implementation: Llama (no other code" in page
    assert r"Llama\textsuperscript{$\ddagger$} &" in stem.with_suffix(".tex").read_text()


def test_a_model_without_any_proof_is_marked_as_well(tmp_path: Path) -> None:
    verified = {"nano-mamba2": proof("nano-mamba2")}
    assert (
        "Llama (not verified)"
        in written(tmp_path, 6, verified=verified).with_suffix(".md").read_text()
    )


def test_intervals_stand_beside_or_below_every_number(tmp_path: Path) -> None:
    cells = estimates(PLAN, lambda model, task, length: right(10))
    stem = written(tmp_path, 6, cells, intervals=True)
    page, tex = stem.with_suffix(".md").read_text(), stem.with_suffix(".tex").read_text()
    assert "| Mamba2 | 100.00 [72.2, 100] | <ins>100.00</ins> [72.2, 100] |" in page
    assert tex.count(r"{\scriptsize [72.2, 100]}") == 6
    assert r"\label{tab:06-intervals}" in tex


def test_columns_have_room_for_their_widest_number(tmp_path: Path) -> None:
    cells = estimates(PLAN, lambda model, task, length: right(10 if length == 128 else 0))
    text = written(tmp_path, 6, cells).with_suffix(".tex").read_text()
    assert "S[table-format=3.2] S[table-format=1.2] S[table-format=2.2]" in text


def test_the_same_cells_give_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path, 1).with_suffix(".tex").read_bytes()
    assert written(tmp_path, 1).with_suffix(".tex").read_bytes() == first


def test_table_5_lists_every_model(tmp_path: Path) -> None:
    stem = models_table(tmp_path, None)
    text = stem.with_suffix(".md").read_text()
    assert "| Mamba2 | linear | `resources/nano/mamba2` |" in text
    assert "erified" not in text
    assert "nano-llama" in stem.with_suffix(".csv").read_text()
    weights = r"\texttt{resources/\allowbreak{}nano/\allowbreak{}llama}"
    assert weights in stem.with_suffix(".tex").read_text()


def test_table_5_says_what_was_verified(tmp_path: Path) -> None:
    verified = {"nano-mamba2": proof("nano-mamba2"), "nano-llama": proof("x", **UNCOMPARED)}
    stem = models_table(tmp_path, verified)
    text = stem.with_suffix(".md").read_text()
    read = "after 2,048 tokens in pieces and 16 one by one, logits agree with those of "
    within = " in one pass, within 0.1 % of the largest, in float32 |"
    named = "transformers 5.23.0 LlamaForCausalLM"
    assert f"| 500,000 parameters; {read}{named}{within}" in text
    lonely = "not compared with another implementation: no other code loads it; "
    assert f"| 500,000 parameters; {lonely}{read}the model itself{within}" in text
    with stem.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["passed"] for row in rows] == ["yes", "yes"]
    assert [row["decoded"] for row in rows] == ["16", "16"]
    assert "not compared with another implementation" in stem.with_suffix(".tex").read_text()


def test_table_5_says_what_a_file_rounds_weights_to(tmp_path: Path) -> None:
    """A column of its own where there is such a model, and none where there is not."""
    rounded = proof("nano-mamba2", quantisation="Q4_1 (79 %), Q8_0 (21 %)")
    verified = {"nano-mamba2": rounded, "nano-llama": proof("nano-llama")}
    stem = tmp_path / "table"
    write_models(
        table_of(PLAN, 5), stem, models=PLAN.shown(), templates=TEMPLATES, verified=verified
    )
    told = "in the file rounded to Q4_1 (79 %), Q8_0 (21 %)"
    assert f"500,000 parameters, {told};" in stem.with_suffix(".md").read_text()
    assert stem.with_suffix(".md").read_text().count("rounded") == 1
    assert (
        r"in the file rounded to Q4\_1 (79~\%), Q8\_0 (21~\%);"
        in stem.with_suffix(".tex").read_text()
    )
    with stem.with_suffix(".csv").open() as file:
        rows = {row["name"]: row["quantisation"] for row in csv.DictReader(file)}
    assert rows["nano-mamba2"] == "Q4_1 (79 %), Q8_0 (21 %)"
    assert rows["nano-llama"] == ""


def test_table_5_is_the_same_whatever_processor_measured(tmp_path: Path) -> None:
    """Twice the difference was seen on another one: 4.8e-6 and 7.6e-6."""
    pages = []
    for difference in (4.8e-6, 7.6e-6):
        verified = {"nano-mamba2": proof("nano-mamba2", largest_difference=difference)}
        models_table(tmp_path, verified)
        pages.append([path.read_bytes() for path in sorted(tmp_path.glob("table_05.*"))])
    assert pages[0] == pages[1]
    assert len(pages[0]) == 3


def test_table_5_says_what_a_cpu_was_too_slow_for(tmp_path: Path) -> None:
    verified = {
        "nano-mamba2": proof("nano-mamba2", tokens=300, needed=2049),
        "nano-llama": proof("nano-llama", decoded=0, **UNCOMPARED),
    }
    text = models_table(tmp_path, verified).with_suffix(".md").read_text()
    assert "one by one, fewer than the 2,049 that cross its window and two chunks, logits" in text
    assert (
        "after 2,048 tokens in one pass only, logits agree with those of the model itself" in text
    )


def test_latex_prints_every_character_as_it_is() -> None:
    assert latex("a_b & 5 %") == r"a\_b \& 5~\%"


def test_a_template_with_an_unknown_name_is_named(tmp_path: Path) -> None:
    """A typo in a template must not print an empty cell."""
    template = tmp_path / "broken.md.j2"
    template.write_text("{{ tabel }}", encoding="utf-8")
    with pytest.raises(StudyError, match=r"broken\.md\.j2: 'tabel' is undefined"):
        render(template, table=1)


def test_an_absent_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.md\.j2"):
        render(tmp_path / "none.md.j2")


def test_a_table_without_training_lengths_does_not_explain_them(tmp_path: Path) -> None:
    """Table 2 stands at the training length as a whole; nothing in it is underlined."""
    stem = written(tmp_path, 2)
    assert "nderlined" not in stem.with_suffix(".md").read_text()
    assert "underlined" not in stem.with_suffix(".tex").read_text()


@pytest.mark.parametrize("tests", [5, 120, 10_000])
def test_a_corrected_limit_is_not_printed_as_a_p_value(tests: int) -> None:
    """`5e-12` was once printed, the smallest p-value there is times Holm's five."""
    corrected = holm([SMALLEST] * tests)
    assert {p_value(each) for each in corrected} == {BELOW}
    assert float(BELOW.removeprefix("< ")) == FLOOR
    assert p_value(0.0123456) == "0.0123"
    assert p_value(3e-8) == "3e-08"
    assert p_value(None) == ""
