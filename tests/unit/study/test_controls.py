"""The controls of a study: their cells, what makes their samples, and what cannot be asked."""

from pathlib import Path
from typing import Any

import pytest

from needlework.errors import StudyError
from needlework.study import datasets, plan
from needlework.study.controls import untruncated
from needlework.study.grid import Cell
from needlework.study.parts import whole
from needlework.tasks.controls import CONTROLS
from tests.study_for_tests import CONFIG, small_plan, study_keys

ALL = list(CONTROLS)
SUITES = {"ruler": {"lengths": [128, 256, 512]}, "depth": {"lengths": [256, 1024]}}


def controlled(**changed: Any) -> plan.Plan:
    return small_plan(**{"controls": ALL, "suites": SUITES, "models": ["nano-llama"]} | changed)


def test_no_cell_is_asked_twice() -> None:
    """No truncated cell within the training length, one without haystack, all without needle."""
    asked = controlled()
    found = {each.cell.place.removeprefix("nano-llama+") for each in asked.controls}
    assert found == {
        "truncated/ruler/512",
        "truncated/depth/1024",
        "no-haystack/ruler/512",
        "no-haystack/depth/1024",
        *(f"no-needle/ruler/{length}" for length in (128, 256, 512)),
        *(f"no-needle/depth/{length}" for length in (256, 1024)),
    }
    assert asked.cells() == [*asked.grid().cells(), *(each.cell for each in asked.controls)]


def test_a_list_of_words_has_no_cell_without_haystack() -> None:
    asked = controlled()
    left = asked.tasks["ruler"].keys() - asked.tasks_of(
        Cell("nano-llama+no-haystack", "ruler", 512)
    )
    assert left == {"cwe", "fwe"}
    assert asked.tasks_of(Cell("nano-llama+no-needle", "ruler", 512)) == asked.tasks["ruler"]


def test_controls_stand_in_no_table_of_the_study() -> None:
    """What a study without controls shows is shown to the byte, and the table beside it."""
    with_controls, without = controlled(), controlled(controls=[])
    assert with_controls.grid() == without.grid()
    assert with_controls.shown() == without.shown()
    (added,) = set(with_controls.shows.tables) - set(without.shows.tables)
    assert (added.name, added.value) == ("controls", "controls")
    assert with_controls.parts().keys() - without.parts().keys() == {
        "controls",
        "tables/controls",
    }
    assert set(with_controls.shows.pages) - set(without.shows.pages) == {"controls"}


def test_a_study_of_likelihoods_shows_their_margins_too() -> None:
    """One table more than without likelihoods and one than without controls, in all of its parts;
    the runs of controls tell likelihoods as models do, over distractors of their own datasets."""
    both, controls, likelihoods = (
        controlled(likelihood=True),
        controlled(),
        controlled(likelihood=True, controls=[]),
    )
    assert both.grid() == likelihoods.grid()
    names = [{table.name for table in each.shows.tables} for each in (both, controls, likelihoods)]
    assert names[0] - names[1] == {"likelihood", "control_margins"}
    assert names[0] - names[2] == {"controls", "control_margins"}
    assert both.parts().keys() - controls.parts().keys() == {
        *("tables/likelihood", "tables/control_margins"),
        *(f"figures/{suite}_margin_{kind}" for suite in SUITES for kind in ("curve", "distance")),
    }
    assert all("--likelihood" in both.predict_options(run) for run in both.models)
    assert all(
        both.dataset_asked(both.prompts(run), "niah_single_1")["distractors"] for run in both.models
    )
    assert both.needs(["control_margins"]).keys() == set(both.cells())
    vt = {"chains": {"tasks": ["vt"], "lengths": [256, 512]}}
    silent = controlled(likelihood=True, suites=vt).shows.tables
    assert "control_margins" not in {table.name for table in silent}


def test_a_study_without_controls_says_nothing_of_them() -> None:
    assert "controls" not in small_plan().study.model_dump_json()
    run = small_plan().prompts("nano-llama")
    assert "control" not in small_plan().dataset_options(run, "vt")


def test_samples_of_controls_lie_at_places_of_their_own() -> None:
    asked = controlled()
    assert {run: asked.prompts(run) for run in asked.models} == {
        "nano-llama": "nano-base",
        "nano-llama+truncated": "nano-base+last-256",
        "nano-llama+no-haystack": "nano-base+no-haystack",
        "nano-llama+no-needle": "nano-base+no-needle",
    }


def test_ends_are_those_of_the_samples_of_the_model() -> None:
    asked = controlled()
    own = asked.prompts("nano-llama")
    assert untruncated(asked.prompts("nano-llama+truncated")) == own
    others = [own, asked.prompts("nano-llama+no-needle"), "gpt-neox-20b-base+plain"]
    assert [untruncated(each) for each in others] == others


def test_samples_of_controls_are_made_from_the_same_address() -> None:
    asked = controlled()
    own = asked.dataset_asked("nano-base", "vt")
    for name, control, trained in [
        ("last-256", "truncated", 256),
        ("no-haystack", "no-haystack", None),
        ("no-needle", "no-needle", None),
    ]:
        told = asked.dataset_asked(f"nano-base+{name}", "vt")
        assert told == own | {"control": control, "trained_length": trained}
        made = datasets.asked(task="vt", length=512, resources=Path(), **told)
        assert (made.control, made.trained_length) == (control, trained)


def test_a_run_of_a_control_has_the_weights_of_its_model() -> None:
    asked = controlled()
    assert {asked.weights_of(run) for run in asked.models} == {"nano-llama"}
    assert {asked.predict_options(run) for run in asked.models} == {
        asked.predict_options("nano-llama")
    }


def test_a_truncated_cell_takes_over_prompts_that_are_short() -> None:
    asked = controlled()
    assert asked.earlier(Cell("nano-llama+truncated", "ruler", 512)) == [
        Cell("nano-llama", "ruler", 512)
    ]
    assert asked.earlier(Cell("nano-llama+no-needle", "ruler", 512)) == []


def test_controls_are_planned_as_long_as_they_are() -> None:
    asked = controlled()
    read = {cell: asked.read_length(cell) for cell in asked.cells()}
    assert read[Cell("nano-llama", "ruler", 512)] == 512
    assert read[Cell("nano-llama+truncated", "ruler", 512)] == 256
    assert read[Cell("nano-llama+no-haystack", "ruler", 512)] == 128
    assert read[Cell("nano-llama+no-needle", "ruler", 512)] == 512
    alone = [cell for cell in asked.cells() if not asked.shares(cell)]
    assert {cell.model for cell in alone} == {"nano-llama+truncated"}


def test_the_table_needs_every_cell() -> None:
    asked = controlled()
    needed = asked.needs(asked.tables_of(["controls"]))
    assert needed.keys() == set(asked.cells())
    parts = whole(asked, list(needed))
    assert {part.cell: set(part.tasks) for part in parts} == {
        cell: set(asked.tasks_of(cell)) for cell in asked.cells()
    }


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"controls": ["truncate"]}, r"`truncate` is unknown; did you mean `truncated`\?"),
        ({"controls": "truncated"}, "list some of truncated, no-haystack, no-needle"),
        ({"controls": ["truncated", "truncated"]}, "must not repeat"),
        (
            {"hazards": ["mamba-sampling"], "models": ["nano-mamba2"]},
            "controls and hazards both make variants of every model",
        ),
        (
            {"tables": [{"name": "mine", "value": "control_margins"}]},
            "tables: mine shows margins beside those of controls; set likelihood: true, list",
        ),
        (
            {
                "likelihood": True,
                "controls": ["truncated"],
                "suites": {"chains": {"tasks": ["vt"], "lengths": [256, 512]}},
                "tables": [{"name": "mine", "value": "control_margins"}],
            },
            "tables: mine shows margins .* and ask for needles, or remove the table",
        ),
        (
            {"protocol": "released", "material": "english", "models": ["mamba2"]},
            "controls change prompts, and protocol `released` replays those of the artifact",
        ),
        (
            {"material": "english", "wording": ["ruler", "plain"], "models": ["mamba2"]},
            r"controls and wording \['ruler', 'plain'\] both make variants",
        ),
        (
            {"suites": {"lists": {"tasks": ["cwe", "fwe"], "lengths": [256]}}},
            r"controls: no-haystack: no task of the study has it \(cwe, fwe\); take it out",
        ),
        (
            {"controls": [], "tables": [{"name": "mine", "value": "controls"}]},
            "controls: mine shows what they score, and the study asks for none",
        ),
    ],
)
def test_what_a_study_cannot_have_is_one_line(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError, match=told) as caught:
        controlled(**changed)
    assert "\n" not in str(caught.value)


def test_an_answer_that_fills_the_training_length_cannot_be_truncated() -> None:
    entry = {
        "label": "Short",
        "family": "attention",
        "checkpoint": "resources/nano/llama",
        "tokenizer": "nano",
        "wrapper": "base",
        "trained_length": 5,
        "licence": "MIT",
    }
    keys = study_keys(
        controls=["truncated"], models=["short"], entries={"models": {"short": entry}}
    )
    with pytest.raises(StudyError, match="truncated: short was trained on 5 tokens, and an answer"):
        plan.resolve(keys, CONFIG)
