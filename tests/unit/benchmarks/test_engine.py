"""The benchmark: everybody reads the same weights and prompts, and the table says what was run."""

from pathlib import Path

import pytest
import torch
import transformers

from benchmarks import pieces
from benchmarks.export import export
from benchmarks.jobs import Answers, Cell, Contender, Job, Run, Task
from benchmarks.measure import NANO, run_job
from benchmarks.result import Result, Turn, markdown
from benchmarks.worker import contender, timed
from needlework import models
from needlework.errors import CheckpointError, EngineError
from tests.tasks_for_tests import RULER, nano_tokenizer, rows

TASKS = ("niah_single_2", "niah_multivalue")


@pytest.fixture(scope="module", params=["llama", "mamba2"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported checkpoint of a nano model, in a folder of its name."""
    folder = tmp_path_factory.mktemp("hub") / request.param
    export(NANO / request.param, NANO / "tokenizer", folder)
    return folder


def cell() -> Cell:
    tasks = [
        Task(
            name=task,
            samples=tuple(sample for sample, _ in rows(task, length=128)),
            tokens_to_generate=RULER[task].tokens_to_generate,
            metric=RULER[task].metric,
        )
        for task in TASKS
    ]
    return Cell(name="ruler/128", tasks=tuple(tasks))


def job(name: Contender, checkpoint: Path) -> Job:
    return Job(
        contender=name,
        checkpoint=checkpoint,
        tokenizer=NANO / "tokenizer",
        threads=1,
        cells=(cell(),),
    )


def test_an_exported_model_computes_the_same(hub: Path) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(hub, dtype=torch.float32).eval()
    ours = models.load(NANO / hub.name)
    tokens = torch.randint(3, 500, (2, 70), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, _ = ours(tokens, ours.init_state(2))
        assert (theirs(tokens).logits - expected).abs().max() < 1e-5 * expected.abs().max()


def test_an_exported_tokenizer_makes_the_same_tokens(hub: Path) -> None:
    """Without its class, transformers gives a Mamba2 folder the tokenizer of its first release."""
    theirs = transformers.AutoTokenizer.from_pretrained(hub)
    text = rows("niah_single_2")[0][0].input
    assert theirs.encode(text, add_special_tokens=False) == nano_tokenizer().encode(text)


def test_a_model_without_a_twin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="only llama and mamba2 have a form"):
        export(NANO / "griffin", NANO / "tokenizer", tmp_path)


def test_all_contenders_write_the_same(hub: Path) -> None:
    one = timed(contender(job("one by one", hub)), cell())
    shared = timed(contender(job("ours", NANO / hub.name)), cell())
    alone = timed(contender(job("ours alone", NANO / hub.name)), cell())
    assert one.answers.texts == shared.answers.texts == alone.answers.texts
    assert len(one.answers.texts) == 6
    assert alone.answers.read_tokens == alone.answers.prompt_tokens


def test_forward_calls_and_tokenizing_are_parts_of_the_whole() -> None:
    run = timed(contender(job("ours", NANO / "llama")), cell())
    assert run.answers.forward is not None
    assert run.answers.tokenizing is not None
    assert 0.3 * run.cpu < run.answers.forward < run.cpu
    assert 0 < run.answers.tokenizing < run.cpu - run.answers.forward


def test_stopping_when_decided_writes_less() -> None:
    whole = contender(job("ours", NANO / "llama"))(cell())
    decided = contender(job("ours decided", NANO / "llama"))(cell())
    assert (decided.generated_tokens or 0) < (whole.generated_tokens or 0)


def test_a_contender_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho Traceback >&2\necho no lm_eval here >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(EngineError, match=r"^harness failed: no lm_eval here; its job is .*job\.j"):
        run_job(job("harness", NANO / "llama"), tmp_path / "work", python)


def turn(name: Contender, number: int, cpu: float, text: str = "a") -> Turn:
    answers = Answers(
        texts={"task:0": text, "task:1": "b"},
        prompt_tokens=100,
        read_tokens=100 if name == "ours alone" else 60,
        forward=0.9 * cpu,
        tokenizing=0.05 * cpu,
        products=2e6,
    )
    run = Run(cell="ruler/256", cpu=cpu, wall=2 * cpu, answers=answers)
    return Turn(number=number, model="llama", contender=name, run=run)


def result() -> Result:
    cpu: dict[Contender, float] = {
        "one by one": 2.0,
        "harness": 1.0,
        "ours alone": 0.4,
        "ours": 0.2,
        "ours decided": 0.1,
    }
    turns = [
        turn(name, number, seconds * slower, "a" if name != "harness" else "another")
        for number, slower in enumerate((1, 50, 1))
        for name, seconds in cpu.items()
    ]
    return Result(
        samples=2,
        harness_samples=2,
        one_by_one_samples=2,
        threads=1,
        turns=tuple(turns),
        planning_seconds=2.0,
        append_seconds=1e-4,
        peak_flops=1e8,
    )


def test_the_table_shows_medians_and_ratios() -> None:
    """One round in three was disturbed, and the harness wrote something else once."""
    text = markdown(result())
    name = "lm-evaluation-harness, batched"
    assert f"| llama | ruler/256 | {name} | 500.0 | 1000.0 | 2.0x | 1.0x | 1 of 2 |" in text
    assert "| llama | ruler/256 | ours | 100.0 | 200.0 | 10.0x | 5.0x | 2 of 2 |" in text


def test_the_table_shows_what_is_possible_and_what_is_not_forward() -> None:
    """2e6 operations for two samples at 1e8 a second are 10 ms each, 6 of them after sharing."""
    row = "| llama | ruler/256 | 40.0% | 10.0% | 5.0% | 0.05% | 6.0 | 166.7x |"
    assert row in markdown(result())


def test_a_hundred_thousand_prompts_are_planned_in_seconds() -> None:
    assert pieces.planning_seconds() < 5


def test_an_append_to_the_journal_takes_less_than_a_millisecond(tmp_path: Path) -> None:
    assert pieces.journal_seconds(tmp_path) < 1e-3
