"""What is refused of several config files together."""

from pathlib import Path

import pytest

from needlework.errors import StudyError
from needlework.study import consistency
from needlework.study.catalogue import read_models

CONFIG = Path("config")
ROUNDED = "resources/rounded/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1-Q8_0.gguf"


def check(checkpoint: str) -> None:
    catalogue = read_models(CONFIG / "models.yaml")
    entry = catalogue.models["smollm2-135m-instruct"].model_copy(update={"checkpoint": checkpoint})
    consistency.check_sources({"one": entry}, {}, CONFIG)


def test_weights_that_the_workflow_rounds_need_not_be_there() -> None:
    check(ROUNDED)


@pytest.mark.parametrize(
    "checkpoint",
    [ROUNDED.replace("SmolLM2", "SmolLM3"), ROUNDED.replace("rounded", "round"), "resources/x.bin"],
)
def test_a_file_that_nobody_makes_is_refused(checkpoint: str) -> None:
    with pytest.raises(StudyError, match="does not exist"):
        check(checkpoint)
