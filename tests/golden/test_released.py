"""Bytes the artifact wrote: all its golden files, reproduced."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from needlework import files
from needlework.tasks import released
from needlework.tasks.released import catalog
from needlework.tasks.released.catalog import Task
from needlework.tasks.specs import NiahSpec, VariableTrackingSpec
from tests.released_for_tests import Material, reference

CUSTOM = {
    "4096.niah_k5_v2_q2": Task(NiahSpec(haystack="essay", keys=5, values=2, queries=2)),
    "4096.niah_repeat_numkey_wordval": Task(
        NiahSpec(haystack="repeat", key_kind="numbers", value_kind="words")
    ),
    "4096.vt_2chains_6hops": Task(VariableTrackingSpec(chains=2, hops=6)),
}
"""Files the artifact made with parameters that no task of its has."""

SAMPLE = (
    "gpt-neox-20b/1024/cwe.jsonl",
    "gpt-neox-20b/1024/fwe.jsonl",
    "gpt-neox-20b/1024/niah_essay_uuids_0.jsonl",
    "gpt-neox-20b/1024/niah_multikey_3.jsonl",
    "gpt-neox-20b/1024/niah_multivalue.jsonl",
    "gpt-neox-20b/1024/niah_repeat_numbers_100.jsonl",
    "gpt-neox-20b/1024/qa_2.jsonl",
    "gpt-neox-20b/16384/niah_multiquery.jsonl",
    "gpt-neox-20b/16384/vt.jsonl",
    "gpt-neox-20b/extras/1024.niah_essay_uuids_100.intended_uuids.jsonl",
    "gpt-neox-20b/extras/1024.vt.remove_newline_tab.jsonl",
    "gpt-neox-20b/extras/2048.niah_single_2.qwen2_template.jsonl",
    "gpt-neox-20b/extras/2048.qa_1.pre_samples_100.jsonl",
    "gpt-neox-20b/extras/4096.niah_k5_v2_q2.jsonl",
    "gpt-neox-20b/extras/4096.qa_1.small_docs_exhausted.jsonl",
    "gpt-neox-20b/extras/4096.vt_2chains_6hops.jsonl",
    "llama-2/1024/niah_single_2.base.jsonl",
    "llama-2/4096/vt.jsonl",
)
"""One or more of every generator, haystack, switch and tokenizer."""


@cache
def manifest(golden: Path) -> dict[str, dict[str, Any]]:
    """Every golden file with its arguments."""
    entries = json.loads((golden / "manifest.json").read_text(encoding="utf-8"))
    return {entry["file"]: entry for entry in entries}


def task(entry: dict[str, Any]) -> str | Task:
    """What the file is a sample of."""
    name = entry["file"].rpartition("/")[2].removesuffix(".jsonl")
    if name.endswith("intended_uuids"):
        return catalog.find(entry["task"], uuid_numbers=False)
    return CUSTOM.get(name, entry["task"])


@cache
def remade(name: str, material: Material) -> str:
    """The file again."""
    entry = manifest(material.golden)[name]
    arguments = entry["args"]
    questions = None
    if entry["generator"] == "qa":
        small = "_small" if "small_docs" in entry["file"] else ""
        questions = material.golden / f"qa/{arguments['dataset']}{small}.json"
    rows = released.generate(
        task(entry),
        length=entry["length"],
        samples=entry["rows"],
        seed=entry["seed"],
        tokenizer=material.tokenizer(entry["tokenizer"]),
        prompts=material.prompts,
        wrapper=entry["wrapper"],
        resources=material.resources,
        questions=questions,
        remove_newline_tab=arguments.get("remove_newline_tab", False),
        pre_samples=int(arguments.get("pre_samples", 0)),
    )
    return "".join(files.json_line(sample.model_dump(mode="json")) for sample, _ in rows)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_golden_file_is_made_again(name: str, shared: Path) -> None:
    material = reference(shared)
    assert remade(name, material) == (material.golden / name).read_text(encoding="ascii")


@pytest.mark.slow
def test_every_golden_file_is_made_again(shared: Path) -> None:
    material = reference(shared)
    entries = manifest(material.golden)
    different = [
        name
        for name in entries
        if remade(name, material) != (material.golden / name).read_text(encoding="ascii")
    ]
    assert not different
    assert len(entries) == 168


def test_the_sample_names_files_that_are_there(shared: Path) -> None:
    assert set(SAMPLE) <= manifest(shared / "golden").keys()
