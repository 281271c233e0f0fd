"""The study behind one measurement: a file that Snakemake runs, beside the results it leads to."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

import yaml

from needlework.errors import StudyError
from needlework.files import write_text
from needlework.measure.describing import Described
from needlework.parsing import read_keys

MAIN, DEPTH = "ruler", "depth"
"""Suites, and the lists of their tasks: the mean of the first says how far a model reads."""
CHOSEN = "chosen"
"""The suite in place of the first where tasks were named."""
LENGTHS: Mapping[str, tuple[int, ...]] = {"english": (1024, 2048, 4096), "nano": (128, 256, 512)}
"""Context lengths in tokens where none are named; the nano models were trained at 256."""
SAMPLES = 50
SEED = 42
HEADER = "# Written by `{command}`, which writes it anew; its results lie beside it.\n"


class Question(NamedTuple):
    """What somebody wants to know of a model."""

    model: str
    lengths: tuple[int, ...] = ()
    """Empty: those of the material."""
    samples: int = SAMPLES
    tasks: tuple[str, ...] = ()
    """Tasks or lists of them; empty: RULER's."""
    depth: bool = False

    @property
    def command(self) -> str:
        """The command that asks this."""
        words = ["needlework", "measure", shlex.quote(self.model)]
        words += ["--lengths", _listed(self.lengths)] if self.lengths else []
        words += ["--samples", str(self.samples)] if self.samples != SAMPLES else []
        words += ["--tasks", _listed(self.tasks)] if self.tasks else []
        return " ".join([*words, "--depth"] if self.depth else words)

    @property
    def suite(self) -> str:
        """The suite whose mean says how far the model reads."""
        return CHOSEN if self.tasks else MAIN

    def at(self, material: Literal["nano", "english"]) -> Self:
        """The same with its lengths told."""
        return self._replace(lengths=self.lengths or LENGTHS[material])


def write_study(question: Question, described: Described, tasks: Iterable[str]) -> Path:
    """The study file of a measurement, written below results/; `tasks` are those of its main suite.

    Raises:
        StudyError: another model of that name was measured in this folder.
    """
    asked = question.at(described.material)
    name = f"measure-{described.name}"
    path = Path("results", name, "study.yaml")
    suites: dict[str, object] = {
        asked.suite: {"tasks": list(tasks), "lengths": list(asked.lengths)}
    }
    if asked.depth:
        suites[DEPTH] = {"lengths": list(asked.lengths)}
    keys: dict[str, object] = {
        "study": name,
        "seed": SEED,
        "samples": asked.samples,
        "protocol": "corrected",
        "material": described.material,
        "suites": suites,
        "tables": "auto",
        "models": [described.name],
    }
    if described.entries is not None:
        keys["entries"] = described.entries.model_dump(mode="json", exclude_defaults=True)
    if path.exists():
        _check_same(path, keys.get("entries"), described)
    text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)
    write_text(path, HEADER.format(command=question.command) + text)
    return path


def _check_same(path: Path, entries: object, described: Described) -> None:
    """Accept the study of an earlier measurement of the same model."""
    earlier = read_keys(path).get("entries")
    if _checkpoints(earlier) != _checkpoints(entries):
        raise StudyError(
            f"{path} measures another model of the name {described.name} "
            f"({', '.join(_checkpoints(earlier)) or 'the one of models.yaml'}); measure this one "
            f"({described.entry.checkpoint}) in another folder"
        )


def _checkpoints(entries: object) -> list[str]:
    """The checkpoints that the entries of a study name."""
    models = entries.get("models") if isinstance(entries, dict) else None
    return [str(each.get("checkpoint")) for each in (models or {}).values()]


def _listed(values: Iterable[object]) -> str:
    return ",".join(map(str, values))
