"""How likely a model takes given texts to be behind a prompt, from the state that is there anyway.

A text is read into the room that a row has for its answer, and the next text, or the answer, over
it. Knows decoders, states and tokens; does not know text, references or files.
"""

# Shapes: R rows, N places of several rows, T tokens of one forward call, D width, V vocabulary
# rows of the head.
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import frexp
from typing import NamedTuple

import torch
from torch import Tensor

from needlework.engine.memory import out_of_memory_after
from needlework.engine.prefill import read
from needlework.engine.schedule import ALONE, Limits
from needlework.engine.slots import EndStates
from needlework.models import kernels
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.tokenizers.prefixes import Tokens

PLACES = 64
"""Places whose logits are in memory at a time."""
STEPS = 16
"""Numbers from one nat to the next, and from one power of two to the next below one nat."""
FINEST = -20
"""The power of two, in nats, below which numbers lie no closer."""
ROUNDING = {torch.float32: 5e-6, torch.float64: 1e-12}
"""By how much rounding may move a logit, as a share of the largest: four times what it does over
the nano models (`engine.choosing.CLOSE`). In models of many layers it may do ten times as much
(`needlework.tolerances`), and the last step of some numbers may then vary with the batch: to read
many prompts twice would cost more than that is worth. Half precision is not listed, and neither are
kernels on CUDA, where last steps vary anyway."""
Texts = Sequence[Sequence[int]]
"""The tokens of several texts behind one prompt."""


class _Nats(NamedTuple):
    """The logarithm of a probability, and by how much rounding may have moved it."""

    value: float
    error: float

    def plus(self, other: "_Nats") -> "_Nats":
        return _Nats(self.value + other.value, self.error + other.error)


@dataclass(frozen=True)
class Likelihoods:
    """The log-likelihoods of texts behind prompts, which are found while prompts become ready.

    They do not depend on which prompts are read together: numbers are told in steps, and where
    rounding could decide between two of them, the prompt is read once more by itself, always in the
    same pieces.
    """

    decoder: Decoder
    vocabulary: int
    """Rows of the head that can be chosen."""
    prompts: Sequence[Tokens]
    texts: Sequence[Texts]
    """Of every prompt; none of them is empty."""
    found: dict[int, tuple[float, ...] | None] = field(default_factory=dict)
    """By prompt, the log-likelihood of every text in nats; None where logits are not finite."""

    def see(
        self, hidden_RD: Tensor, ends: EndStates, positions: Sequence[int], limits: Limits
    ) -> list[int]:
        """Take note of the texts behind these prompts, which stand at `positions`.

        Returns the rows behind whose prompts something was read that is no number.

        Raises:
            DoesNotFitError: a forward call did not fit.
        """
        with out_of_memory_after(max(len(self.prompts[each]) for each in positions)):
            rows = self._all(hidden_RD, ends, positions, limits)
            share = _rounding(self.decoder)
            for position, nats in zip(positions, rows, strict=True):
                contested = share is not None and any(is_contested(*each) for each in nats)
                self.found[position] = _told(self._alone(position) if contested else nats)
        return [row for row, each in enumerate(positions) if self.found[each] is None]

    def _alone(self, position: int) -> list[_Nats]:
        """The same for one prompt that is read by itself."""
        prompt = self.prompts[position]
        decoder = self.decoder
        limits = ALONE if decoder.reads_in_pieces else ALONE.in_one_call(len(prompt))
        _, hidden_RD, state = next(read(decoder, [prompt], decoder.init_state(1), limits=limits))
        (nats,) = self._all(hidden_RD, state.after_prompt().part, [position], limits)
        return nats

    def _all(
        self, hidden_RD: Tensor, ends: EndStates, positions: Sequence[int], limits: Limits
    ) -> list[list[_Nats]]:
        """Of every row the logarithms of its texts' probabilities."""
        firsts = [(row, text[0]) for row, each in enumerate(positions) for text in self.texts[each]]
        nats = iter(list(self._chosen(hidden_RD, firsts)))
        found = [[next(nats) for _ in self.texts[each]] for each in positions]
        for number in range(max(len(self.texts[each]) for each in positions)):
            longer = {
                row: self.texts[each][number]
                for row, each in enumerate(positions)
                if number < len(self.texts[each]) and len(self.texts[each][number]) > 1
            }
            for row, rest in self._rest(ends, longer, limits):
                found[row][number] = found[row][number].plus(rest)
        return found

    def _rest(
        self, ends: EndStates, texts: Mapping[int, Sequence[int]], limits: Limits
    ) -> Iterator[tuple[int, _Nats]]:
        """By row, what the tokens after the first add to the logarithm of its text."""
        together = max(1, limits.tokens // max(map(len, texts.values()), default=1))
        together = min(together, limits.copies) if limits.prefix else together
        for rows in _neighbours(list(texts), together):
            part = [texts[row] for row in rows]
            hidden_RTD = self._following(ends(rows.start, rows.stop), part)
            places = [
                (row, place, token)
                for row, text in enumerate(part)
                for place, token in enumerate(text[1:])
            ]
            index = tuple(torch.tensor(places, device=hidden_RTD.device).T[:2])
            chosen = [(number, token) for number, (_, _, token) in enumerate(places)]
            nats = self._chosen(hidden_RTD[index], chosen)
            for row, text in zip(rows, part, strict=True):
                total = _Nats(0.0, 0.0)
                for _ in text[1:]:
                    total = total.plus(next(nats))
                yield row, total

    def _following(self, state: DecoderState, texts: Sequence[Sequence[int]]) -> Tensor:
        """What the head reads after every token but the last of each row's text: (R, T, D)."""
        device = self.decoder.embedding.weight.device
        lengths = [len(text) - 1 for text in texts]
        tokens = torch.zeros(len(texts), max(lengths), dtype=torch.long)
        for row, text in enumerate(texts):
            tokens[row, : lengths[row]] = torch.tensor(list(text[:-1]))
        equal = min(lengths) == max(lengths)
        lengths_R = None if equal else torch.tensor(lengths, device=device)
        return self.decoder.following(tokens.to(device), state, lengths_R)

    def _chosen(self, hidden_ND: Tensor, chosen: Sequence[tuple[int, int]]) -> Iterator[_Nats]:
        """The logarithm of the probability of each of these tokens, after the place before it.

        Places come in ascending order.
        """
        share = _rounding(self.decoder) or 0.0
        for start in range(0, len(hidden_ND), PLACES):
            part_ND = hidden_ND[start : start + PLACES]
            logits_NV = self.decoder.logits(part_ND)[:, : self.vocabulary].double()
            sums_N = logits_NV.logsumexp(dim=-1)
            reach_N = 2 * share * logits_NV.abs().amax(dim=-1)
            asked = [
                (place - start, token) for place, token in chosen if start <= place < start + PLACES
            ]
            if asked:
                place_C, token_C = torch.tensor(asked, device=logits_NV.device).T
                nats_C = (logits_NV[place_C, token_C] - sums_N[place_C]).clamp(max=0.0)
                # What is nearly certain is moved as little as all the rest together.
                errors_C = -reach_N[place_C] * torch.expm1(nats_C)
                pairs = torch.stack([nats_C, errors_C], dim=1).tolist()
                yield from (_Nats(value, error) for value, error in pairs)


def _neighbours(rows: Sequence[int], most: int) -> Iterator[range]:
    """Ascending rows, by those that follow each other, as their states lie, at most so many."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or end - start == most or rows[end] != rows[end - 1] + 1:
            yield range(rows[start], rows[end - 1] + 1)
            start = end


def _rounding(decoder: Decoder) -> float | None:
    """By how much rounding may move a logit, as a share; None where numbers are not made firm."""
    weight = decoder.embedding.weight
    return None if kernels.accelerated(weight.device) else ROUNDING.get(weight.dtype)


def _step(value: float) -> float:
    """How far the numbers around a value lie apart."""
    _, exponent = frexp(value)
    return 2.0 ** min(0, max(FINEST, exponent - 1)) / STEPS


def nearest(value: float) -> float:
    """The number that is told for a value in nats: the nearest one."""
    step = _step(value)
    return round(value / step) * step


def is_contested(value: float, error: float) -> bool:
    """Whether a value that is this much off could have another nearest number."""
    away = abs(value) / _step(value) % 1
    return abs(away - 0.5) * _step(value) <= error


def _told(nats: Sequence[_Nats]) -> tuple[float, ...] | None:
    """The numbers of a prompt's texts; None where one is not finite."""
    values = [each.value for each in nats]
    # Minus zero reads as a number of its own.
    is_finite = all(abs(value) < float("inf") for value in values)
    return tuple(nearest(value) + 0.0 for value in values) if is_finite else None
