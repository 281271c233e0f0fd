"""The English material: samples of every task from the mirrored resources."""

import uuid
from pathlib import Path

import pytest

from needlework import tokenizers
from needlework.errors import StudyError
from needlework.tasks import english, generate, qa
from needlework.tasks.specs import QaSpec
from tests.tasks_for_tests import ENGLISH, Row, item, needle_texts

QUESTIONS = {"qa_1": "golden/qa/squad.json", "qa_2": "golden/qa/hotpotqa.json"}
SHOWN = [task for task in ENGLISH if not task.endswith(("20", "40", "60", "80"))]


@pytest.fixture(scope="module")
def tokenizer(shared: Path) -> tokenizers.Tokenizer:
    return tokenizers.load(str(shared / "mirror/tokenizers/gpt-neox-20b"))


def rows(task: str, shared: Path, tokenizer: tokenizers.Tokenizer, length: int = 2048) -> list[Row]:
    questions = shared / QUESTIONS[task] if task in QUESTIONS else None
    material = english.material(shared / "mirror", questions)
    return list(
        generate(
            ENGLISH[task],
            material=material,
            tokenizer=tokenizer,
            length=length,
            samples=2,
            seed=42,
            task=task,
        )
    )


@pytest.mark.parametrize("task", SHOWN)
def test_counting_words_equals_reading_the_whole_prompt(
    task: str, shared: Path, tokenizer: tokenizers.Tokenizer
) -> None:
    for sample, detail in rows(task, shared, tokenizer):
        assert detail.prompt_tokens == len(tokenizer.encode(sample.input))
        assert sample.length <= 2048


@pytest.mark.parametrize("task", [task for task in SHOWN if task != "qa_2"])
def test_references_are_in_their_needles(
    task: str, shared: Path, tokenizer: tokenizers.Tokenizer
) -> None:
    """An answer of HotpotQA may be `yes`, which no document says."""
    for row in rows(task, shared, tokenizer):
        text = "\n".join(needle_texts(row))
        assert all(output in text for output in row[0].outputs)


def test_all_tasks_fit_into_1024_tokens(shared: Path, tokenizer: tokenizers.Tokenizer) -> None:
    """The shortest length of the paper's tables; RULER's full lists of common words need 4096."""
    lengths = [
        sample.length for task in SHOWN for sample, _ in rows(task, shared, tokenizer, length=1024)
    ]
    assert max(lengths) <= 1024


def test_codes_are_uuids(shared: Path, tokenizer: tokenizers.Tokenizer) -> None:
    """In the artifact's depth study the uuids are numbers (hazard H4)."""
    for sample, _ in rows("niah_essay_uuids_50", shared, tokenizer):
        assert uuid.UUID(sample.outputs[0]).version == 4


def test_questions_without_a_file_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="add --questions FILE"):
        qa.plan(QaSpec(source="squad"), english.material(tmp_path, wording="plain"), item())
