"""Every value that a user can write in a configuration is changed in many ways, one at a time: what
comes of it is the value that was meant, or one line that names the key.
"""

import copy
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from needlework.cluster.slurm import read_cluster
from needlework.errors import NeedleworkError
from needlework.external import locks
from needlework.parsing import parse, read
from needlework.study import plan
from needlework.study.catalogue import read_tasks
from needlework.study.config import Models, Study
from needlework.study.definitions import Preset

ROOT = Path(__file__).parents[2]
WRITTEN = (
    "yes", "no", "on", "off", "true", "False", "null", "~", "", "042", "007", "1_000", "1:30",
    "48:00:00", "0x1f", "0o17", "1e3", "1.0", "2.5", "-1", "0", "+5", "'5'", "9" * 21,
    ".inf", ".nan", "2024-01-01", "2026-02-30", "[]", "{}", "[yes]", "[042, 1]", "{a: 1}", "'a b'",
    '"a\\nb"', '"\\ud800"', "!!python/name:os.system x", "!!int abc", "&a [*a]", "é", "{x}",
    "$(touch x)", "../x", "[[[]]]", "a" * 300,
)  # fmt: skip
"""What is written in place of a value, as YAML."""
Place = tuple[str | int, ...]


def places(content: object, place: Place = ()) -> Iterator[Place]:
    """Where every value stands: what holds others, and what they hold."""
    if place:
        yield place
    members: Any = ()
    if isinstance(content, dict):
        members = content.items()
    elif isinstance(content, list):
        members = enumerate(content)
    for key, value in members:
        yield from places(value, (*place, key))


MARK = "the-value-that-is-changed"


def changed(content: object, place: Place, text: str) -> str:
    """The content as YAML with other text at one place."""
    copied = copy.deepcopy(content)
    within: Any = copied
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = MARK
    return json.dumps(copied).replace(f'"{MARK}"', f" {text} ")


def found_at(content: Any, place: Place) -> Any:
    """What a record holds where a value was written; `KeyError` where it keeps it elsewhere."""
    for key in place:
        if isinstance(content, BaseModel):
            content = content.model_dump()
        if isinstance(content, dict) and key not in content:
            raise KeyError(key)
        content = content[key] if isinstance(content, dict | list | tuple) else content
    return content


def plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return value


def is_meant(written: object, kept: object) -> bool:
    """Whether a value that is kept is the one that was written: the same, or its digits as text."""
    if isinstance(written, bool) or isinstance(kept, bool):
        return written is kept
    if isinstance(written, list) and isinstance(kept, list | tuple):
        return len(written) == len(kept) and all(map(is_meant, written, kept))
    if isinstance(kept, float) and isinstance(written, int | float):
        return math.isclose(kept, written)
    return plain(written) == plain(kept) or str(written) == kept


def sweep(
    content: object, folder: Path, use: Callable[[Path], object], *, keeps: bool = True
) -> None:
    """Change every value in every way; `use` reads the file, and gives what became of it."""
    path = folder / "file.yaml"
    for place in places(content):
        for text in WRITTEN:
            path.write_text(changed(content, place, text), encoding="utf-8")
            where = f"{'.'.join(map(str, place))}: {text}"
            try:
                result = use(path)
            except NeedleworkError as error:
                lines = str(error).splitlines()
                assert len(set(lines)) == len(lines) <= 12, where
                assert all(len(line) < 1500 for line in lines), where
                continue
            if keeps:
                check_kept(read(path), result, place, where)


def check_kept(written: object, result: object, place: Place, where: str) -> None:
    try:
        value, kept = found_at(written, place), found_at(result, place)
    except (KeyError, IndexError, TypeError):
        return  # Nothing of that name is kept, such as a default that was written out.
    times = isinstance(value, str) and isinstance(kept, int) and place[-1] in ("longest", "runtime")
    nothing = value is None or value == [] or value == {}
    one_for_both = isinstance(value, str) and isinstance(kept, dict)
    assert times or nothing or one_for_both or is_meant(value, kept), f"{where} became {kept!r}"


STUDY = {
    "study": "t",
    "seed": 42,
    "samples": 2,
    "shards": 1,
    "protocol": "corrected",
    "material": "english",
    "wording": "plain",
    "suites": {"needles": {"tasks": ["niah_single_1", "vt"], "lengths": [128, 256]}},
    "tables": [
        {
            "name": "mine",
            "title": "A title",
            "suite": "needles",
            "tasks": ["vt"],
            "lengths": [128],
            "columns": ["length"],
            "rows": ["model"],
            "average": True,
            "quoted": False,
        }
    ],
    "models": ["nano-llama"],
    "hazards": [],
}
MODELS = {
    "tokenizers": {"7b": {"source": "resources/nano/tokenizer", "revision": None}},
    "models": {
        "mine": {
            "label": "Mine",
            "family": "linear",
            "checkpoint": "resources/nano/llama",
            "revision": "0" * 40,
            "tokenizer": "7b",
            "wrapper": {"released": "base", "corrected": "chat"},
            "trained_length": 256,
            "backend": "transformers",
            "trust_remote_code": True,
            "hazards": ["mamba-sampling"],
            "dtype": "float32",
            "licence": "MIT",
        }
    },
}
CLUSTER = {
    "partition": "gpu",
    "account": "a1",
    "qos": "normal",
    "constraint": "a100",
    "gpus": 1,
    "gpu_model": "a100",
    "cpus": 4,
    "runtime": 60,
    "memory": 8000,
    "longest": "2-00:00:00",
    "extra": "--exclude=n1",
}


def tasks() -> dict[str, Any]:
    """One task of every generator, with all that may be said of it that differs from a default."""
    asked = yaml.safe_load((ROOT / "config/tasks.yaml").read_text(encoding="utf-8"))
    kinds = {spec["generator"]: (name, spec) for name, spec in asked["english"]["tasks"].items()}
    chosen = dict(kinds.values())
    chosen["lines"] = {"generator": "file", "path": "my.jsonl", "metric": "f1", "depth": 5}
    needle = {"values": 2, "queries": 1, "keys": 3, "depth": 40, "tokens_to_generate": 9}
    chosen["needle"] = {"generator": "niah", "haystack": "essay", "key_kind": "words"} | needle
    names = list(chosen)[:2]
    return {"english": {"tasks": chosen, "lists": {"some": names}}, "nano": {"tasks": {}}}


def test_a_study(tmp_path: Path) -> None:
    sweep(
        STUDY,
        tmp_path,
        lambda path: parse(Study, read(path), where="study config"),
    )


def test_a_study_with_everything_its_names_stand_for(tmp_path: Path) -> None:
    """Fewer values, since a whole plan is made of each."""
    content = {key: STUDY[key] for key in ("study", "seed", "samples", "protocol", "models")}
    content |= {"material": "nano", "suites": {"ruler": {"lengths": [128]}}}
    sweep(
        content,
        tmp_path,
        lambda path: plan.resolve(read(path), ROOT / "config").study,  # type: ignore[arg-type]
    )


def test_models(tmp_path: Path) -> None:
    sweep(MODELS, tmp_path, lambda path: parse(Models, read(path), where="models.yaml"))


def test_a_cluster(tmp_path: Path) -> None:
    sweep(CLUSTER, tmp_path, read_cluster)


def test_tasks(tmp_path: Path) -> None:
    sweep(tasks(), tmp_path, read_tasks)


def test_tables(tmp_path: Path) -> None:
    content = read(ROOT / "config/tables/paper.yaml")
    assert isinstance(content, dict)
    few = {"tables": content["tables"][:3], "figures": content["figures"][:1]}
    sweep(few, tmp_path, lambda path: parse(Preset, read(path), where="paper.yaml"))


def test_a_lock(tmp_path: Path) -> None:
    stored = {"bytes": 5, "sha256": "0" * 64}
    repository = {"commit": "1" * 40, "files": {"config.json": stored}}
    content = {"repositories": {"checkpoints/me/model": repository}}
    sweep(content, tmp_path, locks.load, keeps=False)
