"""What tables and figures say about a model of a study."""

from typing import Annotated

from pydantic import Field, PositiveInt, StringConstraints

from needlework.defects import StudyHazard
from needlework.external.snapshots import Commit
from needlework.parsing import Closed, Line
from needlework.study.definitions import Name
from needlework.study.entries import Family, Place, Prompts

RunName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*(\+[a-z0-9][a-z0-9-]*)?$")
]
"""The name of a model, or of a variant or control of it: `model+variant`."""


class ShownModel(Closed):
    """What tables and figures say about a model; nothing here changes a score."""

    name: RunName
    label: Line
    family: Family
    checkpoint: Place
    revision: Commit | None
    tokenizer: Name
    wrapper: Prompts
    trained_length: PositiveInt
    licence: Line
    another_run_of: Name | None = Field(None, exclude_if=lambda value: value is None)

    @property
    def recipe(self) -> str:
        """The model whose training this is, its own or the one that it repeats."""
        return self.another_run_of or self.name

    @property
    def published_as(self) -> str | None:
        """Its name in published tables; None for a variant that nobody published.

        Of a study in several wordings it is the run in RULER's own words that is set beside them.
        """
        name, _, variant = self.name.partition("+")
        return name if variant in ("", "ruler") else None

    @property
    def prompts(self) -> str:
        """The folder of its samples: models that share it answer the same questions."""
        return f"{self.tokenizer}-{self.wrapper}"

    @property
    def weights(self) -> str:
        """The model whose weights these are, its own or those that it shares as a variant."""
        return self.name.partition("+")[0]


class PublishedModel(ShownModel):
    """A model of published tables, with the known defects of how it was run."""

    hazards: tuple[StudyHazard, ...] = ()
