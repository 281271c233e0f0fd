"""The recipe of the nano models: one curriculum, the same tokens for every architecture.

Training sequences come from `curriculum`. On one machine the same seed gives the same bytes: one
thread, one order, and every sequence has an address instead of a place in a stream.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from needlework.errors import StudyError
from needlework.files import atomic, sha256, write_text
from needlework.models.convolution import CausalConvolution
from needlework.models.decoder import Decoder
from needlework.models.mixer import Mixer
from needlework.nano.architectures import LAYERS, nano_config
from needlework.parsing import unknown
from needlework.study.catalogue import read_tasks
from needlework.training.curriculum import STAGES, Curriculum, Stage

log = logging.getLogger(__name__)

TOKENS_PER_STEP = 2048
CHECKPOINT_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights besides the architecture."""

    seed: int
    stages: tuple[Stage, ...] = STAGES
    learning_rate: float = 3e-3
    final_rate: float = 0.02
    """Share of the learning rate left at the end of the linear decay (second half of training)."""
    warm_up: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.05
    clip: float = 1.0
    language_weight: float = 0.1
    """Weight of predicting every token, beside predicting the answers."""

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole curriculum."""
        return sum(stage.steps for stage in self.stages)

    def rate(self, step: int) -> float:
        """Learning rate of a step: warm-up, constant to half, then linear decay."""
        decay = min(1.0, 2 * (self.steps - step) / self.steps)
        return (
            self.learning_rate * min(1.0, (step + 1) / self.warm_up) * max(self.final_rate, decay)
        )

    def schedule(self) -> Iterator[tuple[int, Stage]]:
        """Every step with its stage."""
        step = 0
        for stage in self.stages:
            for _ in range(stage.steps):
                yield step, stage
                step += 1


@torch.no_grad()
def initialise(decoder: Decoder, seed: int) -> None:
    """Set every weight of `decoder`; the same seed gives the same bytes on one machine."""
    generator = torch.Generator().manual_seed(seed)
    width = decoder.config.width
    # Drawn small and multiplied by sqrt(width) when read; the head starts half as sure.
    decoder.embedding.weight.normal_(0, width**-0.5, generator=generator)
    decoder.head.weight.normal_(0, 0.5 * width**-0.5, generator=generator)
    mixers = [cast(Mixer[Any], layer.get_submodule("mixer")) for layer in decoder.layers]
    for mixer in mixers:
        for module in mixer.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, CausalConvolution):
                module.weight.uniform_(-0.5, 0.5, generator=generator)
        mixer.initialise(generator)
        # What writes into the residual stream starts small in deep models.
        mixer.output.weight.mul_((2 * len(mixers)) ** -0.5)


@dataclass
class Run:
    """A training run that can be left and taken up again at any checkpoint."""

    decoder: Decoder
    optimiser: torch.optim.Optimizer
    losses: list[float]
    """Answer loss of every step so far, in nats per answer token."""

    @classmethod
    def start(cls, architecture: str, vocabulary: int, recipe: Recipe) -> "Run":
        """A freshly initialised model."""
        decoder = Decoder(nano_config(architecture, vocabulary))
        initialise(decoder, recipe.seed)
        matrices = [p for p in decoder.parameters() if p.ndim >= 2]
        vectors = [p for p in decoder.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return cls(decoder, torch.optim.AdamW(groups, betas=recipe.betas), [])

    def save(self, path: Path) -> None:
        """Write everything the next step depends on, all or nothing."""
        with atomic(path) as temporary:
            torch.save(
                {
                    "decoder": self.decoder.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "losses": self.losses,
                },
                temporary,
            )

    def restore(self, path: Path) -> None:
        """Continue where `save` was called last."""
        saved = torch.load(path, weights_only=True)
        self.decoder.load_state_dict(saved["decoder"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.losses = saved["losses"]

    def step(self, tokens_BT: Tensor, answers_BT: Tensor, recipe: Recipe) -> None:
        """One optimiser step on a batch; `answers_BT` marks the tokens that answer a question."""
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate(len(self.losses))
        answer_loss, language_loss = losses(self.decoder, tokens_BT, answers_BT)
        self.optimiser.zero_grad(set_to_none=True)
        (answer_loss + recipe.language_weight * language_loss).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), recipe.clip)
        self.optimiser.step()
        self.losses.append(answer_loss.item())


def losses(decoder: Decoder, tokens_BT: Tensor, answers_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the answer tokens and of all tokens but padding (id 0)."""
    h_BTD, _ = decoder.hidden(tokens_BT, decoder.init_state(len(tokens_BT)))
    logits = decoder.logits(h_BTD[:, :-1]).flatten(0, 1)
    targets, answers = tokens_BT[:, 1:].flatten(), answers_BT[:, 1:].flatten()
    nats = F.cross_entropy(logits, targets, reduction="none")
    return nats[answers].mean(), nats[targets != 0].mean()


def train_from_tasks(architecture: str, tasks_file: Path, folder: Path, *, seed: int) -> None:
    """Train one architecture on the nano tasks of a `tasks.yaml`, telling the progress.

    Raises:
        StudyError: the architecture is unknown, or the file is not a task file.
    """
    if architecture not in LAYERS:
        raise StudyError(f"architecture {unknown(architecture, LAYERS)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tasks = read_tasks(tasks_file).nano.chosen("ruler", None, where="ruler")
    train(architecture, Curriculum(tasks), Recipe(seed=seed), folder)


def train(architecture: str, curriculum: Curriculum, recipe: Recipe, folder: Path) -> None:
    """Train one architecture and leave config.json, model.safetensors and card.md in `folder`.

    An interrupted run continues from its last checkpoint, `folder/training.pt`, which is removed
    when the model is written.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    run = Run.start(architecture, curriculum.vocabulary, recipe)
    checkpoint = folder / "training.pt"
    if checkpoint.exists():
        run.restore(checkpoint)
        log.info("%s: continuing after step %d", architecture, len(run.losses))
    for step, stage in recipe.schedule():
        if step < len(run.losses):
            continue
        rows = curriculum.rows(stage, step, recipe.seed, TOKENS_PER_STEP // stage.length)
        run.step(*_batch(rows), recipe)
        if len(run.losses) % CHECKPOINT_STEPS == 0:
            recent = sum(run.losses[-CHECKPOINT_STEPS:]) / CHECKPOINT_STEPS
            log.info("%s: step %d of %d, loss %.3f", architecture, step + 1, recipe.steps, recent)
            run.save(checkpoint)
    _write_model(run, recipe, validate(run.decoder, curriculum, recipe.seed), folder)
    checkpoint.unlink(missing_ok=True)


def _batch(rows: list[tuple[list[int], list[bool]]]) -> tuple[Tensor, Tensor]:
    """Tokens and answer marks of shape (B, T), padded on the right with id 0."""
    longest = max(len(tokens) for tokens, _ in rows)
    tokens_BT = torch.zeros(len(rows), longest, dtype=torch.long)
    answers_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (tokens, answers) in enumerate(rows):
        tokens_BT[row, : len(tokens)] = torch.tensor(tokens)
        answers_BT[row, : len(answers)] = torch.tensor(answers)
    return tokens_BT, answers_BT


@torch.no_grad()
def validate(
    decoder: Decoder, curriculum: Curriculum, seed: int, count: int = 64
) -> dict[str, float]:
    """Share of sequences of each task whose whole answer is predicted, given the answer so far."""
    scores = {}
    for task in curriculum.tasks:
        tokens_BT, answers_BT = _batch(curriculum.validation(task, seed, count))
        h_BTD, _ = decoder.hidden(tokens_BT, decoder.init_state(count))
        predicted_BT = decoder.logits(h_BTD[:, :-1]).argmax(dim=-1)
        right_BT = (predicted_BT == tokens_BT[:, 1:]) | ~answers_BT[:, 1:]
        scores[task] = float(right_BT.all(dim=1).double().mean())
    return scores


def _write_model(run: Run, recipe: Recipe, scores: dict[str, float], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in run.decoder.state_dict().items()}
    with atomic(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary)
    config = run.decoder.config.model_dump(mode="json")
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    digest = sha256(folder / "model.safetensors")
    write_text(folder / "card.md", _card(run, recipe, scores, digest))


def _card(run: Run, recipe: Recipe, scores: dict[str, float], digest: str) -> str:
    """What the model is, how it was made and what it can do, for people."""
    parameters = sum(parameter.numel() for parameter in run.decoder.parameters())
    every = CHECKPOINT_STEPS
    curve = [
        (start + every, sum(run.losses[start : start + every]) / every)
        for start in range(0, len(run.losses) - every + 1, every)
    ]
    lines = [
        f"# {run.decoder.config.family} (nano)",
        "",
        f"{parameters:,} parameters; trained by `needlework train-nano` (`snakemake train_nano`).",
        f"SHA-256 of `model.safetensors`: `{digest}`.",
        "",
        "## Recipe",
        "",
        "```json",
        json.dumps(asdict(recipe), indent=2),
        "```",
        "",
        "## Whole answers right, 64 validation sequences a task, answer so far given",
        "",
        "| task | share |",
        "|---|---|",
        *(f"| {task} | {score:.2f} |" for task, score in scores.items()),
        "",
        "## Answer loss (nats per token, mean of the last 100 steps)",
        "",
        "| step | loss |",
        "|---|---|",
        *(f"| {step} | {loss:.3f} |" for step, loss in curve),
    ]
    return "\n".join(lines) + "\n"
