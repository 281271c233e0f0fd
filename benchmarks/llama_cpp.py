"""llama.cpp as a contender, through llama-cpp-python: one prompt after the other.

Imported only by a Python that has `llama_cpp`; `make .venv-servers/ready` builds one.
"""

from llama_cpp import Llama

from benchmarks.jobs import Answers, Cell, Job, address
from needlework import tokenizers

BATCH = 512
"""Tokens that it reads in one call; its own default."""


class LlamaCpp:
    """The same tokens, greedily; like its server it keeps what the next prompt begins with."""

    def __init__(self, job: Job) -> None:
        self.tokenizer = tokenizers.load(str(job.tokenizer), begins=job.begins)
        self.model = Llama(
            model_path=str(job.checkpoint),
            n_ctx=BATCH + max(cell.longest for cell in job.cells),
            n_batch=BATCH,
            n_threads=job.threads,
            n_threads_batch=job.threads,
            verbose=False,
        )

    def __call__(self, cell: Cell) -> Answers:
        """Every prompt of the cell, in order."""
        texts = {}
        for task in cell.tasks:
            for sample in task.samples:
                written = self._written(sample.input, task.tokens_to_generate)
                texts[address(task.name, sample.index)] = self.tokenizer.decode(written)
        return Answers(texts=texts)

    def _written(self, text: str, limit: int) -> list[int]:
        """The tokens after one prompt, up to an end token or the limit."""
        written: list[int] = []
        prompt = [*self.tokenizer.begin, *self.tokenizer.encode(text)]
        for token in self.model.generate(prompt, temp=0.0, repeat_penalty=1.0):
            if token in self.tokenizer.end:
                break
            written.append(token)
            if len(written) == limit:
                break
        return written
