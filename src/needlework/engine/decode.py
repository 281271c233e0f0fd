"""Answers written in a batch whose finished rows are replaced by prompts that were read meanwhile.

Knows decoders, states and rows; does not know text, files or how a prompt was read.
"""

# Shapes: R rows, D width, V vocabulary rows of the head.
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from needlework.engine.choosing import Chooser
from needlework.engine.interruption import Interruption
from needlework.engine.memory import out_of_memory_after
from needlework.engine.prefill import Ready
from needlework.models import kernels
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.records import StopReason

REFILL = 2
"""Finished rows are replaced when one in this many is, not one by one: it copies every state."""
UNSEEN = 4
"""Tokens written on CUDA before the host looks at them: each look waits for the device, and of an
answer that has ended up to three are written in vain. Not yet run on a GPU."""
Choice = tuple[int, bool]
"""A token, and whether the logits it was chosen by were finite."""
NOT_FINITE = "the model's logits are not finite numbers"


class Writing(Protocol):
    """What one row has written so far, and what ends it."""

    tokens: list[int]

    @property
    def length(self) -> int:
        """Tokens of the prompt and the answer so far."""

    def add(self, token: int) -> StopReason | None:
        """Write one token; why the answer is finished, or None when it goes on."""


@dataclass(frozen=True)
class Finished:
    """A prompt whose answer is complete, or that failed."""

    prompt: int
    tokens: tuple[int, ...]
    stop_reason: StopReason
    error: str | None = None
    does_not_fit: bool = False
    """Whether it failed as this machine's memory is too small."""

    def at(self, prompt: int) -> "Finished":
        """The same under another number."""
        return replace(self, prompt=prompt)


def decode(
    decoder: Decoder,
    ready: Iterator[Ready],
    answers: Sequence[Writing],
    choose: Chooser,
    *,
    rows: int,
    vocabulary: int,
    interruption: Interruption,
) -> Iterator[Finished]:
    """Write the answer to every prompt that `ready` hands over; answers come out as they finish.

    New rows are taken in when half of the `rows` places are free. Only the first `vocabulary` rows
    of the head can be chosen. An interruption lets no row in and, in time, leaves the rest.

    Raises:
        DoesNotFitError: a forward call did not fit.
    """
    batch = _Batch(decoder, answers, choose, vocabulary)
    while not interruption.expired:
        if len(batch.prompts) <= rows // REFILL and not interruption.requested:
            groups = _up_to(rows - len(batch.prompts), ready)
            yield from batch.join(groups)
            if groups and not batch.prompts:
                continue
        if not batch.prompts:
            return
        yield from batch.step()


def _up_to(rows: int, ready: Iterator[Ready]) -> list[Ready]:
    """The next groups, while the one before left a place free."""
    groups: list[Ready] = []
    while rows > 0 and (group := next(ready, None)) is not None:
        groups.append(group)
        rows -= len(group.prompts)
    return groups


def unseen_tokens(decoder: Decoder) -> int:
    """Tokens that a row may write before anybody looks at them.

    One where positions end: what is written in vain would stand behind the last of them.
    """
    endless = decoder.config.positions is None
    return UNSEEN if endless and kernels.accelerated(decoder.embedding.weight.device) else 1


class _Batch:
    """Rows in step with each other; a finished row lingers, unread, until others join."""

    def __init__(
        self, decoder: Decoder, answers: Sequence[Writing], choose: Chooser, vocabulary: int
    ) -> None:
        self.decoder = decoder
        self.answers = answers
        self.choose = choose
        self.vocabulary = vocabulary
        self.device = decoder.embedding.weight.device
        self.unseen = unseen_tokens(decoder)
        self.prompts: list[int] = []
        """Prompts whose answers are being written."""
        self.places: list[int] = []
        """The row of the state that belongs to each of them."""
        self.tokens: list[int] = []
        """What each row of the state reads next, finished rows included."""
        self.state: DecoderState | None = None

    def join(self, groups: Sequence[Ready]) -> Iterator[Finished]:
        """Drop finished rows, write the first token of new ones and take in those that go on."""
        states = []
        if self.state is not None and self.prompts:
            states.append(self._pick(self.state, self.places, len(self.tokens), self.prompts))
        self.tokens = [self.tokens[place] for place in self.places]
        for group in groups:
            tokens, finished = self._write(group.prompts, group.hidden_RD)
            yield from finished
            going_on = [row for row, prompt in enumerate(group.prompts) if prompt in tokens]
            if going_on:
                count = len(group.prompts)
                states.append(self._pick(group.state, going_on, count, group.prompts))
                self.prompts += tokens
                self.tokens += tokens.values()
        self.places = list(range(len(self.tokens)))
        self.state = self._stack(states)

    def step(self) -> Iterator[Finished]:
        """Write one more token in every row, or several before anybody looks at them.

        What a row has written behind its end is dropped. No row knows of the others, so what it
        wrote until then is what it would have written alone.
        """
        asked = tuple(self.prompts)
        with self._guard(asked):
            written = self._written()
        for column in written:
            chosen = dict(zip(asked, column, strict=True))
            tokens, finished = self._add(self.prompts, [chosen[each] for each in self.prompts])
            yield from finished
            if finished:
                pairs = zip(self.prompts, self.places, strict=True)
                self.places = [place for prompt, place in pairs if prompt in tokens]
                self.prompts = list(tokens)
            for place, token in zip(self.places, tokens.values(), strict=True):
                self.tokens[place] = token
        if not self.prompts:
            # Nobody goes on: the memory is for the prompts to come.
            self.tokens, self.state = [], None

    def _written(self) -> list[list[Choice]]:
        """The choices of every row, step by step; the device is asked for them once."""
        read_R = torch.tensor(self.tokens, device=self.device)
        places_R = torch.tensor(self.places, device=self.device)
        steps: list[Tensor] = []
        for _ in range(self.unseen):
            assert self.state is not None
            hidden_RD, self.state = self.decoder.write(read_R[:, None], self.state)
            if len(self.places) < len(self.tokens):
                hidden_RD = hidden_RD[places_R]
            logits_RV, finite_R = self._logits(hidden_RD)
            tokens_R = self.choose.unseen(logits_RV, self.prompts) if self.unseen > 1 else None
            if tokens_R is None:
                assert not steps, "a choice depends on what is written always or never"
                chosen = self.choose(logits_RV, self.prompts)
                return [list(zip(chosen, finite_R.tolist(), strict=True))]
            steps.append(torch.stack([tokens_R, finite_R.long()], dim=1))
            read_R = read_R.index_copy(0, places_R, tokens_R)
        return [
            [(token, bool(finite)) for token, finite in step]
            for step in torch.stack(steps).tolist()
        ]

    def _write(
        self, prompts: Sequence[int], hidden_RD: Tensor
    ) -> tuple[dict[int, int], list[Finished]]:
        """Choose a token for every row: the tokens of prompts that go on, and finished answers."""
        with self._guard(prompts):
            logits_RV, finite_R = self._logits(hidden_RD)
            finite: list[bool] = finite_R.tolist()
            chosen = self.choose(logits_RV, prompts)
        return self._add(prompts, list(zip(chosen, finite, strict=True)))

    def _logits(self, hidden_RD: Tensor) -> tuple[Tensor, Tensor]:
        """Of the rows of the head that can be chosen; and whether all of a row's are finite."""
        logits_RV = self.decoder.logits(hidden_RD)[:, : self.vocabulary]
        low_R, high_R = logits_RV.aminmax(dim=-1)
        return logits_RV, low_R.isfinite() & high_R.isfinite()

    def _add(
        self, prompts: Sequence[int], choices: Sequence[Choice]
    ) -> tuple[dict[int, int], list[Finished]]:
        """Write down what was chosen."""
        tokens: dict[int, int] = {}
        finished = []
        for prompt, (token, is_finite) in zip(prompts, choices, strict=True):
            answer = self.answers[prompt]
            if not is_finite:
                finished.append(Finished(prompt, tuple(answer.tokens), "failed", NOT_FINITE))
            elif reason := answer.add(token):
                finished.append(Finished(prompt, tuple(answer.tokens), reason))
            else:
                tokens[prompt] = token
        return tokens, finished

    def _pick(
        self, state: DecoderState, rows: Sequence[int], count: int, prompts: Sequence[int]
    ) -> DecoderState:
        """These of the `count` rows; the state itself when they are all."""
        if len(rows) == count:
            return state
        with self._guard(prompts):
            return state.select(torch.tensor(rows, device=self.device))

    def _stack(self, states: Sequence[DecoderState]) -> DecoderState | None:
        if len(states) < 2:
            return states[0] if states else None
        with self._guard(self.prompts):
            return type(states[0]).stack(states)

    def _guard(self, prompts: Sequence[int]) -> AbstractContextManager[None]:
        """Running out of memory is said to happen after the longest of these rows."""
        return out_of_memory_after(max(self.answers[prompt].length for prompt in prompts))
