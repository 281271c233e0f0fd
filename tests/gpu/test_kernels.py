"""Every CUDA kernel against the torch path on the same GPU; skipped where there is none."""

import pytest
import torch

from needlework.models import kernels
from tests.models_for_tests import FAMILIES, family

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

# Logits of deviation about 10, in bfloat16 with eight bits of precision.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.5}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", FAMILIES)
def test_kernels_equal_torch(name: str, dtype: torch.dtype) -> None:
    """A prompt across many chunks, then single tokens from its state."""
    decoder = family(name, dtype=torch.float32).to("cuda", dtype)
    generator = torch.Generator().manual_seed(0)
    tokens_BT = torch.randint(0, 40, (2, 300), generator=generator).cuda()

    def run() -> torch.Tensor:
        logits, state = decoder(tokens_BT[:, :290], decoder.init_state(2))
        rows = [logits]
        for token in tokens_BT[:, 290:].unbind(1):
            logits, state = decoder(token[:, None], state)
            rows.append(logits)
        return torch.cat(rows, dim=1).float()

    with kernels.only_torch():
        expected = run()
    torch.testing.assert_close(run(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
