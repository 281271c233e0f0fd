"""Models with some published defects switched on, or asked in several wordings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from needlework.defects import Hazard, StudyHazard
from needlework.errors import StudyError
from needlework.parsing import Closed, Line
from needlework.records import Reasoning
from needlework.study.config import ModelEntry, RunName, Study, SuiteName
from needlework.study.definitions import Name
from needlework.study.paper import FORMATS
from needlework.tasks.prompts import WordingName
from needlework.tasks.specs import NiahSpec, Spec, needle_format

CORRECTED, PUBLISHED = "corrected", "published"
SUITES: tuple[SuiteName, ...] = ("ruler", "depth")
LABELS: Mapping[str, str] = {
    CORRECTED: "corrected",
    "mamba-sampling": "sampled",
    "no-begin-token": "no begin token",
    "m2a-conv-state": "wrong state",
    "rg-window": "shifted window",
    "uuid-numbers": "numbers for UUIDs",
    "format-mix": "formats mixed",
    PUBLISHED: "as published",
}
"""What tables and figures call a variant, after the label of its model."""

WORDINGS: Mapping[WordingName, str] = {"ruler": "in RULER's words", "plain": "in plain words"}
"""The same for a variant that is asked in one of several wordings."""

_REACH: Mapping[StudyHazard, tuple[SuiteName, ...]] = {
    "mamba-sampling": SUITES,
    "no-begin-token": SUITES,
    "m2a-conv-state": SUITES,
    "rg-window": SUITES,
    "uuid-numbers": ("depth",),
    "format-mix": (),
}
"""The suites whose answers a defect can change. Mixed formats change no answer, only which of them
a mean is taken over."""


class Variant(NamedTuple):
    """A model with some defects switched on."""

    model: str
    name: str
    """`corrected`, a defect, or `published`."""
    hazards: tuple[StudyHazard, ...]

    @property
    def run(self) -> str:
        """The name under which it is predicted and scored."""
        return f"{self.model}+{self.name}"

    def entry(self, model: ModelEntry) -> ModelEntry:
        """The description of the model, with these defects and a label of its own."""
        label = f"{model.label}, {LABELS[self.name]}"
        return model.model_copy(update={"hazards": self.hazards, "label": label})


class StudiedModel(Closed):
    """A model of a hazard study, and where the answers of its variants are."""

    name: Name
    label: Line
    defects: tuple[StudyHazard, ...]
    answers: dict[SuiteName, dict[str, RunName]]
    """By suite that a defect touches, and variant: the run whose cells hold its answers."""


def weights_of(run: str) -> str:
    """The model behind a run, whose weights all of its variants share."""
    return run.partition("+")[0]


def wording_of(study: Study, run: str) -> WordingName:
    """Whose words a run is asked in."""
    return next((each for each in study.wordings if run.endswith(f"+{each}")), study.wordings[0])


def variants(model: str, defects: Sequence[StudyHazard]) -> list[Variant]:
    """The corrected model, each defect alone, and the model as it was published."""
    alone = [Variant(model, defect, (defect,)) for defect in defects]
    return [Variant(model, CORRECTED, ()), *alone, Variant(model, PUBLISHED, tuple(defects))]


def runs(study: Study, models: Mapping[str, ModelEntry]) -> dict[str, ModelEntry]:
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
        for each in studies(study, models)
        for variant in variants(each.name, each.defects)
        if any(variant.run in found.values() for found in each.answers.values())
    }


def studies(study: Study, models: Mapping[str, ModelEntry]) -> list[StudiedModel]:
    """The models of a hazard study; none for other studies.

    Raises:
        StudyError: a model was published with none of the defects, or a suite is none of the
            paper's.
    """
    if not study.hazards:
        return []
    for suite in study.suites:
        if suite not in SUITES:
            raise StudyError(
                f"study config: suites.{suite}: defects are measured on the paper's suites, "
                f"{' and '.join(SUITES)}; remove the suite, or remove hazards"
            )
    return [_studied(name, model, study) for name, model in models.items()]


def switched_on(model: StudiedModel, variant: str) -> tuple[StudyHazard, ...]:
    """The defects of a variant."""
    found = {each.name: each.hazards for each in variants(model.name, model.defects)}
    return found[variant]


def touches(hazard: StudyHazard, suite: SuiteName) -> bool:
    """Whether a defect can change a suite's scores: its answers, or how they are averaged."""
    return suite in _REACH[hazard] or (hazard == "format-mix" and suite == "depth")


def without(models: Sequence[StudiedModel]) -> tuple[tuple[RunName, SuiteName], ...]:
    """The runs and suites that need no cells: another run answers, or no defect touches them."""
    return tuple(
        (run, suite)
        for model in models
        for run in {run: None for found in model.answers.values() for run in found.values()}
        for suite in SUITES
        if run not in model.answers.get(suite, {}).values()
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


def _studied(name: str, model: ModelEntry, study: Study) -> StudiedModel:
    """A model and its runs: variants that are equal in a suite answer it once."""
    defects = tuple(hazard for hazard in model.hazards if hazard in study.hazards)
    if not defects:
        raise StudyError(
            f"study config: models: {name} was published with none of the hazards "
            f"{', '.join(study.hazards)}; leave it out, or name another hazard"
        )
    found = variants(name, defects)
    answers = {
        suite: dict(_answers(suite, found))
        for suite in SUITES
        if suite in study.suites and any(touches(defect, suite) for defect in defects)
    }
    return StudiedModel(name=name, label=model.label, defects=defects, answers=answers)


def _answers(suite: SuiteName, found: Sequence[Variant]) -> Iterator[tuple[str, str]]:
    first: dict[tuple[StudyHazard, ...], str] = {}
    for variant in found:
        acting = tuple(hazard for hazard in variant.hazards if suite in _REACH[hazard])
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
