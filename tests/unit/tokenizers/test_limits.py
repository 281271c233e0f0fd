"""What a stranger's template or tokenizer may take: it ends, in one line that says what to do."""

import json
import os
import subprocess
import sys
import time
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
    with pytest.raises(LimitError, match=r"more than 1 seconds.*set NEEDLEWORK_LIMITS=4"):
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
    assert bounded.in_thread(lambda: 3, what="x", limits=limits) == 3
    with pytest.raises(ZeroDivisionError):
        bounded.in_thread(lambda: 1 // 0, what="x", limits=limits)
