"""What is found in a model that nobody has described, and what is said of it."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from needlework.errors import NeedleworkError, StudyError
from needlework.measure.describing import Described, describe, slug
from needlework.study.catalogue import read_models
from needlework.study.config import Models
from needlework.terminal import printable
from tests.gguf_for_tests import tokenizer_settings
from tests.gguf_for_tests import write as write_gguf

ROOT = Path(__file__).parents[3]
NANO = ROOT / "resources/nano"
LLAMA: Mapping[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 2048,
}
TEMPLATE = "{% for m in messages %}<u>{{ m.content }}</u>{% endfor %}<a>"


@pytest.fixture(scope="module")
def catalogue() -> Models:
    return read_models(ROOT / "config/models.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint folder as `save_pretrained` leaves it, without weights: nobody reads them."""
    place = tmp_path / "My Model"
    place.mkdir()
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["a text"], trainer)
    made.save(str(place / "tokenizer.json"))
    (place / "config.json").write_text(json.dumps(LLAMA))
    return place


def refuse(hub: str) -> Path:
    raise AssertionError(f"the hub was asked for {hub}")


def described(model: str | Path, catalogue: Models) -> Described:
    return describe(str(model), catalogue, fetch=refuse, dtype="float32")


def change(folder: Path, **settings: object) -> None:
    """Write other settings into its configuration; None takes one out."""
    path = folder / "config.json"
    found = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: each for key, each in found.items() if each is not None}))


def test_a_name_is_its_entry(catalogue: Models) -> None:
    found = described("nano-mamba2", catalogue)
    assert (found.name, found.entries, found.material) == ("nano-mamba2", None, "nano")
    assert "trained at 256 tokens" in found.said[0]


def test_the_checkpoint_of_an_entry_is_that_entry(catalogue: Models) -> None:
    assert described("resources/nano/rwkv6", catalogue).name == "nano-rwkv6"


def test_a_folder_says_what_it_is(catalogue: Models, folder: Path) -> None:
    found = described(folder, catalogue)
    assert found.name == "my-model"
    assert found.entry.trained_length == 2048
    assert (found.entry.family, found.entry.backend) == ("attention", "needlework")
    assert found.entry.wrapper.corrected == "base"
    assert found.material == "english"
    assert found.entries is not None
    assert found.entries.tokenizers["my-model"].source == str(folder)
    assert any("2,048 tokens (config.json: max_position_embeddings)" in line for line in found.said)
    assert any("without a prompt format" in line for line in found.said)


def test_a_chat_template_is_used(catalogue: Models, folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    found = described(folder, catalogue)
    assert found.entry.wrapper.corrected == "chat"
    assert any("chat template" in line for line in found.said)


def test_what_our_decoder_does_not_know_is_left_to_transformers(
    catalogue: Models, folder: Path
) -> None:
    change(folder, model_type="gpt_neox")
    found = described(folder, catalogue)
    assert (found.entry.family, found.entry.backend) == ("unknown", "transformers")


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({"max_position_embeddings": None, "n_positions": 512}, 512),
        ({"max_position_embeddings": None, "text_config": {"n_ctx": 128}}, 128),
    ],
)
def test_the_trained_length_has_several_names(
    catalogue: Models, folder: Path, settings: dict[str, object], length: int
) -> None:
    change(folder, model_type="other", **settings)
    assert described(folder, catalogue).entry.trained_length == length


def test_the_tokenizer_may_tell_the_length_unless_it_has_none(
    catalogue: Models, folder: Path
) -> None:
    change(folder, max_position_embeddings=None, model_type="other")
    sidecar = folder / "tokenizer_config.json"
    sidecar.write_text(json.dumps({"model_max_length": 4096}))
    assert described(folder, catalogue).entry.trained_length == 4096
    sidecar.write_text(json.dumps({"model_max_length": int(1e30)}))
    with pytest.raises(StudyError, match="does not say how long a context"):
        described(folder, catalogue)


@pytest.mark.parametrize(
    ("name", "family"),
    [("mamba2", "linear"), ("griffin", "hybrid"), ("llama", "attention"), ("rwkv6", "linear")],
)
def test_the_family_follows_from_the_layers(
    name: str, family: str, catalogue: Models, tmp_path: Path
) -> None:
    """With a tokenizer of whole words beside it, the language is that of its words."""
    place = Path(shutil.copytree(NANO / name, tmp_path / name))
    shutil.copytree(NANO / "tokenizer", place, dirs_exist_ok=True)
    (place / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 256}))
    found = described(place, catalogue)
    assert (found.entry.family, found.material) == (family, "nano")


def test_a_hub_id_is_fetched_first(catalogue: Models, folder: Path) -> None:
    asked: list[str] = []

    def fetch(hub: str) -> Path:
        asked.append(hub)
        return folder

    found = describe("me/My-Model", catalogue, fetch=fetch, dtype="bfloat16")
    assert asked == ["me/My-Model"]
    assert (found.name, found.entry.checkpoint) == ("me-my-model", "me/My-Model")
    assert found.entry.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda folder: (folder / "config.json").unlink(), "is this a checkpoint"),
        (lambda folder: (folder / "config.json").write_text("{"), "is this a checkpoint"),
    ],
)
def test_a_folder_that_lacks_something_is_one_line(
    catalogue: Models, folder: Path, spoil: Any, told: str
) -> None:
    spoil(folder)
    with pytest.raises(NeedleworkError, match=told) as refused:
        described(folder, catalogue)
    assert "\n" not in str(refused.value)


def test_a_gguf_file_tells_all_of_it(catalogue: Models, tmp_path: Path) -> None:
    path = tmp_path / "Tiny-Q8_0.gguf"
    write_gguf(path, rounding="Q8_0")
    found = described(path, catalogue)
    assert (found.name, found.entry.label) == ("tiny-q8_0", "Tiny-Q8_0")
    assert (found.entry.family, found.entry.backend) == ("attention", "needlework")
    assert found.entry.wrapper.corrected == "chat"
    assert "rounded to " in found.said[0]
    assert ".context_length" in found.said[1]
    assert found.entries is not None
    assert found.entries.tokenizers["tiny-q8_0"].source == str(path)


def test_what_a_gguf_file_says_of_its_licence_is_one_line(
    catalogue: Models, tmp_path: Path
) -> None:
    """It once ended in a traceback where a line end stood in it."""
    path = tmp_path / "Tiny.gguf"
    said = "MIT\n\x1b[2J12 of 12 checks passed\u202e" + "x" * 9999
    write_gguf(path, tokenizer=tokenizer_settings() | {"general.license": said})
    licence = described(path, catalogue).entry.licence
    assert licence.startswith(r"MIT\n\x1b[2J12 of 12 checks passed\u202ex")
    assert len(licence) == 200


@pytest.mark.parametrize(
    "name", ["a'b", 'a"b', "a$(id)b", "a%sb", "a|b", "a\\nb", "--help", "a`id`b", "a;b&"]
)
def test_a_folder_may_have_any_printable_name(catalogue: Models, folder: Path, name: str) -> None:
    found = described(folder.rename(folder.parent / name), catalogue)
    assert found.entry.label == name
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", found.name)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a{x}b", "a<results>b", "a\u202eb"])
def test_a_folder_whose_name_is_no_name_is_one_line(
    catalogue: Models, folder: Path, name: str
) -> None:
    with pytest.raises(StudyError, match=r"checkpoint: holds ") as told:
        described(folder.rename(folder.parent / name), catalogue)
    assert printable(str(told.value).splitlines()[0]) == str(told.value).splitlines()[0]


def test_a_folder_with_a_gguf_file_names_it(catalogue: Models, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    with pytest.raises(StudyError, match=r"name the file in it: tiny\.gguf"):
        described(tmp_path, catalogue)


def test_weights_that_tell_nothing_else_are_left_to_an_entry(
    catalogue: Models, tmp_path: Path
) -> None:
    (tmp_path / "rwkv.pth").write_bytes(b"weights")
    with pytest.raises(StudyError, match=r"does not tell its tokenizer .* config/models\.yaml"):
        described(tmp_path / "rwkv.pth", catalogue)


def test_a_misspelt_name_is_told_with_the_nearest(catalogue: Models) -> None:
    with pytest.raises(StudyError, match="did you mean `nano-llama`"):
        described("nano-lama", catalogue)


@pytest.mark.parametrize(
    ("model", "name"), [("me/A_B.1", "me-a_b.1"), ("Some Thing!", "some-thing"), ("...", "model")]
)
def test_names_are_made_of_what_names_may_have(model: str, name: str) -> None:
    assert slug(model) == name
