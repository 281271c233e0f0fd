"""The example of a task of one's own: a story, followed step by step, ends where it says."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.files import read_records
from needlework.nano import language
from needlework.records import PlacedDetail, Sample
from needlework.study.catalogue import read_tasks
from needlework.tasks import generate
from tests.tasks_for_tests import ROOT, Row, nano_tokenizer, needle_texts

TASKS = read_tasks(ROOT / "config/tasks.yaml")
TAKES = {
    "nano": r"the friend of (?P<thing>\w+) (?P<person>\w+) \.",
    "english": r"(?P<person>\w+) picked up the (?P<thing>\w+)\.",
}
GOES = {
    "nano": r"the home of (?P<person>\w+) (?P<place>\w+) \.",
    "english": r"(?P<person>\w+) walked to the (?P<place>\w+)\.",
}
ASKED = {"nano": r"friend of (\w+) \?", "english": r"Where is the (\w+) at the end"}


def nano_rows(task: str, length: int) -> list[Row]:
    return list(
        generate(
            TASKS.nano.tasks[task],
            material=language.material(),
            tokenizer=nano_tokenizer(),
            length=length,
            samples=20,
            seed=42,
            task=task,
        )
    )


def followed(row: Row, material: str) -> str:
    """Where the thing is that is asked for, by reading the story from its start to its end."""
    holder, place = {}, {}
    for text in needle_texts(row):
        if found := re.fullmatch(TAKES[material], text):
            holder[found["thing"]] = found["person"]
        elif found := re.fullmatch(GOES[material], text):
            place[found["person"]] = found["place"]
        else:
            raise AssertionError(text)
    (thing,) = re.findall(ASKED[material], row[0].input[row[1].question_start :])
    return place[holder[thing]]


@pytest.mark.parametrize("task", ["whereabouts_1", "whereabouts_3"])
def test_a_story_ends_where_the_sample_says(task: str) -> None:
    for row in nano_rows(task, 256):
        assert row[0].outputs == (followed(row, "nano"),)
        assert sum(row[1].answers) == 2, "two facts answer it"


def test_a_story_is_the_same_at_every_length() -> None:
    short, long = nano_rows("whereabouts_3", 128), nano_rows("whereabouts_3", 512)
    assert [needle_texts(row) for row in short] == [needle_texts(row) for row in long]


def test_the_story_is_told_between_essays_in_english(shared: Path, tmp_path: Path) -> None:
    """As the rule runs it, with the essays of the mirror."""
    output = tmp_path / "whereabouts_3.jsonl"
    words = ["dataset", "--task", "whereabouts_3", "--length", "2048", "--samples", "5"]
    words += ["--seed", "42", "--output", str(output), "--resources", str(shared / "mirror")]
    words += ["--tokenizer", str(shared / "mirror/tokenizers/gpt-neox-20b")]
    CliRunner().invoke(cli, words, catch_exceptions=False)
    samples = read_records(output, Sample)
    details = read_records(tmp_path / "whereabouts_3.details.jsonl", PlacedDetail)
    assert len(samples) == 5
    for row in zip(samples, details, strict=True):
        assert row[0].outputs == (followed(row, "english"),)
        assert 1900 < row[0].length <= 2048
