"""What a review says to the questions that conferences ask of an artifact.

Which checks answer which question, and what no file can answer, is stated here; `checks` carries
them out. The badges are those of
https://www.acm.org/publications/policies/artifact-review-and-badging-current and the numbered
questions those of https://neurips.cc/public/guides/PaperChecklist.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Answer = Literal["yes", "no", "for people"]


class Question(NamedTuple):
    """One question, the checks that answer it, and what they leave open."""

    name: str
    checks: tuple[str, ...]
    """Keys of checks, all of which must pass; without any, people have to answer."""
    remark: str


class Verdict(NamedTuple):
    """The answer to a question."""

    question: Question
    answer: Answer


FOLLOWS = ("answers", "scores", "estimates", "pages")
"""Every table follows from the predictions."""

QUESTIONS = (
    Question(
        "ACM Artifacts Available",
        ("whole", "described"),
        "every file is here with its digest; a permanent public address is for its authors to give",
    ),
    Question(
        "ACM Artifacts Evaluated, Functional",
        ("whole", "described", "inputs", "answers", "scores"),
        "documented, consistent, complete, and scored again here",
    ),
    Question(
        "ACM Artifacts Evaluated, Reusable",
        (),
        "whether others can build on it is a matter of judgement",
    ),
    Question(
        "ACM Results Reproduced",
        FOLLOWS,
        "from the stored predictions; to predict again takes the weights and a device",
    ),
    Question("ACM Results Replicated", (), "takes an implementation that owes nothing to this one"),
    Question("NeurIPS 1 Claims", ("pages",), "every claim has its statistics and their verdict"),
    Question("NeurIPS 4 Experimental result reproducibility", FOLLOWS, "as ACM Results Reproduced"),
    Question(
        "NeurIPS 5 Open access to data and code",
        ("whole", "inputs"),
        "workflow, config and datasets are inside; the package is installed by its version",
    ),
    Question(
        "NeurIPS 6 Experimental setting",
        ("inputs", "made"),
        "the config, and what each cell says of revision, protocol, device and kernels",
    ),
    Question(
        "NeurIPS 7 Statistical significance",
        ("intervals",),
        "every mean has its 95 % interval, its count and its failures",
    ),
    Question(
        "NeurIPS 8 Compute resources",
        ("made",),
        "device and kernels of every cell; hours in figures/cost.csv",
    ),
    Question("NeurIPS 12 Licenses for existing assets", ("licences",), "one for every model"),
    Question("NeurIPS 13 New assets", ("described",), "described as an RO-Crate"),
    Question(
        "NeurIPS 2, 3, 9, 10, 11, 14, 15, 16",
        (),
        "limitations, theory, ethics, impact, safeguards and people are no matter of files",
    ),
)


def verdicts(passed: Mapping[str, bool]) -> tuple[Verdict, ...]:
    """The answer to every question, from which checks passed.

    Raises:
        KeyError: a question needs a check that was not carried out.
    """
    return tuple(Verdict(question, _answer(question, passed)) for question in QUESTIONS)


def _answer(question: Question, passed: Mapping[str, bool]) -> Answer:
    if not question.checks:
        return "for people"
    return "yes" if all(passed[check] for check in question.checks) else "no"
