"""The sentences that end a measurement, from scores that are known."""

from collections.abc import Callable
from pathlib import Path

import pytest

from needlework.measure.answer import Measured, sentences
from needlework.measure.question import Question
from needlework.scores.estimates import Scores
from needlework.statistics.means import Estimate, wilson
from tests.study_for_tests import estimates, small_plan

LENGTHS = (128, 256, 512)
WEAK = {"vt": 0.12, "cwe": 0.2, "qa_1": 0.32}
"""Shares of the common score of tasks that are worse than the others at the longest length."""


def measured(
    means: Callable[[str, int], float], *, samples: int = 50, depth: bool = False
) -> Measured:
    """The nano Llama with these scores by task and length."""
    suites = {"ruler": {"lengths": list(LENGTHS)}}
    suites |= {"depth": {"lengths": list(LENGTHS)}} if depth else {}
    plan = small_plan(suites=suites, models=["nano-llama"], samples=samples, tables="auto")

    def score(_: str, task: str, length: int) -> Estimate:
        return wilson(means(task, length), count=samples)

    return Measured(
        scores=Scores(estimates(plan, score), plan.grid()),
        model=plan.shown()[0],
        shown=plan.shows,
        folder=Path("results/measure-nano-llama"),
        question=Question("nano-llama", LENGTHS, samples, depth=depth),
    )


def falling(at_256: float, at_512: float) -> Callable[[str, int], float]:
    shares = {128: 1.0, 256: at_256, 512: at_512}
    return lambda task, length: (
        0.9 * shares[length] * (WEAK.get(task, 1.0) if length == 512 else 1.0)
    )


def said(found: Measured) -> list[str]:
    return list(sentences(found))


def test_it_says_how_far_what_is_kept_and_what_is_weakest() -> None:
    lines = said(measured(falling(1.0, 0.5)))
    assert lines[0] == (
        "nano-llama reads reliably to 256 of its 256 tokens (keeps at least 85 % of its own score "
        "at 128, lower 95 % limit)"
    )
    assert lines[1].startswith("at 512 it keeps 41 % [")
    assert lines[1].endswith("]; weakest: vt 5 %, cwe 9 %, qa_1 14 %")


def test_every_length_has_a_line() -> None:
    lines = said(measured(falling(1.0, 0.5)))
    assert [line.split()[0] for line in lines[3:6]] == ["128", "256", "512"]
    assert lines[4].endswith("keeps")
    assert lines[5].endswith("loses")


def test_what_the_samples_cannot_tell_is_said_with_what_would() -> None:
    lines = said(measured(falling(0.88, 0.3)))
    assert lines[0].startswith("nano-llama reads reliably to 128 of its 256 tokens")
    assert lines[0].endswith("lower 95 % limit); nothing longer is vouched for")
    assert lines[1].startswith("whether it reads to 256 cannot be told with 50 samples; about ")
    count = int(lines[1].partition("about ")[2].split()[0].replace(",", ""))
    assert (
        lines[-1] == f"next: needlework measure nano-llama --lengths 128,256,512 --samples {count}"
    )
    again = said(measured(falling(0.88, 0.3), samples=count))
    assert again[0].startswith("nano-llama reads reliably to 256 ")


def test_a_share_at_the_bar_is_told_by_no_number_of_samples() -> None:
    lines = said(measured(falling(0.85, 0.3)))
    assert "cannot be told with 50 samples; nor with 100,000" in lines[1]
    assert lines[-1] == "next: needlework measure nano-llama --lengths 128,192,256,512"


def test_whoever_reads_everything_is_asked_for_more() -> None:
    lines = said(measured(lambda task, length: 0.9))
    assert lines[0].startswith(
        "nano-llama reads reliably to at least 512 tokens, beyond the 256 that it was trained with"
    )
    assert lines[-1] == "next: needlework measure nano-llama --lengths 128,256,512,1024"


def test_between_two_lengths_is_where_to_look_next() -> None:
    lines = said(measured(falling(1.0, 0.3)))
    assert lines[-1] == "next: needlework measure nano-llama --lengths 128,256,384,512"


def test_a_model_that_scores_nothing_is_told_so() -> None:
    lines = said(measured(lambda task, length: 0.0))
    assert lines[0].startswith("nano-llama scores 0 at 128 tokens, so there is nothing")
    assert not any(line.startswith("next:") for line in lines)


def test_depths_are_told_where_they_were_asked() -> None:
    def score(task: str, length: int) -> float:
        return 0.2 if task.endswith("_40") else 1.0 if task.endswith("_0") else 0.9

    (line,) = [each for each in said(measured(score, depth=True)) if "needle" in each[:10]]
    assert line.startswith("one needle in 512 tokens is found least at depth 40 % (20 % [")
    assert ", most at 0 % (100 % [" in line


@pytest.mark.parametrize("depth", [False, True])
def test_files_are_named_that_the_study_makes(depth: bool) -> None:
    found = measured(falling(1.0, 0.5), depth=depth)
    lines = said(found)
    tables = {f"tables/{each.name}.md" for each in found.shown.tables}
    figures = {f"figures/{each.name}.svg" for each in found.shown.figures}
    pages = {"report.md", "findings.md", "explorer.html", "results.json"}
    named = [line.split()[-1] for line in lines if "results/measure-nano-llama/" in line]
    inside = [each.removeprefix("results/measure-nano-llama/") for each in named]
    assert set(inside) <= tables | figures | pages
    assert {"tables/ruler_mean.md", "explorer.html", "results.json"} <= set(inside)
    assert ("figures/depth_heatmap.svg" in inside) == depth
