"""A cell small enough to check by hand: a tokenizer of numbers, shared prompts, a plain loop."""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from needlework.engine.cell import Dataset, Setting, predict_cell
from needlework.engine.schedule import Limits
from needlework.engine.stopping import Decoding
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState
from needlework.records import Prediction, Sample
from needlework.tasks.metrics import Metric, is_decided
from tests.models_for_tests import family

VOCABULARY = 40
END = frozenset({2, 31, 32, 33})
"""Several, because a random model seldom writes any one token."""
LIMIT = 9

TINY = Limits(tokens=32, chunk=8, rows=6, states=1)
ONE_BY_ONE = Limits(tokens=64, chunk=64, rows=1, states=1)
FEW_SLOTS = Limits(tokens=32, chunk=8, rows=6, states=3, slots=6)
"""Kept branches take the places of answers."""
ROOMY = Limits(tokens=4096, chunk=256, rows=64, states=64)


class NumberTokenizer:
    """Words are token ids written as numbers; 1 begins a text."""

    identity = "numbers"
    begin = (1,)
    end = END
    vocabulary = VOCABULARY
    blank = None
    cuts = None

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(str(token) for token in tokens if token != 1)


def text(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))


def sample(index: int, tokens: Sequence[int], outputs: tuple[str, ...] = ("no number",)) -> Sample:
    return Sample(index=index, input=text(tokens), outputs=outputs, length=len(tokens) + LIMIT)


def dataset(
    samples: Sequence[Sample],
    *,
    limit: int = LIMIT,
    metric: Metric = "all",
    distractors: Mapping[int, Sequence[str]] | None = None,
) -> Dataset:
    return Dataset(
        samples=samples, tokens_to_generate=limit, metric=metric, distractors=distractors
    )


def shared_cell(samples: int = 6, length: int = 60) -> dict[str, Dataset]:
    """Needles at four depths of one book with equal keys, and prompts that have nothing in common.

    References are frequent tokens, so that some answers are decided, some end and some do not.
    """
    draws = random.Random(0)
    book = [draws.randrange(3, VOCABULARY) for _ in range(length)]
    tasks: dict[str, list[Sample]] = {"repeated": [sample(0, book), sample(1, book)]}
    for depth in (0, 30, 60, 100):
        tasks[f"depth_{depth}"] = []
        for index in range(samples):
            needle = [7, 8, 9, 3 + index, 20 + index]
            at = length * depth // 100
            tokens = [*book[:at], *needle, *book[at:], 10, 11]
            outputs = (str(draws.randrange(3, 10)), str(draws.randrange(3, VOCABULARY)))
            tasks[f"depth_{depth}"].append(sample(index, tokens, outputs))
    tasks["alone"] = [
        sample(index, [draws.randrange(3, VOCABULARY) for _ in range(5 + 9 * index)], ("5",))
        for index in range(samples)
    ]
    return {
        name: dataset(found, metric="any" if name == "depth_60" else "all")
        for name, found in tasks.items()
    }


WRONG = ("6", "4 9 30", "17 3 3 8")
"""Distractors of more tokens than one, and as many."""


def compared_cell(samples: int = 3) -> dict[str, Dataset]:
    """The shared cell with references of several tokens, and distractors to compare them with."""
    found = {}
    for task, data in shared_cell(samples).items():
        outputs = ("4 9 12", "30") if task != "alone" else ("5 7",)
        changed = [each.model_copy(update={"outputs": outputs}) for each in data.samples]
        wrong = {each.index: WRONG[: each.index % 4] for each in changed}
        found[task] = replace(data, samples=changed, distractors=wrong)
    return found


def run_cell(
    decoder: Decoder,
    datasets: Mapping[str, Dataset],
    journal: Path,
    *,
    limits: Limits | None = None,
    share: bool = True,
    revision: str = "first",
    decoding: Decoding | None = None,
) -> list[Prediction]:
    """`predict_cell` on the numbers tokenizer."""
    return predict_cell(
        decoder,
        NumberTokenizer(),
        datasets,
        revision=revision,
        journal=journal,
        decoding=decoding,
        setting=Setting(limits=limits, share=share),
    )


def follow(
    decoder: Decoder,
    asked: Sample,
    following: Callable[[list[int]], Tensor],
    *,
    limit: int,
    metric: Metric,
) -> tuple[str, str]:
    """Text and stop reason, where `following` tells the logits that follow what was written."""
    written: list[int] = []
    while True:
        token = int(following(written)[0, -1, : decoder.config.vocabulary].argmax())
        if token in END:
            return text(written), "end"
        written.append(token)
        if is_decided(text(written), asked.outputs, metric=metric):
            return text(written), "decided"
        if len(written) == limit:
            return text(written), "limit"


def plain_answer(
    decoder: Decoder, asked: Sample, *, limit: int = LIMIT, metric: Metric = "all"
) -> tuple[str, str]:
    """Text and stop reason by definition: the whole sequence again for every token, no state."""
    tokenizer = NumberTokenizer()
    tokens = [*tokenizer.begin, *tokenizer.encode(asked.input)]

    def following(written: list[int]) -> Tensor:
        return decoder(torch.tensor([tokens + written]), decoder.init_state(1))[0]

    return follow(decoder, asked, following, limit=limit, metric=metric)


def prefill_then_steps(
    decoder: Decoder, asked: Sample, *, limit: int = LIMIT, metric: Metric = "all"
) -> tuple[str, str]:
    """Text and stop reason with state: the prompt in one call, the answer token by token."""
    tokenizer = NumberTokenizer()
    prompt = torch.tensor([[*tokenizer.begin, *tokenizer.encode(asked.input)]])
    logits, state = decoder(prompt, decoder.init_state(1))
    state = state.after_prompt()

    def following(written: list[int]) -> Tensor:
        nonlocal logits, state
        if written:
            logits, state = decoder(torch.tensor([written[-1:]]), state)
        return logits

    return follow(decoder, asked, following, limit=limit, metric=metric)


class Watched(Decoder):
    """A decoder that calls `before` with the tokens of every forward call."""

    before: Callable[[Tensor], None]

    def read(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        self.before(tokens_BT)
        return super().read(tokens_BT, state, lengths_B)


def watched(
    before: Callable[[Tensor], None],
    name: str = "mamba2",
    *,
    dtype: torch.dtype = torch.float64,
) -> Watched:
    """The family's decoder, watched."""
    plain = family(name, dtype=dtype, vocabulary=VOCABULARY)
    decoder = Watched(plain.config).to(dtype)
    decoder.load_state_dict(plain.state_dict())
    decoder.before = before
    return decoder.eval().requires_grad_(False)


def in_child(action: Callable[[], object]) -> int:
    """Run `action` in a process of its own; its wait status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]
