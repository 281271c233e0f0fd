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
from needlework.tokenizers import Tokenizer


class OneByOne:
    """The way of the published artifact: `generate` for one prompt after the other."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        self.tokenizer = tokenizers.load(str(job.tokenizer))
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            job.checkpoint, dtype=torch.float32
        ).eval()

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
                )
                text = self.tokenizer.decode(written_1T[0, len(prompt) :].tolist())
                texts[address(task.name, sample.index)] = text
        return Answers(texts=texts)


class Ours:
    """The engine; `ours alone` shares no prefix, and `ours decided` stops early where it can."""

    def __init__(self, job: Job) -> None:
        prepare_processor(job.threads)
        self.share = job.contender != "ours alone"
        self.decoding = Decoding(decided=job.contender == "ours decided")
        self.tokenizer = Clocked(tokenizers.load(str(job.tokenizer)))
        self.decoder = models.load(job.checkpoint)
        # From the last layer with a memory on, most weights serve the last token alone.
        whole = self.decoder.layers[: self.decoder.config.last_memory]
        self.weights = sum(each.numel() for each in whole.parameters() if each.ndim > 1)
        self.stopwatch = Stopwatch()
        self.stopwatch.watch(self.decoder.embedding, self.decoder.norm)
        self.stopwatch.watch(self.decoder.head, self.decoder.head)

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
        self.stopwatch.seconds = self.tokenizer.seconds = 0.0
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
            tokenizing=self.tokenizer.seconds,
            products=2 * self.weights * (prompt_tokens - shared),
        )


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
    """CPU seconds between the beginning of one module and the end of another, added up."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, first: nn.Module, last: nn.Module) -> None:
        """Start where `first` starts, stop where `last` is done."""

        def start(*_: object) -> None:
            self.seconds -= time.process_time()

        def stop(*_: object) -> None:
            self.seconds += time.process_time()

        first.register_forward_pre_hook(start)
        last.register_forward_hook(stop)
