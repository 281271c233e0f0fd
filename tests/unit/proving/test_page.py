"""The page and the lines of progress: what was found, what failed, what is missing."""

import itertools

import pytest

from needlework.proving.page import markdown
from needlework.proving.records import (
    AnswerSpeed,
    BatchAnswers,
    BesidePrefix,
    Built,
    Check,
    Checks,
    Facts,
    LongRead,
    MeasuredRates,
    Peaks,
    PromptSpeed,
    Proof,
    Replayed,
    Result,
    Speed,
    StepRecord,
)
from needlework.proving.summaries import summary

GIB = 1 << 30
FACTS = Facts(
    device="cuda",
    name="NVIDIA H100 80GB HBM3",
    capability="9.0",
    memory=80 * GIB,
    driver="580.1",
    cuda="13.0",
    python="3.12.3",
    torch="2.11.0+cu130",
    triton="3.6.0",
    packages={"fla-core": "0.6.0", "flash-attn": "not installed"},
    code="abc",
)
PEAKS = Peaks(dtype="bfloat16", flops=600e12, bandwidth=2.7e12)


def check(difference: float, *, what: str = "prompt", tokens: int = 64) -> Check:
    return Check(
        what=what,
        dtype="float32",
        tokens=tokens,
        difference=difference,
        by_torch=1e-6,
        allowed=5e-3,
    )


SPEED = Speed(
    checkpoints=("google/recurrentgemma-2b", "google/recurrentgemma-2b-it"),
    dtype="bfloat16",
    parameters=10,
    kernels={},
    context=1024,
    reading=(
        PromptSpeed(length=1024, rows=32, tokens_per_second=1e5, flops=3e14, peak_bytes=9 * GIB),
    ),
    writing=(
        AnswerSpeed(rows=1, tokens_per_second=99.0, peak_bytes=None),
        AnswerSpeed(rows=32, tokens_per_second=None, peak_bytes=None),
    ),
    longest=200_704,
    at_least=False,
    rates=MeasuredRates(flops=3e14, bandwidth=1e12, step=0.01),
)
RESULTS: dict[str, Result] = {
    "facts": FACTS,
    "build": Built(architecture="sm_90", bytes=3 << 20),
    "kernels-a": Checks(
        layer="selective scan",
        kernels={"selective_scan": "mamba-ssm", "convolution": "torch"},
        checks=(check(1e-4, tokens=1), check(2e-3, tokens=65)),
    ),
    "peaks": PEAKS,
    "speed-a": SPEED,
    "long-a": Checks(
        layer="selective scan", kernels={}, checks=(check(0.4, what="pieces", tokens=65_536),)
    ),
    "batches-a": BatchAnswers(
        checkpoint="a/b", dtype="bfloat16", prompts=32, tokens=16, differing={8: 4, 32: 8}
    ),
    "replayed-a": Replayed(
        checkpoint="a/b",
        dtype="bfloat16",
        rows=32,
        tokens=768,
        recorded=True,
        differing=3,
        difference=1e-3,
        launched_seconds=0.009,
        replayed_seconds=0.004,
    ),
    "beside-a": BesidePrefix(
        checkpoint="a/b",
        dtype="bfloat16",
        rows=32,
        prefix=512,
        in_place=True,
        difference=0.2,
        tolerance=0.1,
        copied_seconds=0.012,
        beside_seconds=0.006,
    ),
    "read-a": LongRead(checkpoint="a/b", tokens=131_072, seconds=4.25, peak_bytes=20 * GIB),
}


def done(name: str, result: Result) -> StepRecord:
    return StepRecord(name=name, title=name, status="done", seconds=1.0, result=result)


ALL = Proof(toy=False, steps=tuple(done(name, result) for name, result in RESULTS.items()))


def test_the_page_holds_everything() -> None:
    page = markdown(ALL)
    for expected in (
        "NVIDIA H100 80GB HBM3, compute capability 9.0, driver 580.1, 80 GiB",
        "flash-attn not installed",
        "compiled for sm_90, 3.0 MiB",
        "600.0 TFLOP/s in bfloat16, 2.7 TB/s copied",
        "| selective scan | mamba-ssm, torch | float32 | 65 | 2.0e-03 | 1.0e-06 | 5.0e-03 | yes |",
        "| selective scan |  | float32 | 65,536 | 4.0e-01 |  | 5.0e-03 | **no** |",
        "| recurrentgemma-2b, recurrentgemma-2b-it | bfloat16 | 100,000 (50%) | 9.0 GiB |",
        "| recurrentgemma-2b, recurrentgemma-2b-it | bfloat16 | 99 | does not fit | 200,704 |",
        "| b | 12% | 25% |",
        "| b | 131,072 | 4.2 | 20.0 GiB |",
        "- long-a: does not agree",
        "| b | 32 | 3 of 768 | 1.0e-03 | 9.00 | 4.00 |",
        "- replayed-a: does not agree",
        "| b | 32 | 512 | 2.0e-01 | 0.1 | 12.00 | 6.00 |",
        "- beside-a: does not agree",
    ):
        assert expected in page
    assert "toy" not in page


def test_every_row_of_a_table_has_all_columns() -> None:
    lines = markdown(ALL).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert tables
    for line, after in itertools.pairwise(lines):
        if line.startswith("|") and after.startswith("|"):
            assert line.count("|") == after.count("|")


@pytest.mark.parametrize("name", RESULTS)
def test_every_step_has_one_line(name: str) -> None:
    said = summary(done(name, RESULTS[name]))
    assert said
    assert len(said.splitlines()) == 1


def test_the_worst_check_of_a_step_is_told() -> None:
    said = summary(done("kernels-a", RESULTS["kernels-a"]))
    assert said.startswith("2 of 2 calls agree, the farthest by 0.002 of the largest number")
    assert summary(done("long-a", RESULTS["long-a"])).startswith("0 of 1 calls agree")


def test_rows_beside_a_prefix_are_told_with_both_times() -> None:
    found = RESULTS["beside-a"]
    assert isinstance(found, BesidePrefix)
    said = summary(done("beside-a", found))
    assert said.endswith("12 ms a step with keys of their own, 6 beside a prefix")
    agreed = found.model_copy(update={"difference": 0.05})
    page = markdown(Proof(toy=False, steps=(done("facts", FACTS), done("beside-a", agreed))))
    assert page.endswith("Nothing: every step was done, and every check agrees.\n")
    copied = found.model_copy(update={"in_place": False})
    assert summary(done("beside-a", copied)).endswith("a prefix is copied here")


def test_without_gaps_the_page_says_so() -> None:
    proof = Proof(toy=True, steps=(done("facts", FACTS),))
    page = markdown(proof)
    assert page.endswith("Nothing: every step was done, and every check agrees.\n")
    assert "nothing here speaks of a GPU" in page


def test_shares_are_left_out_where_the_peak_is_not_known() -> None:
    proof = Proof(toy=False, steps=(done("facts", FACTS), done("speed-a", SPEED)))
    assert "| 100,000 | 9.0 GiB |" in markdown(proof)
