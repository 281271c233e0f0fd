"""The RWKV World vocabulary file: what is read from it and what is refused."""

from pathlib import Path

import pytest

from needlework import tokenizers
from needlework.errors import ResourceError
from needlework.tokenizers.world import WorldTokenizer

BYTES = [f"{byte + 1} {bytes([byte])!r} 1" for byte in range(256)]


def vocabulary(folder: Path, *lines: str, whole: bool = True) -> Path:
    path = folder / "rwkv_vocab_test.txt"
    path.write_text("\n".join([*(BYTES if whole else []), *lines]) + "\n", encoding="utf-8")
    return path


def test_the_longest_entry_wins(tmp_path: Path) -> None:
    tokenizer = WorldTokenizer(vocabulary(tmp_path, "300 'ab' 2", "301 'abc' 3"))
    assert tokenizer.encode("abcab") == [301, 300]


def test_an_entry_that_goes_on_after_a_blank_forbids_cuts(tmp_path: Path) -> None:
    """Then a match can reach across the blank, and only whole texts are right."""
    tokenizer = WorldTokenizer(vocabulary(tmp_path, "300 'a b' 3"))
    assert tokenizer.blank is None
    assert tokenizer.encode("xa by") == [121, 300, 122]


def test_the_end_token_has_no_text(tmp_path: Path) -> None:
    tokenizer = WorldTokenizer(vocabulary(tmp_path))
    assert tokenizer.decode([98, 0, 99]) == "ab"


def test_torn_characters_are_replaced(tmp_path: Path) -> None:
    tokenizer = WorldTokenizer(vocabulary(tmp_path))
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"


@pytest.mark.parametrize(
    "line", ["300 'ab' 3", "300 ab 2", "x", "300 7 1", "300 'a','b' 2", "300 __import__('os') 3"]
)
def test_a_line_of_another_form_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="not an RWKV vocabulary"):
        WorldTokenizer(vocabulary(tmp_path, line))


def test_a_vocabulary_that_loses_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="lacks single bytes"):
        WorldTokenizer(vocabulary(tmp_path, "1 'a' 1", whole=False))


def test_an_absent_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="needlework fetch"):
        WorldTokenizer(tmp_path / "rwkv_vocab_test.txt")


def test_a_folder_is_searched(tmp_path: Path) -> None:
    vocabulary(tmp_path)
    assert isinstance(tokenizers.load(str(tmp_path)), WorldTokenizer)


def test_a_folder_with_two_vocabularies_is_ambiguous(tmp_path: Path) -> None:
    vocabulary(tmp_path).with_name("rwkv_vocab_other.txt").write_text("")
    with pytest.raises(ResourceError, match="name the one you mean"):
        tokenizers.load(str(tmp_path))
