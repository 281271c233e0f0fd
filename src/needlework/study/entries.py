"""The small parts of entries of models.yaml: families, tokenizers, prompt formats."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from needlework.external.snapshots import Commit
from needlework.parsing import Closed

Family = Literal["linear", "hybrid", "attention", "unknown"]
Wrapper = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class TokenizerEntry(Closed):
    """Where a tokenizer comes from."""

    source: str = Field(description="A file or folder, or a hub id.")
    revision: Commit | None = Field(None, description="A commit of the hub id, not the lock's.")


class Wrappers(Closed):
    """The prompt format of a model under each protocol; a lone name stands for both."""

    released: Wrapper
    corrected: Wrapper

    @model_validator(mode="before")
    @classmethod
    def _one_for_both(cls, value: object) -> object:
        return {"released": value, "corrected": value} if isinstance(value, str) else value
