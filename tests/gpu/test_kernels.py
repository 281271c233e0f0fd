"""Every CUDA kernel against the torch path on the same GPU, at the shapes of published models.

Not yet run on a GPU.
"""

import importlib

import pytest
import torch

from needlework.engine.prefill import read
from needlework.engine.schedule import Limits
from needlework.models import config, kernels
from needlework.models.config import DecoderConfig, Norm
from needlework.models.decoder import Decoder
from needlework.models.kernels import KERNELS
from needlework.models.layer import Operation
from needlework.models.random_weights import random_decoder, random_layer
from needlework.proving.checking import largest_share, share, state_tensors
from tests.kernels_for_tests import (
    Draws,
    decoder_results,
    diagonal_scan_arguments,
    difference_from_torch,
    layer_results,
    scan_difference,
    selective_scan_arguments,
    weighted_key_values_arguments,
)
from tests.models_for_tests import REMEMBERED_TOKENS, WIDE_SPECS, WIDE_WIDTH

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

VOCABULARY = 1000
FAMILIES: dict[str, tuple[tuple[config.MixerConfig, ...], Norm]] = {
    "mamba2": ((WIDE_SPECS["mamba2"][0],) * 4, Norm()),
    "mamba2attn": (
        (WIDE_SPECS["mamba2"][0], WIDE_SPECS["convolved attention"][0], WIDE_SPECS["mamba2"][0]),
        Norm(),
    ),
    "transformerpp": ((WIDE_SPECS["attention of 80"][0], config.MLP(hidden=512)) * 2, Norm()),
    "griffin": (
        (
            WIDE_SPECS["rglru"][0],
            config.MLP(hidden=512, activation="gelu_tanh", bias=True),
            WIDE_SPECS["window"][0],
            WIDE_SPECS["rglru"][0],
        ),
        Norm(offset=True, eps=1e-6),
    ),
    "rwkv6": (
        (WIDE_SPECS["time mix"][0], config.ChannelMix(hidden=512)) * 2,
        Norm(kind="layer"),
    ),
}

# Largest difference over the largest number. Kernels multiply float32 with 10 bits of precision
# (TF32); bfloat16 has 8, and differs from layer to layer.
SHARE = {torch.float32: 5e-3, torch.bfloat16: 3e-2}


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch path in all 24 bits."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def require(operation: Operation) -> None:
    kernel = KERNELS[operation]
    if not kernels.installed(kernel.module):
        pytest.skip(f"{kernel.package} is not installed")


@pytest.mark.parametrize("memory", [0.005, 1.0, REMEMBERED_TOKENS])
@pytest.mark.parametrize("tokens", [1, 2, 65, 300, 4096])
@torch.inference_mode()
def test_a_recurrence_equals_torch_in_float64(tokens: int, memory: float) -> None:
    """Outputs and final states, from decays that forget at once to 0.999 a token."""
    draws = Draws.seeded(tokens, device="cuda")
    mamba2, time = WIDE_SPECS["mamba2"][0], WIDE_SPECS["time mix"][0]
    assert isinstance(mamba2, config.SSD)
    assert isinstance(time, config.TimeMix)
    options = {"memory": memory, "draws": draws}
    given: dict[Operation, tuple[tuple[torch.Tensor, ...], int | None]] = {
        "selective_scan": (selective_scan_arguments(mamba2, 3, tokens, **options), mamba2.chunk),
        "diagonal_scan": (diagonal_scan_arguments(2560, 3, tokens, **options), None),
        "weighted_key_values": (
            weighted_key_values_arguments(time, 3, tokens, **options),
            time.chunk,
        ),
    }
    for operation, (arguments, chunk) in given.items():
        require(operation)
        found = scan_difference(operation, arguments, chunk=chunk)
        assert found.within(SHARE[torch.float32]), (operation, found)


@pytest.mark.parametrize("dtype", SHARE)
@pytest.mark.parametrize("name", WIDE_SPECS)
@torch.inference_mode()
def test_a_kernel_equals_torch(name: str, dtype: torch.dtype) -> None:
    """A prompt over many chunks; a padded call from its state; single tokens; every state."""
    spec, operation = WIDE_SPECS[name]
    require(operation)
    layer = random_layer(spec, WIDE_WIDTH, device="cuda", dtype=dtype)
    found = difference_from_torch(lambda: layer_results(layer, WIDE_WIDTH, rows=3, tokens=1000))
    assert found <= SHARE[dtype]


def decoder_of(name: str) -> Decoder:
    layers, norm = FAMILIES[name]
    spec = DecoderConfig(
        family=name,
        vocabulary=VOCABULARY,
        padded_vocabulary=VOCABULARY,
        width=WIDE_WIDTH,
        layers=layers,
        norm=norm,
        embedding_norm=name == "rwkv6",
    )
    return random_decoder(spec, device="cuda")


@pytest.mark.parametrize("name", FAMILIES)
@torch.inference_mode()
def test_a_decoder_equals_torch(name: str) -> None:
    decoder = decoder_of(name)
    found = difference_from_torch(lambda: decoder_results(decoder, tokens=1500))
    assert found <= SHARE[torch.float32]


@pytest.mark.parametrize("name", FAMILIES)
@torch.inference_mode()
def test_a_row_in_a_mixed_batch_equals_the_row_alone(name: str) -> None:
    """The law of the CPU, on the kernels: histories and lengths of any size in one call."""
    decoder = decoder_of(name)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, VOCABULARY, (3, 700), generator=generator).cuda()
    histories, lengths = [0, 300, 517], [400, 1, 129]
    states, expected = [], []
    for row, (history, length) in enumerate(zip(histories, lengths, strict=True)):
        state = decoder.init_state(1)
        if history:
            _, state = decoder(tokens[row : row + 1, :history], state)
        states.append(state)
        whole = tokens[row : row + 1, : history + length]
        logits, _ = decoder(whole, decoder.init_state(1))
        expected.append(logits[0, history:])
    packed = type(states[0]).stack(states)
    new = torch.zeros(3, 400, dtype=torch.long, device="cuda")
    for row, (history, length) in enumerate(zip(histories, lengths, strict=True)):
        new[row, :length] = tokens[row, history : history + length]
    logits, _ = decoder(new, packed, torch.tensor(lengths, device="cuda"))
    for row, length in enumerate(lengths):
        assert share(logits[row, :length], expected[row]) <= SHARE[torch.float32]


@pytest.mark.parametrize("tokens", [65_536, 131_072])
@pytest.mark.parametrize("name", ["mamba2", "rglru", "time mix"])
@torch.inference_mode()
def test_a_state_is_right_after_many_tokens(name: str, tokens: int) -> None:
    """One call over all tokens of a layer that remembers, against torch in short pieces.

    Layers alone: a whole call's window mask, or the scores of its attention, would fill a device.
    """
    spec, operation = WIDE_SPECS[name]
    require(operation)
    layer = random_layer(spec, WIDE_WIDTH, device="cuda")
    x_BTD = Draws.seeded(1, device="cuda").normal(1, tokens, WIDE_WIDTH)
    outputs, state = layer(x_BTD, layer.init_state(1), None)
    with kernels.only_torch():
        expected = layer.init_state(1)
        for piece in x_BTD.split(2048, dim=1):
            last, expected = layer(piece, expected, None)
    assert share(outputs[:, -last.shape[1] :], last) <= SHARE[torch.float32]
    found = largest_share(list(state_tensors(state)), list(state_tensors(expected)))
    assert found <= SHARE[torch.float32]


@pytest.mark.parametrize("name", ["mamba2", "griffin", "rwkv6"])
@torch.inference_mode()
def test_a_decoder_read_by_the_engine_is_right_after_many_tokens(name: str) -> None:
    """Pieces as long as a window's mask allows, against torch in pieces of another length."""
    decoder = decoder_of(name)
    generator = torch.Generator().manual_seed(1)
    prompt = torch.randint(0, VOCABULARY, (65_536,), generator=generator).numpy()

    def reading(chunk: int) -> list[torch.Tensor]:
        limits = Limits(tokens=chunk, chunk=chunk, rows=1, states=1)
        ((_, hidden_RD, state),) = read(decoder, [prompt], decoder.init_state(1), limits=limits)
        return [decoder.logits(hidden_RD), *state_tensors(state)]

    found = reading(8192)
    with kernels.only_torch():
        expected = reading(2048)
    # A window keeps as many old keys as its last call left: logits say whether it saw the right.
    compared = slice(0, 1) if name == "griffin" else slice(None)
    assert largest_share(found[compared], expected[compared]) <= SHARE[torch.float32]


def test_what_is_chosen_can_be_imported() -> None:
    """An installed package that was built for another torch fails here, and not in a study."""
    for operation, package in kernels.choices(torch.device("cuda"), torch.bfloat16).items():
        if package != kernels.TORCH:
            assert importlib.import_module(KERNELS[operation].module), operation
