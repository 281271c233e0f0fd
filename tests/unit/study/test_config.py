"""Study: what a config may say."""

from typing import Any

import pytest

from needlework.errors import StudyError
from needlework.parsing import parse
from needlework.study.config import Models, Study
from needlework.study.grid import Cell, Grid
from tests.study_for_tests import study_keys

MODEL = {
    "label": "A",
    "family": "linear",
    "checkpoint": "folder",
    "tokenizer": "words",
    "wrapper": "base",
    "trained_length": 256,
    "licence": "MIT",
}


def catalogue(**changed: Any) -> Models:
    values = {"tokenizers": {"words": {"source": "folder"}}, "models": {"a": MODEL | changed}}
    return parse(Models, values, where="models.yaml")


def refusal(**changed: Any) -> str:
    with pytest.raises(StudyError) as caught:
        parse(Study, study_keys(**changed), where="config")
    return str(caught.value)


def test_lengths_ascend() -> None:
    suites = {"ruler": {"lengths": [256, 128]}, "depth": {"lengths": [256, 512]}}
    assert "must ascend" in refusal(suites=suites)


def test_a_suite_needs_a_length() -> None:
    suites = {"ruler": {"lengths": []}, "depth": {"lengths": [256, 512]}}
    assert "suites.ruler.lengths" in refusal(suites=suites)


def test_the_artifact_has_no_nano_prompts() -> None:
    assert "set material: english" in refusal(protocol="released")


def test_a_model_is_named_once() -> None:
    assert "must not repeat" in refusal(models=["nano-llama", "nano-llama"])


def test_zero_samples_are_no_study() -> None:
    assert "samples" in refusal(samples=0)


def test_a_study_name_is_a_folder_name() -> None:
    assert "study" in refusal(study="../elsewhere")


def test_one_wrapper_stands_for_both_protocols() -> None:
    assert catalogue().models["a"].wrapper.released == "base"


def test_a_wrapper_may_depend_on_the_protocol() -> None:
    wrapper = catalogue(wrapper={"released": "RWKV", "corrected": "base"}).models["a"].wrapper
    assert (wrapper.released, wrapper.corrected) == ("RWKV", "base")


def test_a_revision_is_a_whole_commit() -> None:
    """A branch or a short hash can move."""
    with pytest.raises(StudyError, match="revision"):
        catalogue(revision="main")


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(StudyError, match=r"`wrods` is unknown; did you mean `words`\?"):
        catalogue(tokenizer="wrods")


def test_cells_come_in_the_order_of_the_tables() -> None:
    one = [{"name": "vt", "questions": "vt"}]
    suites = {"ruler": {"tasks": one, "lengths": [1, 2]}, "depth": {"tasks": one, "lengths": [2]}}
    cells = parse(Grid, {"models": ["b", "a"], "suites": suites}, where="grid").cells()
    assert cells[:3] == [Cell("b", "ruler", 1), Cell("b", "ruler", 2), Cell("b", "depth", 2)]
    assert len(cells) == 6
