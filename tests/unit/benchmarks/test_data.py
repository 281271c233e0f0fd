"""What the measured numbers are compared with, and the lines they become."""

import json
from pathlib import Path

import pytest

from benchmarks import released_data as bench
from benchmarks.released_data import Cost, Plain


def golden(folder: Path) -> Path:
    entries = [
        {
            "file": f"{tokenizer}/{place}.jsonl",
            "task": task,
            "length": 2048,
            "seconds_in_the_artifact": seconds,
        }
        for tokenizer, place, task, seconds in (
            ("gpt-neox-20b", "2048/vt", "vt", 1.5),
            ("gpt-neox-20b", "2048/niah_single_1", "niah_single_1", 7.0),
            ("gpt-neox-20b", "2048/niah_essay_uuids_0", "niah_essay_uuids_0", 4.5),
            ("gpt-neox-20b", "extras/2048.cwe", "cwe", 100.0),
            ("llama-2", "2048/fwe", "fwe", 100.0),
        )
    ]
    (folder / "manifest.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.parametrize(
    ("task", "length", "seconds"),
    [
        ("niah_single_2", 4096, 9.8),  # Measured.
        ("vt", 2048, 1.5),  # Twenty of its samples.
        ("niah_essay_uuids_0", 2048, 11.0),  # Those, and the word list.
        ("niah_single_1", 2048, 8.2),  # The first golden file has it in its seconds.
        ("niah_multikey_1", 8192, 9.8),  # Nothing: the cheapest needle task not longer.
        ("niah_multikey_1", 16384, 12.2),
        ("cwe", 2048, 0.0),  # Another switch, and another tokenizer, say nothing.
        ("fwe", 2048, 0.0),
    ],
)
def test_bounds_are_what_was_measured_or_less(
    task: str, length: int, seconds: float, tmp_path: Path
) -> None:
    twenty = bench.golden_seconds(golden(tmp_path))
    assert bench.at_least(task, length, twenty) == pytest.approx(seconds)


def test_a_task_is_one_line_over_its_lengths_and_depths(tmp_path: Path) -> None:
    rows = [
        (Cost("niah_single_2", 1024, cpu=0.5, wall=0.6, megabytes=70), None),
        (Cost("niah_single_2", 16384, cpu=1.5, wall=1.0, megabytes=80), Plain(9.0, 5.0)),
        (Cost("niah_essay_uuids_0", 2048, cpu=1, wall=1, megabytes=90), None),
        (Cost("niah_essay_uuids_20", 2048, cpu=1, wall=1, megabytes=60), None),
    ]
    long = [Cost("vt", 131_072, cpu=2.62, wall=1, megabytes=100)]
    output = tmp_path / "out.md"
    bench.write(rows, long, output, golden=golden(tmp_path))
    text = output.read_text()
    assert "4 datasets: 4.0 CPU s, 3.6 s one after the other, at most 90 MiB" in text
    assert "at least 48 s (12.1x)" in text
    assert "| niah_single_2 | 2 | 29 | 2.00 | 15x | 80 | 1.00 | 5.00 | 21.0 |" in text
    assert "| niah_essay_uuids_* | 2 | 19 | 2.00 | 10x | 90 | - | - | - |" in text
    assert "| vt | - | 2.6 s, 100 MiB | - |" in text
