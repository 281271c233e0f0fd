"""Tokenizers inside GGUF files: the ids of the libraries that made them; others are one line."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers as library
import transformers

from needlework import tokenizers
from needlework.errors import ResourceError
from needlework.tasks import chat
from tests import gguf_for_tests as files
from tests.laws.test_tokenizers import HARD

CONVERSATION = "<|im_start|>user\nWhat  is 12 of the 3 milks?<|im_end|>\n<|im_start|>assistant\n"


def with_tokenizer(folder: Path, settings: dict[str, Any]) -> tokenizers.Tokenizer:
    return tokenizers.load(str(files.write(folder / "tiny.gguf", tokenizer=settings)))


def tiny(folder: Path, pre: str, **changes: Any) -> tokenizers.Tokenizer:
    return with_tokenizer(folder, files.tokenizer_settings(pre) | changes)


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2", "llama-bpe"])
def test_bytes_are_merged_as_by_transformers(pre: str, tmp_path: Path) -> None:
    """The texts are composed already: transformers' reader leaves Qwen2's NFC out."""
    made = tiny(tmp_path, pre)
    transformers.logging.set_verbosity_error()
    upstream = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="tiny.gguf")
    for text in (*HARD, CONVERSATION):
        composed = library.normalizers.NFC().normalize_str(text)
        assert made.encode(composed) == upstream(composed, add_special_tokens=False).input_ids


def test_smollm_splits_every_digit_off(tmp_path: Path) -> None:
    made = tiny(tmp_path, "smollm")
    words, merges = files.vocabulary()
    expected = library.Tokenizer(
        library.models.BPE(
            {word: number for number, word in enumerate(words)},
            [tuple(merge.split(" ")) for merge in merges],
        )
    )
    parts = library.pre_tokenizers
    expected.pre_tokenizer = parts.Sequence([parts.Digits(True), parts.ByteLevel(False)])
    expected.decoder = library.decoders.ByteLevel()
    expected.add_special_tokens(list(files.SPECIAL))
    for text in (*HARD, CONVERSATION):
        assert made.encode(text) == expected.encode(text, add_special_tokens=False).ids
        assert made.decode(made.encode(text)) == expected.decode(made.encode(text))


def test_cuts_at_blanks_change_no_token_of_smollm(tmp_path: Path) -> None:
    made = tiny(tmp_path, "smollm")
    assert made.blank == "leads"
    assert made.cuts is not None
    assert made.cuts.words
    text = "the 12 milks  of\n3 others: don't 4e1f sour-milk is 7 .\n\n12 x 's 5 of it"
    places = [n for n, (a, b) in enumerate(pairwise(text), 1) if b == " " and not a.isspace()]
    for place in places:
        assert made.encode(text[:place]) + made.encode(text[place:]) == made.encode(text)


def test_special_tokens_are_read_and_left_out_of_answers(tmp_path: Path) -> None:
    made = tiny(tmp_path, "smollm", **{"tokenizer.ggml.eot_token_id": 0})
    assert (made.begin, made.end, made.vocabulary) == ((), frozenset({0, 2}), 288)
    ids = made.encode(CONVERSATION)
    assert (ids[0], ids.count(2)) == (1, 1)
    assert made.decode(ids) == "user\nWhat  is 12 of the 3 milks?\nassistant\n"


@pytest.mark.parametrize(("told", "begin"), [(True, (1,)), (False, ()), (None, ())])
def test_the_file_says_whether_prompts_begin_with_a_token(
    told: bool | None, begin: tuple[int, ...], tmp_path: Path
) -> None:
    settings = files.tokenizer_settings()
    del settings["tokenizer.ggml.add_bos_token"]
    settings |= {} if told is None else {"tokenizer.ggml.add_bos_token": told}
    assert with_tokenizer(tmp_path, settings).begin == begin


def test_llama_3_begins_with_a_token_unless_it_says_otherwise(tmp_path: Path) -> None:
    settings = files.tokenizer_settings("llama-bpe")
    del settings["tokenizer.ggml.add_bos_token"]
    assert with_tokenizer(tmp_path, settings).begin == (1,)


def of_sentencepiece(path: Path) -> dict[str, Any]:
    """What llama.cpp's converter writes of a SentencePiece model."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    numbers = range(model.get_piece_size())

    def kind(number: int) -> int:
        found = (model.is_unknown(number), model.is_control(number), model.is_byte(number))
        return {0: 2, 1: 3, 2: 6}.get(found.index(True) if True in found else -1, 1)

    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [model.id_to_piece(number) for number in numbers],
        "tokenizer.ggml.scores": [float(model.get_score(number)) for number in numbers],
        "tokenizer.ggml.token_type": [kind(number) for number in numbers],
        "tokenizer.ggml.bos_token_id": model.bos_id(),
        "tokenizer.ggml.eos_token_id": model.eos_id(),
        "tokenizer.ggml.unknown_token_id": model.unk_id(),
    }


def test_pieces_are_merged_as_by_sentencepiece(tmp_path: Path, shared: Path) -> None:
    path = shared / "mirror/tokenizers/llama-2/tokenizer.model"
    made, upstream = with_tokenizer(tmp_path, of_sentencepiece(path)), tokenizers.load(str(path))
    assert (made.begin, made.end) == (upstream.begin, upstream.end)
    essay = (shared / "mirror/essays/PaulGrahamEssays.json").read_text()[:20_000]
    for text in (*HARD, essay):
        if "<s>" in text or not text:
            continue  # SentencePiece reads special tokens as text.
        assert made.encode(text) == upstream.encode(text), text
        assert made.decode(made.encode(text)) == upstream.decode(upstream.encode(text))


def test_its_chat_template_is_that_of_the_file(tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf")
    around = chat.wrapper(str(path), revision=None)
    assert around.before == "<|im_start|>user\n"
    assert around.after == "<|im_end|>\n<|im_start|>assistant\n"


def test_a_file_without_template_is_one_line(tmp_path: Path) -> None:
    path = files.write(tmp_path / "tiny.gguf", tokenizer=files.tokenizer_settings(chat=None))
    with pytest.raises(ResourceError, match=r"has no chat template.*name a fixed wrapper") as told:
        chat.wrapper(str(path), revision=None)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "has no tokenizer .*name one of its own"),
        ({"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": ["a"]}, "of the kind 'bert'"),
        (files.tokenizer_settings("tekken-9"), "splits as 'tekken-9'"),
        (files.tokenizer_settings() | {"tokenizer.ggml.bos_token_id": 999}, "bos token 999"),
        (files.tokenizer_settings() | {"tokenizer.ggml.token_type": [1]}, "1 kinds of them"),
        (
            {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a", "b"]},
            "2 tokens and 0 scores",
        ),
        (
            files.tokenizer_settings() | {"tokenizer.ggml.tokens": ["a"] * 288},
            "has token 'a' twice",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(
    settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ResourceError, match=reason) as told:
        with_tokenizer(tmp_path, settings)
    assert "\n" not in str(told.value)
    assert "tiny.gguf" in str(told.value)
