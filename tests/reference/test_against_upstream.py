"""Checkpoints in the exact upstream formats, through our loader, give the upstream logits.

The other side is somebody else's code: transformers on tiny random models, and what the official
mamba_ssm printed for the tiny checkpoints in the reference material.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRglru

from needlework.models import load, rotary
from needlework.models.decoder import Decoder

# The same sums in another order.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
# What the official kernels and a faithful implementation differ by (logits of deviation 6.5).
OFFICIAL = 2e-5

SMALL = {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 3}


def llama() -> PreTrainedModel:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            **SMALL,
            intermediate_size=48,
            num_attention_heads=4,
            num_key_value_heads=2,
            rms_norm_eps=1e-5,
            attn_implementation="eager",
        )
    )


def qwen2() -> PreTrainedModel:
    return transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            **SMALL,
            intermediate_size=48,
            num_attention_heads=4,
            num_key_value_heads=2,
            rope_theta=1e6,
            tie_word_embeddings=True,
            attn_implementation="eager",
        )
    )


def mamba2() -> PreTrainedModel:
    return transformers.Mamba2ForCausalLM(
        transformers.Mamba2Config(
            **SMALL,
            num_heads=4,
            head_dim=16,
            state_size=16,
            n_groups=2,
            chunk_size=16,
            residual_in_fp32=False,
        )
    )


def recurrent_gemma() -> PreTrainedModel:
    return transformers.RecurrentGemmaForCausalLM(
        transformers.RecurrentGemmaConfig(
            **SMALL,
            intermediate_size=96,
            num_attention_heads=4,
            num_key_value_heads=1,
            attention_window_size=16,
            lru_width=32,
        )
    )


UPSTREAM: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": llama,
    "qwen2": qwen2,
    "mamba2": mamba2,
    "recurrent_gemma": recurrent_gemma,
}


def tokens(count: int) -> Tensor:
    return torch.randint(3, 61, (2, count), generator=torch.Generator().manual_seed(1))


def randomise(model: PreTrainedModel) -> None:
    """Fresh models have zero biases and equal norms, which would hide a missing term."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture(params=UPSTREAM)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[PreTrainedModel, Path]:
    torch.manual_seed(0)
    model = UPSTREAM[request.param]().eval()
    randomise(model)
    model.save_pretrained(tmp_path)
    return model, tmp_path


@contextmanager
def only_float64() -> Iterator[None]:
    """Both sides compute norms, angles and softmax in float32, whatever the model's dtype.

    Rounding there would hide differences below 1e-6, so float32 means float64 here, on both sides.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "float32", torch.float64)
        patch.setattr(torch, "float", torch.float64)
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        # The dtype of this scan is a default argument, fixed when transformers was imported.
        patch.setattr(RecurrentGemmaRglru._rnn_scan, "__defaults__", (torch.float64,))
        # Frequencies are made once; those with the digits of float32 are no use here.
        made = rotary._frequencies.__wrapped__
        patch.setattr(rotary, "_frequencies", made)
        yield


def exact_angles(model: PreTrainedModel) -> None:
    """Their rotary frequencies are stored in float32; here they get all digits."""
    for module in model.modules():
        if hasattr(module, "inv_freq"):
            pairs = len(module.inv_freq)
            base = round(float(module.inv_freq[1]) ** -pairs)
            module.inv_freq = 1.0 / base ** (torch.arange(pairs, dtype=torch.float64) / pairs)


@pytest.mark.upstream
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_prefill_equals_transformers(
    pair: tuple[PreTrainedModel, Path], dtype: torch.dtype
) -> None:
    """45 tokens: nearly three windows of RecurrentGemma, nearly three chunks of Mamba2."""
    model, folder = pair
    decoder = load(folder, dtype=dtype)
    if dtype is torch.float64:
        exact_angles(model)
    exact = only_float64() if dtype is torch.float64 else nullcontext()
    with torch.no_grad(), exact:
        expected = model.to(dtype)(tokens(45), use_cache=False).logits
        logits, _ = decoder(tokens(45), decoder.init_state(2))
    torch.testing.assert_close(logits, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.upstream
def test_64_greedy_tokens_equal_transformers(pair: tuple[PreTrainedModel, Path]) -> None:
    """Theirs reads everything again for every token, so that no cache of theirs is trusted."""
    model, folder = pair
    decoder = load(folder, dtype=torch.float64)
    read = theirs = tokens(20)[:1]
    exact_angles(model)
    state, ours = decoder.init_state(1), []
    with torch.no_grad(), only_float64():
        for _ in range(64):
            theirs_next = model.double()(theirs, use_cache=False).logits[:, -1].argmax(-1)
            theirs = torch.cat([theirs, theirs_next[:, None]], dim=1)
            logits, state = decoder(read, state)
            read = logits[:, -1:].argmax(-1)
            ours.append(int(read))
    assert ours == theirs[0, 20:].tolist()


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mamba2", "mamba2attn", "tpp"])
def test_prefill_equals_the_official_mamba_ssm(name: str, shared: Path) -> None:
    folder = shared / "fixtures" / name
    official = torch.load(folder / "official_logits.pt", weights_only=True)
    decoder = load(folder)
    logits, _ = decoder(official["ids"], decoder.init_state(1))
    torch.testing.assert_close(logits, official["logits"], rtol=OFFICIAL, atol=OFFICIAL)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mamba2", "mamba2attn", "tpp"])
def test_decoding_equals_the_official_prefill(name: str, shared: Path) -> None:
    """The published library's own Mamba2Attn decoding does not (hazard H2: off by 1.8 to 7.3)."""
    folder = shared / "fixtures" / name
    official = torch.load(folder / "official_logits.pt", weights_only=True)
    decoder: Decoder = load(folder)
    state, rows = decoder.init_state(1), []
    for token in official["ids"].unbind(1):
        logits, state = decoder(token[:, None], state)
        rows.append(logits)
    logits = torch.cat(rows, dim=1)
    torch.testing.assert_close(logits, official["logits"], rtol=OFFICIAL, atol=OFFICIAL)


def test_rwkv6_files_of_both_formats_are_one_model(tmp_path: Path) -> None:
    """The original `.pth` and the hub folder name the same tensors differently."""
    hub, pth = rwkv6_files(tmp_path)
    first, second = load(hub, dtype=torch.float64), load(pth, dtype=torch.float64)
    logits, _ = first(tokens(20), first.init_state(2))
    again, _ = second(tokens(20), second.init_state(2))
    assert torch.equal(logits, again)


def rwkv6_files(folder: Path, *, vocabulary: int = 61) -> tuple[Path, Path]:
    """A tiny random RWKV-6 as the hub and as its author write it, shapes from the reference."""
    width, hidden, head = 32, 112, 16
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return 0.3 * torch.randn(*shape, generator=generator)

    tensors = {"emb.weight": draw(vocabulary, width), "head.weight": draw(vocabulary, width)}
    for norm in ("blocks.0.ln0", "ln_out", *(f"blocks.{i}.ln{n}" for i in (0, 1) for n in (1, 2))):
        tensors |= {f"{norm}.weight": 1 + draw(width), f"{norm}.bias": draw(width)}
    for block in ("blocks.0", "blocks.1"):
        for name in "xwkvrg":
            tensors[f"{block}.att.time_maa_{name}"] = draw(1, 1, width)
        tensors |= {
            f"{block}.att.time_maa_w1": draw(width, 5 * 8),
            f"{block}.att.time_maa_w2": draw(5, 8, width),
            f"{block}.att.time_decay": draw(1, 1, width),
            f"{block}.att.time_decay_w1": draw(width, 4),
            f"{block}.att.time_decay_w2": draw(4, width),
            f"{block}.att.time_faaaa": draw(width // head, head),
            f"{block}.att.ln_x.weight": 1 + draw(width),
            f"{block}.att.ln_x.bias": draw(width),
            f"{block}.ffn.time_maa_k": draw(1, 1, width),
            f"{block}.ffn.time_maa_r": draw(1, 1, width),
            f"{block}.ffn.key.weight": draw(hidden, width),
            f"{block}.ffn.value.weight": draw(width, hidden),
            f"{block}.ffn.receptance.weight": draw(width, width),
        }
        for name in ("receptance", "key", "value", "gate", "output"):
            tensors[f"{block}.att.{name}.weight"] = draw(width, width)
    pth = folder / "rwkv6.pth"
    torch.save(tensors, pth)
    hub = folder / "hub"
    hub.mkdir()
    torch.save(
        {hub_name(name): tensor for name, tensor in tensors.items()}, hub / "pytorch_model.bin"
    )
    config = {
        "model_type": "rwkv6",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": 2,
        "head_size": head,
        "num_attention_heads": 64,
        "intermediate_size": hidden,
        "time_mix_extra_dim": 8,
        "time_decay_extra_dim": 4,
    }
    (hub / "config.json").write_text(json.dumps(config))
    return hub, pth


def hub_name(name: str) -> str:
    if name == "head.weight":
        return name
    for theirs, ours in (
        ("emb.", "embeddings."),
        ("blocks.0.ln0", "blocks.0.pre_ln"),
        (".att.", ".attention."),
        (".ffn.", ".feed_forward."),
    ):
        name = name.replace(theirs, ours)
    return f"rwkv.{name}"
