"""SentencePiece models: special tokens, cuts, and files that are none."""

from pathlib import Path

import pytest

from needlework import tokenizers
from needlework.errors import ResourceError
from needlework.tokenizers.sentencepiece import SentencePieceTokenizer


def llama(shared: Path) -> SentencePieceTokenizer:
    return SentencePieceTokenizer(shared / "mirror/tokenizers/llama-2/tokenizer.model")


def test_a_prompt_begins_with_the_begin_token(shared: Path) -> None:
    assert (llama(shared).begin, llama(shared).end) == ((1,), frozenset({2}))


def test_llama_puts_a_blank_before_the_text(shared: Path) -> None:
    """So a piece of a text lends its own blank to the front."""
    assert llama(shared).blank == "parts"
    assert llama(shared).encode("two words") == [
        token for word in ("two", "words") for token in llama(shared).encode(word)
    ]


def test_special_tokens_are_left_out_when_decoding(shared: Path) -> None:
    assert llama(shared).decode([1, *llama(shared).encode("so it is"), 2]) == "so it is"


def test_a_folder_is_searched(shared: Path) -> None:
    loaded = tokenizers.load(str(shared / "mirror/tokenizers/llama-2"))
    assert isinstance(loaded, SentencePieceTokenizer)
    assert loaded.identity == "llama-2@9e556afd4421"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"not a model")
    with pytest.raises(ResourceError, match="not a SentencePiece model"):
        SentencePieceTokenizer(path)


def test_an_absent_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="needlework fetch"):
        SentencePieceTokenizer(tmp_path / "tokenizer.model")
