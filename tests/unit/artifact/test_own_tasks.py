"""Review of tasks of one's own: samples that are not their lines, and files that were left out."""

import json
from pathlib import Path

import pytest

from needlework.artifact import own_tasks
from needlework.parsing import parse
from needlework.records import Sample
from needlework.tasks.specs import Spec

OWN = {"metric": "all", "tokens_to_generate": 4}
TASKS: dict[str, Spec] = parse(
    dict[str, Spec],
    {
        "mine": {"generator": "file", "path": "data/mine.jsonl", **OWN},
        "told": {"generator": "data/tell.py:told", **OWN},
        "qa_1": {"generator": "qa", "source": "facts"},
    },
    where="plan",
)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An unpacked artifact of two samples."""
    lines = [{"input": f"question {n}", "outputs": [str(n)]} for n in range(3)]
    (tmp_path / "inputs/data").mkdir(parents=True)
    (tmp_path / "inputs/data/mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    samples = [
        Sample(index=n, input=f"<user> question {n} <model>", outputs=(str(n),), length=9)
        for n in range(2)
    ]
    data = tmp_path / "study/data/nano-base/128"
    data.mkdir(parents=True)
    (data / "mine.jsonl").write_text("\n".join(each.model_dump_json() for each in samples))
    return tmp_path


def unlike(artifact: Path, samples: int = 2) -> list[str]:
    return list(own_tasks.unlike(artifact, TASKS, samples=samples))


def test_samples_that_are_their_lines_pass(artifact: Path) -> None:
    assert unlike(artifact) == []


@pytest.mark.parametrize(("old", "new"), [("question 1", "question 2"), ('["1"]', '["2"]')])
def test_a_sample_that_is_not_its_line_is_named(artifact: Path, old: str, new: str) -> None:
    data = artifact / "study/data/nano-base/128/mine.jsonl"
    data.write_text(data.read_text().replace(old, new))
    assert unlike(artifact) == ["data/nano-base/128/mine.jsonl: #1 is not inputs/data/mine.jsonl:2"]


def test_another_number_of_samples_is_named(artifact: Path) -> None:
    (found,) = unlike(artifact, samples=3)
    assert (
        found == "data/nano-base/128/mine.jsonl: not the number of samples that the study asks for"
    )


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        ("<user> 1 <model>", True),
        ("1 <model>", True),
        ("<user> question 1 <model>", True),
        ("<user> question 1", False),
        ("<user> 2 <model>", False),
    ],
)
def test_a_truncated_sample_is_the_end_of_a_whole_one(
    artifact: Path, asked: str, passes: bool
) -> None:
    """What the prompt format puts first may stand before it."""
    data = artifact / "study/data/nano-base/128/mine.jsonl"
    first, second = map(Sample.model_validate_json, data.read_text().splitlines())
    cut = artifact / "study/data/nano-base+last-64/128/mine.jsonl"
    cut.parent.mkdir(parents=True)
    samples = [first, second.model_copy(update={"input": asked})]
    cut.write_text("\n".join(each.model_dump_json() for each in samples))
    told = "data/nano-base+last-64/128/mine.jsonl: not the ends of data/nano-base/128/mine.jsonl"
    assert unlike(artifact) == ([] if passes else [told])


def test_a_broken_line_is_a_finding_and_no_accident(artifact: Path) -> None:
    (artifact / "inputs/data/mine.jsonl").write_text("[]")
    (found,) = unlike(artifact)
    assert found.startswith("inputs/data/mine.jsonl:1: line: ")


def test_a_file_that_was_not_bundled_is_missing(artifact: Path) -> None:
    (found,) = own_tasks.absent(artifact, TASKS)
    assert found == "inputs/data/tell.py: missing; bundle it with the study"


def test_a_program_is_named_as_not_shown() -> None:
    (found,) = own_tasks.not_shown(TASKS)
    assert found.startswith("told: not shown that its samples are those of inputs/data/tell.py")
