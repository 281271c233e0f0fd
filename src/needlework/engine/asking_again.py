"""Some answers of a stored cell, given again by the model and held against what is stored.

Knows how a machine's rounding is told from another answer; does not know artifacts. Where two
machines differ, they part at a token that is nearly as likely as the first choice: the margin is
measured here, in the model's own logits, against the tolerance by which logits are compared.
"""

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from needlework.engine.cell import Dataset, Setting, predict_cell
from needlework.engine.journal import read_entries
from needlework.engine.predict import Machine, Model, Opened, open_model
from needlework.records import Prediction, Sample
from needlework.tasks.metrics import Metric
from needlework.tokenizers import Tokenizer
from needlework.tolerances import TOLERANCES, DeviceKind, Dtype

Outcome = Literal["same", "near", "other", "failed"]
TORN = "\N{REPLACEMENT CHARACTER}"
CANDIDATES = 200
"""Of the likeliest tokens that are looked at; as many are hardly ever within the tolerance."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored answer with its question."""

    sample: Sample
    prediction: Prediction
    tokens_to_generate: int
    metric: Metric


@dataclass(frozen=True, kw_only=True)
class Again:
    """What became of one stored answer."""

    stored: Stored
    outcome: Outcome
    answer: str
    """The text that this machine's model gives."""
    margin: float
    """Where the two part: how far the stored answer's token lies below the first choice, as a share
    of the largest logit; infinite where it is none of the likely ones."""


def chosen(stored: Sequence[Stored], count: int, *, seed: int, place: str) -> list[Stored]:
    """As many of them as are asked for, drawn by a seed that nobody knew when they were stored."""
    draw = random.Random(f"{seed}/{place}")
    return draw.sample(stored, min(count, len(stored)))


class Answering:
    """A model and its tokenizer, opened once for all of their cells."""

    def __init__(self, model: Model, machine: Machine, protocol: str) -> None:
        self._model = model
        self.opened: Opened = open_model(model, machine, protocol)

    @property
    def revision(self) -> str:
        """Which weights these are, as predictions say it."""
        return self.opened.others["revision"]

    def again(self, stored: Sequence[Stored]) -> list[Again]:
        """What this machine's model says to the same questions."""
        datasets: dict[str, Dataset] = {}
        for task in dict.fromkeys(each.prediction.task for each in stored):
            own = [each for each in stored if each.prediction.task == task]
            datasets[task] = Dataset(
                samples=[each.sample for each in own],
                tokens_to_generate=own[0].tokens_to_generate,
                metric=own[0].metric,
            )
        answers, _ = self._answers(datasets)
        return [
            self._compared(each, answers[each.prediction.task, each.prediction.index])
            for each in stored
        ]

    def _answers(
        self, datasets: Mapping[str, Dataset]
    ) -> tuple[dict[tuple[str, int], Prediction], list[tuple[int, ...]]]:
        """Answers by task and index, and the tokens of all that did not fail."""
        with tempfile.TemporaryDirectory() as folder:
            journal = Path(folder, "journal")
            found = predict_cell(
                self.opened.decoder,
                self.opened.tokenizer,
                datasets,
                revision=self.opened.weights,
                journal=journal,
                decoding=self.opened.decoding,
                setting=Setting(name="review"),
            )
            entries = read_entries(journal, vocabulary=self.opened.decoder.config.padded_vocabulary)
        tokens = [entry.tokens for entry in entries.values()]
        return {(each.task, each.index): each for each in found}, tokens

    def _compared(self, stored: Stored, ours: Prediction) -> Again:
        theirs = stored.prediction
        if "failed" in (ours.stop_reason, theirs.stop_reason):
            same = ours.stop_reason == theirs.stop_reason
            outcome: Outcome = "same" if same else "failed"
            return Again(stored=stored, outcome=outcome, answer=ours.pred, margin=0.0)
        if (ours.pred, ours.stop_reason) == (theirs.pred, theirs.stop_reason):
            return Again(stored=stored, outcome="same", answer=ours.pred, margin=0.0)
        margin = self._margin(stored)
        outcome = "near" if margin <= self._tolerance() else "other"
        return Again(stored=stored, outcome=outcome, answer=ours.pred, margin=margin)

    def _tolerance(self) -> float:
        on = self.opened.decoder.embedding.weight.device.type
        device: DeviceKind = "cuda" if on == "cuda" else "cpu"
        dtype: Dtype = self._model.dtype  # type: ignore[assignment]
        return TOLERANCES[dtype, device]

    def _margin(self, stored: Stored) -> float:
        """How unlikely the stored answer's token is at the place where it parts from ours."""
        decoder, tokenizer = self.opened.decoder, self.opened.tokenizer
        one = Dataset(
            samples=[stored.sample],
            tokens_to_generate=stored.tokens_to_generate,
            metric=stored.metric,
        )
        _, (ours, *_) = self._answers({stored.prediction.task: one})
        text = stored.prediction.pred
        common = max(
            count for count in range(len(ours) + 1) if _begins(tokenizer, text, ours[:count])
        )
        kept = ours[: min(common, len(ours) - 1)]
        prompt = [*tokenizer.begin, *tokenizer.encode(stored.sample.input), *kept]
        tokens_T = torch.tensor(prompt, device=decoder.embedding.weight.device)
        places_P = torch.tensor([len(prompt) - 1], device=tokens_T.device)
        with torch.no_grad():
            logits_V = decoder.logits_at(tokens_T, places_P)[0].float()
        most, largest = logits_V.max().item(), logits_V.abs().max().item()
        taken = None if common == len(ours) else ours[common]
        for token in logits_V.topk(min(CANDIDATES, len(logits_V))).indices.tolist():
            goes_on = token in tokenizer.end and _text(tokenizer, kept) == text
            goes_on = goes_on or _begins(tokenizer, text, (*kept, token))
            if token != taken and goes_on:
                return (most - logits_V[token].item()) / largest if largest else 0.0
        return float("inf")


def _text(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    return tokenizer.decode(tokens).rstrip(TORN)


def _begins(tokenizer: Tokenizer, text: str, tokens: Sequence[int]) -> bool:
    """Whether a text may begin with these tokens."""
    return text.startswith(_text(tokenizer, tokens))
