"""The shortest length of a task is the shortest one at which its samples can be made."""

from pathlib import Path

import pytest

from needlework import tasks, tokenizers
from needlework.errors import BudgetError
from needlework.nano import language
from needlework.study.catalogue import read_tasks
from needlework.tasks.shortest import shortest_length

NANO = read_tasks(Path("config/tasks.yaml")).nano.tasks
TOKENIZER = tokenizers.load("resources/nano/tokenizer")
SAMPLES = 6


def made(task: str, length: int) -> int:
    """How many samples are made of a task at a length."""
    asked = {"tokenizer": TOKENIZER, "length": length, "samples": SAMPLES, "seed": 3, "task": task}
    return len(list(tasks.generate(NANO[task], material=language.material(), **asked)))


@pytest.mark.parametrize("task", ["niah_single_1", "niah_multikey_3", "vt", "cwe", "fwe", "qa_1"])
def test_one_token_less_is_too_short(task: str) -> None:
    asked = {"tokenizer": TOKENIZER, "samples": SAMPLES, "seed": 3, "task": task}
    found = shortest_length(NANO[task], material=language.material(), length=1, **asked)
    assert made(task, found) == SAMPLES
    with pytest.raises(BudgetError):
        made(task, found - 1)


def test_a_length_that_fits_is_its_own_answer() -> None:
    asked = {"tokenizer": TOKENIZER, "samples": SAMPLES, "seed": 3, "task": "vt"}
    assert shortest_length(NANO["vt"], material=language.material(), length=200, **asked) == 200
