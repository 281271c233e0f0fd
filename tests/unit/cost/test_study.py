"""The cost of whole studies: sums, devices, what cannot be said, what was counted or measured."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from needlework.cost import listing, study
from needlework.cost.devices import DEVICES, Rates
from needlework.cost.exact import count
from needlework.cost.measured import job_hours, read_job
from needlework.cost.study import PlannedCell, parts, planned
from needlework.errors import RecordError
from needlework.records import Sample
from needlework.study import plan
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.tokenizers.prefixes import plan_forest
from tests.study_for_tests import CONFIG, small_plan
from tests.tasks_for_tests import nano_tokenizer, rows

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def paper() -> Plan:
    keys = yaml.safe_load((CONFIG / "paper.yaml").read_text(encoding="utf-8"))
    return plan.resolve(keys, CONFIG)


def with_unknown(name: str = "nano-llama") -> Plan:
    """A study one of whose checkpoints nothing describes."""
    known = small_plan()
    entry = known.models[name].model_copy(
        update={"checkpoint": "somebody/something", "revision": "0" * 40}
    )
    return known.model_copy(update={"models": known.models | {name: entry}})


def write_job(folder: Path, cell: Cell, line: str) -> None:
    path = folder / "predict" / cell.model / cell.suite / f"{cell.length}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + line + "\n", encoding="utf-8")


def test_every_cell_of_the_paper_has_a_cost() -> None:
    found = paper()
    cells = planned(found)
    assert [(cell.model, cell.suite, cell.length) for cell in cells] == [
        tuple(cell) for cell in found.grid().cells()
    ]
    assert {cell.device for cell in cells} == {"a100-80gb"}
    assert all(0 < cell.memory_mb < 80_000 for cell in cells)
    assert all(0 <= cell.shared_tokens < cell.prompt_tokens for cell in cells)


def test_the_paper_fits_into_a_day_and_a_half_of_one_a100() -> None:
    """Under the assumed rates, with every answer as long as it may be; needles at 16K are ours."""
    cells = planned(paper())
    assert listing.totals(cells)["hours"] < 36
    own = [cell for cell in cells if (cell.suite, cell.length) != ("depth", 16384)]
    assert listing.totals(own)["hours"] < 24


def test_totals_are_the_sum_of_the_cells() -> None:
    cells = planned(small_plan())
    total = listing.totals(cells)
    assert total["cells"] == len(cells) == 10
    assert total["hours"] == pytest.approx(sum(cell.hours for cell in cells))
    assert total["prompt_tokens"] == sum(cell.prompt_tokens for cell in cells)
    models = {cell.model for cell in cells}
    parts = [listing.totals([cell for cell in cells if cell.model == each]) for each in models]
    assert total["flops"] == pytest.approx(sum(part["flops"] for part in parts))


def test_hours_are_read_written_and_started() -> None:
    for cell in planned(paper()):
        parts = cell.reading_hours + cell.writing_hours + cell.starting_hours
        assert cell.hours == pytest.approx(parts)
        assert cell.hours_at_peak is not None
        # The best that is assumed of a phase is two thirds of its peak, the worst a third.
        assert 0.34 <= cell.hours_at_peak / (cell.reading_hours + cell.writing_hours) <= 0.67


def test_a_cell_says_what_bounds_it_and_how_near_it_is_taken_to_come() -> None:
    found = {(cell.model, cell.suite, cell.length): cell for cell in planned(paper())}
    long, many = found["mamba2", "ruler", 16_384], found["transformerpp", "depth", 1024]
    assert (long.bound, long.bound_share) == ("compute", 0.5)
    assert (many.bound, many.bound_share) == ("bandwidth", pytest.approx(2 / 3))
    rates = {"mamba2": Rates(0.6 * 312e12, 0.5 * 2.039e12)}
    (measured,) = (
        cell
        for cell in planned(paper(), rates=rates)
        if (cell.model, cell.suite, cell.length) == ("mamba2", "ruler", 16_384)
    )
    assert measured.bound_share == pytest.approx(0.6)
    assert "compute 60%" in list(listing.lines([measured]))[1]


def test_no_peak_is_known_of_a_core() -> None:
    cells = planned(small_plan())
    assert {cell.hours_at_peak for cell in cells} == {None}
    assert listing.totals(cells)["hours_at_peak"] is None
    assert "peaks" not in listing.spent(cells)


def test_steps_may_be_bound_by_what_they_take_beside_what_they_move() -> None:
    rates = {"nano-llama": Rates(1e15, 1e15, step=10.0)}
    found = planned(small_plan(models=["nano-llama"]), rates=rates)
    assert {(cell.bound, cell.bound_share) for cell in found} == {("launches", None)}


def test_the_plan_part_of_costs_is_what_is_shown() -> None:
    found = small_plan()
    assert parts(found)["costs"] == planned(found)


def test_all_cells_move_to_the_device_that_was_named() -> None:
    cells = planned(small_plan(), device=DEVICES["h200"])
    assert {cell.device for cell in cells} == {"h200"}


def test_measured_rates_replace_assumed_ones() -> None:
    found = small_plan()
    slow = planned(found, rates={"nano-llama": Rates(1e6, 1e6)})
    for before, after in zip(planned(found), slow, strict=True):
        assert (after.hours > before.hours) == (after.model == "nano-llama")


def test_a_model_that_nothing_describes_is_named_not_guessed() -> None:
    found = with_unknown()
    assert study.undescribed(found) == ["nano-llama"]
    assert {cell.model for cell in planned(found)} == {"nano-mamba2"}


def test_a_checkpoint_lies_on_the_disk_once() -> None:
    """Two models of one checkpoint; datasets add a little."""
    once = small_plan(models=["nano-llama"])
    weights = 4 * 500_000
    assert study.disk_bytes(once, []) == pytest.approx(weights, rel=0.1)
    assert study.disk_bytes(once, planned(once)) > study.disk_bytes(once, [])
    twice = once.model_copy(update={"models": once.models | {"again": once.models["nano-llama"]}})
    assert study.disk_bytes(twice, []) == study.disk_bytes(once, [])


def test_datasets_that_exist_are_counted(tmp_path: Path) -> None:
    found = small_plan(models=["nano-llama"], samples=3)
    made: list[Sample] = []
    for task in found.tasks["ruler"]:
        samples = [sample for sample, _ in rows(task, length=256, samples=3)]
        made += samples
        path = tmp_path / "data" / found.prompts("nano-llama") / "256" / f"{task}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(sample.model_dump_json() + "\n" for sample in samples)
        path.write_text(lines, encoding="utf-8")
    counted = count(found, tmp_path)
    cell = Cell("nano-llama", "ruler", 256)
    assert list(counted) == [cell]
    tokenizer = nano_tokenizer()
    prompts = [
        np.array([*tokenizer.begin, *tokenizer.encode(sample.input)], dtype=np.int32)
        for sample in made
    ]
    (exact,) = (
        each
        for each in planned(found, counted=counted)
        if (each.suite, each.length) == ("ruler", 256)
    )
    assert exact.prompt_tokens == sum(map(len, prompts))
    assert exact.read_tokens == sum(segment.length for segment in plan_forest(prompts))


def test_expected_shares_come_close_to_counted_ones(tmp_path: Path) -> None:
    """A suite of 20 samples a task: within a tenth of all tokens."""
    found = small_plan(models=["nano-llama"], samples=20)
    for task in found.tasks["depth"]:
        path = tmp_path / "data" / found.prompts("nano-llama") / "512" / f"{task}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = [sample for sample, _ in rows(task, length=512, samples=20)]
        lines = "".join(sample.model_dump_json() + "\n" for sample in samples)
        path.write_text(lines, encoding="utf-8")
    (exact,) = (
        cell for cell in planned(found, counted=count(found, tmp_path)) if cell.length == 512
    )
    (rough,) = (cell for cell in planned(found) if cell.length == 512)
    assert abs(exact.read_tokens - rough.read_tokens) < 0.1 * exact.prompt_tokens
    assert exact.prompt_tokens == pytest.approx(rough.prompt_tokens, rel=0.05)


def test_a_job_took_its_wall_seconds(tmp_path: Path) -> None:
    cell = planned(small_plan())[0]
    assert read_job(tmp_path, cell) is None
    address = Cell(cell.model, "ruler", cell.length)
    write_job(tmp_path, address, "100.0\t0:01:40\t500.0\t-\t-\t-\t0\t0\t50\t20.0")
    job = read_job(tmp_path, cell)
    assert job is not None
    assert (job.seconds, job.memory_mb) == (100.0, 524)


def test_a_job_too_short_to_be_sampled_has_no_memory(tmp_path: Path) -> None:
    cell = planned(small_plan())[0]
    write_job(tmp_path, Cell(cell.model, "ruler", cell.length), "1.5\t0:00:01" + "\t-" * 8)
    job = read_job(tmp_path, cell)
    assert job is not None
    assert (job.seconds, job.memory_mb) == (1.5, 0)
    (line,) = list(listing.measured_lines([(cell, job)]))[1:]
    assert line.split()[-1] == "-"


def test_a_torn_benchmark_is_named(tmp_path: Path) -> None:
    cell = planned(small_plan())[0]
    write_job(tmp_path, Cell(cell.model, "ruler", cell.length), "1.5")
    with pytest.raises(RecordError, match=r"128\.tsv is not a benchmark file"):
        read_job(tmp_path, cell)


@pytest.mark.parametrize(
    ("seconds", "memory"),
    [("nan", "1"), ("inf", "1"), ("-5", "1"), ("1e308", "1"), ("9" * 6000, "1"), ("5", "1e400")],
)
def test_hours_and_memory_that_no_job_takes_are_named(
    tmp_path: Path, seconds: str, memory: str
) -> None:
    """Memory without end was once a traceback, and so were bytes that are no text."""
    cell = planned(small_plan())[0]
    place = Cell(cell.model, "ruler", cell.length)
    write_job(tmp_path, place, f"{seconds}\t0:00:01\t{memory}" + "\t-" * 7)
    with pytest.raises(RecordError, match=r"128\.tsv: no job takes .*; delete the file"):
        read_job(tmp_path, cell)
    (path,) = tmp_path.rglob("128.tsv")
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(RecordError, match=r"128\.tsv is not a benchmark file"):
        read_job(tmp_path, cell)


def test_the_figure_has_the_hours_of_every_cell_of_its_suite() -> None:
    found = small_plan()
    hours = job_hours(planned(found), "ruler")
    assert list(hours) == [cell for cell in found.grid().cells() if cell.suite == "ruler"]
    assert {job.kind for job in hours.values()} == {"estimated"}
    assert min(job.hours for job in hours.values()) > 0


def test_the_figure_prefers_what_was_measured(tmp_path: Path) -> None:
    cell = Cell("nano-llama", "ruler", 256)
    write_job(tmp_path, cell, "7200.0\t2:00:00\t500.0\t-\t-\t-\t0\t0\t50\t20.0")
    hours = job_hours(planned(small_plan()), "ruler", benchmarks=tmp_path)
    assert {at: job.hours for at, job in hours.items() if job.kind == "measured"} == {cell: 2.0}


def test_the_figure_leaves_out_what_has_no_cost() -> None:
    assert {cell.model for cell in job_hours(planned(with_unknown()), "ruler")} == {"nano-mamba2"}


def test_every_line_of_the_table_fits_a_screen() -> None:
    for line in listing.lines(planned(paper())):
        assert len(line) <= 105


def test_what_is_assumed_is_said() -> None:
    said = listing.assumptions(["a100-80gb"], calibrated=[], counted=0, cells=72)
    assert any("nothing here was calibrated on a GPU" in each for each in said)
    assert any("upper bound" in each for each in said)
    on_cpu = listing.assumptions(["cpu"], calibrated=[], counted=2, cells=2)
    assert not any("GPU" in each for each in on_cpu)
    assert "tokens: counted in the datasets" in on_cpu


def test_a_document_holds_every_cell() -> None:
    cells = planned(small_plan())
    made = listing.document("small", cells, said=[], undescribed=[], disk=1)
    assert [PlannedCell(**each) for each in made["cells"]] == cells
