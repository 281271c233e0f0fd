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

from needlework.cost.room import GROUP, UNSEEN
from needlework.engine.choosing import Chooser
from needlework.engine.interruption import Interruption
from needlework.engine.memory import out_of_memory_after
from needlework.engine.prefill import Ready
from needlework.engine.slots import Slots
from needlework.models import kernels
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.records import StopReason

LINGERING = {"cpu": 4, "cuda": 16}
"""Finished rows linger until one in so many has: to move another into its place costs about what a
step costs there, and launches, which on a CPU count for more."""
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
    slots: Slots,
    vocabulary: int,
    interruption: Interruption,
) -> Iterator[Finished]:
    """Write the answer to every prompt that `ready` hands over; answers come out as they finish.

    New rows are taken in when a fourth of the places is free. Only the first `vocabulary` rows of
    the head can be chosen. An interruption lets no row in and, in time, leaves the rest.

    Raises:
        DoesNotFitError: a forward call did not fit.
    """
    batch = _Batch(decoder, answers, choose, slots, vocabulary)
    while not interruption.expired:
        if batch.takes_rows and not interruption.requested:
            yield from batch.join(ready)
        if batch.prompts:
            yield from batch.step()
        elif interruption.requested or batch.complete:
            return


def unseen_tokens(decoder: Decoder) -> int:
    """Tokens that a row may write before anybody looks at them.

    Several on CUDA, where each look waits for the device, and of an answer that has ended up to
    three are written in vain (not yet run on a GPU). One where positions end: what is written in
    vain would stand behind the last of them.
    """
    endless = decoder.config.positions is None
    return UNSEEN if endless and kernels.accelerated(decoder.embedding.weight.device) else 1


class _Batch:
    """Rows in step with each other; a finished row lingers, unread, until its slot is wanted."""

    def __init__(
        self,
        decoder: Decoder,
        answers: Sequence[Writing],
        choose: Chooser,
        slots: Slots,
        vocabulary: int,
    ) -> None:
        self.decoder = decoder
        self.answers = answers
        self.choose = choose
        self.slots = slots
        self.vocabulary = vocabulary
        self.device = decoder.embedding.weight.device
        self.unseen = unseen_tokens(decoder)
        self.complete = False
        """Whether no prompt is left to be taken in."""
        self.prompts: list[int] = []
        """Prompts whose answers are being written."""
        self.places: list[int] = []
        """The slot of each of them."""
        self.tokens: list[int] = []
        """What each row of the state reads next, finished rows included."""
        self.ages: list[int] = []
        """Tokens that each of these rows has read since its prompt."""
        self.spoiled: set[int] = set()
        """Slots that hold what is no number."""
        self.state: DecoderState | None = None
        self.hidden_RD: Tensor | None = None
        """What the head read at the last step, of finished rows as well."""

    @property
    def takes_rows(self) -> bool:
        """Whether enough places are free."""
        places = self.slots.places
        return not self.complete and places - len(self.prompts) >= max(1, places // GROUP)

    def join(self, ready: Iterator[Ready]) -> Iterator[Finished]:
        """Drop finished rows, write the first token of new ones and take in those that go on."""
        self._settle()
        while self.slots.room:
            group = next(ready, None)
            self.complete = group is None
            if group is None or not group.prompts:
                break
            tokens, finished = self._write(group.prompts, group.hidden_RD)
            yield from finished
            behind = range(len(self.tokens), group.start)
            self.tokens += [0 for _ in behind] + [tokens.get(each, 0) for each in group.prompts]
            slot_of = {prompt: group.start + row for row, prompt in enumerate(group.prompts)}
            self.spoiled |= {slot_of[each.prompt] for each in finished if each.error == NOT_FINITE}
            self.prompts += tokens
            self.places += [slot_of[prompt] for prompt in tokens]
        self.ages += [0] * (len(self.tokens) - len(self.ages))
        self._settle()
        self.state = self.slots.storage.rows(0, self.slots.used) if self.prompts else None

    def _settle(self) -> None:
        """Let the rows that go on lie side by side in the first slots, and nothing else."""
        rows, count = self.slots.used, len(self.prompts)
        if self.state is None and rows == count:
            return
        self._wipe()
        prompt_of = dict(zip(self.places, self.prompts, strict=True))
        behind = [place for place in self.places if place >= count]
        order = [row if row in prompt_of else behind.pop() for row in range(count)]
        state, self.state = self.state, None
        with self._guard(self.prompts):
            state = self.slots.storage.rows(0, rows) if state is None else state
            self.slots.compact(state, order)
        self.prompts = [prompt_of[place] for place in order]
        self.tokens = [self.tokens[place] for place in order]
        self.ages = [self.ages[place] for place in order]
        self.places = list(range(count))

    def _wipe(self) -> None:
        """Wipe slots that are left behind with what is no number, which it stays from then on."""
        if self.hidden_RD is not None:
            finite: list[bool] = self.hidden_RD.isfinite().all(dim=1).tolist()
            left = set(range(len(finite))).difference(self.places)
            self.spoiled |= {row for row in left if not finite[row]}
        for row in self.spoiled:
            self.slots.storage.wipe(row, row + 1)
        self.spoiled, self.hidden_RD = set(), None

    def step(self) -> Iterator[Finished]:
        """Write one more token in every row, or several before anybody looks at them.

        What a row has written behind its end is dropped. No row knows of the others, so what it
        wrote until then is what it would have written alone.
        """
        idle = len(self.tokens) - len(self.prompts)
        outgrown = max(self.ages) + self.unseen > self.slots.answer
        if idle and (outgrown or idle >= len(self.tokens) // LINGERING[self.device.type]):
            self._settle()
            self.state = self.slots.storage.rows(0, self.slots.used)
        asked = tuple(self.prompts)
        with self._guard(asked):
            written = self._written()
        self.ages = [age + len(written) for age in self.ages]
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
            self._settle()

    def _written(self) -> list[list[Choice]]:
        """The choices of every row, step by step; the device is asked for them once."""
        read_R = torch.tensor(self.tokens, device=self.device)
        places_R = torch.tensor(self.places, device=self.device)
        steps: list[Tensor] = []
        for _ in range(self.unseen):
            assert self.state is not None
            self.hidden_RD, self.state = self.decoder.write(read_R[:, None], self.state)
            hidden_RD = self.hidden_RD
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

    def _guard(self, prompts: Sequence[int]) -> AbstractContextManager[None]:
        """Running out of memory is said to happen after the longest of these rows."""
        lengths = [self.answers[prompt].length for prompt in prompts]
        return out_of_memory_after(max(lengths, default=0))
