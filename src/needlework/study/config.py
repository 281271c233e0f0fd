"""A study as data: the closed form of the files in `config/`."""

import json
from typing import Annotated, Literal, get_args

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from needlework.defects import StudyHazard
from needlework.external.snapshots import Commit
from needlework.parsing import Closed, Line, as_name, by_form, unknown
from needlework.records import Reasoning
from needlework.study.definitions import Name, TableDefinition, TemplateOptions
from needlework.study.entries import Family, Place, TokenizerEntry, Wrappers
from needlework.study.served import ServerKeys, entry_problem
from needlework.study.shown import PublishedModel, ShownModel
from needlework.tasks.controls import CONTROLS, Control
from needlework.tasks.prompts import CHAT, WordingName
from needlework.tasks.specs import Spec

SuiteName = Name


class Suite(Closed):
    """Tasks that run together, at every one of these lengths."""

    tasks: tuple[Name, ...] | None = Field(
        None,
        description="Tasks of config/tasks.yaml, or lists of them; when left out, the list of the "
        "suite's name.",
    )
    lengths: tuple[PositiveInt, ...] = Field(
        min_length=1, description="Context lengths in tokens, answer included, ascending."
    )

    @model_validator(mode="after")
    def _ascending(self) -> "Suite":
        if list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths {list(self.lengths)} must ascend without repeats")
        return self


class ModelEntry(ServerKeys):
    """One row of the tables."""

    label: Annotated[Line, BeforeValidator(as_name)] = Field(
        description="The name shown in tables."
    )
    family: Family
    checkpoint: Place = Field(description="A folder, or a hub id.")
    revision: Commit | None = Field(None, description="A commit of the hub id, not the lock's.")
    tokenizer: Name = Field(description="An entry of `tokenizers` in the same file.")
    wrapper: Wrappers = Field(
        description="The prompt format around every question, one name or one per protocol; "
        "`chat`, where corrected, is the chat template of the tokenizer."
    )
    template_options: TemplateOptions = Field(
        {}, description="What the chat template is told: `enable_thinking: false`."
    )
    reasoning: Reasoning | None = Field(
        None, description="How it thinks before it answers; thoughts are not scored."
    )
    trained_length: PositiveInt = Field(description="Context length of the training, in tokens.")
    backend: Literal["needlework", "transformers", "server"] = Field(
        "needlework",
        description="Our decoder, the model as transformers computes it, or one on a server.",
    )
    trust_remote_code: bool = Field(
        False, description="Let transformers run code that comes with the checkpoint."
    )
    hazards: tuple[StudyHazard, ...] = Field(
        (),
        description="Defects it was published with; on under `protocol: released`, and in the "
        "variants of a study with `hazards`.",
    )
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    licence: Line = Field(description="Licence of the weights, for the table of models.")
    another_run_of: Name | None = Field(
        None,
        description="The entry whose training this repeats with another seed: findings then speak "
        "of the recipe, over all of its runs.",
    )

    @model_validator(mode="after")
    def _remote_code_is_run_by_transformers(self) -> "ModelEntry":
        if self.trust_remote_code and self.backend != "transformers":
            raise ValueError("trust_remote_code is for backend: transformers; remove one of them")
        return self

    @model_validator(mode="after")
    def _options_are_for_chat(self) -> "ModelEntry":
        if self.template_options and self.wrapper.corrected != CHAT:
            raise ValueError("template_options are for `wrapper: chat`; remove them, or name that")
        return self

    @model_validator(mode="after")
    def _servers_are_described(self) -> "ModelEntry":
        formats = {self.wrapper.released, self.wrapper.corrected}
        if found := entry_problem(self, self.backend, formats, self.hazards):
            raise ValueError(found)
        return self

    def shown(self, name: str, wrapper: str) -> ShownModel:
        """What tables and figures say about it."""
        fields = ShownModel.model_fields.keys() - {"name", "wrapper"}
        return ShownModel(name=name, wrapper=wrapper, **self.model_dump(include=fields))

    def published(self, name: str) -> PublishedModel:
        """What pages say about it where they judge its published numbers."""
        shown = self.shown(name, self.wrapper.released)
        return PublishedModel(hazards=self.hazards, **dict(shown))


class Entries(Closed):
    """Models and tokenizers of one study, in its own file."""

    tokenizers: dict[Name, TokenizerEntry] = Field({})
    models: dict[Name, ModelEntry] = Field({})


class Study(Closed):
    """One config file: what is measured, on which models, how often."""

    study: Name = Field(description="Name of the study and of its folder under results/.")
    seed: int = Field(ge=0, description="Seed of every random draw.")
    samples: int = Field(ge=1, le=100_000, description="Samples per task and length.")
    shards: PositiveInt = Field(
        1, exclude=True, description="Jobs that share the samples of one cell; changes no result."
    )
    protocol: Literal["released", "corrected"] = Field(
        description="How prompts are made and answers decoded. `released`: exactly as in the "
        "published artifact; `corrected`: with its known bugs fixed."
    )
    material: Literal["nano", "english"] = Field(
        description="The study's own small language, or English essays and words."
    )
    wording: WordingName | Annotated[tuple[WordingName, ...], Field(min_length=1)] | None = Field(
        None,
        description="Whose words prompts are in: RULER's own (English's default), or plain ones of "
        "ours (the nano language's). A list: every model runs in each of them.",
    )
    suites: dict[Name, Suite] = Field(
        min_length=1, description="What is asked: tasks that run together, by any name."
    )
    tables: (
        Annotated[
            Annotated[Literal["paper", "auto"], Tag("=text")]
            | Annotated[tuple[TableDefinition, ...], Tag("=list")],
            Discriminator(by_form),
        ]
        | None
    ) = Field(
        None,
        description="`paper`: those of config/tables/paper.yaml; `auto`: of every suite a mean, "
        "one of each task and one by depth; or definitions of your own. Left out: `paper` where "
        "the study has its cells, else `auto`.",
    )
    models: tuple[Name, ...] = Field(
        min_length=1, description="Entries of config/models.yaml, in the order of the tables."
    )
    where_fetched: tuple[Name, ...] = Field(
        (), description="Tasks that are left out, and named, where their files are not fetched."
    )
    hazards: tuple[StudyHazard, ...] = Field(
        (),
        description="Published defects to study: every model runs without, with each one it was "
        "published with, and with all of those.",
    )
    controls: tuple[Control, ...] = Field(
        (),
        exclude_if=lambda value: not value,
        description="What every score is set beside: that of the last `trained_length` tokens of "
        "each prompt (`truncated`), of needles and question alone (`no-haystack`), of prompts "
        "without the needles that are asked for (`no-needle`).",
    )
    likelihood: bool = Field(
        False,
        exclude_if=lambda value: not value,
        description="Whether to tell how likely each model takes the reference to be behind the "
        "prompt, and by how much more than wrong values; not for models on a server.",
    )
    entries: Entries | None = Field(
        None,
        exclude=True,
        description="Models and tokenizers for this study alone, described as in models.yaml.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if self.protocol == "released" and self.material == "nano":
            raise ValueError("protocol `released` replays English prompts; set material: english")
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"models {list(self.models)} must not repeat")
        if len(set(self.hazards)) < len(self.hazards):
            raise ValueError(f"hazards {list(self.hazards)} must not repeat")
        if self.hazards and self.tables is not None:
            raise ValueError(
                "a study of hazards shows what each of them costs; remove tables, or hazards"
            )
        if self.hazards and self.likelihood:
            raise ValueError(
                "a study of hazards shows what each of them costs; remove likelihood, or hazards"
            )
        if self.hazards and self.protocol == "released":
            raise ValueError(
                "hazards are switched on one by one, and protocol `released` has them all; set "
                "protocol: corrected, or remove hazards"
            )
        return self

    @field_validator("wording", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """One line for an error, where a choice of forms would give one for each form."""
        known = get_args(WordingName)
        named = [value] if value is None or isinstance(value, str) else value
        if not isinstance(named, list | tuple) or not named:
            raise ValueError(f"name {' or '.join(known)}, or list both")
        for each in named:
            if each is not None and each not in known:
                raise ValueError(unknown(str(each), known))
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _speakable(self) -> "Study":
        if "ruler" in self.wordings and self.material == "nano":
            raise ValueError("wording `ruler` is English; remove wording, or set material: english")
        if "plain" in self.wordings and self.protocol == "released":
            raise ValueError(
                "protocol `released` replays RULER's prompts; remove wording `plain`, or set "
                "protocol: corrected"
            )
        if len(set(self.wordings)) < len(self.wordings):
            raise ValueError(f"wording {list(self.wordings)} must not repeat")
        if len(self.wordings) > 1 and self.hazards:
            raise ValueError(
                f"wording {list(self.wordings)} and hazards both make variants of every model; "
                "study one of them at a time"
            )
        return self

    @field_validator("controls", mode="before")
    @classmethod
    def _known_controls(cls, value: object) -> object:
        """One line for an unknown one, which names those there are."""
        if not isinstance(value, list | tuple):
            raise ValueError(f"list some of {', '.join(CONTROLS)}")
        for each in value:
            if each not in CONTROLS:
                raise ValueError(unknown(str(each), CONTROLS))
        if len(set(value)) < len(value):
            raise ValueError(f"{list(value)} must not repeat")
        return tuple(value)

    @model_validator(mode="after")
    def _controllable(self) -> "Study":
        if self.controls and self.protocol == "released":
            raise ValueError(
                "controls change prompts, and protocol `released` replays those of the artifact; "
                "set protocol: corrected, or remove controls"
            )
        if self.controls and (self.hazards or len(self.wordings) > 1):
            other = "hazards" if self.hazards else f"wording {list(self.wordings)}"
            raise ValueError(
                f"controls and {other} both make variants of every model; study one of them at a "
                "time"
            )
        return self

    @property
    def wordings(self) -> tuple[WordingName, ...]:
        """Every wording that prompts are in; one, or more that make variants of every model."""
        if self.wording is None:
            return ("plain",) if self.material == "nano" else ("ruler",)
        return (self.wording,) if isinstance(self.wording, str) else self.wording


class Models(Closed):
    """The parsed form of config/models.yaml."""

    tokenizers: dict[Name, TokenizerEntry]
    models: dict[Name, ModelEntry]

    @model_validator(mode="after")
    def _known_tokenizers(self) -> "Models":
        for name, model in self.models.items():
            if model.tokenizer not in self.tokenizers:
                raise ValueError(
                    f"models.{name}.tokenizer: {unknown(model.tokenizer, self.tokenizers)}"
                )
        return self

    @model_validator(mode="after")
    def _known_recipes(self) -> "Models":
        for name, model in self.models.items():
            recipe, others = model.another_run_of, self.models.keys() - {name}
            if recipe is None:
                continue
            if recipe not in others:
                raise ValueError(f"models.{name}.another_run_of: {unknown(recipe, others)}")
            if self.models[recipe].another_run_of is not None:
                raise ValueError(
                    f"models.{name}.another_run_of: {recipe} is itself another run; name "
                    f"{self.models[recipe].another_run_of}"
                )
        return self


SuiteTasks = dict[Name, dict[Name, Spec]]
"""The tasks of every suite of a study, by name."""


def schema() -> str:
    """The JSON schema of a study config, for editors; `config/schema.json` holds it."""
    return json.dumps(Study.model_json_schema(), indent=2) + "\n"
