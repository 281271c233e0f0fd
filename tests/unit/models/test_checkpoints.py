"""Loading: every tensor accounted for, every mistake told in one line with the tensor's name."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from needlework.errors import CheckpointError
from needlework.models import load
from needlework.models.checkpoints import accounting, decoder_config
from needlework.models.decoder import Decoder
from tests.configurations_for_tests import GEMMA, HEADS, MAMBA, RWKV6, SHEARED
from tests.models_for_tests import family

FULL_SIZE = {
    "mamba2": (MAMBA, 2_702_599_680),
    "mamba2attn": (
        MAMBA
        | {
            "attn_layer_idx": [9, 18, 27, 36, 45, 56],
            "attn_cfg": HEADS
            | {"d_conv": 4, "head_dim": 128, "num_heads": 30, "rotary_emb_dim": 64},
        },
        2_697_590_880,
    ),
    "transformerpp": (
        MAMBA
        | {
            "n_layer": 32,
            "d_intermediate": 6912,
            "ssm_cfg": {},
            "attn_layer_idx": list(range(32)),
            "attn_cfg": HEADS | {"head_dim": 80, "num_heads": 32, "rotary_emb_dim": 40},
        },
        2_666_457_600,
    ),
    "recurrent_gemma": (
        GEMMA,
        2_682_862_080,
    ),
    "rwkv6": (
        RWKV6,
        3_099_863_040,
    ),
    # Layers, then both embeddings and the last norm, summed from the published shapes.
    "sheared-llama": (SHEARED, 32 * (4 * 2560**2 + 3 * 2560 * 6912 + 2 * 2560) + 163_842_560),
    "sheared-llama-sharegpt": (SHEARED | {"vocab_size": 32001}, 2_701_560_320 + 2 * 2560),
    "qwen2": (
        {
            "model_type": "qwen2",
            "hidden_size": 1536,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "intermediate_size": 8960,
            "vocab_size": 151936,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
        },
        1_543_714_304,
    ),
}
"""Published sizes and their parameter counts (tied weights once)."""


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_models_have_exactly_the_published_parameters(name: str) -> None:
    raw, count = FULL_SIZE[name]
    spec, _ = decoder_config(raw, where="config.json")
    with torch.device("meta"):
        decoder = Decoder(spec)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == count


@pytest.mark.parametrize("name", FULL_SIZE)
def test_name_tables_fill_every_row_of_every_parameter(name: str) -> None:
    spec, known = decoder_config(FULL_SIZE[name][0], where="config.json")
    with torch.device("meta"):
        decoder = Decoder(spec)
    assert accounting.unfilled(known.places(spec), decoder) is None


def saved(folder: Path, name: str) -> Path:
    """A tiny checkpoint of one of our families, in our own format."""
    decoder = family(name, dtype=torch.float32)
    (folder / "config.json").write_text(decoder.config.model_dump_json())
    tensors = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return saved(tmp_path, "llama")


def change(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors, or drop them (None)."""
    tensors = load_file(folder / "model.safetensors") | changes
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors")


def test_a_whole_checkpoint_loads_in_the_asked_dtype(checkpoint: Path) -> None:
    decoder = load(checkpoint, dtype=torch.bfloat16)
    assert decoder.embedding.weight.dtype is torch.bfloat16
    expected = load_file(checkpoint / "model.safetensors")["norm.weight"].bfloat16()
    assert torch.equal(decoder.norm.weight, expected)


def test_decays_stay_in_float32(tmp_path: Path) -> None:
    """In bfloat16 a decay of 0.999 rounds to 1."""
    decoder = load(saved(tmp_path, "mamba2"), dtype=torch.bfloat16)
    assert decoder.layers[0].mixer.log_rate_H.dtype is torch.float32
    assert decoder.head.weight is decoder.embedding.weight


def test_a_missing_tensor_is_named(checkpoint: Path) -> None:
    change(checkpoint, **{"layers.1.mixer.project_in.weight": None})
    with pytest.raises(CheckpointError, match=r"missing: layers\.1\.mixer\.project_in\.weight"):
        load(checkpoint)


def test_an_extra_tensor_is_named(checkpoint: Path) -> None:
    change(checkpoint, surprise=torch.zeros(1))
    with pytest.raises(CheckpointError, match="unexpected: surprise"):
        load(checkpoint)


def test_a_misshapen_tensor_is_named_with_both_shapes(checkpoint: Path) -> None:
    change(checkpoint, **{"norm.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"norm\.weight \(3,\) instead of \(16,\)"):
        load(checkpoint)


def test_a_truncated_file_is_one_line(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not .*truncated"):
        load(checkpoint)


def test_a_truncated_archive_is_one_line(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    weights = checkpoint / "pytorch_model.bin"
    torch.save(family("llama", dtype=torch.float32).state_dict(), weights)
    weights.write_bytes(weights.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is not a file of weights"):
        load(checkpoint)


def sharded(checkpoint: Path, whole: str, save: Callable[..., None]) -> dict[str, torch.Tensor]:
    """Let a checkpoint be two files with the index of `whole`; what it is loaded as before."""
    tensors = load_file(checkpoint / "model.safetensors")
    expected = load(checkpoint).state_dict()
    (checkpoint / "model.safetensors").unlink()
    files = [f"{letter}{Path(whole).suffix}" for letter in "ab"]
    places = {name: files[place % 2] for place, name in enumerate(sorted(tensors))}
    for file in files:
        save({name: tensors[name] for name in tensors if places[name] == file}, checkpoint / file)
    (checkpoint / f"{whole}.index.json").write_text(json.dumps({"weight_map": places}))
    return expected


def test_shards_are_read_through_their_index(checkpoint: Path) -> None:
    expected = sharded(checkpoint, "model.safetensors", save_file)
    for name, tensor in load(checkpoint).state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_shards_of_archives_are_mapped_and_never_unpickled(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Sheared-LLaMA is published: two `.bin` files and their index."""
    expected = sharded(checkpoint, "pytorch_model.bin", torch.save)
    calls = []
    honest: Callable[..., Any] = torch.load

    def watched(file: Path, **options: Any) -> Any:
        calls.append(options)
        return honest(file, **options)

    monkeypatch.setattr(torch, "load", watched)
    for name, tensor in load(checkpoint).state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert {call["weights_only"] for call in calls} == {True}
    # Shapes are read without values; values, where they are read, from a mapping.
    assert {(call["map_location"], call["mmap"]) for call in calls} == {
        ("meta", False),
        ("cpu", True),
    }


class Surprise:
    """Pickled, it would run a command."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return exec, ("raise SystemExit('a checkpoint ran code')",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_cannot_run_code(checkpoint: Path, legacy: bool) -> None:
    (checkpoint / "model.safetensors").unlink()
    weights = checkpoint / "pytorch_model.bin"
    torch.save({"norm.weight": Surprise()}, weights, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is not a file of weights"):
        load(checkpoint)


LOADED = """
import sys
from needlework.models import checkpoints
from needlework.models.checkpoints import reading

def anonymous():
    rows = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith("RssAnon"))

def watched(*arguments):
    global peak
    place(*arguments)
    peak = max(peak, anonymous())

place, checkpoints.place_tensor, before, peak = checkpoints.place_tensor, watched, anonymous(), 0
{more}
decoder = checkpoints.load(sys.argv[1])
print((peak - before) / sum(each.numel() * 4 for each in decoder.parameters()))
"""


def memory_share(folder: Path, *, more: str = "") -> float:
    """Memory of a process that loads a checkpoint of 400 MB, at its peak and as a share of that.

    Pages of a mapped file do not count: the kernel takes them back when it needs them.
    """
    spec = family("transformerpp").config.model_copy(
        update={"width": 1024, "vocabulary": 48_000, "padded_vocabulary": 48_000}
    )
    (folder / "config.json").write_text(spec.model_dump_json())
    save_file(Decoder(spec).state_dict(), folder / "model.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", LOADED.replace("{more}", more), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "model.safetensors").unlink()
    return float(done.stdout)


@pytest.mark.slow
def test_a_model_is_loaded_without_a_second_copy(tmp_path: Path) -> None:
    assert 0.9 < memory_share(tmp_path) < 1.3


def test_an_absent_shard_is_named(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    index = {"weight_map": {"norm.weight": "gone.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"gone\.safetensors, which is absent"):
        load(checkpoint)


def test_a_tied_head_that_differs_is_refused(tmp_path: Path) -> None:
    head = load_file(saved(tmp_path, "mamba2") / "model.safetensors")["head.weight"]
    head[3, 3] += 1
    change(tmp_path, **{"head.weight": head})
    with pytest.raises(CheckpointError, match="differs from the embedding"):
        load(tmp_path)


def test_an_unknown_family_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    save_file({"wte.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"gpt2.*backend: transformers"):
        load(tmp_path)


def test_an_unknown_key_of_our_own_format_is_named(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"windw": 3}))
    with pytest.raises(CheckpointError, match="windw"):
        load(checkpoint)


@pytest.mark.parametrize("layers", [3, 100_000, 10**30])
def test_layers_without_tensors_are_refused_before_they_are_made(
    tmp_path: Path, layers: int
) -> None:
    """A hundred thousand of them once took a minute and 1.3 GB."""
    save_file({"model.norm.weight": torch.ones(4)}, tmp_path / "model.safetensors")
    raw = {"model_type": "llama", "num_hidden_layers": layers}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match=f"num_hidden_layers is {layers}, .* at most 1, "):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="at most 5000" if layers > 5000 else "has no "):
        decoder_config(raw, where="config.json")


def test_a_hub_id_needs_its_full_revision() -> None:
    with pytest.raises(CheckpointError, match=r"needs `revision`.*got 'main'"):
        load("state-spaces/mamba2-2.7b", revision="main")


def test_a_folder_without_weights_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has none of model\.safetensors"):
        load(tmp_path)
