"""Prompts: our own words, in sentences a person would write."""

import dataclasses
import json
from pathlib import Path

import pytest

from needlework.tasks import prompts
from needlework.tasks.prompts import ENGLISH, NANO, Frame, Wording
from tests.tasks_for_tests import ROOT

EXTERNAL = ROOT / "resources/external"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_a_list_reads_as_one(words: list[str], sentence: str) -> None:
    assert ENGLISH.enumerate(words) == sentence


def test_filling_leaves_the_words_between_answers_open() -> None:
    """They differ from answer to answer."""
    frame = Frame("{a}", "{a}?", "{b}", " of {key} ", "!").fill(a="1", b="2")
    assert frame == Frame("1", "1?", "2", " of {key} ", "!")


def test_an_official_format_surrounds_the_request() -> None:
    wrapper = prompts.WRAPPERS["gemma"]
    assert wrapper.before.startswith("<start_of_turn>user")
    assert wrapper.after.endswith("<start_of_turn>model\n")


def texts(wording: Wording) -> list[str]:
    """Every text of a wording, frames included."""
    values = [getattr(wording, field.name) for field in dataclasses.fields(wording)]
    frames = [value for value in values if isinstance(value, Frame)]
    inner = [text for frame in frames for text in dataclasses.astuple(frame)]
    return [text for text in [*values, *inner] if isinstance(text, str)]


def test_no_sentence_is_taken_from_ruler(shared: Path) -> None:
    """RULER's wording is fetched where it is needed, and not ours to ship."""
    theirs = json.loads((shared / "mirror/ruler/prompts.json").read_text())
    source = " ".join(
        f"{task['template']} {task['answer_prefix']}" for task in theirs["tasks"].values()
    )
    phrases = {" ".join(each) for each in windows(source.split(), 6)}
    for text in texts(ENGLISH) + texts(NANO):
        assert not phrases & {" ".join(each) for each in windows(text.split(), 6)}


def test_no_file_of_ours_quotes_ruler(shared: Path) -> None:
    """Nor do sources, tests and pages, in which a sentence could stand as an example."""
    theirs = json.loads((shared / "mirror/ruler/prompts.json").read_text())
    texts = [
        *(f"{task['template']} {task['answer_prefix']}" for task in theirs["tasks"].values()),
        *(theirs[name] for name in ("noise", "needle")),
    ]
    phrases = {" ".join(each) for text in texts for each in windows(text.split(), 6)}
    for folder in ("config", "docs", "resources", "src", "tests", "workflow"):
        for path in (ROOT / folder).rglob("*"):
            if (
                path.suffix in {".csv", ".md", ".py", ".smk", ".yaml"}
                and EXTERNAL not in path.parents
            ):
                words = path.read_text(encoding="utf-8").split()
                assert not phrases & {" ".join(each) for each in windows(words, 6)}, path


def windows(words: list[str], size: int) -> list[list[str]]:
    return [words[start : start + size] for start in range(len(words) - size + 1)]
