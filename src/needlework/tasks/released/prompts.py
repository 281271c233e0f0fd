"""The artifact's prompt texts: data that is fetched, never part of this package."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import PositiveInt

from needlework.door import opens, read_json
from needlework.errors import ResourceError, StudyError
from needlework.parsing import Closed, unknown

_SLOT = "{context}"
_TASK_SLOT = "{task_template}"
SINGULAR = (("Some", "A"), ("are all", "is"), ("are", "is"), ("answers", "answer"))
"""What RULER replaces in the template of needles where one value is asked for."""

FETCH = "fetch them with `needlework fetch prompts`"


class TaskPrompt(Closed):
    """The texts of one kind of task."""

    tokens_to_generate: PositiveInt
    template: str
    answer_prefix: str


class Prompts(Closed):
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


@opens("the artifact's prompts", "prompts.json", error=ResourceError, way_out=FETCH)
def read(path: Path) -> Prompts:
    """The prompts in a file.

    Raises:
        ResourceError: the file is absent or has another form.
    """
    if not path.is_file():
        raise ResourceError(f"{path}: the prompts are not there; {FETCH}")
    return Prompts.model_validate(read_json(path, error=ResourceError, kind=dict, way_out=FETCH))


def around_context(template: str) -> tuple[str, str]:
    """What stands before and after the haystack."""
    before, _, after = template.partition(_SLOT)
    return before, after
