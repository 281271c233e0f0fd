"""Tokenizers of the tokenizers library: ids, special tokens and where a text may be cut."""

import json
from pathlib import Path

import pytest
import tokenizers as tokenizers_library
from tokenizers import models, normalizers

from needlework import tokenizers
from needlework.errors import ResourceError
from needlework.nano import language
from needlework.tasks.fitting import Counter
from needlework.tokenizers.hub import HubTokenizer
from tests.tasks_for_tests import nano_tokenizer


def test_the_sidecar_gives_begin_and_end() -> None:
    tokenizer = nano_tokenizer()
    assert (tokenizer.begin, tokenizer.end) == ((1,), frozenset({2}))


def test_without_a_sidecar_there_are_no_special_tokens(tmp_path: Path) -> None:
    language.write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    tokenizer = HubTokenizer(tmp_path / "tokenizer.json")
    assert (tokenizer.begin, tokenizer.end) == ((), frozenset())


def test_a_special_token_may_be_described_at_length(tmp_path: Path) -> None:
    """Older sidecars write a token as an object."""
    language.write_tokenizer(tmp_path)
    sidecar = {"add_bos_token": True, "bos_token": {"content": "<bos>"}, "eos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(sidecar))
    tokenizer = HubTokenizer(tmp_path / "tokenizer.json")
    assert (tokenizer.begin, tokenizer.end) == ((1,), frozenset())


def test_decoding_leaves_special_tokens_out() -> None:
    tokenizer = nano_tokenizer()
    assert tokenizer.decode([1, *tokenizer.encode("the magic number"), 2]) == "the magic number"


def test_a_folder_and_its_file_are_the_same_tokenizer(tmp_path: Path) -> None:
    language.write_tokenizer(tmp_path / "nano")
    folder, file = (
        tokenizers.load(str(path)) for path in (tmp_path / "nano", tmp_path / "nano/tokenizer.json")
    )
    assert folder.identity == file.identity
    assert folder.identity.startswith("nano@")


def test_an_unknown_word_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(ResourceError, match="'Kettle' is none of the 512 words"):
        nano_tokenizer().encode("the Kettle")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="no tokenizer"):
        tokenizers.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tokenizer.json", b"{", "is not a tokenizer that can be read"),
        ("tokenizer.json", b'{"model": 1}', "is not a tokenizer that can be read"),
        ("tokenizer.json", b"\xff", "is not a tokenizer that can be read"),
        ("tokenizer_config.json", b"[1", "is not JSON"),
        ("tokenizer_config.json", b"\xff", "is not JSON"),
    ],
)
def test_a_damaged_file_is_one_line(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    language.write_tokenizer(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ResourceError, match=reason) as caught:
        tokenizers.load(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_hub_id_out_of_reach_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ResourceError, match="neither a path nor reachable on the hub"):
        tokenizers.load("nobody/nothing")


def test_byte_level_bpe_gives_a_blank_to_the_word_after_it(shared: Path) -> None:
    tokenizer = tokenizers.load(str(shared / "mirror/tokenizers/gpt-neox-20b"))
    assert tokenizer.blank == "leads"
    text = "It's naïve:  3.5 dollars,\n\n(or more) …said\tshe 😀 don't"
    whole = tokenizer.encode(text)
    parts = ["It's", " naïve:  3.5", " dollars,\n\n(or", " more)", " …said\tshe", " 😀", " don't"]
    assert [each for ids in tokenizer.encode_batch(parts) for each in ids] == whole


@pytest.mark.parametrize("change", ["none", "dropout", "order", "word"])
def test_the_layout_is_read_however_the_file_is_ordered(
    change: str, shared: Path, tmp_path: Path
) -> None:
    """Its words are skipped only where everything else stands before them."""
    path = shared / "mirror/tokenizers/gpt-neox-20b/tokenizer.json"
    layout = json.loads(path.read_text(encoding="utf-8"))
    if change == "dropout":
        layout["model"]["dropout"] = layout["model"].pop("dropout") or 0.1
    if change == "order":
        layout["normalizer"] = layout.pop("normalizer")
    if change == "word":
        layout["added_tokens"][0]["content"] = "vocab"
    (tmp_path / "tokenizer.json").write_text(json.dumps(layout), encoding="utf-8")
    made = HubTokenizer(tmp_path / "tokenizer.json").cuts
    assert (made is None) == (change == "dropout")
    assert made is None or made.words == (change != "word")


def test_padded_vocabularies_count_all_ids(shared: Path) -> None:
    tokenizer = tokenizers.load(str(shared / "mirror/tokenizers/gpt-neox-20b"))
    assert max(tokenizer.encode("  \n<|endoftext|>" + "  " * 40)) < tokenizer.vocabulary


def marked(folder: Path, *, prepend: bool, merges: list[tuple[str, str]]) -> HubTokenizer:
    """A tokenizer in the manner of LLaMA (a blank before every text) or of Gemma (none)."""
    letters = ["▁", *"abc"]
    words = [*letters, *(left + right for left, right in merges)]
    model = models.BPE({word: each for each, word in enumerate(words)}, merges)
    made = tokenizers_library.Tokenizer(model)
    steps = [normalizers.Prepend("▁")] * prepend + [normalizers.Replace(" ", "▁")]
    made.normalizer = normalizers.Sequence(steps)
    made.save(str(folder / "tokenizer.json"))
    return HubTokenizer(folder / "tokenizer.json")


@pytest.mark.parametrize(("prepend", "blank"), [(True, "parts"), (False, "leads")])
def test_marked_blanks_may_be_cut(prepend: bool, blank: str, tmp_path: Path) -> None:
    tokenizer = marked(tmp_path, prepend=prepend, merges=[("▁", "a"), ("▁a", "b"), ("b", "c")])
    text = "ab bc  a abc"
    assert tokenizer.blank == blank
    assert Counter(tokenizer)(text) == len(tokenizer.encode(text))


def test_a_blank_inside_a_word_of_the_vocabulary_forbids_cuts(tmp_path: Path) -> None:
    tokenizer = marked(tmp_path, prepend=True, merges=[("a", "▁"), ("a▁", "b")])
    assert tokenizer.blank is None
