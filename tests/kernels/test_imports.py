"""What the packages do when they are imported, before they compute anything."""

import subprocess
import sys
from pathlib import Path

from needlework.models.kernels import KERNELS, installed
from tests.kernels import interpreter

pytestmark = interpreter.KERNELS

ROOT = Path(__file__).parents[2]
WITH_A_GPU = """
import sys, types, warnings
import torch
torch.cuda.is_available = lambda: True
sys.modules["flash_attn"] = None
{quietly}
warnings.simplefilter("error")
from fla.ops.hgrn import fused_recurrent_hgrn
from fla.ops.rwkv6 import chunk_rwkv6
"""


def importing(quietly: str) -> subprocess.CompletedProcess:
    code = WITH_A_GPU.format(quietly=quietly)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_fla_warns_when_it_is_imported_and_the_tests_on_a_gpu_import_it_before() -> None:
    """With warnings as errors none of them could begin."""
    refused = importing("")
    assert refused.returncode
    assert "Warning" in refused.stderr
    done = importing("from tests.gpu import conftest\nconftest.import_quietly()")
    assert done.returncode == 0, done.stderr


def test_every_package_is_here() -> None:
    """Else torch would be compared with itself."""
    assert all(installed(kernel.module) for kernel in KERNELS.values())
