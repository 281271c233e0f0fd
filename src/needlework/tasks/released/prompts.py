"""The artifact's prompt texts: data that is fetched, never part of this package.

Knows the form of `ruler/prompts.json` and how the artifact puts a prompt together; does not know
what goes into its haystack.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from needlework.errors import ResourceError, StudyError
from needlework.parsing import unknown

_SLOT = "{context}"
_TASK_SLOT = "{task_template}"
SINGULAR = (("Some", "A"), ("are all", "is"), ("are", "is"), ("answers", "answer"))
"""What RULER replaces in the template of needles where one value is asked for."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskPrompt(_Closed):
    """The texts of one kind of task."""

    tokens_to_generate: PositiveInt
    template: str
    answer_prefix: str


class Prompts(_Closed):
    """Everything the artifact says to a model that is not haystack or answer."""

    source: Mapping[str, str | tuple[str, ...]]
    """Where the texts are from: repository, commit, files, licence."""
    tasks: Mapping[str, TaskPrompt]
    wrappers: Mapping[str, str]
    """Prompt formats around a task template, by the artifact's names."""
    needle: str
    noise: str

    def template(self, task: str, wrapper: str) -> str:
        """The whole template of a kind of task in a wrapper, answer prefix included.

        `wrapper` is a name, or a format of its own with a place for `{task_template}`.

        Raises:
            StudyError: the wrapper is neither.
        """
        if wrapper not in self.wrappers and _TASK_SLOT not in wrapper:
            raise StudyError(f"--wrapper: {unknown(wrapper, self.wrappers)}")
        around = self.wrappers.get(wrapper, wrapper)
        texts = self.tasks[task]
        try:
            return around.format(task_template=texts.template) + texts.answer_prefix
        except (IndexError, KeyError, ValueError) as error:
            raise StudyError(
                f"--wrapper: {around!r} has more than a place for {_TASK_SLOT}; double its braces"
            ) from error


def read(path: Path) -> Prompts:
    """The prompts in a file.

    Raises:
        ResourceError: the file is absent or has another form.
    """
    try:
        return Prompts.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValidationError, json.JSONDecodeError) as error:
        raise ResourceError(
            f"{path}: not the artifact's prompts; fetch them with `needlework fetch prompts`"
        ) from error


def around_context(template: str) -> tuple[str, str]:
    """What stands before and after the haystack."""
    before, _, after = template.partition(_SLOT)
    return before, after
