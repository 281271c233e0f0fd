"""Models that think before they answer: thoughts are not scored, and end or are counted apart."""

import pytest

from needlework import tokenizers
from needlework.engine.stopping import Answer, Pieces, StopRule
from needlework.records import Reasoning, StopReason
from needlework.tokenizers import Tokenizer
from tests import gguf_for_tests as files

MARKS = ("</think>", "<|im_start|>")
"""One that comes in several tokens, and a special token, which decoding leaves out."""
LIMIT, MOST = 6, 40


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return tokenizers.load(str(files.write(tmp_path_factory.mktemp("gguf") / "tiny.gguf")))


def written(
    tokenizer: Tokenizer, text: str, mark: str | None, *, limit: int = LIMIT
) -> tuple[list[int], StopReason | None, str]:
    """What is kept when a model writes this text, why it stopped, and what is scored."""
    reasoning = Reasoning(end=mark, tokens=MOST) if mark else None
    rule = StopRule(limit, ("77",), "all", end=tokenizer.end, reasoning=reasoning)
    pieces = Pieces(tokenizer)
    answer, reason = Answer(rule, pieces, 5), None
    for token in tokenizer.encode(text):
        reason = answer.add(token)
        if reason:
            break
    return answer.tokens, reason, pieces.answer(answer.tokens, reasoning)


@pytest.mark.parametrize("mark", MARKS)
def test_only_what_follows_the_thoughts_is_scored(tokenizer: Tokenizer, mark: str) -> None:
    """A reference among the thoughts decides nothing."""
    _, reason, pred = written(tokenizer, f"is it 77?{mark} 5 or 77", mark, limit=20)
    assert (reason, pred.strip()) == ("decided", "5 or 77")


@pytest.mark.parametrize("mark", MARKS)
def test_the_limit_counts_the_answer_alone(tokenizer: Tokenizer, mark: str) -> None:
    tokens, reason, pred = written(tokenizer, f"is it 77?{mark}0123456789", mark)
    assert (reason, pred) == ("limit", "012345")
    assert len(tokens) > LIMIT


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("rest", ["4" * MOST, "44<|im_end|>"])
def test_thoughts_that_never_end_score_nothing(tokenizer: Tokenizer, mark: str, rest: str) -> None:
    """Cut off at their limit, or ended with the text."""
    tokens, reason, pred = written(tokenizer, f"77 {rest}", mark)
    assert (reason, pred) == ("thinking", "")
    assert len(tokens) <= MOST


def test_an_answer_may_end_by_itself(tokenizer: Tokenizer) -> None:
    assert written(tokenizer, "7</think>5<|im_end|>", "</think>")[1:] == ("end", "5")


def test_without_thoughts_nothing_changes(tokenizer: Tokenizer) -> None:
    _, reason, pred = written(tokenizer, "</think>77", None, limit=99)
    assert (reason, pred) == ("decided", "</think>77")
    assert StopRule(5, ("a",), "all").most == 5
    assert StopRule(5, ("a",), "all", reasoning=Reasoning(end="x", tokens=7)).most == 12
