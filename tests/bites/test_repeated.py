"""Would the law of repeated texts notice? Each one here cuts where a token may reach across."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from needlework.tokenizers import repeated
from needlework.tokenizers.repeated import Repeated
from tests.laws import test_tokenizers as laws


def anywhere(*_: object) -> bool:
    return True


def joined(parts: list[str], *_: object) -> list[str]:
    return parts


@pytest.mark.parametrize(
    ("holder", "name", "broken"),
    [
        (Repeated, "_may_start", anywhere),
        (repeated, "_joined", joined),
        (Repeated, "_sentences_of", lambda _, text: text.split(". ")),
    ],
)
def test_a_cut_within_a_token_is_caught(
    holder: Any,
    name: str,
    broken: Callable[..., Any],
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holder, name, broken)
    with pytest.raises(AssertionError):
        laws.test_what_is_put_together_is_what_is_read_whole("llama-2", shared)


def test_a_cut_behind_an_added_token_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text behind it would get a mark of its own twice."""
    monkeypatch.setattr(Repeated, "_may_end", anywhere)
    with pytest.raises(AssertionError):
        laws.test_every_layout_that_may_be_cut_adds_up("prepended mark", tmp_path)
