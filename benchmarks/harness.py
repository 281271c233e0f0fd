"""lm-evaluation-harness as a contender: its `hf` model, batched, through `generate_until`.

Imported only by a Python that has `lm_eval`; `make bench` builds one beside the results.
"""

from pathlib import Path

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks.jobs import Answers, Cell, Job, address


class Harness:
    """The same prompts as requests of one call."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        self.model = HFLM(
            **_source(job.checkpoint),
            device="cpu",
            dtype="float32",
            batch_size=job.rows,
            # Without a limit of its own a state space model would be cut at 2048 tokens.
            max_length=1 << 20,
            add_bos_token=job.begins,
        )

    def __call__(self, cell: Cell) -> Answers:
        """Every prompt of the cell, in the order the harness chooses."""
        names: list[str] = []
        requests: list[Instance] = []
        for task in cell.tasks:
            settings = {
                "until": [],
                "max_gen_toks": task.tokens_to_generate,
                "do_sample": False,
            }
            for sample in task.samples:
                names.append(address(task.name, sample.index))
                requests.append(
                    Instance(
                        request_type="generate_until",
                        doc={},
                        arguments=(sample.input, settings),
                        idx=len(requests),
                    )
                )
        texts = self.model.generate_until(requests, disable_tqdm=True)
        return Answers(texts=dict(zip(names, texts, strict=True)))


def _source(checkpoint: Path) -> dict[str, str]:
    """Where it finds a model: a folder, and of a GGUF file its name there."""
    if checkpoint.is_dir():
        return {"pretrained": str(checkpoint)}
    return {"pretrained": str(checkpoint.parent), "gguf_file": checkpoint.name}
