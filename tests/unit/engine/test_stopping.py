"""When one answer is finished, token by token."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from needlework.engine.stopping import Answer, Pieces, StopRule
from needlework.records import StopReason
from needlework.tasks.metrics import Metric, is_decided
from needlework.tokenizers.hub import HubTokenizer
from tests.engine_for_tests import NumberTokenizer


def rule(*outputs: str, limit: int = 10, metric: Metric = "all", decided: bool = True) -> StopRule:
    return StopRule(
        limit=limit, outputs=outputs, metric=metric, decided=decided, end=frozenset({2})
    )


def write(stop: StopRule, *tokens: int) -> tuple[StopReason | None, list[int]]:
    """The reason after the last token, and what was kept; every earlier token must go on."""
    answer = Answer(stop, Pieces(NumberTokenizer()), prompt_tokens=5)
    for token in tokens[:-1]:
        assert answer.add(token) is None
    return answer.add(tokens[-1]), answer.tokens


def test_the_end_token_ends_an_answer_and_is_no_part_of_it() -> None:
    assert write(rule("33"), 7, 8, 2) == ("end", [7, 8])


def test_the_limit_ends_an_answer() -> None:
    assert write(rule("33", limit=3), 7, 8, 9) == ("limit", [7, 8, 9])


def test_an_answer_is_decided_when_every_reference_is_found() -> None:
    assert write(rule("7", "9"), 7, 8, 9) == ("decided", [7, 8, 9])


def test_one_reference_of_two_does_not_decide() -> None:
    assert write(rule("7", "9"), 7, 8) == (None, [7, 8])


def test_a_question_is_decided_by_any_reference() -> None:
    assert write(rule("7", "9", metric="any"), 8, 9) == ("decided", [8, 9])


def test_a_reference_inside_a_longer_number_counts_as_rulers_scoring_does() -> None:
    assert write(rule("3"), 7, 135) == ("decided", [7, 135])


def test_a_reference_across_tokens_is_found() -> None:
    assert write(rule("7 8"), 7, 8) == ("decided", [7, 8])


def test_a_decided_answer_goes_on_where_the_protocol_says_so() -> None:
    assert write(rule("7", decided=False), 7, 8) == (None, [7, 8])


def test_an_answer_decided_by_its_last_token_is_decided() -> None:
    assert write(rule("9", limit=2), 7, 9) == ("decided", [7, 9])


def test_the_text_is_decoded_only_when_a_reference_can_be_complete() -> None:
    """Decoding 64 answers of 128 tokens at every step would cost more than a small model."""
    decoded: list[list[int]] = []

    class Counting(Pieces):
        def text(self, tokens: list[int]) -> str:
            decoded.append(list(tokens))
            return super().text(tokens)

    answer = Answer(rule("15", limit=100), Counting(NumberTokenizer()), prompt_tokens=5)
    for token in (7, 8, 4, 15):
        reason = answer.add(token)
    assert reason == "decided"
    assert decoded == [[7, 8, 4, 15]]


@pytest.fixture(scope="module")
def byte_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> HubTokenizer:
    """Every byte a token, as in GPT's alphabet, so that characters are cut in the middle."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={each: i for i, each in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    path: Path = tmp_path_factory.mktemp("bytes") / "tokenizer.json"
    inner.save(str(path))
    return HubTokenizer(path)


TEXTS = st.text(alphabet="abAB 1\né世Σς\x01", min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    written=TEXTS,
    outputs=st.lists(TEXTS, min_size=1, max_size=3),
    metric=st.sampled_from(["all", "any"]),
)
def test_looking_seldom_finds_what_looking_always_finds(
    byte_tokenizer: HubTokenizer, written: str, outputs: list[str], metric: Metric
) -> None:
    """Characters of several bytes, final sigmas, control characters and blanks at either end."""
    tokens = byte_tokenizer.encode(written)
    stop = StopRule(limit=1000, outputs=tuple(outputs), metric=metric)
    answer = Answer(stop, Pieces(byte_tokenizer), prompt_tokens=1)
    for count, token in enumerate(tokens, start=1):
        text = byte_tokenizer.decode(tokens[:count])
        decided = is_decided(text, outputs, metric=metric)
        assert (answer.add(token) == "decided") == decided
        if decided:
            break
