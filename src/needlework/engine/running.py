"""Prompts to answers under memory limits, which are halved when a batch does not fit."""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from needlework.cost.formulas import costs
from needlework.cost.room import LEAST_BESIDE, Prefix
from needlework.engine.choosing import Chooser, Greedy, Sampled
from needlework.engine.decode import Finished, decode, unseen_tokens
from needlework.engine.groups import Group, plan_groups, read_prefixes
from needlework.engine.interruption import Interruption
from needlework.engine.memory import DoesNotFitError, limits_beside
from needlework.engine.prefill import Ready, prefill, read
from needlework.engine.schedule import ALONE, Limits, most_kept, schedule
from needlework.engine.slots import NOTHING_READ, Behind, EndStates, Slots
from needlework.engine.stopping import Answer, Decoding, Pieces, StopRule
from needlework.errors import ForwardError
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.tokenizers.prefixes import Segment, Tokens, plan_forest, plan_separately

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt and what ends its answer."""

    tokens: Tokens
    rule: StopRule
    address: tuple[str | int, ...]
    """Where its random stream is found, should the answer be drawn."""


See = Callable[[Tensor, EndStates, Sequence[int], Limits], Sequence[int]]
"""Takes note of what the head reads at the ends of prompts, and behind them; of the prompts at
these positions, under these limits. Returns the rows behind which something was no number."""


@dataclass(frozen=True)
class Engine:
    """A decoder and the way it is asked."""

    decoder: Decoder
    pieces: Pieces
    decoding: Decoding
    vocabulary: int
    """Rows of the head that can be chosen."""
    share: bool = True
    """Read a prefix once for all prompts that begin with it."""
    see: See | None = None
    """Sees every prompt before its answer is begun."""
    memory: int | None = None
    """Bytes beside the weights, by which rows beside a prefix get limits of their own. None: no
    prompt is answered beside one."""

    def forest(self, prompts: Sequence[Tokens], limits: Limits) -> tuple[Segment, ...]:
        """What is read once for several of these prompts, as long as the limits hold."""
        if self.decoder.reads_in_pieces and self.share and limits.states:
            return plan_forest(prompts)
        return plan_separately(prompts)

    @torch.inference_mode()
    def answer(
        self, questions: Sequence[Question], limits: Limits, interruption: Interruption
    ) -> Iterator[Finished]:
        """Answer every question; answers come as they are finished, named by their position.

        When memory runs out the limits are halved and unfinished answers begin again, every row
        with all of its keys. What does not fit under the smallest limits is asked alone, and fails
        with the length that would fit; so does what a foreign model fails on, with the reason. An
        interruption ends it early.
        """
        unfinished = dict.fromkeys(range(len(questions)))
        smaller: Limits | None = limits
        engine = self
        while unfinished and smaller is not None:
            limits = smaller
            try:
                for finished in engine._in_groups(
                    questions, list(unfinished), limits, interruption
                ):
                    del unfinished[finished.prompt]
                    yield finished
                return
            except DoesNotFitError as error:
                smaller = limits.halved
                engine = replace(self, memory=None)
                log.warning("%s", _goes_on(error, limits, smaller))
            except ForwardError:
                break
            # Outside of the handler: the traceback held on to the tensors that were too many.
            _free()
        yield from self._one_by_one(questions, list(unfinished), limits, interruption)

    def _in_groups(
        self,
        questions: Sequence[Question],
        positions: Sequence[int],
        limits: Limits,
        interruption: Interruption,
    ) -> Iterator[Finished]:
        """Answer the questions at these positions, group by group, each beside its prefix."""
        prompts = [questions[position].tokens for position in positions]
        groups = self.groups(prompts, limits)
        reading = read_prefixes(
            self.decoder, prompts, groups, limits=limits, interruption=interruption
        )
        for group, behind in reading:
            own = [positions[prompt] for prompt in group.prompts]
            beside = limits
            if self.memory is not None and behind.state is not None:
                asked = [questions[position] for position in own]
                answer = max(each.rule.most for each in asked)
                beside = limits_beside(
                    self.decoder,
                    Prefix(group.end, max(each.end for each in groups)),
                    max(len(each.tokens) for each in asked) + answer,
                    answer=answer,
                    memory=self.memory,
                )
            yield from self._attempt(questions, own, beside, interruption, behind)
            if len(groups) > 1:
                # The next group has slots of other shapes, and does not fit beside these.
                del behind
                _free()

    def groups(self, prompts: Sequence[Tokens], limits: Limits) -> Sequence[Group]:
        """Which prompts are answered together, and how much of them is in memory once.

        Where hardly a row fits there is no place for a prefix beside it.
        """
        beside = self.memory is not None and self.share and self.decoder.writes_beside_prefix
        if not beside or limits.total < LEAST_BESIDE:
            return (Group(tuple(range(len(prompts)))),)
        width = self.decoder.embedding.weight.element_size()
        return plan_groups(prompts, costs(self.decoder.config).least_saved(width))

    def _attempt(
        self,
        questions: Sequence[Question],
        positions: Sequence[int],
        limits: Limits,
        interruption: Interruption,
        behind: Behind = NOTHING_READ,
    ) -> Iterator[Finished]:
        """Answer the questions at these positions, all under the same limits and one prefix."""
        asked = [questions[position] for position in positions]
        prompts = [question.tokens[behind.tokens :] for question in asked]
        answers = [Answer(each.rule, self.pieces, len(each.tokens)) for each in asked]
        forest = self.forest(prompts, limits)
        if not self.decoder.reads_in_pieces:
            limits = limits.in_one_call(max(map(len, prompts)))
        batches = schedule(forest, limits)
        slots = Slots(
            self.decoder,
            answers=min(limits.rows, len(prompts)),
            kept=min(limits.states, most_kept(forest, batches)),
            total=limits.total,
            prompt=max(map(len, prompts)),
            answer=max(each.rule.most for each in asked) + unseen_tokens(self.decoder),
            behind=behind,
        )
        reading = prefill(
            self.decoder,
            prompts,
            forest,
            batches,
            limits=limits,
            slots=slots,
            interruption=interruption,
        )
        for finished in decode(
            self.decoder,
            self._seen(reading, slots, positions, limits),
            answers,
            self._chooser(asked, answers),
            slots=slots,
            vocabulary=self.vocabulary,
            interruption=interruption,
        ):
            yield finished.at(positions[finished.prompt])

    def _seen(
        self, ready: Iterator[Ready], slots: Slots, positions: Sequence[int], limits: Limits
    ) -> Iterator[Ready]:
        """The same prompts, each group seen before it is handed over."""
        for group in ready:
            if self.see is not None and group.prompts:
                first, asked = group.start, [positions[prompt] for prompt in group.prompts]

                def ends(start: int, stop: int, first: int = first) -> DecoderState:
                    return slots.storage.rows(first + start, first + stop)

                for row in self.see(group.hidden_RD, ends, asked, limits):
                    slots.storage.wipe_behind(first + row)
            yield group

    def _one_by_one(
        self,
        questions: Sequence[Question],
        positions: Sequence[int],
        limits: Limits,
        interruption: Interruption,
    ) -> Iterator[Finished]:
        """Answer the shorter ones alone; where one does not fit, neither do the longer ones.

        What a foreign model fails on fails by itself.
        """
        fits: int | None = None
        for position in sorted(positions, key=lambda each: (len(questions[each].tokens), each)):
            if fits is None:
                try:
                    yield from self._attempt(questions, [position], limits, interruption)
                except DoesNotFitError as error:
                    fits = error.tokens
                except ForwardError as error:
                    yield Finished(position, (), "failed", str(error))
            if fits is not None:
                reason = _does_not_fit(questions[position], fits)
                yield Finished(position, (), "failed", reason, does_not_fit=True)

    def _chooser(self, asked: Sequence[Question], answers: Sequence[Answer]) -> Chooser:
        if self.decoding.kind == "sample":
            addresses = [question.address for question in asked]
            top_k, temperature = self.decoding.top_k, self.decoding.temperature
            return Sampled(top_k, temperature, self.decoding.seed, addresses)

        def alone(prompt: int) -> Tensor:
            written = np.array(answers[prompt].tokens, dtype=np.int32)
            return last_logits(self.decoder, asked[prompt].tokens, written)

        return Greedy(alone)


def last_logits(decoder: Decoder, prompt: Tokens, written: Tokens) -> Tensor:
    """Logits of shape (V,) after one prompt and what was written, read by themselves."""
    limits = ALONE if decoder.reads_in_pieces else ALONE.in_one_call(len(prompt))
    slots = decoder.slots(1, len(prompt) + len(written), len(written))
    state = slots.begin(0, [decoder.init_state(1)])
    _, hidden_RD, state = next(read(decoder, [prompt], state, limits=limits))
    if len(written):
        _, hidden_RD, _ = next(read(decoder, [written], state.after_prompt(), limits=ALONE))
    return decoder.logits(hidden_RD[0])


def _goes_on(error: DoesNotFitError, limits: Limits, smaller: Limits | None) -> str:
    told = f"memory ran out after {error.tokens} tokens of a row, with {limits.total} slots"
    if smaller is None:
        return f"{told} and calls of {limits.tokens} tokens; prompts are answered one by one"
    return (
        f"{told} and calls of {limits.tokens} tokens; unfinished answers begin again with "
        f"{smaller.total} and {smaller.tokens}"
    )


def _does_not_fit(question: Question, fits: int) -> str:
    needed = len(question.tokens) + question.rule.most
    return (
        f"prompt and answer of {needed} tokens do not fit into memory, {fits} do; "
        "choose a shorter length or give more memory"
    )


def _free() -> None:
    """Return what an abandoned attempt held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
