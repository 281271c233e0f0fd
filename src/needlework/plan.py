"""A study with everything its names stand for, and the slice of it that each rule needs.

Knows the config files together; does not know what any job computes. It is made once, in
`workflow/rules/common.smk`.
"""

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from needlework.errors import StudyError
from needlework.paper import DEPTHS, FORMATS, TASKS, needle_format
from needlework.parsing import parse, read, unknown
from needlework.resources import DIRECTORY, registry
from needlework.study import (
    Closed,
    Grid,
    ModelEntry,
    Models,
    Name,
    ShownModel,
    Study,
    SuiteName,
    SuiteTasks,
    Tasks,
    TokenizerEntry,
    Wrapper,
)
from needlework.tasks.specs import QaSpec, Spec

RESOURCES = Path("resources")
CHECKPOINT_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = ("tokenizer.json",)
"""What a folder must hold; where it has other files of these kinds, they count as well."""
KINDS = frozenset({".bin", ".json", ".model", ".pth", ".safetensors"})


registered = cache(registry)


class Dataset(NamedTuple):
    """The samples of one task at one length, for the models that share prompts."""

    prompts: str
    length: int
    task: str


class Plan(Closed):
    """A study with everything its names stand for."""

    study: Study
    models: dict[Name, ModelEntry]
    tokenizers: dict[Name, TokenizerEntry]
    tasks: SuiteTasks

    def grid(self) -> Grid:
        """The cells of the study, as data."""
        return Grid(models=self.study.models, suites=self.study.suites)

    def parts(self) -> dict[str, Any]:
        """What commands read as files, by the name of the file."""
        return {
            "study": self.study,
            "grid": self.grid(),
            "models": self.shown(),
            "ruler": self.tasks.ruler,
            "depth": self.tasks.depth,
        }

    def datasets(self) -> list[Dataset]:
        """Every dataset that some cell answers, once."""
        wanted = (
            Dataset(self.prompts(cell.model), cell.length, task)
            for cell in self.grid().cells()
            for task in self.suite_tasks(cell.suite)
        )
        return list(dict.fromkeys(wanted))

    def made(self) -> list[str]:
        """Every file between the config and the tables, below the folder of the results."""
        cells = [f"{cell.model}/{cell.suite}/{cell.length}" for cell in self.grid().cells()]
        return [
            *(f"data/{made.prompts}/{made.length}/{made.task}.jsonl" for made in self.datasets()),
            *(f"predictions/{cell}.jsonl" for cell in cells),
            *(f"scores/{cell}.parquet" for cell in cells),
            "cells.parquet",
        ]

    def suite_tasks(self, suite: SuiteName) -> dict[Name, Spec]:
        """The tasks of a suite, by name."""
        specs: dict[Name, Spec] = getattr(self.tasks, suite)
        return specs

    def wrapper(self, model: str) -> Wrapper:
        """The prompt format of a model under the study's protocol."""
        name: Wrapper = getattr(self.models[model].wrapper, self.study.protocol)
        return name

    def shown(self) -> list[ShownModel]:
        """What the tables say about every model, in their order."""
        return [
            ShownModel(
                name=name,
                wrapper=self.wrapper(name),
                **model.model_dump(include=ShownModel.model_fields.keys() - {"name", "wrapper"}),
            )
            for name, model in self.models.items()
        ]

    def prompts(self, model: str) -> str:
        """What samples are shared by: models with equal tokenizer and wrapper answer the same."""
        return f"{self.models[model].tokenizer}-{self.wrapper(model)}"

    def dataset_files(self, prompts: str, task: str) -> list[str]:
        """The local files that a dataset is made from."""
        return [*self._tokenizer_files(self._reader(prompts).tokenizer), *self._material(task)]

    def model_files(self, model: str) -> list[str]:
        """The local files of a model and its tokenizer; none of what comes from the hub."""
        entry = self.models[model]
        weights = [] if entry.revision else _files(Path(entry.checkpoint), CHECKPOINT_FILES)
        return [*weights, *self._tokenizer_files(entry.tokenizer)]

    def external_files(self) -> list[str]:
        """Every local file of the study that has to be fetched."""
        used = [
            *(
                name
                for data in self.datasets()
                for name in self.dataset_files(data.prompts, data.task)
            ),
            *(name for model in self.models for name in self.model_files(model)),
        ]
        return sorted({name for name in used if Path(name).is_relative_to(DIRECTORY)})

    def _tokenizer_files(self, tokenizer: str) -> list[str]:
        entry = self.tokenizers[tokenizer]
        return [] if entry.revision else _files(Path(entry.source), TOKENIZER_FILES)

    def _material(self, task: str) -> list[str]:
        """The fetched files that the samples of a task are made of; the nano material has none."""
        if self.study.material == "nano":
            return []
        spec = self._spec(task)
        wanted = ["prompts"] if self.study.protocol == "released" else []
        wanted += ["essays", "punkt"] if getattr(spec, "haystack", None) == "essay" else []
        wanted += [spec.source] if isinstance(spec, QaSpec) else []
        return [
            str(DIRECTORY / file.path)
            for name in wanted
            for file in registered().resource(name).files
        ]

    def dataset_options(self, prompts: str, task: str) -> str:
        """What `needlework dataset` needs to know beside paths, task name and length."""
        reader = self._reader(prompts)
        tokenizer = self.tokenizers[reader.tokenizer]
        spec = self._spec(task)
        questions = self._material(task)[-1:] if isinstance(spec, QaSpec) else []
        return _options(
            parameters=spec.model_dump_json(),
            protocol=self.study.protocol,
            material=self.study.material,
            seed=self.study.seed,
            samples=self.study.samples,
            tokenizer=tokenizer.source,
            revision=tokenizer.revision,
            wrapper=getattr(reader.wrapper, self.study.protocol),
            questions="".join(questions) or None,
        )

    def predict_options(self, model: str) -> str:
        """What `needlework predict` needs to know about a model."""
        entry = self.models[model]
        tokenizer = self.tokenizers[entry.tokenizer]
        hazards = entry.hazards if self.study.protocol == "released" else ()
        flags = [f"--hazard {hazard}" for hazard in hazards]
        flags += ["--trust-remote-code"] if entry.trust_remote_code else []
        options = _options(
            checkpoint=entry.checkpoint,
            revision=entry.revision,
            tokenizer=tokenizer.source,
            tokenizer_revision=tokenizer.revision,
            dtype=entry.dtype,
            backend=entry.backend,
            protocol=self.study.protocol,
        )
        return " ".join([options, *flags])

    def _spec(self, task: str) -> Spec:
        return (self.tasks.ruler | self.tasks.depth)[task]

    def _reader(self, prompts: str) -> ModelEntry:
        """A model that reads these prompts."""
        return next(self.models[name] for name in self.models if self.prompts(name) == prompts)


def resolve(config: Mapping[str, Any], folder: Path) -> Plan:
    """The plan behind a study's keys, with `models.yaml` and `tasks.yaml` of a config folder.

    Raises:
        StudyError: one line per mistake, each naming key, value and way out.
    """
    study = parse(Study, config, where="study config")
    catalogue = parse(Models, read(folder / "models.yaml"), where=str(folder / "models.yaml"))
    tasks = parse(Tasks, read(folder / "tasks.yaml"), where=str(folder / "tasks.yaml"))
    for name in study.models:
        if name not in catalogue.models:
            raise StudyError(
                f"study config: models: {unknown(name, catalogue.models)}; "
                f"models are described in {folder / 'models.yaml'}"
            )
    models = {name: catalogue.models[name] for name in study.models}
    used = {model.tokenizer: catalogue.tokenizers[model.tokenizer] for model in models.values()}
    suites: SuiteTasks = getattr(tasks, study.material)
    _check_names(suites, folder)
    _check_tasks(suites, f"{folder / 'tasks.yaml'}: {study.material}")
    _check_lengths(study, models)
    _check_labels(models, folder)
    _check_sources(models, used, folder)
    return Plan(study=study, models=models, tokenizers=used, tasks=suites)


def _options(**values: str | int | None) -> str:
    """Command-line options with their values, quoted for the shell; None is left out."""
    given = {name: value for name, value in values.items() if value is not None}
    return shlex.join(
        word
        for name, value in given.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    )


def _files(path: Path, required: tuple[str, ...]) -> list[str]:
    """The files of a folder that decide what it is, or the one file that `path` is."""
    if not path.is_dir():
        return [str(path)] if path.suffix else [str(path / name) for name in required]
    found = {file.name for file in path.iterdir() if file.suffix in KINDS}
    return [str(path / name) for name in sorted(found or required)]


def _check_tasks(tasks: SuiteTasks, where: str) -> None:
    """The tables show 13 RULER tasks, and every needle format at every depth."""
    for task in TASKS:
        if task not in tasks.ruler:
            raise StudyError(f"{where}.ruler: `{task}` is missing, which the tables show; add it")
    found = {(needle_format(spec), getattr(spec, "depth", None)) for spec in tasks.depth.values()}
    for form in FORMATS:
        for depth in DEPTHS:
            if (form, depth) not in found:
                raise StudyError(
                    f"{where}.depth: no task of format {form} at depth {depth}, which the tables "
                    "show; add it"
                )


def _check_names(tasks: SuiteTasks, folder: Path) -> None:
    shared = sorted(tasks.ruler.keys() & tasks.depth.keys())
    if shared:
        raise StudyError(
            f"{folder / 'tasks.yaml'}: {', '.join(shared)}: in both suites, but a dataset is found "
            "by its task name; rename one"
        )


def _check_lengths(study: Study, models: Mapping[str, ModelEntry]) -> None:
    """Tables 2 and 3 show every model at its training length and at twice that."""
    for name, model in models.items():
        for table, length in ((2, model.trained_length), (3, 2 * model.trained_length)):
            if length not in study.suites.depth.lengths:
                raise StudyError(
                    f"study config: suites.depth.lengths: {length} is missing, at which Table "
                    f"{table} shows {name} (trained_length {model.trained_length}); add it"
                )


def _check_labels(models: Mapping[str, ModelEntry], folder: Path) -> None:
    """Tables and figures tell models apart by their labels."""
    names: dict[str, str] = {}
    for name, model in models.items():
        other = names.setdefault(model.label, name)
        if other != name:
            raise StudyError(
                f"{folder / 'models.yaml'}: {other} and {name} have the same label "
                f"`{model.label}`; change one"
            )


def _check_sources(
    models: Mapping[str, ModelEntry], tokenizers: Mapping[str, TokenizerEntry], folder: Path
) -> None:
    """What has no revision is a path: one that exists, or one that the workflow makes."""
    sources = {
        f"models.{name}.checkpoint": each.checkpoint
        for name, each in models.items()
        if not each.revision
    }
    sources |= {
        f"tokenizers.{name}.source": each.source
        for name, each in tokenizers.items()
        if not each.revision
    }
    for key, source in sources.items():
        if not Path(source).exists() and Path(source).parts[:1] != RESOURCES.parts:
            raise StudyError(
                f"{folder / 'models.yaml'}: {key}: {source} does not exist; if it is a hub id, add "
                "its `revision`, the 40 digits of a commit"
            )
