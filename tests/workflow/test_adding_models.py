"""A user's own checkpoints, one entry each, beside one that is damaged."""

import json
import shutil
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers
import yaml
from safetensors.torch import load_file, save_file

from tests.reference.test_against_upstream import rwkv6_files
from tests.workflow.conftest import copy_project, planned, run_snakemake

pytestmark = pytest.mark.slow

ENTRIES = {
    "my-llama": {"checkpoint": "checkpoints/my-llama", "tokenizer": "mine"},
    "my-neox": {
        "checkpoint": "checkpoints/my-neox",
        "tokenizer": "mine",
        "backend": "transformers",
    },
    "my-rwkv": {"checkpoint": "checkpoints/my-rwkv.pth", "tokenizer": "nano"},
    "damaged": {"checkpoint": "checkpoints/damaged", "tokenizer": "nano"},
}
REST = {"family": "attention", "wrapper": "base", "trained_length": 256, "licence": "MIT"}
TASKS = ["niah_single_2", "vt", "qa_1"]


def train_tokenizer(folder: Path, words: list[str]) -> int:
    """A tokenizer of its own, as hub folders have one; the number of its tokens."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([" ".join(words)] * 50, trainer)
    made.save(str(folder / "tokenizer.json"))
    sidecar = {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(sidecar))
    return made.get_vocab_size()


def make_checkpoints(folder: Path, nano: Path) -> None:
    """Three models as their users have them, and one whose file lacks a tensor."""
    words = json.loads((nano / "tokenizer/tokenizer.json").read_text())["model"]["vocab"]
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    for name, kind in (
        ("my-llama", transformers.LlamaForCausalLM),
        ("my-neox", transformers.GPTNeoXForCausalLM),
    ):
        (folder / name).mkdir(parents=True)
        vocabulary = train_tokenizer(folder / name, sorted(words))
        torch.manual_seed(0)
        kind(kind.config_class(vocab_size=vocabulary, **shape)).save_pretrained(folder / name)
    _, pth = rwkv6_files(folder, vocabulary=len(words))
    pth.rename(folder / "my-rwkv.pth")
    shutil.copytree(nano / "llama", folder / "damaged")
    weights = folder / "damaged/model.safetensors"
    tensors = load_file(weights)
    del tensors["layers.1.mixer.project_out.weight"]
    save_file(tensors, weights)


def add_entries(config: Path) -> None:
    """One entry per model, one per tokenizer, and their names in the study."""
    catalogue = yaml.safe_load((config / "models.yaml").read_text())
    catalogue["tokenizers"]["mine"] = {"source": "checkpoints/my-llama"}
    for name, entry in ENTRIES.items():
        catalogue["models"][name] = {"label": name, **REST, **entry}
    (config / "models.yaml").write_text(yaml.safe_dump(catalogue))
    study = yaml.safe_load((config / "config.yaml").read_text())
    study |= {"models": list(ENTRIES), "samples": 1}
    study |= {"suites": {"ruler": {"lengths": [256], "tasks": TASKS}}, "tables": "auto"}
    (config / "config.yaml").write_text(yaml.safe_dump(study))


def predictions(name: str) -> str:
    return f"results/nano/predictions/{name}/ruler/256.jsonl"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The project after a run, and what the run printed."""
    folder = copy_project(tmp_path_factory.mktemp("adding"))
    make_checkpoints(folder / "checkpoints", folder / "resources/nano")
    add_entries(folder / "config")
    targets = [predictions(name) for name in ENTRIES]
    done = run_snakemake(folder, *targets, "--cores", "2")
    assert done.returncode == 1, done.stderr
    return folder, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "backend"),
    [("my-llama", "needlework"), ("my-neox", "transformers"), ("my-rwkv", "needlework")],
)
def test_a_model_in_one_entry_answers(ran: tuple[Path, str], name: str, backend: str) -> None:
    folder, _ = ran
    lines = (folder / predictions(name)).read_text().splitlines()
    assert len(lines) == len(TASKS)
    answers = [json.loads(line) for line in lines]
    assert {answer["others"]["backend"] for answer in answers} == {backend}
    assert {answer["error"] for answer in answers} == {None}


def test_what_was_verified_is_written_down(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    found = {
        path.stem: json.loads(path.read_text())
        for path in (folder / "results/nano/verified").glob("*.json")
    }
    assert found.keys() == {"my-llama", "my-neox", "my-rwkv"}
    assert found["my-llama"]["reference"].endswith("LlamaForCausalLM")
    assert found["my-llama"]["largest_difference"] <= found["my-llama"]["tolerance"]
    assert found["my-neox"]["reason"] == "transformers computes it itself"
    assert found["my-rwkv"]["tensors"] == 62


def test_a_damaged_checkpoint_stops_its_own_cells_alone(ran: tuple[Path, str]) -> None:
    folder, printed = ran
    assert not (folder / predictions("damaged")).exists()
    (line,) = {line for line in printed.splitlines() if line.startswith("needlework: checkpoints")}
    assert line.startswith("needlework: checkpoints/damaged is not a llama checkpoint")
    assert "missing: layers.1.mixer.project_out.weight" in line
    left = planned(folder, *[predictions(name) for name in ENTRIES])
    assert left == {"verify_model": 1, "predict": 1}
