"""The artifact's task names, and the one defect in them that can be switched off."""

import pytest

from needlework.errors import StudyError
from needlework.tasks.released import catalog
from needlework.tasks.specs import NiahSpec


def kind(task: str, *, uuid_numbers: bool) -> str:
    spec = catalog.find(task, uuid_numbers=uuid_numbers).spec
    assert isinstance(spec, NiahSpec)
    return spec.value_kind


def test_both_files_are_complete() -> None:
    """Thirteen tasks, and three haystacks at eleven depths and a random one."""
    assert len(catalog.TASKS) == 13 + 3 * 12


def test_uuid_tasks_of_a_fixed_depth_ask_for_numbers() -> None:
    """Hazard H4: the columns of Table 4 that say UUID measure numbers again."""
    assert kind("niah_essay_uuids_50", uuid_numbers=True) == "numbers"
    assert kind("niah_essay_uuids_50", uuid_numbers=False) == "uuids"


@pytest.mark.parametrize("task", ["niah_essay_uuids_random", "niah_single_3"])
def test_the_other_uuid_tasks_hold_uuids(task: str) -> None:
    assert kind(task, uuid_numbers=True) == "uuids"


def test_the_depth_study_searches_in_fine_steps() -> None:
    assert catalog.find("niah_essay_numbers_50").fine_steps
    assert not catalog.find("niah_single_2").fine_steps


def test_an_unknown_task_gets_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean `niah_single_2`"):
        catalog.find("niah_singel_2")
