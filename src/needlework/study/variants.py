"""Models with some published defects switched on, or asked in several wordings."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from needlework.defects import Hazard, StudyHazard
from needlework.errors import StudyError
from needlework.parsing import Closed, Line
from needlework.records import Reasoning
from needlework.study.config import ModelEntry, Study, SuiteName, SuiteTasks
from needlework.study.definitions import Name
from needlework.study.paper import DEPTHS, FORMATS
from needlework.study.shown import RunName
from needlework.tasks.prompts import WordingName
from needlework.tasks.specs import NiahSpec, Spec, needle_format

NO_DEFECT, ALL_DEFECTS = "no-defect", "all-defects"
LABELS: Mapping[str, str] = {
    NO_DEFECT: "no defect",
    "mamba-sampling": "sampled",
    "no-begin-token": "no begin token",
    "m2a-conv-state": "wrong state",
    "rg-window": "shifted window",
    "uuid-numbers": "numbers for UUIDs",
    "format-mix": "formats mixed",
    ALL_DEFECTS: "all defects",
}
"""What tables and figures call a variant, after the label of its model."""

WORDINGS: Mapping[WordingName, str] = {"ruler": "in RULER's words", "plain": "in plain words"}
"""The same for a variant that is asked in one of several wordings."""


class Variant(NamedTuple):
    """A model with some defects switched on."""

    model: str
    name: str
    """`no-defect`, a defect, or `all-defects`."""
    hazards: tuple[StudyHazard, ...]

    @property
    def run(self) -> str:
        """The name under which it is predicted and scored."""
        return f"{self.model}+{self.name}"

    def entry(self, model: ModelEntry) -> ModelEntry:
        """The description of the model, with these defects and a label of its own."""
        label = f"{model.label}, {LABELS[self.name]}"
        return model.model_copy(update={"hazards": self.hazards, "label": label})


class StudiedSuite(Closed):
    """A suite of a hazard study, as one of its models answers it."""

    tasks: tuple[Name, ...]
    formats: bool
    """Whether its score is the paper's: the mean over depths of the means over formats. That of any
    other suite is the mean over its tasks."""
    defects: tuple[StudyHazard, ...]
    """Those of the model that can change a score of the suite."""
    answers: dict[str, RunName]
    """By variant, the run whose cells hold its answers; empty where no defect changes a score."""


class StudiedModel(Closed):
    """A model of a hazard study, and where the answers of its variants are."""

    name: Name
    label: Line
    defects: tuple[StudyHazard, ...]
    suites: dict[SuiteName, StudiedSuite]


def weights_of(run: str) -> str:
    """The model behind a run, whose weights all of its variants share."""
    return run.partition("+")[0]


def wording_of(study: Study, run: str) -> WordingName:
    """Whose words a run is asked in."""
    return next((each for each in study.wordings if run.endswith(f"+{each}")), study.wordings[0])


def variants(model: str, defects: Sequence[StudyHazard]) -> list[Variant]:
    """The model without a defect, with each defect alone, and with all of them."""
    alone = [Variant(model, defect, (defect,)) for defect in defects]
    return [Variant(model, NO_DEFECT, ()), *alone, Variant(model, ALL_DEFECTS, tuple(defects))]


def runs(
    study: Study, models: Mapping[str, ModelEntry], studied: Sequence[StudiedModel]
) -> dict[str, ModelEntry]:
    """What is predicted: every model under the study's protocol, or the variants that answer.

    Each description keeps the defects that are on, and no others.
    """
    if len(study.wordings) > 1:
        return {
            f"{name}+{wording}": model.model_copy(
                update={"hazards": (), "label": f"{model.label}, {WORDINGS[wording]}"}
            )
            for name, model in models.items()
            for wording in study.wordings
        }
    if not study.hazards:
        return {
            name: model.model_copy(
                update={
                    "hazards": of_decoder(model.hazards) if study.protocol == "released" else ()
                }
            )
            for name, model in models.items()
        }
    return {
        variant.run: variant.entry(models[each.name])
        for each in studied
        for variant in variants(each.name, each.defects)
        if any(variant.run in found.answers.values() for found in each.suites.values())
    }


def studies(
    study: Study, models: Mapping[str, ModelEntry], tasks: SuiteTasks
) -> list[StudiedModel]:
    """The models of a hazard study, with the suites that they are asked; none for other studies.

    Raises:
        StudyError: a model was published with none of the defects, or none of them changes a score
            of these suites.
    """
    if not study.hazards:
        return []
    found = [_studied(name, model, study, tasks) for name, model in models.items()]
    if not any(suite.answers for model in found for suite in model.suites.values()):
        raise StudyError(
            f"study config: hazards {', '.join(study.hazards)} change no score of the suites "
            f"{', '.join(tasks)}; name another hazard, or another suite"
        )
    return found


def switched_on(model: StudiedModel, variant: str) -> tuple[StudyHazard, ...]:
    """The defects of a variant."""
    found = {each.name: each.hazards for each in variants(model.name, model.defects)}
    return found[variant]


def without(models: Sequence[StudiedModel]) -> tuple[tuple[RunName, SuiteName], ...]:
    """The runs and suites that need no cells: another run answers, or no defect touches them."""
    return tuple(
        (run, name)
        for model in models
        for run in {run: None for suite in model.suites.values() for run in suite.answers.values()}
        for name, suite in model.suites.items()
        if run not in suite.answers.values()
    )


def of_decoder(hazards: Sequence[StudyHazard]) -> list[Hazard]:
    """Those that change how a model answers, not what it is asked."""
    known: dict[StudyHazard, Hazard] = {hazard: hazard for hazard in get_args(Hazard)}
    return [known[hazard] for hazard in hazards if hazard in known]


def of_data(hazards: Sequence[StudyHazard]) -> list[StudyHazard]:
    """Those that change the samples."""
    return [hazard for hazard in hazards if hazard == "uuid-numbers"]


def misread(spec: Spec, hazards: Sequence[StudyHazard]) -> Spec:
    """The parameters of a task as these defects of the data leave them (hazard H4)."""
    mistaken = "uuid-numbers" in hazards and needle_format(spec) == FORMATS[1]
    if mistaken and isinstance(spec, NiahSpec):
        return spec.model_copy(update={"value_kind": "numbers"})
    return spec


def _studied(name: str, model: ModelEntry, study: Study, tasks: SuiteTasks) -> StudiedModel:
    """A model and its runs: variants that are equal in a suite answer it once."""
    defects = tuple(hazard for hazard in model.hazards if hazard in study.hazards)
    if not defects:
        raise StudyError(
            f"study config: models: {name} was published with none of the hazards "
            f"{', '.join(study.hazards)}; leave it out, or name another hazard"
        )
    found = variants(name, defects)
    suites = {suite: _suite(specs, defects, found) for suite, specs in tasks.items()}
    return StudiedModel(name=name, label=model.label, defects=defects, suites=suites)


def _suite(
    tasks: Mapping[Name, Spec], defects: Sequence[StudyHazard], found: Sequence[Variant]
) -> StudiedSuite:
    formats = _has_formats(tasks.values())
    touching = tuple(
        hazard
        for hazard in defects
        if _changes_answers(hazard, tasks.values()) or (hazard == "format-mix" and formats)
    )
    return StudiedSuite(
        tasks=tuple(tasks),
        formats=formats,
        defects=touching,
        answers=dict(_answers(tasks.values(), found)) if touching else {},
    )


def _has_formats(specs: Collection[Spec]) -> bool:
    """Whether these are the needles of the paper: each of its formats at each of its depths."""
    found = {(needle_format(spec), spec.depth) for spec in specs if isinstance(spec, NiahSpec)}
    return len(found) == len(specs) and found == {(form, at) for form in FORMATS for at in DEPTHS}


def _changes_answers(hazard: StudyHazard, specs: Collection[Spec]) -> bool:
    """Whether a defect can change an answer to these tasks: those of a decoder can always.

    Mixed formats change no answer, only which of them a mean is taken over.
    """
    if hazard == "uuid-numbers":
        return any(misread(spec, [hazard]) != spec for spec in specs)
    return hazard != "format-mix"


def _answers(specs: Collection[Spec], found: Sequence[Variant]) -> Iterator[tuple[str, str]]:
    first: dict[tuple[StudyHazard, ...], str] = {}
    for variant in found:
        acting = tuple(each for each in variant.hazards if _changes_answers(each, specs))
        yield variant.name, first.setdefault(acting, variant.run)


def reasoning(study: Study, model: ModelEntry) -> Reasoning | None:
    """How a model thinks before it answers; the artifact let none."""
    return model.reasoning if study.protocol == "corrected" else None


def thoughts(study: Study, model: ModelEntry) -> dict[str, str | int]:
    """The same as options of a command; none where it does not think."""
    found = reasoning(study, model)
    return {"thought_end": found.end, "thought_tokens": found.tokens} if found else {}


def template_options(study: Study, model: ModelEntry) -> str | None:
    """What a model's chat template is told, as JSON; None where it is told nothing."""
    asked = model.template_options if study.protocol == "corrected" else {}
    return json.dumps(asked, sort_keys=True) if asked else None


def of_template(study: Study, model: ModelEntry) -> list[str]:
    """What tells a model's prompts from those of others in the same chat template."""
    if study.protocol == "released":
        return []
    told = [f"{name}-{str(value).lower()}" for name, value in model.template_options.items()]
    return [*told, *(["thinks"] if model.reasoning else [])]
