"""Datasets: two files or none, and the command that writes them."""

import json
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
