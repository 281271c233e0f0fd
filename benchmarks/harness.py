"""lm-evaluation-harness as a contender: its `hf` model, batched, through `generate_until`.

Imported only by a Python that has `lm_eval`; `make bench` builds one beside the results.
"""

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks.jobs import Answers, Cell, Job, address

ROWS = 64
"""Its batch size: as many rows as our engine writes together on a CPU."""


class Harness:
    """The same prompts as requests of one call."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        self.model = HFLM(
            pretrained=str(job.checkpoint),
            device="cpu",
            dtype="float32",
            batch_size=ROWS,
            # Without a limit of its own a state space model would be cut at 2048 tokens.
            max_length=1 << 20,
            add_bos_token=True,
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
