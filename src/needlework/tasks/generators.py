"""Which generator plans the samples of a task.

A rule that makes datasets depends on the generator of its own task alone (`tasks.code`), so a line
here makes no other dataset again.
"""

from typing import assert_never

from needlework.errors import StudyError
from needlework.tasks import common_words, frequent_words, niah, own, qa, variable_tracking
from needlework.tasks.drafts import Outline
from needlework.tasks.material import Item, Material
from needlework.tasks.specs import (
    CommonWordsSpec,
    FileSpec,
    FrequentWordsSpec,
    NiahSpec,
    OwnSpec,
    QaSpec,
    Spec,
    VariableTrackingSpec,
)


def plan(spec: Spec, material: Material, item: Item) -> Outline:
    """How one sample of a task is put together, whatever the size of its haystack.

    Raises:
        StudyError: the samples of the task are read from a file, and have no haystack to fit.
    """
    match spec:
        case NiahSpec():
            return niah.plan(spec, material, item)
        case VariableTrackingSpec():
            return variable_tracking.plan(spec, material, item)
        case CommonWordsSpec():
            return common_words.plan(spec, material, item)
        case FrequentWordsSpec():
            return frequent_words.plan(spec, material, item)
        case QaSpec():
            return qa.plan(spec, material, item)
        case OwnSpec():
            return own.plan(spec, material, item)
        case FileSpec():
            raise StudyError(
                f"{spec.path}: prompts of a file are as long as they are and fit no other length; "
                "take the task out of the list"
            )
        case _:
            assert_never(spec)
