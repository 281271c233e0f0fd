"""The benchmark of a real model, on a tiny GGUF file: equal answers, and what its tables say."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import laptop, scorers
from benchmarks.jobs import Answers, Cell, Contender, Job, Run, Task
from benchmarks.laptop_table import markdown
from benchmarks.worker import contender, timed
from needlework.records import Sample
from needlework.statistics.means import estimate
from tests import gguf_for_tests as files

LIMIT = 6


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    path = files.write(tmp_path_factory.mktemp("model") / "tiny.gguf", rounding="Q8_0")
    samples = tuple(
        Sample(
            index=index,
            input=f"the magic number of the milk is {index}{index}",
            outputs=("7",),
            length=60,
        )
        for index in range(3)
    )
    task = Task(name="needle", samples=samples, tokens_to_generate=LIMIT, metric="all")
    return Job(
        contender="ours",
        checkpoint=path,
        tokenizer=path,
        begins=False,
        threads=1,
        cells=(Cell(name="60 tokens", tasks=(task,)),),
    )


def answered(job: Job, name: Contender) -> Run:
    return timed(contender(job.model_copy(update={"contender": name})), job.cells[0])


def test_everybody_here_writes_the_same(job: Job) -> None:
    alone = answered(job, "ours alone").answers
    assert alone.texts == answered(job, "one by one").answers.texts
    assert alone.texts == answered(job, "ours").answers.texts
    assert set(answered(job, "ours bfloat16").answers.texts) == set(alone.texts)
    assert alone.attending is not None
    assert alone.reading is not None
    assert alone.forward is not None
    assert alone.reading < alone.forward


def found(job: Job, peaks: dict[str, float]) -> laptop.Laptop:
    seconds: dict[Contender, float] = {
        "one by one": 12.0,
        "harness": 9.0,
        "ours alone": 6.0,
        "ours": 3.0,
        "ours decided": 3.0,
        "ours bfloat16": 1.5,
    }
    rounds = []
    for name, cpu in seconds.items():
        texts = {f"needle:{index}": "7" if name == "ours" else str(index) for index in range(3)}
        answers = Answers(texts=texts, reading=3.0, forward=4.5, products=2e9, attending=1e9)
        run = Run(cell="60 tokens", cpu=cpu, wall=cpu, answers=answers)
        score = laptop.scored(job.cells[0], run)
        rounds.append(laptop.Round(number=0, contender=name, run=run, score=score))
    return laptop.Laptop(
        checkpoint="tiny.gguf",
        processor="a processor",
        threads=1,
        samples=3,
        tasks=("needle",),
        rounds=tuple(rounds),
        peak_flops=peaks,
    )


def test_the_table_has_ratios_equal_answers_and_scores(job: Job) -> None:
    """Where llama.cpp was left out, no number stands in its place."""
    text = markdown(found(job, {"float32": 2e9, "bfloat16": 4e9}))
    scored = estimate([1.0] * 3)
    interval = f"[{100 * scored.low:.0f}, {100 * scored.high:.0f}]"
    assert f"| 60 tokens | ours | 1.00 | 4.0x | 3.0x | - | 3 of 3 | 100.0 {interval} |" in text
    assert "| 60 tokens | transformers, one by one | 4.00 | 1.0x | 0.8x | - | 0 of 3 | 0.0 " in text
    assert "llama.cpp, f16 | " not in text.split("|---|")[1]


def test_the_table_says_where_the_seconds_of_a_sample_go(job: Job) -> None:
    """3e9 operations in 3 s are half of 2e9 a second; 6 s are 3 of reading and 1.5 of writing."""
    text = markdown(found(job, {"float32": 2e9, "bfloat16": 4e9}))
    assert "| 60 tokens | 3 samples | 1.00 | 1 | 50% | 0.50 | 0.50 |" in text


def test_what_is_done_is_not_done_again(job: Job, tmp_path: Path) -> None:
    done = laptop._runs(job, tmp_path / "ours", Path(sys.executable))
    assert laptop._runs(job, tmp_path / "ours", tmp_path / "no python") == done
    with pytest.raises(FileNotFoundError):
        laptop._runs(job.model_copy(update={"rows": 2}), tmp_path / "ours", tmp_path / "no python")


def test_a_python_without_llama_cpp_is_one_line(tmp_path: Path) -> None:
    absent = laptop.check_llama_cpp(tmp_path / "python")
    assert absent is not None
    assert absent.endswith(
        "is absent; `make .venv-servers/ready` builds it, in ten minutes and more"
    )
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named llama_cpp >&2\nexit 1\n")
    python.chmod(0o755)
    assert laptop.check_llama_cpp(python) == (
        f"{python} cannot import llama_cpp (No module named llama_cpp)"
    )


def test_other_scores_are_counted_by_task(tmp_path: Path) -> None:
    """A stand-in for the harness' Python prints what its scorer would say."""
    lines = [["vt", "1024", 1.0, 1.0], ["vt", "1024", 0.5, 0.4], ["cwe", "1024", 0.3, 0.3]]
    python = tmp_path / "python"
    printed = "".join(f"echo '{json.dumps(line)}'\n" for line in lines)
    python.write_text(f"#!/bin/sh\n{printed}")
    python.chmod(0o755)
    table = scorers.compare(tmp_path, python).splitlines()
    assert table[2:] == ["| cwe | 1 | 0 |", "| vt | 2 | 1 |", "| all | 3 | 1 |"]
