"""The recipe of the nano models: what they read, and that a run can be left and taken up."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from needlework.models.decoder import Decoder
from needlework.nano.architectures import LAYERS, nano_config
from needlework.study.catalogue import read_tasks
from needlework.training import training
from needlework.training.curriculum import STAGES, WEIGHTS, Curriculum, Stage
from needlework.training.training import Recipe, Run

TASKS = Path(__file__).parents[3] / "config" / "tasks.yaml"
SHORT = Recipe(seed=0, stages=(Stage(length=24, steps=6, copying=0.4, recall=0.6),))


@pytest.fixture(scope="module")
def curriculum() -> Curriculum:
    return Curriculum(read_tasks(TASKS).nano.chosen("ruler", None, where="ruler"))


def test_the_shipped_models_read_these_very_tokens(curriculum: Curriculum) -> None:
    """The recipe reproduces the shipped weights only while it makes the same rows."""
    rows = [curriculum.rows(stage, step, 0, 2) for stage in STAGES for step in (0, 777)]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    assert digest == "536229898db7cc8f73d7a8ce958c5ce3306631211b95c0724a7b4202dc2939f3"


def test_every_task_is_trained(curriculum: Curriculum) -> None:
    assert curriculum.tasks.keys() == WEIGHTS.keys()


def test_rows_keep_their_budget_and_end_with_an_answer(curriculum: Curriculum) -> None:
    for tokens, answers in curriculum.rows(STAGES[-1], 5, 0, 40):
        assert len(tokens) == len(answers) <= STAGES[-1].length
        assert any(answers)
        assert answers[0] is False


def test_architectures_have_about_equally_many_parameters() -> None:
    """Within 10 % of one another, as the design asks."""
    counts = [
        sum(parameter.numel() for parameter in Decoder(nano_config(name, 512)).parameters())
        for name in LAYERS
    ]
    assert max(counts) <= 1.1 * min(counts)


@pytest.fixture
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.usefixtures("one_thread")
def test_a_run_left_and_taken_up_equals_the_uninterrupted_one(
    curriculum: Curriculum, tmp_path: Path
) -> None:
    def steps(run: Run, last: int) -> None:
        for step, stage in SHORT.schedule():
            if len(run.losses) <= step < last:
                run.step(*training._batch(curriculum.rows(stage, step, 0, 4)), SHORT)

    whole = Run.start("mamba2attn", 512, SHORT)
    steps(whole, 6)
    first = Run.start("mamba2attn", 512, SHORT)
    steps(first, 3)
    first.save(tmp_path / "training.pt")
    second = Run.start("mamba2attn", 512, SHORT)
    second.restore(tmp_path / "training.pt")
    steps(second, 6)
    assert second.losses == whole.losses
    for name, tensor in whole.decoder.state_dict().items():
        assert torch.equal(tensor, second.decoder.state_dict()[name]), name


@pytest.mark.usefixtures("one_thread")
def test_training_writes_a_model_and_its_card(
    curriculum: Curriculum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 3)
    monkeypatch.setattr(training, "validate", lambda *_: {"vt": 0.5})
    training.train("llama", curriculum, SHORT, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.md",
        "config.json",
        "model.safetensors",
    ]
    assert "| vt | 0.50 |" in (tmp_path / "card.md").read_text()


def test_learning_rate_warms_up_stays_and_decays() -> None:
    recipe = Recipe(seed=0)
    assert recipe.rate(0) == pytest.approx(recipe.learning_rate / recipe.warm_up)
    assert recipe.rate(recipe.steps // 2) == recipe.learning_rate
    assert recipe.rate(recipe.steps) == pytest.approx(recipe.learning_rate * recipe.final_rate)
