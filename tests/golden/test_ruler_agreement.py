"""NVIDIA/RULER's own generators, run beside ours: what they agreed on still holds.

`tests/compare_with_ruler.py` ran them and wrote counts and digests; here our side is made again.
"""

from pathlib import Path

import pytest

from tests.compare_with_ruler import ASKED, COMMIT, TOKENIZER, Agreement, agreement, read
from tests.tasks_for_tests import english_rows


def ours(line: Agreement, shared: Path) -> Agreement:
    """The line of our dataset of the same task, length and size."""
    rows = english_rows(
        line.task, shared, length=line.length, samples=line.samples, tokenizer=TOKENIZER
    )
    texts, lengths = [sample.input for sample, _ in rows], [sample.length for sample, _ in rows]
    return agreement(line.task, line.length, texts, lengths, shared)


@pytest.mark.parametrize("line", read(), ids=lambda line: f"{line.task}-{line.length}")
def test_our_prompts_have_the_form_of_rulers(line: Agreement, shared: Path) -> None:
    """Template, solved example, needle sentences, what separates them, and the token budget."""
    assert ours(line, shared) == line


def test_every_task_was_compared() -> None:
    lines = read()
    assert {line.commit for line in lines} == {COMMIT}
    assert {(line.length, line.task) for line in lines} == {
        (length, task) for length, tasks in ASKED.items() for task in tasks
    }
    assert {line.longer for line in lines} == {0}
