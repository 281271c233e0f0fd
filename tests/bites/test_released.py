"""Would we notice? The replay is broken in one way each, and a law or a golden file says so."""

import random
import re
from pathlib import Path

import pytest

from needlework.tasks.released import common_words, counting, niah, replay
from needlework.tasks.released.book import Book, Prefix
from needlework.tasks.released.counting import Counter
from needlework.tasks.released.draws import Draws
from needlework.tokenizers.cuts import Cuts
from tests.golden import test_released as golden
from tests.laws import test_tokenizers as laws
from tests.released_for_tests import Material


def test_a_count_that_cuts_through_pretokens_is_caught(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merges do happen within a word: cutting it adds tokens."""
    monkeypatch.setattr(counting, "PLAIN_WORD", re.compile("(?s)."))
    with pytest.raises(AssertionError):
        laws.check_sums(Material(shared).tokenizer("gpt-neox-20b"), "the needle in the haystack.")


def test_a_cut_behind_a_newline_is_caught(shared: Path) -> None:
    """GPT-2's expression lets white space before a blank run together."""
    tokenizer = Material(shared).tokenizer("gpt-neox-20b")
    counter = Counter(tokenizer)
    counter._cut = re.compile("(?= )")
    text = "again.\n   The grass"
    assert counter.count([[text]]) != [len(tokenizer.encode(text))]


def test_a_dropped_blank_is_caught(shared: Path) -> None:
    """LLaMA lends every text a blank; a piece of a text brings its own."""

    class Wrong:
        def __init__(self) -> None:
            self._inner = Material(shared).tokenizer("llama-2")
            self.cuts, self.encode = Cuts("leads"), self._inner.encode

    with pytest.raises(AssertionError):
        laws.check_sums(Wrong(), "two words and more of them")  # type: ignore[arg-type]


def check(name: str, shared: Path) -> None:
    golden.test_a_golden_file_is_made_again(name, shared)


def test_a_shuffle_that_moves_on_is_caught(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hazard H10 is part of the bytes: every sample has the same permutation."""
    one_for_all = random.Random(42)

    def moving(_: int, size: int) -> tuple[int, ...]:
        return tuple(one_for_all.sample(range(size), size))

    monkeypatch.setattr(common_words, "order", moving)
    with pytest.raises(AssertionError):
        check("gpt-neox-20b/1024/cwe.jsonl", shared)


def test_a_search_without_draws_is_caught(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step of the artifact's search moves all later draws."""
    search = replay.Replay.search

    def quiet(self: replay.Replay, **options: object) -> int:
        mark = self.draws.mark()
        size = search(self, **options)  # type: ignore[arg-type]
        self.draws.back(mark)
        return size

    monkeypatch.setattr(replay.Replay, "search", quiet)
    with pytest.raises(AssertionError):
        check("gpt-neox-20b/1024/niah_multivalue.jsonl", shared)


def test_draws_that_are_not_taken_back_are_caught(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts that are tokenized whole are drawn ahead."""
    from tests.unit.tasks.released import test_replay

    monkeypatch.setattr(Draws, "back", lambda self, mark: None)
    with pytest.raises(AssertionError):
        test_replay.test_looking_ahead_changes_nothing(8, True)


def test_a_needle_at_the_wrong_sentence_is_caught(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentences of the whole text are not those of a prefix that ends within one."""
    prefix = Book.prefix

    def careless(self: Book, words: int) -> Prefix:
        made = prefix(self, words)
        return Prefix(self, made.whole, (" ".join(made.rest), ""))

    monkeypatch.setattr(Book, "prefix", careless)
    with pytest.raises(AssertionError):
        check("gpt-neox-20b/16384/niah_multiquery.jsonl", shared)


def test_real_uuids_in_the_depth_study_are_caught(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hazard H4 is on in what was released."""
    from needlework.tasks.released import catalog

    honest = catalog.find
    monkeypatch.setattr(catalog, "find", lambda name, **_: honest(name, uuid_numbers=False))
    with pytest.raises(AssertionError):
        check("gpt-neox-20b/1024/niah_essay_uuids_0.jsonl", shared)


def test_a_coarse_step_in_the_depth_study_is_caught(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(niah, "_FINE_STEP", 25)
    with pytest.raises(AssertionError):
        check("gpt-neox-20b/1024/niah_repeat_numbers_100.jsonl", shared)
