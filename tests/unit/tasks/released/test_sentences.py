"""Punkt as the artifact's NLTK had it, compared with the NLTK that is installed."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from needlework.errors import ResourceError
from needlework.tasks.released import sentences
from tests.released_for_tests import reference

PIECES = (
    *("a", "B", "foo", "Bar", "Mr", "e.g", "3", "4.5", "U.S", "J.", "the", "However", "p.m", "No"),
    *("...", "..", ".", "?", "!", '"', "'", ")", "(", "]", "[", "{", "}", ";", ":", ",", "--", "-"),
    *("*", "@", "&", "#", "`", "/", "é", "É", "\u2014", " ", " ", " ", " ", ". ", "! ", "? "),
)


@cache
def nltk_splitter(shared: Path) -> Any:
    """NLTK's own splitter with the same tables."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    ours = reference(shared).splitter
    tables = PunktParameters()
    tables.abbrev_types = set(ours.abbreviations)
    tables.collocations = set(ours.collocations)
    tables.sent_starters = set(ours.starters)
    tables.ortho_context.update(ours.orthography)
    splitter = PunktSentenceTokenizer()
    splitter._params = tables
    return splitter


def upstream(shared: Path, text: str) -> list[tuple[int, int]]:
    return list(nltk_splitter(shared).span_tokenize(text))


@pytest.mark.upstream
def test_the_essays_are_split_as_nltk_splits_them(shared: Path) -> None:
    material = reference(shared)
    text = material.essay[:400_000].strip()
    assert list(material.splitter.spans(text)) == upstream(shared, text)


@pytest.mark.slow
@pytest.mark.upstream
def test_all_essays_have_the_sentences_of_the_specification(shared: Path) -> None:
    assert (
        sum(1 for _ in reference(shared).splitter.spans(reference(shared).essay.strip())) == 31_396
    )


@pytest.mark.upstream
def test_nasty_texts_are_split_as_nltk_splits_them(shared: Path) -> None:
    splitter = reference(shared).splitter
    draws = random.Random(3)
    for _ in range(3000):
        text = " ".join("".join(draws.choices(PIECES, k=draws.randint(1, 20))).split())
        assert list(splitter.spans(text)) == (upstream(shared, text) if text else []), text


def test_an_abbreviation_ends_no_sentence(shared: Path) -> None:
    text = 'Mr. Poe said "No." He left.'
    found = [text[start:end] for start, end in reference(shared).splitter.spans(text)]
    assert found == ['Mr. Poe said "No."', "He left."]


def test_a_folder_without_tables_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="needlework fetch punkt"):
        sentences.read(tmp_path)
