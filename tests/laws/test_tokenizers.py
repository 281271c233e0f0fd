"""What holds for every tokenizer: texts come back, upstream agrees, and cuts change no token."""

import ast
import random
import string
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import tokenizers as library
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from needlework import tokenizers
from needlework.tasks.released.counting import Counter, Rope
from needlework.tokenizers import Tokenizer
from needlework.tokenizers.repeated import Repeated
from needlework.tokenizers.world import WorldTokenizer
from tests import gguf_for_tests
from tests.gguf_for_tests import tokenizer_settings
from tests.released_for_tests import Material

NAMES = ("gpt-neox-20b", "llama-2", "rwkv-world")
HARD = (
    "",
    " ",
    "   \n\n  \t x",
    "naïve façade — “quotes” …",
    "don't I'll 's 're they'VE",
    "\r\n\r\n",
    "日本語と한국어 и русский",
    "👩‍👩‍👧‍👦🇩🇪 e\u0301 ﬁ ½",
    "a" * 300,
    "0123456789" * 20,
    "4e1f0a77-0000-4000-8000-0123456789ab",
    "\x00\x01\x7f\x80\u2028\ufeff",
    "VAR ABCDE = VAR FGHIJ   The grass",
    "<|endoftext|> <s> </s> [INST]",
    "word.\nOne of  the special",
)
EXAMPLES = 60

TEXT = st.text(max_size=60)
PROSE = st.lists(
    st.sampled_from(
        [*" .,'\n-", "  ", "\t", "One", "the", "grass", "é", "42", "1234567", "'s", "<s>"]
    ),
    max_size=25,
).map("".join)
"""Text in which every kind of place for a cut comes often."""


def of(name: str, shared: Path) -> Tokenizer:
    return Material(shared).tokenizer(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", HARD)
def test_hard_strings_come_back(name: str, text: str, shared: Path) -> None:
    tokenizer = of(name, shared)
    expected = text
    if name == "gpt-neox-20b":
        expected = library_form(text).replace("<|endoftext|>", "")
    assert tokenizer.decode(tokenizer.encode(text)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_text_comes_back(name: str, shared: Path) -> None:
    tokenizer = of(name, shared)

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(TEXT.filter(lambda text: "\u2581" not in text))
    def check(text: str) -> None:
        """A text with SentencePiece's own mark is the one it cannot tell from a blank."""
        back = tokenizer.decode(tokenizer.encode(text))
        assert back == (library_form(text) if name == "gpt-neox-20b" else text)

    check()


def library_form(text: str) -> str:
    """GPT-NeoX composes characters before it reads them."""
    form: str = normalizers.NFC().normalize_str(text)
    return form


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_texts_one_by_one(name: str, shared: Path) -> None:
    tokenizer = of(name, shared)
    assert tokenizer.encode_batch(HARD) == [tokenizer.encode(text) for text in HARD]


@pytest.mark.parametrize("name", NAMES)
def test_ids_stay_below_the_vocabulary(name: str, shared: Path) -> None:
    tokenizer = of(name, shared)
    ids = [token for text in HARD for token in tokenizer.encode(text)]
    assert max([*ids, *tokenizer.begin, *tokenizer.end]) < tokenizer.vocabulary


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(data=st.binary(max_size=80))
def test_every_byte_string_comes_back(data: bytes) -> None:
    tokenizer = small_world()
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


def small_world() -> WorldTokenizer:
    """A vocabulary of single bytes and a few overlapping entries."""
    return _small_world()


@cache
def _small_world() -> WorldTokenizer:
    import tempfile

    entries: list[str | bytes] = [bytes([byte]) for byte in range(256)]
    entries += ["ab", "abc", "bcd", " a", "  ", "\n\n", "é", b"\xc3\x28"]
    lines = [
        f"{token} {entry!r} {len(entry.encode() if isinstance(entry, str) else entry)}"
        for token, entry in enumerate(entries, start=1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rwkv_vocab_test.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return WorldTokenizer(path)


def longest_matches(vocabulary: dict[bytes, int], data: bytes) -> list[int]:
    """The definition of the World tokenizer, tried out at every place."""
    longest = max(map(len, vocabulary))
    ids, place = [], 0
    while place < len(data):
        length = next(
            size for size in range(longest, 0, -1) if data[place : place + size] in vocabulary
        )
        length = min(length, len(data) - place)
        ids.append(vocabulary[data[place : place + length]])
        place += length
    return ids


def test_world_takes_the_longest_entry_everywhere(shared: Path) -> None:
    path = shared / "mirror/tokenizers/rwkv-world/rwkv_vocab_v20230424.txt"
    rows = [line.split(" ", 1) for line in path.read_text("utf-8").splitlines()]
    literals = ((int(token), ast.literal_eval(rest.rsplit(" ", 1)[0])) for token, rest in rows)
    vocabulary = {
        entry.encode() if isinstance(entry, str) else entry: token for token, entry in literals
    }
    tokenizer = of("rwkv-world", shared)
    for text in [*HARD, Material(shared).essay[:3000]]:
        assert tokenizer.encode(text) == longest_matches(vocabulary, text.encode())


def best_merges(ranks: dict[str, float], symbols: list[str]) -> list[str]:
    """The definition of BPE: merge the best pair, the first of equals, as long as there is one."""
    while True:
        pairs = [
            (ranks.get(a + b, -1e99), -place) for place, (a, b) in enumerate(pairwise(symbols))
        ]
        score, place = max(pairs, default=(-1e99, 0))
        if score <= -1e98:
            return symbols
        symbols[-place : 2 - place] = ["".join(symbols[-place : 2 - place])]


def test_sentencepiece_merges_by_score(shared: Path) -> None:
    """Our wrapper adds nothing to the library's ids: they are those of the definition."""
    import sentencepiece

    path = shared / "mirror/tokenizers/llama-2/tokenizer.model"
    upstream = sentencepiece.SentencePieceProcessor(model_file=str(path))
    numbers = range(upstream.get_piece_size())
    scores = {upstream.id_to_piece(each): upstream.get_score(each) for each in numbers}
    tokenizer = of("llama-2", shared)
    words = Material(shared).words[:400]
    for start in range(0, len(words), 5):
        text = " ".join(words[start : start + 5])
        if all(character in scores for character in text.replace(" ", "")):
            symbols = best_merges(scores, list(f" {text}".replace(" ", "\u2581")))
            assert tokenizer.encode(text) == [upstream.piece_to_id(each) for each in symbols]


@pytest.mark.upstream
def test_the_hub_library_agrees_on_the_essays(shared: Path) -> None:
    upstream = library.Tokenizer.from_file(
        str(shared / "mirror/tokenizers/gpt-neox-20b/tokenizer.json")
    )
    text = Material(shared).essay[:200_000]
    expected = upstream.encode(text, add_special_tokens=False).ids
    assert of("gpt-neox-20b", shared).encode(text) == expected


@pytest.mark.upstream
def test_transformers_agrees_with_our_llama(shared: Path) -> None:
    """Where no two blanks meet: transformers 5 merges runs of blanks in another order."""
    from transformers import LlamaTokenizer

    upstream = LlamaTokenizer.from_pretrained(str(shared / "mirror/tokenizers/llama-2"))
    text = Material(shared).essay[:50_000]
    expected = upstream(text, add_special_tokens=False).input_ids
    assert of("llama-2", shared).encode(text) == expected


# Cuts: the tokens of a text are the sum over its pieces.


def random_rope(counter: Counter, text: str, draws: random.Random) -> Rope:
    """A text cut anywhere, some of the parts counted before."""
    places = sorted(draws.sample(range(len(text) + 1), min(4, len(text) + 1)))
    parts = [text[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]
    return [counter.known(part) if draws.random() < 0.5 else part for part in parts]


def check_sums(tokenizer: Tokenizer, text: str) -> None:
    """However a text is put together, its count is that of the whole."""
    counter = Counter(tokenizer)
    expected = len(tokenizer.encode(text))
    draws = random.Random(0)
    for _ in range(3):
        assert counter.count([random_rope(counter, text, draws)]) == [expected], text


@pytest.mark.parametrize("name", NAMES)
def test_counts_add_up(name: str, shared: Path) -> None:
    tokenizer = of(name, shared)
    assert tokenizer.cuts is not None

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(st.one_of(TEXT, PROSE))
    def check(text: str) -> None:
        check_sums(tokenizer, text)

    check()
    essay = Material(shared).essay
    for start in range(0, 60_000, 7919):
        check_sums(tokenizer, essay[start : start + 500])


def check_repeated(tokenizer: Tokenizer, texts: st.SearchStrategy[str]) -> None:
    """Whatever has been read before, the tokens of a prompt are those of the whole text."""
    repeated = Repeated(tokenizer)

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(st.lists(texts, max_size=4))
    def check(texts: list[str]) -> None:
        expected = [[*tokenizer.begin, *ids] for ids in tokenizer.encode_batch(texts)]
        assert [found.tolist() for found in repeated.encode(texts)] == expected

    check()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_put_together_is_what_is_read_whole(name: str, shared: Path) -> None:
    tokenizer = of(name, shared)
    check_repeated(tokenizer, st.one_of(TEXT, PROSE))
    essay = Material(shared).essay
    texts = [*HARD, *(essay[start : start + 4000] for start in range(0, 60_000, 1500))]
    repeated = Repeated(tokenizer)
    for _ in range(2):
        found = [tokens.tolist() for tokens in repeated.encode(texts)]
        assert found == [[*tokenizer.begin, *tokenizer.encode(text)] for text in texts]


def trained(kind: str) -> library.Tokenizer:
    """A small tokenizer of one of the layouts that may be cut, trained on made-up text."""
    draws = random.Random(1)
    words = ["".join(draws.choices("abcde", k=draws.randint(1, 4))) for _ in range(300)]
    text = [" ".join(draws.choices([*words, "it's", "42,", "x.\n", " "], k=400)) for _ in range(5)]
    made = library.Tokenizer(models.BPE(byte_fallback=False, unk_token="<unk>"))
    special = ["<unk>", "<s>"]
    if kind == "byte-level":
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        made.normalizer = normalizers.NFC()
    elif kind == "white space":
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        steps = [normalizers.Replace(" ", "\u2581")]
        if kind == "prepended mark":
            steps.insert(0, normalizers.Prepend("\u2581"))
        made.normalizer = normalizers.Sequence(steps)
        # Training splits words so that no merge holds a mark after something else.
        made.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    made.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=list(string.printable)
        ),
    )
    if kind in {"mark", "prepended mark"}:
        made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.add_tokens([AddedToken("<tag>", normalized=False)])
    if kind != "prepended mark":
        made.add_tokens([AddedToken("   ", normalized=False)])
    return made


@pytest.mark.parametrize("kind", ["byte-level", "white space", "mark", "prepended mark"])
def test_every_layout_that_may_be_cut_adds_up(kind: str, tmp_path: Path) -> None:
    trained(kind).save(str(tmp_path / "tokenizer.json"))
    tokenizer = tokenizers.load(str(tmp_path))
    assert tokenizer.cuts is not None

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(st.one_of(st.text(string.printable, max_size=40), PROSE))
    def check(text: str) -> None:
        check_sums(tokenizer, text)

    check()
    check_repeated(tokenizer, st.one_of(st.text(string.printable, max_size=40), PROSE))
    for text in ("<s> it's <tag>  abc", "ab <s>  cd\n <s> e   f", "a <tag> b<tag> c"):
        check_sums(tokenizer, text)
        (found,) = Repeated(tokenizer).encode([text])
        assert found.tolist() == [*tokenizer.begin, *tokenizer.encode(text)]


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "llama-bpe"])
def test_texts_in_which_digits_stand_alone_are_put_together_too(pre: str, tmp_path: Path) -> None:
    """And those of which nothing is known, whole."""
    path = gguf_for_tests.write(tmp_path / "tiny.gguf", tokenizer=tokenizer_settings(pre))
    check_repeated(tokenizers.load(str(path)), st.one_of(TEXT, PROSE))


PLACED = (
    "One of the special magic numbers for hard-hat is: 7311490. The grass is green.",
    "na\u00efve fa\u00e7ade \u2014 \u201cquotes\u201d \u2026",
    "\u65e5\u672c\u8a9e\u3068\ud55c\uad6d\uc5b4 \u0438 \u0440\u0443\u0441\u0441\u043a\u0438\u0439",
    "word.\nOne of  the special",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", PLACED)
def test_tokens_begin_where_the_text_of_those_before_ends(
    name: str, text: str, shared: Path
) -> None:
    """From every token on, what is left of the text is what the tokens left say, blanks aside.

    Tokens inside a letter say nothing by themselves, so that those are passed over.
    """
    tokenizer = of(name, shared)
    ids, starts = tokenizer.encode(text), tokenizer.starts(text)
    assert len(starts) == len(ids)
    assert starts == sorted(starts)
    for place, start in enumerate(starts):
        if place == 0 or starts[place - 1] < start:
            assert tokenizer.decode(ids[place:]).strip() == text[start:].strip()
