"""Special tokens as transformers resolves them: from every file that names one, or one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from needlework import tokenizers
from needlework.errors import CheckpointError, ResourceError
from needlework.nano import language
from needlework.tokenizers.sidecars import Sidecars, ends_of_checkpoint


def write(folder: Path, **files: Any) -> Path:
    """A nano tokenizer with these files beside it; None for one that is not there."""
    language.write_tokenizer(folder)
    (folder / "tokenizer_config.json").unlink(missing_ok=True)
    for name, content in files.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


BEGIN = {"add_bos_token": True, "bos_token": "<bos>"}


@pytest.mark.parametrize(
    ("config", "special", "added", "end"),
    [
        (BEGIN | {"eos_token": "<eos>"}, None, None, {2}),
        (BEGIN | {"eos_token": {"content": "<eos>"}}, None, None, {2}),
        (BEGIN, {"eos_token": "<eos>"}, None, {2}),
        (BEGIN, {"eos_token": {"content": "<eos>", "lstrip": False}}, None, {2}),
        (BEGIN | {"eos_token": "<eos>"}, {"eos_token": "the"}, None, {2, "the"}),
        (BEGIN | {"eos_token": "<misspelt>"}, {"eos_token": "<eos>"}, None, {2}),
        (BEGIN | {"eos_token": "<misspelt>"}, None, None, set()),
        (BEGIN | {"eos_token": "<new>"}, None, {"<new>": 512}, {512}),
        (
            BEGIN | {"eos_token": "<new>", "added_tokens_decoder": {"512": {"content": "<new>"}}},
            None,
            None,
            {512},
        ),
        (BEGIN, None, None, set()),
    ],
)
def test_what_ends_a_text_is_named_in_any_file(
    config: dict[str, Any],
    special: dict[str, Any] | None,
    added: dict[str, int] | None,
    end: set[int | str],
    tmp_path: Path,
) -> None:
    write(tmp_path, tokenizer_config=config, special_tokens_map=special, added_tokens=added)
    found = tokenizers.load(str(tmp_path))
    known = {each if isinstance(each, int) else found.encode(each)[0] for each in end}
    assert (found.begin, found.end) == ((1,), known)
    assert found.decode([1, *found.encode("the magic"), *sorted(found.end - {4, 5})]) != ""


def test_the_begin_token_is_found_in_the_map_as_well(tmp_path: Path) -> None:
    config = {"add_bos_token": True}
    write(tmp_path, tokenizer_config=config, special_tokens_map={"bos_token": "<bos>"})
    assert tokenizers.load(str(tmp_path)).begin == (1,)


def test_a_begin_token_that_is_added_but_not_named_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, tokenizer_config={"add_bos_token": True, "bos_token": "<start>"})
    with pytest.raises(ResourceError, match="add_bos_token is true, but no bos_token"):
        tokenizers.load(str(tmp_path))


@pytest.mark.parametrize("token", [["<eos>"], 5, {"text": "<eos>"}, True, ""])
def test_what_is_no_token_is_one_line(token: object, tmp_path: Path) -> None:
    write(tmp_path, tokenizer_config=BEGIN | {"eos_token": token})
    with pytest.raises(ResourceError, match=r"eos_token is .*, which is no token; write its text"):
        tokenizers.load(str(tmp_path))


def test_an_added_token_that_has_no_room_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, tokenizer_config=BEGIN, added_tokens={"<new>": 700})
    with pytest.raises(ResourceError, match="'<new>' the id 700, but the tokenizer has room"):
        tokenizers.load(str(tmp_path))


def test_an_added_token_is_part_of_what_the_tokenizer_is(tmp_path: Path) -> None:
    plain = tokenizers.load(str(write(tmp_path / "plain", tokenizer_config=BEGIN)))
    more = write(tmp_path / "more", tokenizer_config=BEGIN, added_tokens={"<new>": 512})
    found = tokenizers.load(str(more))
    assert found.identity.partition("@")[2] != plain.identity.partition("@")[2]
    assert found.vocabulary == plain.vocabulary + 1
    assert found.decode([*plain.encode("the magic"), 512]) == "the magic"


@pytest.mark.parametrize(
    ("config", "generation", "ends"),
    [
        ({"eos_token_id": 2}, None, {2}),
        ({"eos_token_id": [2, 5]}, None, {2, 5}),
        ({"eos_token_id": 2}, {"eos_token_id": [5, 107]}, {2, 5, 107}),
        ({"text_config": {"eos_token_id": 1}}, {"eos_token_id": 106}, {1, 106}),
        ({"eos_token_id": None}, {"eos_token_id": -1}, set()),
        (None, None, set()),
    ],
)
def test_a_checkpoint_says_which_ids_end_a_text(
    config: object, generation: object, ends: set[int], tmp_path: Path
) -> None:
    for name, content in (("config", config), ("generation_config", generation)):
        if content is not None:
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert ends_of_checkpoint(tmp_path) == ends


@pytest.mark.parametrize("value", ["2", True, [2, "5"], -3, 2.5, {}])
def test_an_end_of_a_checkpoint_that_is_no_id_is_one_line(value: object, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": value}))
    with pytest.raises(CheckpointError, match="which is no id"):
        ends_of_checkpoint(tmp_path)


TYPED = {"__type": "AddedToken", "content": "<eos>"}
FOR_TEMPLATES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the map comes first": ({"bos_token": "<bos>"}, {"bos_token": "the", "eos_token": "<eos>"}),
    "the map says none": ({"eos_token": "<eos>"}, {"eos_token": None}),
    "an object": ({"pad_token": TYPED}, {"eos_token": {"content": "<eos>", "lstrip": False}}),
    "a token of some models": ({"image_token": "the", "boi_token": TYPED}, {}),
    "one that is no added token": ({"image_token": {"content": "the"}}, {}),
    "one of both files": ({"image_token": "the"}, {"image_token": "<eos>", "eoi_token": "<eos>"}),
    "extra ones with names": ({"image_token": "the", "extra_special_tokens": {"x": "<bos>"}}, {}),
    "an extra one of a known name": (
        {"eos_token": "<bos>", "extra_special_tokens": {"eos_token": "<eos>"}},
        {"eos_token": "the"},
    ),
    "extra ones in the map": ({"x_token": "the"}, {"extra_special_tokens": {"x_token": "<eos>"}}),
    "extra ones in a list": ({"extra_special_tokens": ["<eos>"], "bos_token": "<bos>"}, {}),
}


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("case", FOR_TEMPLATES)
def test_templates_get_the_tokens_that_transformers_gives(
    case: str, described: bool, tmp_path: Path
) -> None:
    config, special = FOR_TEMPLATES[case]
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | config
    if described:
        config["added_tokens_decoder"] = {"1": {"content": "<bos>", "special": True}}
    write(tmp_path, tokenizer_config=config, special_tokens_map=special)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path).special_tokens_map
    assert Sidecars(tmp_path).for_templates() == {name: str(each) for name, each in theirs.items()}


@pytest.fixture
def llama_2(shared: Path, tmp_path: Path) -> Path:
    """A folder with LLaMA's model and nothing else."""
    source = shared / "mirror/tokenizers/llama-2/tokenizer.model"
    (tmp_path / "tokenizer.model").write_bytes(source.read_bytes())
    return tmp_path


def sidecar(folder: Path, **content: object) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(content))


def test_a_sidecar_beside_a_model_is_followed(llama_2: Path) -> None:
    assert (tokenizers.load(str(llama_2)).begin, tokenizers.load(str(llama_2)).end) == ((1,), {2})
    sidecar(llama_2, add_bos_token=False, eos_token="</s>")
    assert (tokenizers.load(str(llama_2)).begin, tokenizers.load(str(llama_2)).end) == ((), {2})


@pytest.mark.parametrize("where", ["added_tokens.json", "added_tokens_decoder"])
def test_a_token_added_to_a_model_ends_an_answer_and_is_refused_in_a_prompt(
    where: str, llama_2: Path
) -> None:
    sidecar(llama_2, eos_token="<|im_end|>")
    if where == "added_tokens.json":
        (llama_2 / where).write_text(json.dumps({"<|im_end|>": 32000}))
    else:
        listed = {"32000": {"content": "<|im_end|>"}}
        sidecar(llama_2, eos_token="<|im_end|>", added_tokens_decoder=listed)
    found = tokenizers.load(str(llama_2))
    assert found.end == {2, 32000}
    assert found.decode([*found.encode("a word"), 32000]) == "a word"
    with pytest.raises(ResourceError, match=r"'<\|im_end\|>' stands in a prompt"):
        found.encode_batch(["a word", "another<|im_end|>"])


def test_ids_that_no_piece_has_are_nothing(llama_2: Path) -> None:
    """ShareGPT's models have a row more than LLaMA's tokenizer."""
    found = tokenizers.load(str(llama_2))
    assert found.decode([*found.encode("a word"), 32000, 32031]) == "a word"
