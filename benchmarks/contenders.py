"""Who answers with the packages of this project: its engine, and `generate` of transformers."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
import transformers
from torch import nn

from benchmarks.jobs import Answers, Cell, Job, address
from needlework import models, tokenizers
from needlework.engine.cell import Dataset, Setting, predict_cell
from needlework.engine.processor import prepare_processor
from needlework.engine.stopping import Decoding
from needlework.records import Prediction
from needlework.tokenizers import Tokenizer


class OneByOne:
    """The way of the published artifact: `generate` for one prompt after the other."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        self.tokenizer = tokenizers.load(str(job.tokenizer), begins=job.begins)
        self.model = _theirs(job.checkpoint)

    @torch.inference_mode()
    def __call__(self, cell: Cell) -> Answers:
        """Every prompt of the cell, in order."""
        texts = {}
        for task in cell.tasks:
            for sample in task.samples:
                prompt = [*self.tokenizer.begin, *self.tokenizer.encode(sample.input)]
                tokens_1T = torch.tensor([prompt])
                written_1T = self.model.generate(
                    tokens_1T,
                    attention_mask=torch.ones_like(tokens_1T),
                    max_new_tokens=task.tokens_to_generate,
                    do_sample=False,
                    eos_token_id=sorted(self.tokenizer.end),
                    pad_token_id=min(self.tokenizer.end),
                )
                text = self.tokenizer.decode(written_1T[0, len(prompt) :].tolist())
                texts[address(task.name, sample.index)] = text
        return Answers(texts=texts)


def _theirs(checkpoint: Path) -> transformers.GenerationMixin:
    """The model of a folder or a GGUF file in float32."""
    names = (checkpoint, None) if checkpoint.is_dir() else (checkpoint.parent, checkpoint.name)
    folder, gguf_file = names
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=gguf_file, dtype=torch.float32
    )
    return model.eval()


class Ours:
    """The engine in float32 or bfloat16.

    `ours alone` shares no prefix, and `ours decided` stops early where it can, as studies do.
    """

    def __init__(self, job: Job) -> None:
        prepare_processor(job.threads)
        self.share = job.contender != "ours alone"
        self.decoding = Decoding(decided=job.contender == "ours decided")
        self.tokenizer = Clocked(tokenizers.load(str(job.tokenizer), begins=job.begins))
        dtype = torch.bfloat16 if job.contender == "ours bfloat16" else torch.float32
        self.decoder = models.load(job.checkpoint, dtype=dtype)
        # From the last layer with a memory on, most weights serve the last token alone.
        whole = self.decoder.layers[: self.decoder.config.last_memory]
        self.weights = sum(each.numel() for each in whole.parameters() if each.ndim > 1)
        self.stopwatch = Stopwatch()
        self.stopwatch.watch(self.decoder.embedding, self.decoder.norm)
        self.stopwatch.watch(self.decoder.head, self.decoder.head)
        self.reading = Stopwatch(several=True)
        self.reading.watch(self.decoder.embedding, self.decoder.norm)

    def __call__(self, cell: Cell) -> Answers:
        """Every prompt of the cell, with a fresh journal."""
        datasets = {
            task.name: Dataset(
                samples=task.samples,
                tokens_to_generate=task.tokens_to_generate,
                metric=task.metric,
            )
            for task in cell.tasks
        }
        self.stopwatch.seconds = self.reading.seconds = self.tokenizer.seconds = 0.0
        with tempfile.TemporaryDirectory() as folder:
            predictions = predict_cell(
                self.decoder,
                cast(Tokenizer, self.tokenizer),
                datasets,
                revision="bench",
                journal=Path(folder) / "journal",
                decoding=self.decoding,
                setting=Setting(share=self.share),
            )
        shared = sum(each.shared_tokens for each in predictions) if self.share else 0
        prompt_tokens = sum(each.prompt_tokens for each in predictions)
        return Answers(
            texts={address(each.task, each.index): each.pred for each in predictions},
            prompt_tokens=prompt_tokens,
            read_tokens=prompt_tokens - shared,
            generated_tokens=sum(each.generated_tokens for each in predictions),
            forward=self.stopwatch.seconds,
            reading=self.reading.seconds,
            tokenizing=self.tokenizer.seconds,
            products=2 * self.weights * (prompt_tokens - shared),
            attending=None if shared else sum(self._attending(each) for each in predictions),
        )

    def _attending(self, answer: Prediction) -> float:
        """Operations in which the tokens of a prompt look at each other; without a window."""
        costs = [layer.cost(self.decoder.config.width) for layer in self.decoder.config.layers]
        pairs = answer.prompt_tokens * (answer.prompt_tokens + 1) / 2
        return sum(cost.key for cost in costs) * pairs


class Clocked:
    """A tokenizer that counts the CPU seconds in which it makes tokens of prompts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.seconds = 0.0

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text."""
        start = time.process_time()
        encoded = self.tokenizer.encode_batch(texts)
        self.seconds += time.process_time() - start
        return encoded

    def __getattr__(self, name: str) -> object:
        return getattr(self.tokenizer, name)


class Stopwatch:
    """CPU seconds between the beginning of one module and the end of another, added up.

    With `several` only where the first is given several tokens of a row.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.seconds = 0.0
        self.several = several
        self._runs = False

    def watch(self, first: nn.Module, last: nn.Module) -> None:
        """Start where `first` starts, stop where `last` is done."""

        def start(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            self._runs = not self.several or inputs[0].shape[1] > 1
            if self._runs:
                self.seconds -= time.process_time()

        def stop(*_: object) -> None:
            if self._runs:
                self.seconds += time.process_time()

        first.register_forward_pre_hook(start)
        last.register_forward_hook(stop)
