"""Every Triton kernel of our path compiled for a GPU that is not there, one configuration each.

    python -m tests.kernels.compiler 80

Writes one JSON object: shared memory and warps by kernel, dtype and shapes.
"""

import contextlib
import itertools
import json
import sys
import types
import warnings

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import autotuner, driver, jit

from needlework.models import cuda, fused, fused_attention, fused_recurrent, kernels
from needlework.models.config import RGLRU, SSD, MixerConfig, TimeMix
from needlework.models.fused import KINDS
from needlework.models.key_values import Prefix
from tests.kernels_for_tests import (
    SCANS,
    Arguments,
    Draws,
    diagonal_scan_arguments,
    selective_scan_arguments,
    weighted_key_values_arguments,
)

SHARED_BYTES = {80: 166_912, 90: 232_448}
"""Shared memory a program may have on an A100 and on an H100."""
NAMES = {80: "NVIDIA A100-SXM4-80GB", 90: "NVIDIA H100 80GB HBM3"}
LAYERS: dict[str, MixerConfig] = {
    "published mamba2": SSD(heads=80, head_width=64, state=128, chunk=256),
    "published recurrentgemma": RGLRU(width=2560, blocks=10),
    "published rwkv6": TimeMix(heads=40, head_width=64, shift_rank=32, decay_rank=64),
    "nano mamba2": SSD(heads=4, head_width=64, state=32, chunk=32),
    "nano griffin": RGLRU(width=128, blocks=4),
    "nano rwkv6": TimeMix(heads=4, head_width=32, shift_rank=16, decay_rank=32),
}
TOKENS = (1, 300)


class AbsentDevice:
    """What Triton asks of a driver before it compiles."""

    def __init__(self, architecture: int) -> None:
        self.architecture = architecture
        properties = {"max_shared_mem": SHARED_BYTES[architecture], "multiprocessor_count": 108}
        self.utils = types.SimpleNamespace(get_device_properties=lambda index: properties)

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.architecture, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def pretend(architecture: int) -> dict[str, dict[str, int]]:
    """From now on launches compile and do not run; the result fills with what was compiled."""
    driver.set_active(AbsentDevice(architecture))
    torch.cuda.get_device_name = lambda *device: NAMES[architecture]
    torch.cuda.get_device_capability = lambda *device: divmod(architecture, 10)
    torch.cuda.device_count = lambda: 1
    torch.cuda.current_device = lambda: 0
    torch.cuda.device = lambda index: contextlib.nullcontext()
    compiled: dict[str, dict[str, int]] = {}
    honest = jit.JITFunction.run

    def compile_only(self: jit.JITFunction, *args: object, **kwargs: object) -> object:
        kernel = honest(self, *args, **{**kwargs, "warmup": True})
        found = {"shared": kernel.metadata.shared, "warps": kernel.metadata.num_warps}
        compiled[self.__name__] = max(
            compiled.get(self.__name__, found), found, key=lambda each: each["shared"]
        )
        return kernel

    def last_configuration(self: autotuner.Autotuner, *args: object, **kwargs: object) -> object:
        return self.fn.run(*args, **kwargs, **self.configs[-1].all_kwargs())

    jit.JITFunction.run = compile_only
    autotuner.Autotuner.run = last_configuration
    return compiled


def scan(layer: MixerConfig, tokens: int) -> None:
    """Everything that a prompt or a single token of this layer launches."""
    draws = Draws.seeded(0)
    arguments: Arguments
    if isinstance(layer, SSD):
        arguments = selective_scan_arguments(layer, 1, tokens, draws=draws)
        SCANS["selective_scan"][0]()(*arguments, chunk=layer.chunk)
        y, weight = arguments[0].flatten(2), draws.normal(layer.heads * layer.head_width)
        cuda.gated_norm(y, y, weight, eps=1e-5, groups=layer.groups)
    elif isinstance(layer, RGLRU):
        cuda.diagonal_scan(*diagonal_scan_arguments(layer.width, 1, tokens, draws=draws))
    elif isinstance(layer, TimeMix):
        arguments = weighted_key_values_arguments(layer, 1, tokens, draws=draws)
        cuda.weighted_key_values(*arguments, chunk=layer.chunk)


WIDTHS = {"published": 2560, "nano": 128}
"""Channels of the residual stream."""
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def between_products(width: int, tokens: int, dtype: torch.dtype) -> None:
    """Everything of our own that stands between the matrix products of any decoder."""
    draws = Draws.seeded(0)

    def drawn(*shape: int, like: torch.dtype = dtype) -> torch.Tensor:
        return draws.normal(*shape).to(like)

    x, weight = drawn(1, tokens, width), drawn(width)
    for activation in KINDS:
        fused.gated(*drawn(1, tokens, 2 * width).chunk(2, dim=-1), activation)
    fused.gated(x, x.float(), "gelu_tanh")
    for stream, update in ((dtype, x), (torch.float32, x), (dtype, None)):
        for bias, offset in ((None, False), (None, True), (weight, False)):
            fused.add_norm(x.to(stream), update, weight, bias, eps=1e-5, offset=offset)
    head = min(128, width // 4)
    heads, keys = width // head, drawn(1, 1, tokens, head)
    angles = drawn(1, 1, tokens, head // 2, like=torch.float32)
    for given in (None, (angles, angles)):
        qkv, start = drawn(1, tokens, (heads + 2) * head), torch.zeros(1, dtype=torch.long)
        fused.rotate_append(qkv, given, start, keys, keys.clone(), heads=heads)
    for taps, bias in ((4, weight), (2, None)):
        tail, filters = drawn(1, taps - 1, width), drawn(width, taps)
        fused.convolve_token(x[:, :1], tail, filters, bias, silu=bias is not None)


def beside_a_prefix(dtype: torch.dtype) -> None:
    """Heads of every width that is published, few rows and many, short keys and long."""
    draws = Draws.seeded(0)
    for head, (rows, keys) in itertools.product((32, 80, 128, 256), ((1, 5000), (80, 70))):
        for heads, groups in ((4, 4), (4, 1)):
            kept = draws.normal(1, groups, keys, head).to(dtype)
            own = draws.normal(rows, groups, keys, head).to(dtype)
            q, lengths = draws.normal(rows, heads, 1, head).to(dtype), torch.ones(rows).long()
            fused_attention.attend_beside(q, Prefix(kept, kept), own, own.clone(), lengths)


def around_recurrences(width: int, tokens: int, dtype: torch.dtype) -> None:
    """The same of what RWKV-6 and RecurrentGemma launch beside their scans."""
    draws = Draws.seeded(0)
    x, weight = draws.normal(1, tokens, width).to(dtype), draws.normal(width).to(dtype)
    wide, last = draws.normal(width), x[:, 0]
    for mixes, learnt in ((1, None), (2, None), (5, x.expand(5, tokens, width).clone())):
        fused_recurrent.mix(x, last, weight.expand(mixes, width).clone(), learnt)
    fused_recurrent.log_decay(x, wide)
    head = width // (40 if width == WIDTHS["published"] else 4)
    heads = torch.unflatten(x, 2, (-1, head))
    fused_recurrent.head_norm_gate(heads.float(), x, weight, weight, eps=1e-5)
    one, state = heads[:, :1], draws.normal(1, width // head, head, head)
    for in_place in (True, False):
        fused_recurrent.write_token(
            one, one, one, one.float(), wide.view(-1, head), x[:, :1], weight, weight, state,
            eps=1e-5, in_place=in_place,
        )  # fmt: skip
    blocks = 10 if width == WIDTHS["published"] else 4
    mapped = draws.normal(blocks, tokens, 2 * width // blocks)
    biases, position = weight.repeat(2).view(blocks, -1), torch.zeros(1, dtype=torch.long)
    fused_recurrent.lru_gates(x, mapped, biases, wide, position)


def main() -> None:
    sys.modules["selective_scan_cuda"] = types.ModuleType("selective_scan_cuda")
    warnings.simplefilter("ignore")
    compiled = pretend(int(sys.argv[1]))
    for layer in LAYERS.values():
        for tokens in TOKENS:
            scan(layer, tokens)
    for width, tokens, dtype in itertools.product(WIDTHS.values(), TOKENS, DTYPES):
        between_products(width, tokens, dtype)
        around_recurrences(width, tokens, dtype)
    for dtype in kernels.BESIDE:
        beside_a_prefix(dtype)
    json.dump(compiled, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
