"""Variants: the runs that a hazard study needs, and what other studies are spared."""

from typing import Any

import pytest

from needlework.errors import StudyError
from needlework.parsing import parse
from needlework.study.config import Study
from needlework.study.plan import Plan
from needlework.study.variants import misread, switched_on
from needlework.tasks.specs import NiahSpec
from tests.study_for_tests import small_plan, study_keys

HAZARDS = ("mamba-sampling", "m2a-conv-state", "rg-window", "uuid-numbers", "format-mix")
ENGLISH = {"ruler": {"lengths": [1024]}, "depth": {"lengths": [2048, 4096]}}


def hazard_plan(*models: str, hazards: tuple[str, ...] = HAZARDS, **changed: Any) -> Plan:
    return small_plan(models=list(models), hazards=list(hazards), **changed)


def test_every_defect_runs_alone_and_all_run_together() -> None:
    plan = hazard_plan("nano-mamba2attn")
    assert {run: entry.hazards for run, entry in plan.models.items()} == {
        "nano-mamba2attn+no-defect": (),
        "nano-mamba2attn+mamba-sampling": ("mamba-sampling",),
        "nano-mamba2attn+m2a-conv-state": ("m2a-conv-state",),
        "nano-mamba2attn+uuid-numbers": ("uuid-numbers",),
        "nano-mamba2attn+all-defects": ("mamba-sampling", "m2a-conv-state", "uuid-numbers"),
    }


def test_variants_that_a_suite_cannot_tell_apart_answer_it_once() -> None:
    """RULER has no UUID task with a fixed depth, so numbers in their place change nothing there."""
    plan = hazard_plan("nano-mamba2")
    (model,) = plan.studied
    assert model.suites["ruler"].answers == {
        "no-defect": "nano-mamba2+no-defect",
        "mamba-sampling": "nano-mamba2+mamba-sampling",
        "uuid-numbers": "nano-mamba2+no-defect",
        "all-defects": "nano-mamba2+mamba-sampling",
    }
    cells = [(cell.model, cell.suite) for cell in plan.grid().cells()]
    assert cells.count(("nano-mamba2+all-defects", "ruler")) == 0
    assert cells.count(("nano-mamba2+all-defects", "depth")) == 3


def test_mixed_formats_need_no_run_of_their_own() -> None:
    """They change which answers are averaged, and no answer."""
    plan = hazard_plan("nano-llama")
    assert list(plan.models) == ["nano-llama+no-defect", "nano-llama+uuid-numbers"]
    (model,) = plan.studied
    assert model.suites["depth"].answers["format-mix"] == "nano-llama+no-defect"
    assert model.suites["depth"].answers["all-defects"] == "nano-llama+uuid-numbers"
    assert switched_on(model, "all-defects") == ("uuid-numbers", "format-mix")


def test_a_suite_that_no_defect_touches_is_not_run() -> None:
    plan = hazard_plan("nano-llama", "nano-griffin")
    suites = {(cell.model, cell.suite) for cell in plan.grid().cells()}
    assert {suite for model, suite in suites if model.startswith("nano-llama")} == {"depth"}
    assert ("nano-griffin+no-defect", "ruler") in suites


RETRIEVAL = {"retrieval": {"tasks": ["niah_single_1", "niah_essay_uuids_40"], "lengths": [256]}}


def test_defects_are_measured_on_suites_of_any_name() -> None:
    plan = hazard_plan("nano-mamba2attn", "nano-llama", suites=RETRIEVAL)
    mamba, llama = (model.suites["retrieval"] for model in plan.studied)
    assert mamba.defects == ("mamba-sampling", "m2a-conv-state", "uuid-numbers")
    assert llama.defects == ("uuid-numbers",)
    assert (llama.tasks, llama.formats) == (("niah_single_1", "niah_essay_uuids_40"), False)
    assert llama.answers["all-defects"] == "nano-llama+uuid-numbers"
    assert {table.name for table in plan.shows.tables} >= {"retrieval_mean"}


def test_formats_are_mixed_where_all_of_the_papers_needles_are_asked() -> None:
    whole = hazard_plan("nano-llama", suites={"needles": {"tasks": ["depth"], "lengths": [256]}})
    assert whole.studied[0].suites["needles"].formats
    part = hazard_plan("nano-llama", suites={"depth": {**RETRIEVAL["retrieval"]}})
    assert not part.studied[0].suites["depth"].formats


def test_defects_that_change_no_score_of_any_suite_are_refused() -> None:
    suites = {"retrieval": {"tasks": ["niah_single_1"], "lengths": [256]}}
    with pytest.raises(StudyError, match="change no score of the suites retrieval") as refusal:
        hazard_plan("nano-llama", suites=suites)
    assert "\n" not in str(refusal.value)


def test_a_hazard_that_is_not_studied_stays_off() -> None:
    plan = hazard_plan("nano-mamba2attn", hazards=("mamba-sampling",))
    assert list(plan.models) == ["nano-mamba2attn+no-defect", "nano-mamba2attn+mamba-sampling"]


def test_a_model_without_any_of_the_hazards_is_refused() -> None:
    with pytest.raises(StudyError, match=r"nano-llama was published with none.*leave it out"):
        hazard_plan("nano-llama", hazards=("rg-window",))


def test_hazards_do_not_go_with_the_protocol_that_has_them_all() -> None:
    keys = study_keys(protocol="released", material="english", hazards=["rg-window"])
    with pytest.raises(StudyError, match="set protocol: corrected"):
        parse(Study, keys, where="config")


def test_a_misspelt_hazard_is_refused() -> None:
    with pytest.raises(StudyError, match=r"hazards\.0"):
        parse(Study, study_keys(hazards=["sampling"]), where="config")


def test_the_decoder_is_told_of_its_own_defects_alone() -> None:
    plan = hazard_plan("nano-mamba2attn")
    options = plan.predict_options("nano-mamba2attn+all-defects")
    assert "--hazard mamba-sampling --hazard m2a-conv-state" in options
    assert "uuid" not in options
    assert "--hazard" not in plan.predict_options("nano-mamba2attn+no-defect")


def test_defective_samples_lie_at_a_place_of_their_own() -> None:
    plan = hazard_plan("nano-llama")
    folders = {plan.prompts(run) for run in plan.models}
    assert folders == {"nano-base", "nano-base+uuid-numbers"}
    task = "niah_essay_uuids_40"
    assert '"value_kind":"uuids"' in plan.dataset_options("nano-base", task)
    assert '"value_kind":"numbers"' in plan.dataset_options("nano-base+uuid-numbers", task)


def test_only_uuid_tasks_with_a_fixed_depth_are_mistaken() -> None:
    """As in the artifact's file, in which the other UUID tasks are right."""
    mistaken = NiahSpec(haystack="essay", value_kind="uuids", depth=40)
    assert misread(mistaken, ["uuid-numbers"]) == NiahSpec(haystack="essay", depth=40)
    assert misread(mistaken, ["format-mix"]) == mistaken
    ruler = NiahSpec(haystack="essay", value_kind="uuids")
    assert misread(ruler, ["uuid-numbers"]) == ruler


def test_tables_can_tell_variants_apart() -> None:
    labels = [model.label for model in hazard_plan("nano-mamba2").shown()]
    assert labels == [
        "Mamba2, no defect",
        "Mamba2, sampled",
        "Mamba2, numbers for UUIDs",
        "Mamba2, all defects",
    ]


@pytest.mark.parametrize(
    ("protocol", "expected"), [("released", ["mamba-sampling"]), ("corrected", [])]
)
def test_other_studies_run_as_ever(protocol: str, expected: list[str]) -> None:
    """The released protocol has the defects of the decoder, and makes those of the data itself."""
    plan = small_plan(protocol=protocol, material="english", models=["mamba2"], suites=ENGLISH)
    assert list(plan.models) == ["mamba2"]
    assert list(plan.models["mamba2"].hazards) == expected
    assert plan.prompts("mamba2") == "gpt-neox-20b-base"
    assert plan.grid().without == ()


def spoken(**changed: Any) -> Plan:
    """A plan of English, in which models can be asked in two wordings."""
    keys: dict[str, Any] = {"material": "english", "models": ["mamba2"], "suites": ENGLISH}
    return small_plan(**(keys | changed))


def test_english_is_in_rulers_words_unless_told_otherwise() -> None:
    plan = spoken()
    (prompts,) = {plan.prompts(run) for run in plan.models}
    assert prompts == "gpt-neox-20b-base"
    assert "--wording ruler" in plan.dataset_options(prompts, "vt")
    assert "resources/external/ruler/prompts.json" in plan.dataset_files(prompts, "vt")


def test_plain_words_need_nothing_of_rulers_and_lie_at_a_place_of_their_own() -> None:
    plan = spoken(wording="plain")
    (prompts,) = {plan.prompts(run) for run in plan.models}
    assert list(plan.models) == ["mamba2"]
    assert prompts == "gpt-neox-20b-base+plain"
    assert "--wording plain" in plan.dataset_options(prompts, "vt")
    assert not any("ruler" in name for name in plan.external_files())


def test_two_wordings_make_two_variants_of_every_model() -> None:
    plan = spoken(wording=["ruler", "plain"], models=["mamba2", "transformerpp"])
    assert {run: plan.prompts(run) for run in plan.models} == {
        "mamba2+ruler": "gpt-neox-20b-base",
        "mamba2+plain": "gpt-neox-20b-base+plain",
        "transformerpp+ruler": "gpt-neox-20b-base",
        "transformerpp+plain": "gpt-neox-20b-base+plain",
    }
    assert "--wording ruler" in plan.dataset_options("gpt-neox-20b-base", "vt")
    assert "--wording plain" in plan.dataset_options("gpt-neox-20b-base+plain", "vt")
    assert len(plan.grid().cells()) == 2 * len(
        spoken(models=["mamba2", "transformerpp"]).grid().cells()
    )
    assert [model.label for model in plan.shown()][:2] == [
        "Mamba2, in RULER's words",
        "Mamba2, in plain words",
    ]


def test_the_run_in_rulers_words_is_set_beside_the_published_tables() -> None:
    """A study in two wordings had neither comparisons nor an agreement."""
    lengths = {"lengths": [1024, 2048, 4096]}
    suites = {"ruler": lengths, "depth": lengths}
    plan = spoken(wording=["ruler", "plain"], suites=suites)
    assert [each.published_as for each in plan.shown()] == ["mamba2", None]
    assert {"claims", "agreement"} <= set(plan.shows.pages)
    assert len(plan.shows.comparisons) == 17
    assert "agreement" not in spoken(models=["nano-llama"], suites=suites).shows.pages


def test_both_wordings_of_a_model_have_its_weights_verified_once() -> None:
    plan = spoken(wording=["plain", "ruler"])
    assert {plan.weights_of(run) for run in plan.models} == {"mamba2+plain"}


def test_a_list_of_one_wording_makes_no_variants() -> None:
    assert list(spoken(wording=["plain"]).models) == ["mamba2"]


def test_the_nano_language_has_one_wording() -> None:
    """So nothing of its studies' jobs says which."""
    assert small_plan(wording="plain").prompts("nano-llama") == "nano-base"
    assert "wording" not in small_plan().dataset_options("nano-base", "vt")


def test_the_released_protocol_has_rulers_wording_alone() -> None:
    plan = spoken(protocol="released", wording="ruler")
    assert "wording" not in plan.dataset_options("gpt-neox-20b-base", "vt")


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"material": "nano", "models": ["nano-llama"], "wording": "ruler"}, "is English; remove"),
    ({"material": "nano", "wording": ["ruler", "plain"]}, "is English; remove"),
    ({"protocol": "released", "wording": "plain"}, "remove wording `plain`, or set"),
    ({"wording": "rular"}, r"`rular` is unknown; did you mean `ruler`\?"),
    ({"wording": ["ruler", "plane"]}, r"`plane` is unknown; did you mean `plain`\?"),
    ({"wording": ["plain", "plain"]}, "must not repeat"),
    ({"wording": []}, "name ruler or plain, or list both"),
    ({"wording": 3}, "name ruler or plain, or list both"),
    (
        {"wording": ["ruler", "plain"], "hazards": ["mamba-sampling"]},
        "study one of them at a time",
    ),
]


@pytest.mark.parametrize(("keys", "told"), MISTAKES)
def test_a_wording_that_cannot_be_is_told_in_one_line(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError, match=told) as refusal:
        spoken(**keys)
    assert "\n" not in str(refusal.value)


def test_defects_of_english_are_switched_on_in_rulers_words() -> None:
    plan = spoken(hazards=["mamba-sampling", "uuid-numbers"])
    folders = {plan.prompts(run) for run in plan.models}
    assert folders == {"gpt-neox-20b-base", "gpt-neox-20b-base+uuid-numbers"}
    for folder in folders:
        assert "--wording ruler" in plan.dataset_options(folder, "niah_essay_uuids_40")


def test_defects_of_english_can_be_studied_in_plain_words() -> None:
    plan = spoken(hazards=["uuid-numbers"], wording="plain")
    folders = {plan.prompts(run) for run in plan.models}
    assert folders == {"gpt-neox-20b-base+plain", "gpt-neox-20b-base+plain+uuid-numbers"}
