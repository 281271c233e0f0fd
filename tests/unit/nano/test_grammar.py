"""Books: sentences of a grammar, and no sentence that is both trained and evaluated."""

import itertools

from needlework import rng
from needlework.nano import grammar


def test_sentences_have_six_to_fourteen_words() -> None:
    made = itertools.islice(grammar.sentences("common", rng.stream(0)), 500)
    lengths = {sentence.count(" ") + 1 for sentence in made}
    assert lengths == set(range(6, 15))


def test_a_sentence_ends_with_a_word_and_a_full_stop() -> None:
    made = itertools.islice(grammar.sentences("common", rng.stream(0)), 200)
    assert all(sentence.split()[-2] in grammar.WORDS for sentence in made)


def test_the_paragraph_has_about_25_words() -> None:
    words = " ".join(grammar.evaluation_noise("common")).split()
    assert 20 <= len(words) <= 32


def test_a_short_book_is_the_beginning_of_a_long_one() -> None:
    short, long = (grammar.evaluation_book("common", tokens) for tokens in (100, 1000))
    assert tuple(long[: len(short)]) == tuple(short)


def test_no_sentence_of_the_evaluation_is_in_a_training_book() -> None:
    evaluated = {*grammar.evaluation_book("common", 4096), *grammar.evaluation_noise("common")}
    trained = {
        sentence for number in range(grammar._BOOKS) for sentence in grammar._training_book(number)
    }
    assert not evaluated & trained


def test_paragraphs_of_training_are_never_the_evaluated_one() -> None:
    evaluated = set(grammar.evaluation_noise("common"))
    for each in range(500):
        assert not evaluated & set(grammar.training_noise(rng.stream(1, each)))


def test_the_unseen_grammar_shares_hardly_a_transition() -> None:
    common, unseen = (grammar._transitions(name) for name in ("common", "unseen"))
    shared = sum(len(set(common[word]) & set(unseen[word])) for word in common)
    assert shared < 0.15 * 12 * len(common)


def test_passages_start_anywhere() -> None:
    starts = {grammar.training_book(rng.stream(2, each), 50)[0] for each in range(50)}
    assert len(starts) > 45
