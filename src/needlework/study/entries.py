"""The small parts of entries of models.yaml: families, tokenizers, prompt formats."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from needlework.external.snapshots import Commit
from needlework.parsing import Closed, Line

Family = Literal["linear", "hybrid", "attention", "unknown"]
Wrapper = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Prompts = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""A wrapper with what else tells its samples from those of others: `base+plain`."""


def _source(value: str) -> str:
    """A path that means the same to rules, in which these characters mark what is filled in."""
    marks = [mark for mark in "{}<>" if mark in value]
    if marks:
        raise ValueError(
            f"holds `{marks[0]}`, with which rules mark what they fill in; rename it, or give it "
            "another name with `ln -s`"
        )
    return value


Place = Annotated[Line, AfterValidator(_source)]
"""A path or a hub id."""


class TokenizerEntry(Closed):
    """Where a tokenizer comes from."""

    source: Place = Field(description="A file or folder, or a hub id.")
    revision: Commit | None = Field(None, description="A commit of the hub id, not the lock's.")


class Wrappers(Closed):
    """The prompt format of a model under each protocol; a lone name stands for both."""

    released: Wrapper
    corrected: Wrapper

    @model_validator(mode="before")
    @classmethod
    def _one_for_both(cls, value: object) -> object:
        return {"released": value, "corrected": value} if isinstance(value, str) else value
