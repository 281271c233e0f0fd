"""A section for the card of a model on a hub: how far it reads, and the block that hubs read."""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from needlework.analysis.effective_length import OWN_SHARE
from needlework.analysis.reading import Reading, read
from needlework.errors import StudyError
from needlework.parsing import unknown
from needlework.report.rendering import render
from needlework.report.results import Results, SuiteResult
from needlework.study.config import Study
from needlework.study.shown import ShownModel

TEMPLATE = "card.md.j2"
TASK = "text-generation"
MATERIALS = {"english": "English", "nano": "its own small language"}


def card(results: Results, name: str | None, *, templates: Path) -> str:
    """The section about one model of a study, Markdown after a YAML block.

    Raises:
        StudyError: the study has no such model, or several and none was named.
    """
    model = _chosen(results, name)
    suites = list(results.of(model.name))
    found = [each for suite in suites for each in _evaluated(suite, results.study)]
    data = ModelCardData(model_name=model.label, eval_results=found)
    text: str = data.to_yaml()
    body = render(
        templates / TEMPLATE,
        model=model,
        study=results.study,
        version=results.needlework,
        suites=[(suite, _reading(suite)) for suite in suites],
        share=100 * OWN_SHARE,
        material=MATERIALS[results.study.material],
    )
    return f"---\n{text}\n---\n\n{body}"


def _chosen(results: Results, name: str | None) -> ShownModel:
    names = {model.name: model for model in results.models}
    if name is None and len(names) == 1:
        return results.models[0]
    if name is None:
        raise StudyError(
            f"study {results.study.study} has several models; name one with --model: "
            f"{', '.join(names)}"
        )
    if name not in names:
        raise StudyError(f"--model: {unknown(name, names)}")
    return names[name]


def _reading(suite: SuiteResult) -> Reading | None:
    return read({each.length: each.estimate for each in suite.means})


def _evaluated(suite: SuiteResult, study: Study) -> Iterator[EvalResult]:
    """The mean of a suite at every length, and how far it is read reliably."""
    for each in suite.means:
        score = each.estimate
        yield EvalResult(
            task_type=TASK,
            dataset_type=f"needlework-{suite.suite}",
            dataset_name=f"{suite.suite} at {each.length:,} tokens",
            dataset_config=str(each.length),
            dataset_args={"length": each.length, "samples": study.samples, "seed": study.seed},
            metric_type="accuracy",
            metric_name="mean score (%)",
            metric_value=_percent(score.mean),
            metric_args={"interval": [_percent(score.low), _percent(score.high)], "level": 95},
        )
    reading = _reading(suite)
    if reading is not None:
        yield EvalResult(
            task_type=TASK,
            dataset_type=f"needlework-{suite.suite}",
            dataset_name=f"{suite.suite} by length",
            dataset_config="all lengths",
            dataset_args={"lengths": [each.length for each in suite.means]},
            metric_type="reliable_length",
            metric_name=f"reliable length (tokens, {100 * OWN_SHARE:.0f} % of its own score kept)",
            metric_value=reading.reliable,
        )


def _percent(share: float) -> float:
    return round(100 * share, 2)
