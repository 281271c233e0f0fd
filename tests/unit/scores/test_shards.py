"""A cell in several parts: every sample in one of them, and the whole from all."""

from pathlib import Path

import pytest

from needlework.engine.cell import Setting, predict_cell
from needlework.errors import EngineError
from needlework.files import write_records
from needlework.records import Prediction
from needlework.scores.shards import Shard, merge, parse_shard, sibling_journals
from tests.engine_for_tests import NumberTokenizer, run_cell, shared_cell
from tests.models_for_tests import family

CELL = shared_cell(samples=4)
TASKS = ["vt", "cwe"]


def prediction(task: str, index: int) -> Prediction:
    return Prediction(
        task=task,
        index=index,
        pred=f"answer {index}",
        outputs=("é",),
        stop_reason="limit",
        prompt_tokens=9,
        shared_tokens=0,
        generated_tokens=2,
        others={"revision": "abc"},
    )


def cell(samples: int = 7) -> list[Prediction]:
    """All predictions of a cell, in the order of an unsplit one."""
    return [prediction(task, index) for task in TASKS for index in range(samples)]


def split(folder: Path, total: int) -> list[Path]:
    """The cell's shards as files."""
    paths = []
    for number in range(1, total + 1):
        path = folder / f"{number}of{total}.jsonl"
        shard = Shard(number, total)
        write_records(path, [each for each in cell() if shard.holds(each.index)])
        paths.append(path)
    return paths


@pytest.mark.parametrize("total", [1, 2, 3, 9])
def test_the_whole_is_byte_for_byte_that_of_an_unsplit_cell(tmp_path: Path, total: int) -> None:
    write_records(tmp_path / "unsplit.jsonl", cell())
    merge(split(tmp_path, total), TASKS, tmp_path / "merged.jsonl")
    assert (tmp_path / "merged.jsonl").read_bytes() == (tmp_path / "unsplit.jsonl").read_bytes()


def test_every_sample_is_in_exactly_one_shard() -> None:
    shards = [Shard(number, 4) for number in (1, 2, 3, 4)]
    assert all(sum(shard.holds(index) for shard in shards) == 1 for index in range(50))


def test_a_missing_sample_is_named(tmp_path: Path) -> None:
    first, second = split(tmp_path, 2)
    write_records(second, [each for each in cell() if each.index in {3, 5}])
    with pytest.raises(EngineError, match="sample 1 of task vt"):
        merge([first, second], TASKS, tmp_path / "merged.jsonl")
    assert not (tmp_path / "merged.jsonl").exists()


def test_a_sample_that_two_shards_answer_is_refused(tmp_path: Path) -> None:
    first, _ = split(tmp_path, 2)
    with pytest.raises(EngineError, match="missing or duplicated"):
        merge([first, first], TASKS, tmp_path / "merged.jsonl")


def test_another_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="contain cwe, which the suite does not have"):
        merge(split(tmp_path, 2), ["vt"], tmp_path / "merged.jsonl")


def test_a_shard_is_written_as_a_fraction() -> None:
    assert parse_shard("2/4") == Shard(2, 4)


@pytest.mark.parametrize("text", ["", "3", "0/2", "5/4", "a/b", "-1/2"])
def test_what_is_no_fraction_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="1/4 to 4/4"):
        parse_shard(text)


def test_a_cell_that_is_split_otherwise_takes_over_every_journal(tmp_path: Path) -> None:
    """So that `shards` may change while cells are half done."""
    whole = tmp_path / "predictions/m/ruler/128.jsonl.journal"
    parts = tmp_path / "shards/m/ruler/128"
    one, two = (parts / f"{number}of2.jsonl.journal" for number in (1, 2))
    other = tmp_path / "shards/m/ruler/256/1of2.jsonl.journal"
    for path in (whole, one, two, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert sibling_journals(tmp_path / "predictions/m/ruler/128.jsonl") == [one, two]
    assert sibling_journals(parts / "1of2.jsonl") == [whole, two]
    assert sibling_journals(parts / "3of4.jsonl") == [whole, one, two]


def test_other_suites_and_tables_alone_may_have_asked_the_same(tmp_path: Path) -> None:
    """A task may be in several suites; some tasks of a cell may have been asked for a table."""
    output = tmp_path / "predictions/m/ruler/128.jsonl"
    other = tmp_path / "predictions/m/retrieval/128.jsonl.journal"
    part = tmp_path / "shards/m/ruler/128/table_06.jsonl.journal"
    strange = tmp_path / "predictions/other/ruler/128.jsonl.journal"
    for path in (other, part, strange):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert sibling_journals(output) == [other, part]


def test_a_prompt_too_short_to_be_truncated_is_answered_once(tmp_path: Path) -> None:
    """What the model said as it is counts for its truncated copy, and not the other way round."""
    own = tmp_path / "predictions/m/ruler/512.jsonl.journal"
    other = tmp_path / "predictions/m+truncated/depth/512.jsonl.journal"
    for path in (own, other, tmp_path / "predictions/m+no-needle/ruler/512.jsonl.journal"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert sibling_journals(tmp_path / "predictions/m+truncated/ruler/512.jsonl") == [other, own]
    assert sibling_journals(tmp_path / "predictions/m/depth/512.jsonl") == [own]


def test_predictions_elsewhere_have_no_siblings() -> None:
    assert sibling_journals(Path("out.jsonl")) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Prediction], Path]:
    """A cell answered in one piece, and its journal."""
    journal = tmp_path_factory.mktemp("whole") / "journal"
    return run_cell(family("mamba2"), CELL, journal), journal


def answer(shard: Shard, journal: Path, siblings: list[Path]) -> list[Prediction]:
    return predict_cell(
        family("mamba2"),
        NumberTokenizer(),
        CELL,
        revision="first",
        journal=journal,
        setting=Setting(shard=shard, siblings=siblings),
    )


def test_shards_answer_as_the_whole_cell_does(
    whole: tuple[list[Prediction], Path], tmp_path: Path
) -> None:
    """Accounts included: what a sample shares is told of the whole cell."""
    parts = [answer(Shard(number, 2), tmp_path / f"{number}", []) for number in (1, 2)]
    for number, part in enumerate(parts, start=1):
        assert part == [each for each in whole[0] if Shard(number, 2).holds(each.index)]
        assert len((tmp_path / f"{number}").read_text().splitlines()) == len(part)


def test_what_a_sibling_has_finished_is_not_computed(
    whole: tuple[list[Prediction], Path], tmp_path: Path
) -> None:
    found = answer(Shard(1, 2), tmp_path / "own", [whole[1]])
    assert found == [each for each in whole[0] if Shard(1, 2).holds(each.index)]
    assert (tmp_path / "own").read_text() == ""


def test_more_samples_of_one_task_than_of_another_are_refused(tmp_path: Path) -> None:
    """Three answers too many, each with its own number: no sample is missing or twice."""
    rows = [prediction("vt", index) for index in range(4)]
    rows += [prediction("cwe", index) for index in range(2)]
    write_records(tmp_path / "1of1.jsonl", rows)
    with pytest.raises(EngineError, match=r"missing or duplicated|more samples of one"):
        merge([tmp_path / "1of1.jsonl"], TASKS, tmp_path / "whole.jsonl")
    rows = [prediction("vt", index) for index in range(2)]
    rows += [prediction("cwe", index) for index in range(3)]
    write_records(tmp_path / "1of1.jsonl", rows)
    with pytest.raises(EngineError, match="shards contain more samples of one task"):
        merge([tmp_path / "1of1.jsonl"], TASKS, tmp_path / "whole.jsonl")
    assert not (tmp_path / "whole.jsonl").exists()
