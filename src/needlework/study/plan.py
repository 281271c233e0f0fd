"""A study with everything its names stand for, and the slice of it that each rule needs.

It is made once, in `workflow/rules/common.smk`.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from needlework import installed
from needlework.external import locks
from needlework.external.registry import DIRECTORY
from needlework.parsing import parse
from needlework.study import (
    consistency,
    controls,
    inputs,
    pins,
    presets,
    selection,
    serving,
    variants,
)
from needlework.study.catalogue import MaterialTasks, read_models, read_tasks
from needlework.study.cells import Cells
from needlework.study.config import ModelEntry, Study
from needlework.study.definitions import MADE_BY, Name
from needlework.study.entries import TokenizerEntry, Wrapper
from needlework.study.grid import Cell
from needlework.study.options import options
from needlework.study.paper import MODELS as PUBLISHED
from needlework.study.presentation import Shown
from needlework.study.shown import PublishedModel, RunName, ShownModel
from needlework.tasks.code import dataset_code
from needlework.tasks.prompts import CHAT, WordingName
from needlework.tasks.specs import OWN, QaSpec, Spec


class WantedDataset(NamedTuple):
    """The samples of one task at one length, for the models that share prompts."""

    prompts: str
    length: int
    task: str


class Plan(Cells):
    """A study with everything its names stand for."""

    published: tuple[PublishedModel, ...] = ()
    """The models of the published tables."""
    tokenizers: dict[Name, TokenizerEntry]
    shows: Shown = Shown()
    """What the study shows."""
    lock: locks.Lock = locks.NONE

    def parts(self) -> dict[str, Any]:
        """What commands read as files, by the name of the file."""
        return {
            "study": self.study,
            "grid": self.grid(),
            "models": self.shown(),
            "shown": self.shows,
            **{f"suites/{suite}": tasks for suite, tasks in self.tasks.items()},
            **{f"tables/{table.name}": table for table in self.shows.tables},
            **{f"comparisons/{name}": table for name, table in self.shows.comparisons.items()},
            **{f"figures/{figure.name}": figure for figure in self.shows.figures},
            "published_models": self.published,
            "hazards": self.studied,
            **({"controls": self.controls} if self.controls else {}),
            **serving.parts(self),
        }

    def datasets(self) -> list[WantedDataset]:
        """Every dataset that some cell answers, once."""
        wanted = (
            WantedDataset(self.prompts(cell.model), cell.length, task)
            for cell in self.cells()
            for task in self.tasks_of(cell)
        )
        return list(dict.fromkeys(wanted))

    def needs(self, names: Collection[Name] | None = None) -> dict[Cell, set[Name]]:
        """The cells behind these tables and figures, each with the tasks that they show.

        The explorer shows all, and so does a study as a whole: None stands for it.
        """
        if names is None:
            return {cell: set(self.tasks_of(cell)) for cell in self.cells()}
        tables = [each for each in self.shows.tables if each.name in names]
        figures = [each for each in self.shows.figures if each.name in names]
        if any(MADE_BY[each.value] == "controls" for each in tables):
            return self.needs()
        return selection.needed([*tables, *figures], self.grid(), self.shown())

    def tables_of(self, targets: Collection[str]) -> list[Name]:
        """The names of the tables that targets make.

        Raises:
            StudyError: a target makes no table of this study.
        """
        return self.shows.tables_of(targets)

    def wrapper(self, model: str) -> Wrapper:
        """The prompt format of a model under the study's protocol, and what else tells its samples
        from those of others: a wording that is not its language's, or what spoils them."""
        entry = self.models[model]
        words = variants.of_template(self.study, entry)
        words += ["plain"] if self.wording(model) == "plain" else []
        words += [*variants.of_data(entry.hazards), *controls.words(model, entry)]
        return "+".join([self._format(entry), *words])

    def wording(self, model: str) -> WordingName | None:
        """Whose words a model is asked in, where there is a choice."""
        chosen = self.study.material == "english" and self.study.protocol == "corrected"
        return variants.wording_of(self.study, model) if chosen else None

    def _format(self, entry: ModelEntry) -> Wrapper:
        name: Wrapper = getattr(entry.wrapper, self.study.protocol)
        return name

    def shown(self) -> list[ShownModel]:
        """What the tables say about every model, in their order."""
        found = self.measured().items()
        return [model.shown(name, self.wrapper(name)) for name, model in found]

    def prompts(self, model: str) -> str:
        """What samples are shared by: models with equal tokenizer and wrapper answer the same."""
        return f"{self.models[model].tokenizer}-{self.wrapper(model)}"

    def dataset_files(self, prompts: str, task: str) -> list[str]:
        """The local files that a dataset is made from."""
        reader, spec = self._reader(prompts), self.all_tasks[task]
        own = [spec.path] if isinstance(spec, OWN) else []
        tokenizer = self._tokenizer_files(self.models[reader].tokenizer)
        return [*tokenizer, *own, *self._material(spec, self.wording(reader))]

    def dataset_code(self, task: str) -> str:
        """A digest of our code that decides the samples of a task."""
        asked = self.study
        return dataset_code(self.all_tasks[task], protocol=asked.protocol, material=asked.material)

    def own_files(self) -> list[str]:
        """The files of the study's own tasks, each once."""
        specs = self.all_tasks.values()
        return sorted({spec.path for spec in specs if isinstance(spec, OWN)})

    def checkpoint_files(self, model: str) -> list[str]:
        """The files of a model's weights; of a repository, what says that it is here."""
        entry = self.models[model]
        if entry.endpoint is not None and not installed.find(entry.checkpoint).exists():
            return []  # They are where the server is.
        return inputs.of_checkpoint(
            entry.checkpoint, entry.revision, runs_code=entry.trust_remote_code
        )

    def model_files(self, model: str) -> list[str]:
        """The files of a model and its tokenizer."""
        tokenizer = self.models[model].tokenizer
        return [*self.checkpoint_files(model), *self._tokenizer_files(tokenizer)]

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

    def repositories(self) -> list[locks.Repository]:
        """What the study needs of the hub."""
        return pins.repositories(self.models, self.tokenizers)

    def _tokenizer_files(self, tokenizer: str) -> list[str]:
        entry = self.tokenizers[tokenizer]
        return inputs.of_tokenizer(entry.source, entry.revision)

    def _material(self, spec: Spec, wording: WordingName | None) -> list[str]:
        """The fetched files that samples are made of; the nano material has none."""
        is_fetched = self.study.material != "nano"
        return inputs.of_samples(spec, wording) if is_fetched else []

    def dataset_options(self, prompts: str, task: str) -> str:
        """What `needlework dataset` needs to know beside paths, task name and length."""
        asked = self.dataset_asked(prompts, task)
        spec = asked.pop("spec")
        return options(parameters=spec.model_dump_json(), **asked)

    def dataset_asked(self, prompts: str, task: str) -> dict[str, Any]:
        """The same by name, as `datasets.asked` takes it."""
        run = self._reader(prompts)
        reader, wording = self.models[run], self.wording(run)
        tokenizer = self.tokenizers[reader.tokenizer]
        spec = variants.misread(self.all_tasks[task], reader.hazards)
        questions = self._material(spec, wording)[-1:] if isinstance(spec, QaSpec) else []
        return {
            "spec": spec,
            "protocol": self.study.protocol,
            "material": self.study.material,
            "wording": wording,
            "seed": self.study.seed,
            "samples": self.study.samples,
            "tokenizer": tokenizer.source,
            "revision": tokenizer.revision,
            "wrapper": self._format(reader),
            "template_options": variants.template_options(self.study, reader),
            "thinks": variants.reasoning(self.study, reader) is not None,
            "questions": Path(questions[0]) if questions else None,
            **controls.options(run, reader),
            "distractors": self.study.likelihood,
        }

    def predict_options(self, model: str) -> str:
        """What `needlework predict` needs to know about a model."""
        entry = self.models[model]
        tokenizer = self.tokenizers[entry.tokenizer]
        flags = [f"--hazard {hazard}" for hazard in variants.of_decoder(entry.hazards)]
        flags += ["--no-begin-token"] if self._format(entry) == CHAT else []
        flags += ["--likelihood"] if self.study.likelihood else []
        told = options(
            tokenizer=tokenizer.source,
            tokenizer_revision=tokenizer.revision,
            protocol=self.study.protocol,
            **variants.thoughts(self.study, entry),
        )
        return " ".join([self.checkpoint_options(model), told, *flags])

    def checkpoint_options(self, model: str) -> str:
        """What `needlework verify-model` needs to know: the weights, and who computes with them."""
        entry = self.models[model]
        return options(
            checkpoint=entry.checkpoint,
            revision=entry.revision,
            dtype=entry.dtype,
            backend=entry.backend,
            server=entry.server_json(),
            trust_remote_code=entry.trust_remote_code,
        )

    def _reader(self, prompts: str) -> RunName:
        """A run that reads these prompts."""
        return next(name for name in self.models if self.prompts(name) == prompts)


def resolve(config: Mapping[str, Any], folder: Path, *, runs: bool = True) -> Plan:
    """The plan behind a study's keys, with `models.yaml`, its lock and `tasks.yaml` of a folder.

    Where nothing `runs`, nobody looks whether models, tokenizers and own files are here.

    Raises:
        StudyError: one line per mistake, each naming key, value and way out.
    """
    study = parse(Study, config, where="study config")
    lock = locks.known(folder / locks.NAME)
    catalogue = pins.pinned(read_models(folder / "models.yaml", study.entries), lock)
    tasks = read_tasks(folder / "tasks.yaml")
    consistency.check_models(study, catalogue, folder)
    models = {name: catalogue.models[name] for name in study.models}
    consistency.check_likelihood(study, models)
    used = {model.tokenizer: catalogue.tokenizers[model.tokenizer] for model in models.values()}
    known: MaterialTasks = getattr(tasks, study.material)
    named = {
        name: known.chosen(name, suite.tasks, where=f"study config: suites.{name}.tasks")
        for name, suite in study.suites.items()
    }
    suites, absent = inputs.without_absent(named, study.where_fetched)
    consistency.check_labels(models, folder)
    if runs:
        consistency.check_own(study, suites)
        consistency.check_sources(models, used, folder)
    studied = tuple(variants.studies(study, models, suites))
    controlled = controls.planned(study, models, suites)
    plan = Plan(
        study=study,
        models=variants.runs(study, models, studied) | controls.runs(controlled, models),
        studied=studied,
        controls=controlled,
        published=tuple(presets.published(catalogue)),
        tokenizers=used,
        tasks=suites,
        lock=lock,
    )
    shows = presets.presented(
        study,
        plan.grid(),
        plan.shown(),
        known=known,
        folder=folder,
        published=any(each.published_as in PUBLISHED for each in plan.shown()),
    )
    told = shows.model_copy(update={"left_out": (*shows.left_out, *absent)})
    return plan.model_copy(update={"shows": told})
