"""What stands beside a released sample, and what a user can get wrong."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import ResourceError, StudyError
from needlework.records import Sample, SampleDetail
from needlework.tasks import released
from needlework.tasks.released import catalog
from tests.released_for_tests import reference


def rows(
    shared: Path, task: str, *, wrapper: str = "base", **options: Any
) -> list[tuple[Sample, SampleDetail]]:
    material = reference(shared)
    arguments = {"length": 1024, "samples": 3, "seed": 5} | options
    return list(
        released.generate(
            task,
            tokenizer=material.tokenizer("gpt-neox-20b"),
            prompts=material.prompts,
            wrapper=wrapper,
            resources=material.resources,
            **arguments,
        )
    )


@pytest.mark.parametrize("collapse", [False, True])
@pytest.mark.parametrize("task", ["niah_multivalue", "niah_multikey_2", "vt", "cwe", "fwe"])
def test_details_count_the_prompt_as_it_is_written(task: str, collapse: bool, shared: Path) -> None:
    """In `vt` the artifact writes down one token less than there is."""
    tokenizer = reference(shared).tokenizer("gpt-neox-20b")
    for sample, detail in rows(shared, task, remove_newline_tab=collapse):
        assert detail.prompt_tokens == len(tokenizer.encode(sample.input))


@pytest.mark.parametrize("collapse", [False, True])
def test_details_know_where_the_needles_are(collapse: bool, shared: Path) -> None:
    for sample, detail in rows(shared, "niah_multiquery", remove_newline_tab=collapse):
        found = [sample.input[needle.start : needle.end] for needle in detail.needles]
        assert all(each.startswith("One of the special magic numbers for ") for each in found)
        answers = {each for each, asked in zip(found, detail.answers, strict=True) if asked}
        assert all(any(output in each for each in answers) for output in sample.outputs)
        assert list(detail.depths) == sorted(detail.depths)
        assert sample.input[detail.question_start :].lstrip().startswith("What are all")


def test_details_of_vt_are_those_of_the_task_and_not_of_the_example(shared: Path) -> None:
    (sample, detail), *_ = rows(shared, "vt")
    statements = [sample.input[each.start : each.end] for each in detail.needles]
    assert statements[0].startswith(f"VAR {sample.outputs[0]} = ")
    assert all(name in each for name, each in zip(sample.outputs, statements, strict=True))


def test_a_fixed_depth_is_the_depth(shared: Path) -> None:
    for _, detail in rows(shared, "niah_repeat_numbers_50"):
        assert detail.depths == (50.0,)


def test_an_unknown_wrapper_gets_the_nearest(shared: Path) -> None:
    with pytest.raises(StudyError, match="did you mean `RWKV`"):
        rows(shared, "fwe", wrapper="RWKW")


def test_braces_in_a_wrapper_are_a_mistake(shared: Path) -> None:
    with pytest.raises(StudyError, match="more than a place for"):
        rows(shared, "fwe", wrapper="{system} {task_template}")


def test_questions_of_another_form_are_refused(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    path.write_text(json.dumps([{"question": "?"}]), encoding="utf-8")
    with pytest.raises(ResourceError, match="holds list, not an object; name the right file"):
        rows(shared, "qa_1", questions=path)


def test_more_samples_than_questions_are_refused(shared: Path) -> None:
    """The artifact would try the same question for ever."""
    path = reference(shared).golden / "qa/squad_small.json"
    with pytest.raises(StudyError, match=r"answerable questions.*lower --samples"):
        rows(shared, "qa_1", questions=path, samples=5000)


def test_questions_that_were_not_fetched_name_the_command(shared: Path) -> None:
    with pytest.raises(ResourceError, match="needlework fetch squad"):
        rows(shared, "qa_1")


def command(
    shared: Path, output: Path, *options: str, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    arguments = ["--protocol", "released", "--output", str(output), "--seed", "42"]
    arguments += ["--resources", str(shared / "mirror"), *options]
    return subprocess.run(
        [sys.executable, "-c", "from needlework.cli import main; main()", "dataset", *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
    )


MISTAKES = {
    "too short": ("--task niah_single_2 --length 150 --samples 2", "raise the length"),
    "too long": ("--task niah_single_2 --length 2000000 --samples 2", "lower it"),
    "no task": ("--task niah_single_9 --length 1024 --samples 2", "did you mean"),
    "no wrapper": ("--task vt --length 1024 --samples 2 --wrapper bse", "did you mean `base`"),
}


@pytest.mark.parametrize(
    "mistake",
    [pytest.param(each, marks=[pytest.mark.slow] * (each == "too long")) for each in MISTAKES],
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    mistake: str, shared: Path, tmp_path: Path
) -> None:
    options, expected = MISTAKES[mistake]
    output = tmp_path / "out.jsonl"
    tokenizer = str(shared / "mirror/tokenizers/gpt-neox-20b")
    done = command(shared, output, *options.split(), "--tokenizer", tokenizer)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("needlework: ")
    assert expected in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_file(shared: Path, tmp_path: Path) -> None:
    """No process may write more than 20,000 bytes here, about four samples."""
    options = "--task niah_single_1 --length 1024 --samples 20 --tokenizer".split()
    tokenizer = str(shared / "mirror/tokenizers/gpt-neox-20b")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    done = command(shared, tmp_path / "out.jsonl", *options, tokenizer, before=limit)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("needlework: ")
    assert not list(tmp_path.iterdir())


def test_every_task_of_the_artifact_has_its_documented_command(
    shared: Path, tmp_path: Path
) -> None:
    """Names of `synthetic.yaml` and `niah_depth_ablation.yaml`, each with the options it needs."""
    for task in catalog.TASKS:
        options = ["--task", task, "--length", "1024", "--samples", "1", "--wrapper", "base"]
        source = {"qa_1": "squad", "qa_2": "hotpotqa"}.get(task)
        options += ["--questions", str(shared / f"golden/qa/{source}.json")] if source else []
        output = tmp_path / f"{task}.jsonl"
        words = ["dataset", "--protocol", "released", "--seed", "42", "--output", str(output)]
        words += ["--tokenizer", str(shared / "mirror/tokenizers/llama-2"), *options]
        words += ["--resources", str(shared / "mirror")]
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (line,) = output.read_text(encoding="ascii").splitlines()
        assert list(json.loads(line)) == ["index", "input", "outputs", "length"]


def test_the_command_writes_what_the_artifact_wrote(shared: Path, tmp_path: Path) -> None:
    output = tmp_path / "niah_single_2.jsonl"
    tokenizer = str(shared / "mirror/tokenizers/gpt-neox-20b")
    options = "--task niah_single_2 --length 1024 --samples 20 --wrapper base".split()
    done = command(shared, output, *options, "--tokenizer", tokenizer)
    assert done.returncode == 0, done.stderr
    golden = shared / "golden/gpt-neox-20b/1024/niah_single_2.jsonl"
    assert output.read_bytes() == golden.read_bytes()
