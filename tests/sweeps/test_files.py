"""Every reader of strange files is fed broken ones, and may only raise our errors, in one line.

Readers register at the door (`needlework.door`); one that does not is found by its calls.
"""

import ast
import importlib
import importlib.util
import json
import pickle
import pkgutil
import random
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import polars as pl
import pytest
import sentencepiece
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import needlework
from needlework import tokenizers
from needlework.door import OPENERS, read_json
from needlework.engine.journal import Entry, Journal
from needlework.errors import CheckpointError, NeedleworkError, ResourceError
from needlework.external import repositories
from needlework.files import write_records
from needlework.models import checkpoints
from needlework.models.checkpoints import reading
from needlework.nano import language
from needlework.records import Prediction
from needlework.scores import remarks
from needlework.tasks.specs import FileSpec
from needlework.tokenizers.sidecars import Sidecars, ends_of_checkpoint
from tests import gguf_for_tests
from tests.configurations_for_tests import MAMBA
from tests.hub_for_tests import Hub, serving
from tests.network_for_tests import allow_loopback
from tests.published_for_tests import clean_tables, write_tables
from tests.reference import test_against_upstream as upstream

ROOT = Path(needlework.__file__).parent
LONGEST_LINE = 900


def modules() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(needlework.__path__, "needlework.")]
    if importlib.util.find_spec("triton") is None:
        # Kernels of our own, which only a machine with a GPU imports.
        names = [name for name in names if not name.startswith("needlework.models.fused")]
    return [name for name in names if not name.endswith("__main__")]


for _name in modules():
    if not _name.startswith("needlework.proving"):  # Starts the workers of a proof.
        importlib.import_module(_name)

CALLS: dict[str, Callable[[Callable[..., Any], Path], object]] = {
    "needlework.models.checkpoints.reading._mapped": lambda read, path: list(read(path, meta=True)),
    "needlework.scores.remarks._metadata": lambda read, path: read(
        path, remarks.REMARKS, remarks._REMARKS
    ),
    "needlework.artifact.unpacking.unpack": lambda read, path: read(path, path.parent / "unpacked"),
    "needlework.external.fetching._member": lambda read, path: read(path, "a.txt"),
    "needlework.tasks.released.book.read": lambda read, path: read(path, None, None),
    "needlework.files.read_records": lambda read, path: read(path, Prediction),
    "needlework.engine.journal.read_lines": lambda read, path: read(path, Entry, lambda _: True),
    "needlework.tasks.from_file.chosen_lines": lambda read, path: list(
        read(path, OWN, length=128, samples=2)
    ),
    "needlework.tasks.chat._render": lambda read, path: read(
        path, path.read_bytes().decode("latin-1"), {"bos_token": "<s>"}, "What?"
    ),
}
"""How readers are called that need more than a path."""
OWN = FileSpec(path="dataset.jsonl", metric="exact", tokens_to_generate=5)


def _squad(path: Path) -> None:
    asked = {"question": "q?", "answers": [{"text": "a"}], "is_impossible": False}
    article = {"paragraphs": [{"context": "a", "qas": [asked]}]}
    path.write_text(json.dumps({"data": [article]}))


def _hotpot(path: Path) -> None:
    context = [["One", ["a"]], ["Two", ["b"]]]
    row = {"question": "q?", "answer": "a", "supporting_facts": [["One", 0]], "context": context}
    path.write_text(json.dumps([row]))


def _model(path: Path) -> None:
    words = [f"{one}{two} a b" for one in "abcdefgh" for two in "abcdefgh"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_prefix=str(path.with_suffix("")),
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=9,
    )


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "text " * 100)


def _tokenizer(path: Path) -> None:
    language.write_tokenizer(path.parent)


PREDICTIONS = [
    Prediction(
        task="vt",
        index=index,
        pred="yes",
        outputs=("yes",),
        stop_reason="end",
        error=None,
        prompt_tokens=10,
        shared_tokens=0,
        generated_tokens=2,
        others={"libraries": "torch 2"},
    )
    for index in range(3)
]


def _journal(path: Path) -> None:
    with Journal(path) as lines:
        entries = [
            Entry(key=f"{n:032x}", tokens=(1, n), stop_reason="end", libraries="") for n in range(3)
        ]
        lines.append(entries)


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


SOUND: dict[str, Callable[[Path], object]] = {
    "study.yaml": _text("study: a\nlengths: [1, 2]\nkeys: {b: yes}\n"),
    "study.json": _text('{"study": "a", "lengths": [1, 2]}'),
    "scores.parquet": lambda path: pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(path),
    "artifact.zip": _zip,
    "archive.zip": _zip,
    "model.safetensors.index.json": _text('{"weight_map": {"a": "part.safetensors"}}'),
    "model.safetensors": lambda path: save_file({"a": torch.ones(3)}, path),
    "pytorch_model.bin": lambda path: torch.save({"a": torch.ones(3)}, path),
    "model.pth": lambda path: torch.save(
        {"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False
    ),
    "model.gguf": gguf_for_tests.write,
    "tokenizer.json": _tokenizer,
    "chat_template.jinja": _text("{{ bos_token }}{{ messages[0]['content'] }}"),
    "records.jsonl": lambda path: write_records(path, PREDICTIONS),
    "cell.journal": _journal,
    "dataset.jsonl": _text('{"input": "Where?", "outputs": ["here"], "length": 128}\n' * 3),
    "table.csv": lambda path: write_tables(path.parent, {"table": clean_tables(0)["ruler"]}),
    "": _text("{% for m in messages %}{{ m['content'] | trim }}{% endfor %}"),
    "essays.json": _text('{"text": "A sentence. Another one."}'),
    "prompts.json": _text('{"wrappers": {}, "tasks": {}}'),
    "squad.json": _squad,
    "hotpotqa.json": _hotpot,
    "tokenizer.model": _model,
    "256.tsv": _text("s\th:m:s\tmax_rss\n1.5\t0:00:01\t80.25\n"),
    "rwkv_vocab.txt": _text("".join(f"{n + 1} {bytes([n])!r} 1\n" for n in range(256))),
}
"""A file of each kind that can be read; broken ones are made of it."""

CORPUS: dict[str, bytes] = {
    "empty": b"",
    "one zero": b"\0",
    "zeros": b"\0" * 5000,
    "ones": b"\xff" * 5000,
    "noise": random.Random(0).randbytes(3000),
    "a portal": b"<!DOCTYPE html><html><body>Log in to the network</body></html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    "Latin-1": '{"text": "é", "data": []}'.encode("latin-1"),
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a list": b"[]",
    "an object": b"{}",
    "nothing": b"null",
    "text": b'"text"',
    "a number": b"5",
    "infinity": b"1e999",
    "NaN": b"NaN",
    "digits": b'{"data": ' + b"9" * 5000 + b"}",
    "yaml digits": b"a: " + b"9" * 5000,
    "a date": b"a: 2026-02-30",
    "a tag": b"a: !!python/object/apply:os.system [true]",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "deep yaml": b"- " * 50_000,
    "half a character": rb'{"text": "\ud800", "data": "\udfff"}',
    "huge blank": b" " * (1 << 22),
    "huge text": b'"' + b"a" * (1 << 22) + b'"',
    "wrong values": b'{"data": [3], "text": 5, "weight_map": [1], "tasks": 7, "model": 1}',
    "wrong rows": b'[{"question": 1, "context": 2}]',
    "nested wrongly": b'{"data": [{"paragraphs": [{"context": {}, "qas": null}]}]}',
    "a torn zip": b"PK\x03\x04" + b"\0" * 100,
    "a torn parquet": b"PAR1" + b"\0" * 100 + b"PAR1",
    "a pickle of a list": pickle.dumps([1, 2]),
    "a pickle of code": b"cos\nsystem\n(S'true'\ntR.",
    "a huge header": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
    "a header that lies": b'\x50\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[9999999999],'
    b'"data_offsets":[0,4]}}',
    "a template without end": b"{% for m in messages %}",
    "a template of nothing": b"{{ nothing.at.all }}",
    "a template that recurses": b"{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a template that divides": b"{{ 1 / 0 }}",
    "a template that escapes": b"{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "vocabulary without literals": b"1 x 1\n2 [1] 1\n",
    "vocabulary of code": b"1 __import__('os').system('true') 1\n",
    "vocabulary of digits": b"9" * 5000 + b" 'a' 1\n",
}


def readers() -> list[tuple[str, str]]:
    return [(name, kind) for name, opener in OPENERS.items() for kind in opener.names]


def feed(name: str, path: Path) -> None:
    """Read a file; only a line of ours may come of it."""
    opener = OPENERS[name]
    call = CALLS.get(name, lambda read, file: read(file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_one_line(lambda: call(opener.open, path))


def check_one_line(action: Callable[[], object]) -> None:
    try:
        action()
    except NeedleworkError as error:
        line = str(error)
        assert "\n" not in line
        assert "\x1b" not in line
        assert 0 < len(line) <= LONGEST_LINE, len(line)


@pytest.mark.parametrize("broken", CORPUS)
@pytest.mark.parametrize(("name", "kind"), readers(), ids=str)
def test_a_broken_file_is_one_line(name: str, kind: str, broken: str, tmp_path: Path) -> None:
    path = tmp_path / (kind or "folder")
    path.write_bytes(CORPUS[broken])
    feed(name, path)


@pytest.mark.parametrize(("name", "kind"), readers(), ids=str)
def test_a_sound_file_that_was_damaged_is_one_line(name: str, kind: str, tmp_path: Path) -> None:
    """Cut anywhere, a byte changed anywhere, a piece twice."""
    path = tmp_path / (kind or "folder")
    SOUND[kind](path)
    whole = path.read_bytes()
    draws = random.Random(f"{name} {kind}")
    for number in range(60):
        place = draws.randrange(len(whole))
        damaged = bytearray(whole)
        if number % 3 == 0:
            del damaged[place:]
        elif number % 3 == 1:
            damaged[place] ^= 1 << draws.randrange(8)
        else:
            damaged[place:place] = damaged[: draws.randrange(64)]
        path.write_bytes(damaged)
        feed(name, path)


@pytest.mark.parametrize(("name", "kind"), readers(), ids=str)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_one_line(name: str, kind: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / (kind or "folder")
    path.write_bytes(content)
    feed(name, path)


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", "2", "text", "é" * 3, [], [None], ["a", 2], {},
    {"content": 5}, {"content": None}, {"a": {"b": []}}, [[[]]],
)  # fmt: skip
"""Values of the wrong kind for almost every key."""


def each_value_changed(content: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The content with one key after the other set to every wrong value, or left out."""
    for key in content:
        yield f"{key} left out", {name: each for name, each in content.items() if name != key}
        for value in VALUES:
            yield f"{key}: {value!r}", content | {key: value}


def configurations() -> dict[str, dict[str, Any]]:
    """A `config.json` of every family."""
    made = {
        "llama": upstream.llama,
        "qwen2": upstream.qwen2,
        "mamba2": upstream.mamba2,
        "recurrent_gemma": upstream.recurrent_gemma,
    }
    found = {name: json.loads(make().config.to_json_string()) for name, make in made.items()}
    found["nano"] = json.loads((ROOT.parents[1] / "resources/nano/llama/config.json").read_text())
    found["rwkv6"] = {
        "model_type": "rwkv6",
        "vocab_size": 64,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "head_size": 32,
        "intermediate_size": 96,
    }
    found["mamba_ssm"] = MAMBA | {"d_model": 64, "n_layer": 2, "vocab_size": 61}
    return found


@pytest.mark.parametrize("name", configurations())
def test_a_configuration_with_any_wrong_value_is_one_line(name: str) -> None:
    sound = configurations()[name]
    checkpoints.decoder_config(sound, where="config.json")
    for _, content in each_value_changed(sound):
        check_one_line(lambda c=content: checkpoints.decoder_config(c, where="config.json"))  # type: ignore[misc]


def test_sidecars_with_any_wrong_value_are_one_line(tmp_path: Path) -> None:
    language.write_tokenizer(tmp_path)
    sound = {
        "add_bos_token": True,
        "bos_token": "<bos>",
        "eos_token": {"content": "<eos>"},
        "added_tokens_decoder": {"512": {"content": "<new>"}},
        "chat_template": "x",
        "model_max_length": 5,
    }
    for _, content in each_value_changed(sound):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(content))
        check_one_line(lambda: tokenizers.load(str(tmp_path)))
        check_one_line(lambda: Sidecars(tmp_path).for_templates())
    for name in ("special_tokens_map.json", "added_tokens.json", "tokenizer_config.json"):
        for broken in CORPUS.values():
            (tmp_path / name).write_bytes(broken)
            check_one_line(lambda: tokenizers.load(str(tmp_path)))
        (tmp_path / name).unlink()


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_ends_of_any_kind_are_one_line(name: str, tmp_path: Path) -> None:
    for _, content in each_value_changed({"eos_token_id": 2, "text_config": {"eos_token_id": 1}}):
        (tmp_path / name).write_text(json.dumps(content))
        check_one_line(lambda: ends_of_checkpoint(tmp_path))
    for broken in CORPUS.values():
        (tmp_path / name).write_bytes(broken)
        check_one_line(lambda: ends_of_checkpoint(tmp_path))


@pytest.mark.parametrize("broken", CORPUS)
def test_json_through_the_door_is_one_line(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(CORPUS[broken])
    for kind in (dict, list, str):
        check_one_line(lambda k=kind: read_json(path, error=ResourceError, kind=k))  # type: ignore[misc]


def test_the_machine_is_no_fault_of_a_file(tmp_path: Path) -> None:
    """What is absent is told by the system, with its name."""
    with pytest.raises(FileNotFoundError, match=r"gone\.bin"):
        list(reading._mapped(tmp_path / "gone.bin", meta=True))
    with pytest.raises(CheckpointError):
        reading.shards(tmp_path)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, but for the hub on this machine."""
    allow_loopback(monkeypatch)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine."""
    with serving(Hub("me/tiny", {"model.safetensors": b"weights", "config.json": b"{}"})) as made:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", made.url)
        yield made


def test_what_a_hub_lists_is_one_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that answers in its place, and a listing with any wrong value."""
    sound = json.loads(hub.listing())
    assert repositories.listing("me/tiny", revision=None).remotes.keys() == hub.files.keys()
    answers = list(CORPUS.values())
    answers += [json.dumps(content).encode() for _, content in each_value_changed(sound)]
    for place, file in enumerate(sound["siblings"]):
        for _, changed in each_value_changed(file):
            files = [*sound["siblings"][:place], changed, *sound["siblings"][place + 1 :]]
            answers.append(json.dumps(sound | {"siblings": files}).encode())
    for answer in answers:
        monkeypatch.setattr(hub, "listing", lambda a=answer: a)
        check_one_line(lambda: repositories.listing("me/tiny", revision=None))


OPENING = {
    "json.load", "json.loads", "yaml.load", "yaml.safe_load", "torch.load", "safe_open",
    "pl.read_parquet", "pl.read_parquet_metadata", "pl.scan_parquet", "pickle.load", "pickle.loads",
    "zipfile.ZipFile", "tokenizers.Tokenizer.from_str", "tokenizers.Tokenizer.from_file",
    "sentencepiece.SentencePieceProcessor", "ast.literal_eval", "GGUFReader", "gguf.GGUFReader",
    "csv.reader", "csv.DictReader",
}  # fmt: skip
"""Calls that read a format."""
PARSING = {"model_validate_json", "validate_json"}
"""Methods that do, of any record."""
OURS = {
    "needlework.door": "the door itself",
    "needlework.strict_yaml": "called by `parsing.read`, at the door",
    "needlework.parsing": "slices of a study, which rules hand to commands",
    "needlework.artifact.bundle": "writes an archive",
    "needlework.training.training": "reads what it wrote itself",
    "needlework.study.file": "a file that was read at the door a line before",
    "needlework.paper.published": "our own tables",
    "needlework.bounded.apart": "hears what its own child says",
    "needlework.bounded.once": "hears what its own child says",
    "needlework.sources": "keeps what it read of our own modules",
    "needlework.tokenizers.apart": "asks its own child, and hears what it says",
    "needlework.artifact.reading": "counts rows in a watched child; the reader refuses what fails",
    "needlework.engine.servers.client": "a reply that is no JSON stays a text",
    "needlework.external.packages": "a wheel with the digest of the registry",
    "needlework.engine.servers.replies": "a reply that is none is refused where it came from",
    "needlework.artifact.review": "pages that it has just made itself",
    "needlework.models.checkpoints.gguf_rounding": "within `strangers`, after the header was read",
}
"""Modules that read no file of a stranger, and why."""


def past_the_door(module: str) -> list[str]:
    """Functions of a module that read a strange format and are not called from behind the door."""
    path = ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    path = path if path.is_file() else path.with_suffix("") / "__init__.py"
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    called = {each.name: _called(each) for each in functions}
    inside = {each.name for each in functions if any(map(_is_registered, each.decorator_list))}
    registered = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
    inside |= {each.name for each in functions if f")({each.name})" in registered}
    while True:
        more = {
            name
            for name in called.keys() - inside
            if (callers := [other for other, names in called.items() if name in names])
            and inside.issuperset(callers)
        }
        if not more:
            break
        inside |= more
    return [name for name in called if _reads(called[name]) and name not in inside]


def _reads(calls: set[str]) -> bool:
    return bool(calls & OPENING or {call.rpartition(".")[2] for call in calls} & PARSING)


def _called(function: ast.FunctionDef) -> set[str]:
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {ast.unparse(call).removeprefix("self.") for call in calls}


def _is_registered(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in (
        "opens",
        "door.opens",
    )


@pytest.mark.parametrize(
    "module", [name for name in modules() if not name.startswith("needlework.proving")]
)
def test_nobody_goes_past_the_door(module: str) -> None:
    if module not in OURS:
        assert past_the_door(module) == []


def test_every_reader_has_a_sound_file() -> None:
    kinds = {kind for _, kind in readers()}
    assert kinds == SOUND.keys()
