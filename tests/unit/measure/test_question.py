"""The study that a measurement writes: what was asked, for Snakemake and for the next time."""

from pathlib import Path

import pytest
import yaml

from needlework.errors import StudyError
from needlework.measure.describing import Described
from needlework.measure.question import Question, write_study
from needlework.study import plan
from needlework.study.catalogue import read_models
from needlework.study.config import Entries

ROOT = Path(__file__).parents[3]


def described(checkpoint: str | None = None) -> Described:
    """The nano Llama, as an entry or as a checkpoint that nobody has described."""
    entry = read_models(ROOT / "config/models.yaml").models["nano-llama"]
    if checkpoint is None:
        return Described("nano-llama", entry, None, "nano", ())
    own = entry.model_copy(update={"checkpoint": checkpoint})
    return Described("mine", own, Entries(models={"mine": own}), "nano", ())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_a_study_that_can_be_planned() -> None:
    asked = Question("nano-llama", samples=7, depth=True)
    path = write_study(asked, described(), ["vt", "niah_single_1"])
    assert path == Path("results/measure-nano-llama/study.yaml")
    study = plan.resolve(yaml.safe_load(path.read_text()), Path("config")).study
    assert study.suites["ruler"].tasks == ("vt", "niah_single_1")
    assert study.suites["ruler"].lengths == study.suites["depth"].lengths == (128, 256, 512)
    assert (study.samples, study.material, study.tables) == (7, "nano", "auto")
    assert "`needlework measure nano-llama --samples 7 --depth`" in path.read_text()


def test_an_undescribed_model_is_described_in_it() -> None:
    path = write_study(Question("here"), described("resources/nano/llama"), ["vt"])
    models = plan.resolve(yaml.safe_load(path.read_text()), Path("config")).models
    assert models["mine"].checkpoint == "resources/nano/llama"


def test_the_same_question_is_the_same_study() -> None:
    path = write_study(Question("nano-llama"), described(), ["vt"])
    text = path.read_bytes()
    assert write_study(Question("nano-llama"), described(), ["vt"]).read_bytes() == text


def test_another_model_of_the_same_name_is_refused() -> None:
    write_study(Question("a/mine"), described("a/mine"), ["vt"])
    write_study(Question("a/mine", samples=9), described("a/mine"), ["vt"])
    with pytest.raises(StudyError, match=r"\(a/mine\); measure this one \(b/mine\) in another"):
        write_study(Question("b/mine"), described("b/mine"), ["vt"])


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        (Question("m"), "needlework measure m"),
        (Question("My Model"), "needlework measure 'My Model'"),
        (
            Question("m", (128, 256), 9, ("vt", "cwe"), depth=True),
            "needlework measure m --lengths 128,256 --samples 9 --tasks vt,cwe --depth",
        ),
    ],
)
def test_the_command_that_asks_it(asked: Question, command: str) -> None:
    assert asked.command == command


def test_named_tasks_have_a_suite_of_their_own() -> None:
    assert (Question("m").suite, Question("m", tasks=("vt",)).suite) == ("ruler", "chosen")
