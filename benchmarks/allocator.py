"""What keeping freed memory saves: `python -m benchmarks.allocator`, a Markdown table.

Every line is measured in two fresh processes of one thread: as the engine prepares them, and as
the C library starts.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from needlework import models
from needlework.engine.processor import prepare_processor

NANO = Path("resources/nano")
MODELS = ("mamba2", "mamba2attn", "transformerpp", "griffin", "llama", "rwkv6")
ROWS, TOKENS, PIECE = 16, 1024, 128
"""The shape of the engine's calls on a CPU."""
REPEATS = 5


def main() -> None:
    """Print the table."""
    sys.stdout.write("| model | as glibc starts | as the engine prepares it | saved |\n")
    sys.stdout.write("|---|--:|--:|--:|\n")
    for model in MODELS:
        plain, prepared = (_elsewhere(model, how) for how in ("plain", "prepared"))
        saved = f"{1 - prepared / plain:.0%}"
        sys.stdout.write(f"| {model} | {plain:.1f} | {prepared:.1f} | {saved} |\n")
        sys.stdout.flush()


def _elsewhere(model: str, how: str) -> float:
    command = [sys.executable, "-m", "benchmarks.allocator", model, how]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@torch.inference_mode()
def _milliseconds(model: str, how: str) -> float:
    """CPU milliseconds for 1,024 tokens of one row; the median of some readings of all rows."""
    torch.set_num_threads(1)
    if how == "prepared":
        prepare_processor(1)
    decoder = models.load(NANO / model)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, decoder.config.vocabulary, (ROWS, TOKENS), generator=generator)
    taken = []
    for _ in range(REPEATS + 1):
        began, state = time.process_time(), decoder.init_state(ROWS)
        for piece in torch.split(tokens, PIECE, dim=1):
            _, state = decoder.read(piece, state)
        taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken[1:]) / ROWS


if __name__ == "__main__":
    if len(sys.argv) == 3:
        sys.stdout.write(f"{_milliseconds(*sys.argv[1:])}\n")
    else:
        main()
