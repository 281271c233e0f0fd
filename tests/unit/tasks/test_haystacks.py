"""Haystacks: sentences of the essays, by Punkt, and errors for files that are not there."""

from pathlib import Path

import pytest

from needlework.errors import ResourceError
from needlework.tasks import haystacks


def essay_and_punkt(shared: Path) -> tuple[Path, Path]:
    mirror = shared / "mirror"
    return mirror / "essays/PaulGrahamEssays.json", mirror / "nltk/punkt_tab/english"


def test_a_short_book_is_the_beginning_of_a_long_one(shared: Path) -> None:
    """Prompts of all lengths share their first sentences."""
    files = essay_and_punkt(shared)
    short, long = (haystacks.essay_sentences(*files, tokens) for tokens in (100, 2000))
    assert list(long[: len(short)]) == list(short)


def test_sentences_join_to_the_text_without_line_breaks(shared: Path) -> None:
    files = essay_and_punkt(shared)
    sentences = haystacks.essay_sentences(*files, 100)
    text = " ".join(haystacks.read_essay(files[0])[:10_000].split())
    assert text.startswith(" ".join(sentences))


def test_a_book_that_ends_starts_again(shared: Path, tmp_path: Path) -> None:
    essay = tmp_path / "short.json"
    essay.write_text('{"text": "One is here.\\nTwo is there."}')
    sentences = haystacks.essay_sentences(essay, essay_and_punkt(shared)[1], 100)
    assert list(sentences[:3]) == ["One is here.", "Two is there.", "One is here."]
    assert sum(map(len, sentences)) > 400


def test_absent_essays_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"none\.json: .*needlework fetch"):
        haystacks.read_essay(tmp_path / "none.json")


@pytest.mark.parametrize("content", ["[]", '{"title": "x"}', '{"text": 3}', '{"text": " "}', "{"])
def test_an_essay_file_of_another_form_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "essays.json"
    path.write_text(content)
    with pytest.raises(ResourceError, match=r"essays\.json .*; fetch it again"):
        haystacks.read_essay(path)


def test_absent_punkt_data_is_named(tmp_path: Path) -> None:
    essay = tmp_path / "short.json"
    essay.write_text('{"text": "One is here."}')
    with pytest.raises(ResourceError, match="needlework fetch"):
        haystacks.essay_sentences(essay, tmp_path, 10)
