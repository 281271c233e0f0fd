"""What a stranger's template or tokenizer may take: it ends, in one line that says what to do."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from needlework import bounded, tokenizers
from needlework.bounded import LimitError, Limits
from needlework.errors import NeedleworkError, ResourceError
from needlework.tasks import chat

NANO = Path(__file__).parents[3] / "resources/nano/tokenizer"
ASKED = "{{ messages[0].content }}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of every limit, so that the tests end."""
    monkeypatch.setenv(bounded.FACTOR, "0.1")


def templated(folder: Path, template: str) -> Path:
    (folder / "tokenizer.json").write_bytes((NANO / "tokenizer.json").read_bytes())
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 10 ** (10 ** 9) }}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ '%099999999999d' % 1 }}",
        "{{ 'a'.center(10 ** 10) }}",
        "{{ '{:>9999999999}'.format('a') }}",
        "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set n.x = n.x * 2 %}{% endfor %}",
        "{{ [0] * 10 ** 10 }}",
        "{{ ('a' * 10 ** 6) | replace('a', 'b' * 10 ** 6) }}",
        "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    ],
)
def test_a_template_that_never_ends_or_takes_all_memory_ends(
    tmp_path: Path, impatient: None, template: str
) -> None:
    began = time.monotonic()
    with pytest.raises(NeedleworkError) as told:
        chat.wrapper(str(templated(tmp_path, template + ASKED)), revision=None)
    assert "\n" not in str(told.value)
    assert str(tmp_path) in str(told.value)
    assert time.monotonic() - began < 60


def test_the_line_says_how_to_allow_more(tmp_path: Path, impatient: None) -> None:
    folder = templated(tmp_path, "{{ 10 ** (10 ** 9) }}" + ASKED)
    with pytest.raises(LimitError, match=r"more than 10? seconds.*set NEEDLEWORK_LIMITS=4"):
        chat.wrapper(str(folder), revision=None)


def test_an_honest_template_is_rendered_as_ever(tmp_path: Path) -> None:
    folder = templated(tmp_path, "<user>" + ASKED + "<model>\n")
    found = chat.wrapper(str(folder), revision=None)
    assert (found.before, found.after) == ("<user>", "<model>\n") or found.before == "<user>"


@pytest.mark.parametrize("told", ["0", "-1", "many", "inf", "nan"])
def test_a_factor_that_is_none_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bounded.FACTOR, told)
    with pytest.raises(LimitError, match="not a positive number"):
        Limits(1, 1).here()


def changed(folder: Path, **parts: Any) -> str:
    layout = json.loads((NANO / "tokenizer.json").read_text(encoding="utf-8")) | parts
    (folder / "tokenizer.json").write_text(json.dumps(layout), encoding="utf-8")
    return str(folder)


MANY = "a" * 1000
SCRIPT = f"""
import sys
from needlework import tokenizers
tokenizers.load(sys.argv[1]).encode_batch([{MANY!r}] * 50)
"""


@pytest.mark.slow
def test_a_normalizer_that_multiplies_text_is_ended(tmp_path: Path) -> None:
    """Fifty thousand letters would become half a terabyte; tried in a process of its own."""
    grow = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10_000_000}
    vocabulary = {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
    folder = changed(tmp_path, normalizer=grow, model=vocabulary, pre_tokenizer=None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder],
        env=os.environ | {bounded.FACTOR: "0.3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "LimitError" in done.stderr
    assert "set NEEDLEWORK_LIMITS=4" in done.stderr


def test_an_expression_that_backtracks_is_one_line(tmp_path: Path) -> None:
    split = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    vocabulary = {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
    folder = changed(tmp_path, normalizer=None, model=vocabulary, pre_tokenizer=split)
    tokenizer = tokenizers.load(folder)
    with pytest.raises(NeedleworkError) as told:
        tokenizer.encode("a" * 40 + "!")
    assert folder in str(told.value)


def test_an_expression_of_a_megabyte_is_refused_before_it_is_prepared(tmp_path: Path) -> None:
    pattern = {"Regex": r"\p{L}" * 200_000}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    with pytest.raises(ResourceError, match=r"\d{7} characters, and 20000 is the most"):
        tokenizers.load(changed(tmp_path, pre_tokenizer=split))


def test_a_child_gives_what_the_function_gives_and_its_errors() -> None:
    limits = Limits(seconds=10, megabytes=200)
    assert bounded.in_child(lambda: {"a": [1, "é"]}, what="x", limits=limits) == {"a": [1, "é"]}

    def refuse() -> None:
        raise ResourceError("no such thing")

    with pytest.raises(NeedleworkError, match="no such thing"):
        bounded.in_child(refuse, what="x", limits=limits)


def serving(answer: Callable[[bytes], bytes]) -> bounded.Apart:
    return bounded.Apart(lambda: answer, what="x", limits=LIMITS)


LIMITS = Limits(seconds=10, megabytes=200)
SHORT = Limits(seconds=0.3, megabytes=100)


def test_what_lives_in_a_child_answers_and_is_made_again_after_a_limit() -> None:
    child = serving(lambda request: b"" if request == b"end" else request[::-1])
    assert child.ask(b"abc", what="x", limits=LIMITS) == b"cba"
    big = os.urandom(3_000_000)
    assert child.ask(big, what="x", limits=LIMITS) == big[::-1]

    def dwell(request: bytes) -> bytes:
        while request == b"for ever":
            pass
        return request

    child = serving(dwell)
    with pytest.raises(LimitError, match=r"more than 0.3 seconds"):
        child.ask(b"for ever", what="x", limits=SHORT)
    assert child.ask(b"again", what="x", limits=LIMITS) == b"again"


def test_a_child_that_grows_or_says_too_much_is_ended() -> None:
    def grow(request: bytes) -> bytes:
        kept = []
        while request == b"grow":
            kept.append(bytes(1 << 20))
        return bytes(1 << 24)

    child = serving(grow)
    with pytest.raises(LimitError, match=r"more than 100 MB of memory"):
        child.ask(b"grow", what="x", limits=Limits(seconds=20, megabytes=100))
    with pytest.raises(LimitError, match=r"x: needs an answer of 16 MB, more than 6.25 MB"):
        child.ask(b"talk", what="x", limits=Limits(seconds=20, megabytes=100))


@pytest.mark.parametrize(
    ("function", "need"),
    [
        (lambda: "a" * (20 << 20), r"an answer of 20 MB, more than 12.5 MB"),
        (lambda: len(bytearray(10**10)), r"more than 200 MB of memory"),
        (lambda: 10 ** (10**9), r"more than 10? seconds"),
    ],
)
def test_each_limit_of_a_child_that_is_asked_once_is_told_by_its_name(
    function: Callable[[], object], need: str
) -> None:
    """An answer that is too long was told as one that takes too long.

    One second of a processor, for which it waits ten at most on a busy machine.
    """
    limits = Limits(seconds=1, megabytes=200)
    with pytest.raises(LimitError, match=rf"^x: needs {need}, .*set NEEDLEWORK_LIMITS=4"):
        bounded.in_child(function, what="x", limits=limits)


def test_a_child_that_dies_is_told_and_one_of_ours_keeps_its_traceback() -> None:
    child = serving(lambda request: os.kill(os.getpid(), signal.SIGSEGV) or request)
    with pytest.raises(ResourceError, match=r"^x: the library that reads it dies of it"):
        child.ask(b"", what="x", limits=LIMITS)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        serving(lambda _: bytes(1 // 0)).ask(b"", what="x", limits=LIMITS)

    def refuse(_: bytes) -> bytes:
        raise ResourceError("no such thing")

    with pytest.raises(ResourceError, match=r"^no such thing$"):
        serving(refuse).ask(b"", what="x", limits=LIMITS)


def test_a_child_holds_nothing_of_ours_and_ends_with_us(tmp_path: Path) -> None:
    """Neither a lock nor a terminal, signals for us do not end it, and our end does."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        "from needlework.bounded import Apart, Limits\n"
        "limits = Limits(10, 200)\n"
        "lock = open(sys.argv[1], 'w')\n"
        "told = lambda _: ' '.join(map(str, [os.getpid(), *os.listdir('/dev/fd')])).encode()\n"
        "child = Apart(lambda: told, what='x', limits=limits)\n"
        "number = int(child.ask(b'', what='x', limits=limits).split()[0])\n"
        "os.kill(number, signal.SIGINT)\n"
        "os.kill(number, signal.SIGTERM)\n"
        "files = f'/proc/{number}/fd/'\n"
        "links = [os.readlink(files + n) for n in os.listdir(files)]\n"
        "print(child.ask(b'', what='x', limits=limits).split()[0].decode(), flush=True)\n"
        "print(any(sys.argv[1] in link for link in links), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "lock")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    number, held = done.stdout.split()
    assert held == "False"
    deadline = time.monotonic() + 10
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{number}").exists()


def test_a_fork_of_ours_has_a_child_of_its_own() -> None:
    child = serving(lambda request: request + str(os.getpid()).encode())
    mine = child.ask(b"", what="x", limits=LIMITS)
    other = bounded.in_child(
        lambda: child.ask(b"", what="x", limits=LIMITS).decode(), what="x", limits=LIMITS
    )
    assert other != mine.decode()
    assert child.ask(b"", what="x", limits=LIMITS) == mine


def loaded(folder: Path, **parts: Any) -> tokenizers.Tokenizer:
    return tokenizers.load(changed(folder, **parts))


WORDS = {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1}, "unk_token": "[UNK]"}


def split_by(pattern: str) -> dict[str, Any]:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


@pytest.mark.parametrize(
    "pattern",
    [
        r"(((((a{1,90}){1,90}){1,90}){1,90}){1,90}){1,90}",
        r"(?:(?:(?:(?:x{900}){900}){900}){900}){900}",
        r"(\p{L}{1,999}){1,999}",
        r"((?:\p{Han}|\p{Lao}){99}){999}",
    ],
)
def test_a_short_expression_that_is_long_when_prepared_ends(
    tmp_path: Path, impatient: None, pattern: str
) -> None:
    """Its characters are few, also where the key that announces it is written otherwise."""
    folder = changed(tmp_path, pre_tokenizer=split_by(pattern), model=WORDS, normalizer=None)
    path = Path(folder, "tokenizer.json")
    path.write_text(path.read_text().replace('"Regex"', '"\\u0052egex"'))
    began = time.monotonic()
    with contextlib.suppress(NeedleworkError):
        tokenizers.load(folder).encode("aaa xxx")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("content", ["b" * 5000, "\u2581" * 1001])
def test_a_decoder_that_multiplies_is_refused(tmp_path: Path, content: str) -> None:
    grow = {"type": "Replace", "pattern": {"String": "a"}, "content": content}
    with pytest.raises(ResourceError, match=r"its decoder may make .* characters of one"):
        loaded(tmp_path, decoder=grow, model=WORDS)
    twice = {"type": "Sequence", "decoders": [{**grow, "content": "aaa"}] * 40}
    with pytest.raises(ResourceError, match=r"and 1000 is the most"):
        loaded(tmp_path, decoder=twice, model=WORDS)


def test_a_normalizer_that_doubles_again_and_again_ends_in_this_process_too(
    tmp_path: Path, impatient: None
) -> None:
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    more = {"type": "Sequence", "normalizers": [double] * 60}
    tokenizer = loaded(tmp_path, normalizer=more, model=WORDS, pre_tokenizer=None)
    before = bounded.limits.resident_megabytes()
    with pytest.raises(NeedleworkError) as told:
        tokenizer.encode("a")
    assert str(tmp_path) in str(told.value)
    assert bounded.limits.resident_megabytes() - before < 500


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number % 128 | 128])
        number //= 128
    return found + bytes([number])


def part(number: int, content: bytes) -> bytes:
    """A field of a message of protobuf."""
    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data + part(3, part(2, os.urandom(100_000))),
        lambda data: data + part(5, part(2, os.urandom(100_000))),
        lambda data: data + part(1, part(1, b"z" * 2_000_000)),
        lambda data: data * 3,
        lambda data: part(1, part(1, b"a")) * 1_000_000,
        lambda data: os.urandom(1 << 20),
    ],
    ids=["torn", "normalizer", "denormalizer", "piece", "thrice", "million", "noise"],
)
def test_a_hostile_sentencepiece_model_is_one_line_or_reads(
    shared: Path, tmp_path: Path, impatient: None, damage: Callable[[bytes], bytes]
) -> None:
    """The library ends its whole process at some of these: here only the child."""
    honest = (shared / "mirror/tokenizers/llama-2/tokenizer.model").read_bytes()
    path = tmp_path / "tokenizer.model"
    path.write_bytes(damage(honest))
    told = ""
    try:
        assert tokenizers.load(str(path)).encode("Two words, aaaa.")
    except NeedleworkError as error:
        told = str(error)
    assert "\n" not in told
    assert not told or str(path) in told


def world(path: Path, *more: bytes) -> Path:
    entries = [bytes([number]) for number in range(256)] + list(more)
    lines = (f"{number} {entry!r} {len(entry)}\n" for number, entry in enumerate(entries, start=1))
    path.write_text("".join(lines))
    return path


def test_a_vocabulary_that_is_too_long_in_either_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v1.txt"
    assert tokenizers.load(str(world(path, b"a" * 256))).encode("a" * 257) == [257, 98]
    with pytest.raises(ResourceError, match=r"an entry of 257 bytes, and 256 is the most"):
        tokenizers.load(str(world(path, b"a" * 257)))
    with path.open("ab") as file:
        file.truncate((4 << 20) + 1)
    with pytest.raises(ResourceError, match=r"a vocabulary has 4,194,304 at most"):
        tokenizers.load(str(path))
