"""What a process is told before it computes: how many threads, and to keep its memory."""

import subprocess
import sys
from pathlib import Path

import pytest

RWKV6 = Path("resources/nano/rwkv6")
CALLS = """
import resource
import torch
from needlework import models
from needlework.engine.processor import prepare_processor

torch.set_num_threads(2)
if {prepared}:
    prepare_processor(1)
decoder = models.load({checkpoint!r})
tokens = torch.zeros(8, 128, dtype=torch.long)


@torch.inference_mode()
def read():
    for _ in range(5):
        decoder.read(tokens, decoder.init_state(8))


read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
read()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, torch.get_num_threads())
"""


def measured(*, prepared: bool) -> tuple[int, int]:
    """Pages that the system had to clear for five warm forward calls, and the threads in use."""
    code = CALLS.format(prepared=prepared, checkpoint=str(RWKV6))
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    pages, threads = map(int, run.stdout.split())
    return pages, threads


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep memory")
def test_forward_calls_get_the_memory_that_earlier_ones_freed() -> None:
    pages, threads = measured(prepared=True)
    assert threads == 1
    assert pages < 0.2 * measured(prepared=False)[0]
