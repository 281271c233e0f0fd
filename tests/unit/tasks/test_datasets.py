"""Datasets: two files or none, and the command that writes them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import BudgetError, ResourceError, StudyError
from needlework.files import read_records
from needlework.records import PlacedDetail, Sample, SampleDetail, Span
from needlework.study import catalogue, datasets
from tests.tasks_for_tests import ROOT, rows

TASKS = ROOT / "config/tasks.yaml"


def arguments(output: Path, **changes: str) -> list[str]:
    options = {
        "task": "vt",
        "length": "128",
        "tokenizer": str(ROOT / "resources/nano/tokenizer"),
        "material": "nano",
        "samples": "3",
        "seed": "42",
        "tasks": str(TASKS),
        "output": str(output),
    } | changes
    return ["dataset", *(word for key, value in options.items() for word in (f"--{key}", value))]


def run(output: Path, **changes: str) -> None:
    CliRunner().invoke(cli, arguments(output, **changes), catch_exceptions=False)


def test_the_command_writes_samples_and_details(tmp_path: Path) -> None:
    output = tmp_path / "vt.jsonl"
    run(output)
    samples = read_records(output, Sample)
    details = read_records(tmp_path / "vt.details.jsonl", PlacedDetail)
    known = SampleDetail.model_fields
    told = [SampleDetail(**{name: getattr(each, name) for name in known}) for each in details]
    assert list(zip(samples, told, strict=True)) == rows("vt", length=128)


@pytest.mark.parametrize("task", ["vt", "niah_multikey_1", "niah_single_3", "qa_1"])
def test_places_in_tokens_are_those_of_the_words(tmp_path: Path, task: str) -> None:
    """In the nano language a word is a token, so a blank before a place ends one."""
    output = tmp_path / f"{task}.jsonl"
    run(output, task=task)
    samples = read_records(output, Sample)
    for sample, detail in zip(
        samples, read_records(tmp_path / f"{task}.details.jsonl", PlacedDetail), strict=True
    ):
        words = sample.input.split()
        assert len(words) == detail.prompt_tokens
        for span, tokens in zip(detail.needles, detail.needle_tokens, strict=True):
            needle = sample.input[span.start : span.end].split()
            assert words[tokens.start : tokens.end] == needle
        question = sample.input[detail.question_start :].split()
        assert words[detail.question_token :] == question


def test_tokens_that_hold_a_blank_or_share_a_letter_are_placed() -> None:
    """Tokens of `xx é 7.?`: the blank leads, two make one letter, one holds needle and hay."""
    detail = SampleDetail(
        index=0,
        prompt_tokens=7,
        depths=(50.0, 60.0),
        needles=(Span(start=3, end=4), Span(start=5, end=6)),
        answers=(False, True),
        question_start=7,
    )
    placed = datasets.place(detail, "xx \u00e9 7.?", [0, 2, 3, 3, 4, 7])
    assert placed.needle_tokens == (Span(start=2, end=4), Span(start=4, end=5))
    assert placed.question_token == 5
    assert placed.distances() == (1,)
    ends = detail.model_copy(update={"question_start": 8})
    assert datasets.place(ends, "xx \u00e9 7.?", [0, 2, 3, 3, 4, 7]).question_token == 6


def test_a_line_has_the_fields_of_ruler_in_its_order(tmp_path: Path) -> None:
    output = tmp_path / "vt.jsonl"
    run(output)
    first = json.loads(output.read_text().splitlines()[0])
    assert list(first) == ["index", "input", "outputs", "length"]


def test_parameters_stand_in_for_the_table_of_tasks(tmp_path: Path) -> None:
    output = tmp_path / "mine.jsonl"
    parameters = '{"generator": "variable_tracking", "hops": 1, "tokens_to_generate": 9}'
    run(output, task="mine", parameters=parameters)
    assert all(len(sample.outputs) == 2 for sample in read_records(output, Sample))


def test_a_dataset_that_cannot_be_made_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="without any haystack"):
        run(tmp_path / "vt.jsonl", length="24")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean `niah_single_1`"):
        catalogue.find_spec("niah_singel_1", parameters=None, tasks_file=TASKS, material="nano")


def test_parameters_of_no_task_are_refused() -> None:
    with pytest.raises(StudyError, match="--parameters"):
        catalogue.find_spec("x", parameters='{"generator": "x"}', tasks_file=TASKS, material="nano")


def test_an_unknown_wrapper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--wrapper: `gema` is unknown; did you mean `gemma`"):
        run(tmp_path / "vt.jsonl", wrapper="gema")


def test_the_artifact_never_spoke_nano(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="replays English prompts"):
        run(tmp_path / "vt.jsonl", protocol="released")


def test_a_wrapper_surrounds_every_prompt(tmp_path: Path, shared: Path) -> None:
    output = tmp_path / "vt.jsonl"
    tokenizer = str(shared / "mirror/tokenizers/gpt-neox-20b")
    english = {"material": "english", "tokenizer": tokenizer, "length": "1024"}
    for wording, start in (("plain", "Between"), ("ruler", "Memorize")):
        run(output, wrapper="gemma", wording=wording, resources=str(shared / "mirror"), **english)
        for sample in read_records(output, Sample):
            assert sample.input.startswith(f"<start_of_turn>user\n{start}")
            assert "<end_of_turn>\n<start_of_turn>model\nAnswer:" in sample.input


def test_english_is_in_rulers_words_if_nothing_is_said(tmp_path: Path, shared: Path) -> None:
    output = tmp_path / "vt.jsonl"
    tokenizer = str(shared / "mirror/tokenizers/gpt-neox-20b")
    english = {"material": "english", "tokenizer": tokenizer, "length": "1024"}
    run(output, resources=str(shared / "mirror"), **english)
    assert all("VAR " in sample.input for sample in read_records(output, Sample))


def test_prompts_that_were_not_fetched_name_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"needlework fetch prompts.*`wording: plain`"):
        run(tmp_path / "vt.jsonl", material="english", resources=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_ruler_never_spoke_nano(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--wording ruler: RULER speaks English"):
        run(tmp_path / "vt.jsonl", wording="ruler")


def test_the_artifact_had_no_plain_words(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--wording plain: protocol released replays"):
        run(tmp_path / "vt.jsonl", protocol="released", material="english", wording="plain")


def test_the_nano_tokenizer_refuses_english(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is none of the 512 words"):
        run(tmp_path / "vt.jsonl", material="english", wording="plain", length="2048")


def test_the_command_imports_nothing_heavy() -> None:
    """Datasets are made by thousands of short jobs, which must not wait for torch."""
    script = (
        "import sys; from needlework import cli, tasks, tokenizers;"
        "from needlework.study import datasets; from needlework.tasks import english;"
        "from needlework.nano import language;"
        "language.material();"
        "print(sorted({'torch', 'transformers', 'polars', 'nltk', 'numpy'} & sys.modules.keys()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def wrong_values(folder: Path, task: str, **changes: str) -> list[tuple[Sample, list[str]]]:
    """The samples of a task with their distractors."""
    output = folder / f"{task}.jsonl"
    words = [*arguments(output, task=task, samples="6", **changes), "--distractors"]
    CliRunner().invoke(cli, words, catch_exceptions=False)
    details = read_records(output.with_suffix(".details.jsonl"), PlacedDetail)
    found = []
    for sample, detail in zip(read_records(output, Sample), details, strict=True):
        assert detail.distractors is not None
        found.append((sample, list(detail.distractors)))
    return found


def values_in(sample: Sample) -> list[str]:
    """The values of all needles in a nano prompt, by eye: `the magic NOUN of KEY VALUE .`"""
    words = sample.input.split()
    starts = [place for place in range(len(words)) if words[place : place + 2] == ["the", "magic"]]
    return [words[start + 5] for start in starts[:-1] if words[start + 3] == "of"]


@pytest.mark.parametrize("task", ["niah_multikey_1", "niah_multikey_2"])
def test_distractors_are_the_values_of_other_keys(task: str, tmp_path: Path) -> None:
    for sample, wrong in wrong_values(tmp_path, task):
        others = [each for each in values_in(sample) if each not in sample.outputs]
        assert 0 < len(wrong) == min(len(set(others)), datasets.DISTRACTORS)
        assert set(wrong) <= set(others)


@pytest.mark.parametrize("task", ["niah_single_1", "niah_single_3", "niah_multivalue"])
def test_a_needle_alone_is_compared_with_a_drawn_value(task: str, tmp_path: Path) -> None:
    found = wrong_values(tmp_path, task)
    for sample, wrong in found:
        assert len(wrong) == 1
        assert wrong[0] not in sample.outputs
        assert len(wrong[0].split()) == len(sample.outputs[0].split())
    longer = wrong_values(tmp_path, task, length="512")
    assert [wrong for _, wrong in longer] == [wrong for _, wrong in found]
    assert len({wrong[0] for _, wrong in found}) > 1


@pytest.mark.parametrize("task", ["vt", "cwe", "qa_1"])
def test_tasks_without_values_have_no_distractor(task: str, tmp_path: Path) -> None:
    assert all(wrong == [] for _, wrong in wrong_values(tmp_path, task))


def test_distractors_change_no_sample(tmp_path: Path) -> None:
    """They are drawn at an address of their own; and who does not ask has the same details."""
    wrong_values(tmp_path / "asked", "niah_single_1")
    run(tmp_path / "silent/niah_single_1.jsonl", task="niah_single_1", samples="6")
    asked, silent = (tmp_path / name / "niah_single_1.jsonl" for name in ("asked", "silent"))
    assert asked.read_bytes() == silent.read_bytes()
    details = silent.with_suffix(".details.jsonl")
    assert b"distractors" not in details.read_bytes()
    told = read_records(asked.with_suffix(".details.jsonl"), PlacedDetail)
    plain = [each.model_copy(update={"distractors": None}) for each in told]
    assert plain == read_records(details, PlacedDetail)


def test_the_artifacts_needles_have_distractors_too(tmp_path: Path, shared: Path) -> None:
    options = {
        "material": "english",
        "protocol": "released",
        "tokenizer": str(shared / "mirror/tokenizers/gpt-neox-20b"),
        "length": "1024",
        "resources": str(shared / "mirror"),
    }
    for task in ("niah_multikey_2", "niah_single_1"):
        for sample, wrong in wrong_values(tmp_path, task, **options):
            assert set(wrong).isdisjoint(sample.outputs)
            assert len(wrong) == (datasets.DISTRACTORS if task == "niah_multikey_2" else 1)
            assert all(re.fullmatch(r"[0-9]{7}", each) for each in wrong)
            assert all((each in sample.input) == (task == "niah_multikey_2") for each in wrong)
