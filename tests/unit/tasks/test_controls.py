"""Controls of samples: what is kept, what is taken out, and that all else stays what it was."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import BudgetError
from needlework.files import read_records
from needlework.nano import language
from needlework.records import PlacedDetail, Sample
from needlework.tasks import controls, generate, prompt_budget
from needlework.tasks.controls import Control
from tests.tasks_for_tests import (
    DEPTH,
    NANO,
    RULER,
    Row,
    english_rows,
    english_tokenizer,
    nano_tokenizer,
    needle_texts,
    rows,
    without_needles,
)
from tests.unit.tasks.test_datasets import arguments, run, wrong_values

LISTS = {"cwe", "fwe"}
WITH_HAY = [task for task in RULER if task not in LISTS]
WITH_HAY += ["niah_essay_numbers_20", "niah_repeat_numbers_100"]
TRAINED = 256
ROOM = 30
"""Tokens of the longest unit of hay: one more does not fit."""


def controlled(task: str, control: Control, *, length: int = 512, samples: int = 4) -> list[Row]:
    return list(
        generate(
            NANO[task],
            material=language.material(),
            tokenizer=nano_tokenizer(),
            length=length,
            samples=samples,
            seed=42,
            task=task,
            control=control,
        )
    )


def cut(task: str, *, length: int = 512, before: str = "", trained: int = TRAINED) -> list[Row]:
    """The truncated samples of a task, as a model of such a training length reads them."""
    budget = prompt_budget(NANO[task], trained, begin=1)
    whole = iter(rows(task, length=length, samples=4))
    made = controls.truncated(whole, before=before, tokenizer=nano_tokenizer(), budget=budget)
    return list(made)


def question(row: Row) -> str:
    """What stands behind the haystack."""
    sample, detail = row
    return sample.input[detail.question_start :]


def asked(row: Row) -> list[str]:
    texts = zip(needle_texts(row), row[1].answers, strict=True)
    return [text for text, answers in texts if answers]


def others(row: Row) -> list[str]:
    texts = zip(needle_texts(row), row[1].answers, strict=True)
    return [text for text, answers in texts if not answers]


@pytest.mark.parametrize("task", [*RULER, "niah_essay_numbers_0"])
def test_a_truncated_prompt_is_the_last_tokens_of_it(task: str) -> None:
    """In the nano language a word is a token: with begin token and answer, all of the training."""
    for (sample, detail), (kept, told) in zip(
        rows(task, length=512, samples=4), cut(task), strict=True
    ):
        words, room = sample.input.split(), TRAINED - 1 - NANO[task].tokens_to_generate
        assert len(words) > room
        assert kept.input.split() == words[-room:]
        assert sample.input.endswith(kept.input)
        assert (kept.index, kept.outputs, kept.length) == (
            sample.index,
            sample.outputs,
            room + NANO[task].tokens_to_generate,
        )
        assert told.prompt_tokens == room
        assert question((kept, told)) == question((sample, detail))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["gpt-neox-20b", "llama-2"])
def test_text_that_is_cut_is_read_anew(shared: Path, name: str) -> None:
    """Where tokens are parts of words, the first one may become another; hardly any is lost."""
    tokenizer = english_tokenizer(shared / "mirror/tokenizers" / name)
    whole = english_rows("niah_multikey_1", shared, length=2048, tokenizer=name)
    made = controls.truncated(iter(whole), before="", tokenizer=tokenizer, budget=500)
    for (sample, _), (kept, told) in zip(whole, made, strict=True):
        assert sample.input.endswith(kept.input)
        assert told.prompt_tokens == len(tokenizer.encode(kept.input))
        assert 497 <= told.prompt_tokens <= 500


def test_needles_that_are_cut_off_are_none() -> None:
    """A needle stays where all of it is left, at the place where it then lies."""
    seen = Counter[bool]()
    for task in ("niah_multikey_1", "vt", "niah_essay_numbers_0", "niah_essay_numbers_100"):
        for before, after in zip(rows(task, length=512, samples=4), cut(task), strict=True):
            gone = len(before[0].input) - len(after[0].input)
            whole = [
                text
                for text, span in zip(needle_texts(before), before[1].needles, strict=True)
                if span.start >= gone
            ]
            assert needle_texts(after) == whole
            seen.update(span.start >= gone for span in before[1].needles)
    assert seen[True]
    assert seen[False]


def test_a_prompt_that_is_short_enough_is_the_same() -> None:
    for length in (128, TRAINED):
        assert cut("niah_single_2", length=length) == rows(
            "niah_single_2", length=length, samples=4
        )


def test_what_the_prompt_format_puts_first_stays() -> None:
    whole, _ = rows("niah_single_2", length=512)[0]
    before = " ".join(whole.input.split()[:7]) + " "
    kept, told = cut("niah_single_2", before=before)[0]
    room = TRAINED - 1 - NANO["niah_single_2"].tokens_to_generate
    words = whole.input.split()
    assert kept.input.split() == [*words[:7], *words[-(room - 7) :]]
    assert told.prompt_tokens == room


def test_a_format_that_leaves_no_room_is_refused() -> None:
    whole, _ = rows("niah_single_2", length=512)[0]
    before = " ".join(whole.input.split()[:300])
    with pytest.raises(BudgetError, match="no room for a request after the prompt format"):
        cut("niah_single_2", before=before)


@pytest.mark.parametrize("task", WITH_HAY)
def test_without_haystack_needles_and_question_are_left(task: str) -> None:
    for full, bare in zip(
        rows(task, length=512, samples=4), controlled(task, "no-haystack"), strict=True
    ):
        assert bare[0].outputs == full[0].outputs
        assert question(bare).split() == question(full).split()
        assert sorted(asked(bare)) == sorted(asked(full))
        assert sorted(others(bare)) == sorted(others(full))
        assert without_needles(bare) == question(bare).split()


@pytest.mark.parametrize("task", ["niah_single_2", "vt", "niah_multikey_3"])
def test_without_haystack_a_prompt_has_no_length(task: str) -> None:
    short, long = (controlled(task, "no-haystack", length=length) for length in (256, 2048))
    assert short == long


def test_without_haystack_questions_over_documents_stay_the_same() -> None:
    """Documents of a longer context say more around the fact."""
    short, long = (controlled("qa_1", "no-haystack", length=length) for length in (256, 2048))
    assert [question(row) for row in short] == [question(row) for row in long]
    assert [row[0].outputs for row in short] == [row[0].outputs for row in long]


@pytest.mark.parametrize("task", WITH_HAY)
def test_without_needle_hay_takes_its_place(task: str) -> None:
    budget = prompt_budget(NANO[task], 512, begin=1)
    for full, bare in zip(
        rows(task, length=512, samples=4), controlled(task, "no-needle"), strict=True
    ):
        assert bare[0].outputs == full[0].outputs
        assert question(bare).split() == question(full).split()
        assert asked(bare) == []
        assert [text for text in asked(full) if text in bare[0].input] == []
        assert others(bare) == others(full)
        assert budget - ROOM < bare[1].prompt_tokens <= budget


@pytest.mark.parametrize("task", ["niah_single_1", "niah_single_2", "niah_multikey_1", "vt"])
def test_without_needle_no_reference_is_in_the_text(task: str) -> None:
    for sample, detail in controlled(task, "no-needle"):
        hay = sample.input[: detail.question_start].split()
        assert not set(sample.outputs) & set(hay)


@pytest.mark.parametrize("task", sorted(LISTS))
def test_without_needle_no_word_of_a_list_stands_out(task: str) -> None:
    """What guessing scores: the words that are asked for are there as often as all others."""
    budget = prompt_budget(NANO[task], 512, begin=1)
    for full, bare in zip(
        rows(task, length=512, samples=4), controlled(task, "no-needle"), strict=True
    ):
        sample, detail = bare
        words = Counter(sample.input[: detail.question_start].split()[2:])
        words.pop("...", None)
        assert len(set(words.values())) == 1
        assert set(sample.outputs) <= words.keys()
        assert sample.outputs == full[0].outputs
        assert detail.needles == ()
        assert budget - 3 * ROOM < detail.prompt_tokens <= budget


def test_every_task_can_be_truncated_and_lists_have_no_haystack() -> None:
    assert all(controls.has(spec, "truncated") for spec in NANO.values())
    assert all(controls.has(spec, "no-needle") for spec in NANO.values())
    assert {task for task, spec in NANO.items() if not controls.has(spec, "no-haystack")} == LISTS
    assert set(DEPTH).isdisjoint(LISTS)
    assert get_args(Control) == controls.CONTROLS


@pytest.mark.parametrize("options", [["truncated", "--trained-length", "128"], ["no-needle"]])
def test_the_command_writes_a_control_with_its_details(
    tmp_path: Path, options: Sequence[str]
) -> None:
    output = tmp_path / "niah_multikey_1.jsonl"
    name, *more = options
    changes = dict(zip((word.removeprefix("--") for word in more[::2]), more[1::2], strict=True))
    run(output, task="niah_multikey_1", length="512", control=name, **changes)
    details = read_records(tmp_path / "niah_multikey_1.details.jsonl", PlacedDetail)
    for sample, detail in zip(read_records(output, Sample), details, strict=True):
        words = sample.input.split()
        assert len(words) == detail.prompt_tokens
        for span, tokens in zip(detail.needles, detail.needle_tokens, strict=True):
            said = sample.input[span.start : span.end].split()
            assert words[tokens.start : tokens.end] == said


OPTIONS: dict[Control, dict[str, str]] = {
    "truncated": {"control": "truncated", "trained-length": "256"},
    "no-haystack": {"control": "no-haystack"},
    "no-needle": {"control": "no-needle"},
}


@pytest.mark.parametrize("control", OPTIONS)
@pytest.mark.parametrize("task", WITH_HAY)
def test_a_control_is_compared_with_the_same_values(
    task: str, control: Control, tmp_path: Path
) -> None:
    """Margins over other values would be no pair: also where the control lacks their needles.

    At this length 31 needles of niah_multikey_3 are hay, and 32 without the one asked for: numbers
    of as many bits would be drawn alike by chance.
    """
    whole = wrong_values(tmp_path / "whole", task, length="380")
    found = wrong_values(tmp_path / control, task, length="380", **OPTIONS[control])
    assert [wrong for _, wrong in found] == [wrong for _, wrong in whole]
    assert [sample.outputs for sample, _ in found] == [sample.outputs for sample, _ in whole]
    assert [sample.input for sample, _ in found] != [sample.input for sample, _ in whole]


@pytest.mark.parametrize("control", OPTIONS)
def test_distractors_change_no_sample_of_a_control(control: Control, tmp_path: Path) -> None:
    task, options = "niah_multikey_2", {"length": "512", "samples": "6", **OPTIONS[control]}
    run(tmp_path / f"silent/{task}.jsonl", task=task, **options)
    wrong_values(tmp_path / "asked", task, length="512", **OPTIONS[control])
    asked, silent = (tmp_path / name / f"{task}.jsonl" for name in ("asked", "silent"))
    assert asked.read_bytes() == silent.read_bytes()
    told = read_records(asked.with_suffix(".details.jsonl"), PlacedDetail)
    plain = [each.model_copy(update={"distractors": None}) for each in told]
    assert plain == read_records(silent.with_suffix(".details.jsonl"), PlacedDetail)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"control": "no-haystack", "task": "cwe"}, "task cwe of protocol corrected has no such"),
        ({"control": "truncated"}, "--control truncated and --trained-length go together"),
        ({"control": "no-needle", "trained-length": "128"}, "go together; give both or none"),
    ],
)
def test_what_a_task_does_not_have_is_one_line(
    tmp_path: Path, changes: dict[str, str], told: str
) -> None:
    found = CliRunner().invoke(cli, arguments(tmp_path / "x.jsonl", **changes))
    assert told in str(found.exception)
    assert list(tmp_path.iterdir()) == []
