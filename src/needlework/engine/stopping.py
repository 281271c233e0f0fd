"""How answers are written and when each of them is finished: rules for one row, without torch.

Knows token ids, their text and the references; does not know models, batches or files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, PositiveInt

from needlework.parsing import Closed
from needlework.records import Reasoning, StopReason
from needlework.tasks.metrics import Metric, is_decided
from needlework.tokenizers import Tokenizer


class Decoding(Closed):
    """How tokens are chosen and what ends an answer; part of every prediction's identity."""

    kind: Literal["greedy", "sample"] = "greedy"
    end_tokens: bool = Field(True, description="Stop at the tokenizer's end of text.")
    decided: bool = Field(True, description="Stop as soon as the score cannot change any more.")
    padded_rows: bool = Field(
        False, description="Let rows of the head that belong to no token be chosen."
    )
    top_k: PositiveInt = Field(32, description="Sampling: likeliest tokens to draw from.")
    temperature: float = Field(1.0, gt=0, description="Sampling: divides the logits.")
    reasoning: Reasoning | None = Field(None, description="How it thinks before it answers.")
    seed: int = Field(0, description="Sampling: every sample draws from a stream of its own below.")


PUBLISHED_SAMPLING = Decoding(kind="sample", end_tokens=False, padded_rows=True)
"""What mamba_ssm did in the published study: its sampler divides by a temperature of zero, and the
artifact's fix skips the division, which leaves 1; no end token and no vocabulary limit is set."""


_MARK_TOKENS = 16
"""Tokens among which the end of thoughts is looked for; it has fewer."""


@dataclass(frozen=True, slots=True)
class StopRule:
    """What ends the answer to one prompt."""

    limit: int
    """Most tokens of an answer."""
    outputs: tuple[str, ...]
    metric: Metric
    decided: bool = True
    end: frozenset[int] = frozenset()
    reasoning: Reasoning | None = None

    @property
    def most(self) -> int:
        """Most tokens that are written, thoughts included."""
        return self.limit + (self.reasoning.tokens if self.reasoning else 0)


class Pieces:
    """The characters that a token can add to a text, looked up once per token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._letters: dict[int, frozenset[str] | None] = {}

    def letters(self, token: int) -> frozenset[str] | None:
        """Lower-case characters of the token alone; None where it is not plain ASCII text.

        Bytes of an unfinished character decode to a replacement sign, which is not ASCII either.
        """
        if token not in self._letters:
            piece = self._tokenizer.decode([token])
            self._letters[token] = frozenset(piece.lower()) if piece.isascii() else None
        return self._letters[token]

    def text(self, tokens: list[int]) -> str:
        """What the tokens say together."""
        return self._tokenizer.decode(tokens)

    def thoughts(self, tokens: Sequence[int], reasoning: Reasoning | None) -> int | None:
        """How many of the tokens come before the answer; None where thoughts have not ended.

        The end mark may be a special token, which decoding leaves out, or come in several pieces.
        """
        if reasoning is None:
            return 0
        mark = self._tokenizer.encode(reasoning.end)
        for count in range(1, len(tokens) + 1):
            last = list(tokens[max(0, count - _MARK_TOKENS) : count])
            if last[-len(mark) :] == mark or reasoning.end in self.text(last):
                return count
        return None

    def answer(self, tokens: Sequence[int], reasoning: Reasoning | None) -> str:
        """The text of an answer without the thoughts before it; nothing where those did not end."""
        start = self.thoughts(tokens, reasoning)
        return "" if start is None else self.text(list(tokens[start:]))


@dataclass(slots=True)
class Answer:
    """What one row has written so far, and whether it is finished."""

    rule: StopRule
    pieces: Pieces
    prompt_tokens: int
    tokens: list[int] = field(default_factory=list)
    _answer: list[int] | None = field(init=False)
    """What was written after the thoughts; None before they have ended."""
    _last_letters: frozenset[str] = field(init=False)
    _plain: bool = field(init=False)

    def __post_init__(self) -> None:
        self._answer = None if self.rule.reasoning else []
        self._last_letters = frozenset(output.lower()[-1:] for output in self.rule.outputs)
        # A blank at the end may be stripped or re-appear, so it announces nothing.
        self._plain = all(letter.isascii() and letter.strip() for letter in self._last_letters)

    @property
    def length(self) -> int:
        """Tokens of the prompt and the answer so far."""
        return self.prompt_tokens + len(self.tokens)

    def add(self, token: int) -> StopReason | None:
        """Write one token; why the answer is finished, or None when it goes on."""
        if self._answer is None:
            return self._think(token)
        if token in self.rule.end:
            return "end"
        self.tokens.append(token)
        self._answer.append(token)
        if self.rule.decided and self._may_complete(token) and self._is_decided():
            return "decided"
        return "limit" if len(self._answer) == self.rule.limit else None

    def _think(self, token: int) -> StopReason | None:
        """Write one token of the thoughts, which may be the last of them, or of all there are."""
        reasoning = self.rule.reasoning
        assert reasoning is not None
        if token in self.rule.end:
            return "thinking"
        self.tokens.append(token)
        if self.pieces.thoughts(self.tokens[-_MARK_TOKENS:], reasoning) is not None:
            self._answer = []
            return None
        return "thinking" if len(self.tokens) >= reasoning.tokens else None

    def _may_complete(self, token: int) -> bool:
        """Whether this token can have completed a reference: it must bring its last character.

        As long as all text is ASCII this is exact, because a token then only appends characters;
        and it spares most looks at the whole text. Otherwise every token is looked at.
        """
        letters = self.pieces.letters(token)
        if letters is None:
            self._plain = False
        return not self._plain or letters is None or not self._last_letters.isdisjoint(letters)

    def _is_decided(self) -> bool:
        text = self.pieces.text(self._answer or [])
        return is_decided(text, self.rule.outputs, metric=self.rule.metric)
