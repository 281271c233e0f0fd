"""`review --recompute`: honest answers agree, invented ones do not, and rounding is told apart."""

import json
import shutil
from pathlib import Path

import pytest
from pydantic_core import to_json

from needlework import tokenizers
from needlework.artifact.recomputing import Asking
from needlework.artifact.review import Recomputed
from needlework.engine import asking_again
from needlework.engine.predict import Machine, Model, predict
from needlework.files import read_records, write_records
from needlework.nano import language
from needlework.records import Prediction
from needlework.study.plan import Plan
from needlework.tasks import generate
from tests.study_for_tests import CONFIG, small_plan

MACHINE = Machine(device="cpu", threads=1, memory=None)
SAMPLES = 5
PLACE = "study/predictions/nano-llama/tiny/128.jsonl"
KEYS = {
    "suites": {"tiny": {"tasks": ["niah_single_1", "vt"], "lengths": [128]}},
    "models": ["nano-llama"],
    "samples": SAMPLES,
}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked artifact of one cell, as far as asking again looks at it."""
    artifact = tmp_path_factory.mktemp("artifact")
    plan = small_plan(**KEYS)
    for part, content in plan.parts().items():
        path = artifact / f"study/plan/{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_json(content))
    config = artifact / "inputs/config"
    config.mkdir(parents=True)
    for name in ("models.yaml", "models.lock.yaml", "tasks.yaml"):
        shutil.copyfile(CONFIG / name, config / name)
    (config / "mine.yaml").write_text(plan.study.model_dump_json(exclude_defaults=True))
    _predict(artifact, plan)
    return artifact


def _predict(artifact: Path, plan: Plan) -> None:
    data, tasks = [], plan.tasks["tiny"]
    tokenizer = tokenizers.load(plan.tokenizers["nano"].source)
    for name, spec in tasks.items():
        path = artifact / f"study/data/{plan.prompts('nano-llama')}/128/{name}.jsonl"
        pairs = generate(
            spec,
            material=language.material(),
            tokenizer=tokenizer,
            length=128,
            samples=SAMPLES,
            seed=1,
            task=name,
        )
        write_records(path, [sample for sample, _ in pairs])
        data.append(path)
    entry = plan.models["nano-llama"]
    model = Model(
        checkpoint=entry.checkpoint,
        revision=None,
        tokenizer=plan.tokenizers["nano"].source,
        tokenizer_revision=None,
        dtype=entry.dtype,
    )
    predict(artifact / PLACE, data, model=model, tasks=tasks, protocol="corrected", machine=MACHINE)


@pytest.fixture
def artifact(answered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(answered, tmp_path / "artifact"))


def asked(artifact: Path, count: int = 99, seed: int = 0) -> Recomputed:
    return Asking(count=count, seed=seed, machine=MACHINE)(artifact)


def change(artifact: Path, **fields: str) -> Prediction:
    """Another first answer."""
    rows = read_records(artifact / PLACE, Prediction)
    rows[0] = rows[0].model_copy(update=fields)
    write_records(artifact / PLACE, rows)
    return rows[0]


def test_honest_answers_are_given_again(artifact: Path) -> None:
    told = asked(artifact)
    assert told.problems == ()
    assert told.remarks[-1].startswith("nano-llama/tiny/128: 100 % [")
    assert told.remarks[-1].endswith("of 10 answers are the same")
    assert told.not_asked == {"nano-llama": 0}


@pytest.mark.parametrize("answer", ["the right answer", "", " . . . . ."])
def test_an_invented_answer_is_named(artifact: Path, answer: str) -> None:
    change(artifact, pred=answer)
    (problem,) = asked(artifact).problems
    assert problem.startswith("predictions/nano-llama/tiny/128.jsonl: niah_single_1 #0: is ")
    assert "no rounding" in problem


def test_an_answer_that_rounding_explains_is_no_problem(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same other answer, where logits as far apart as these count as equal."""
    first = read_records(artifact / PLACE, Prediction)[0]
    words = next((artifact / "study/data").rglob("vt.jsonl")).read_text().split()
    known = (word for word in words if word.isalpha() and not first.pred.startswith(word))
    other = next(known)
    change(artifact, pred=other)
    assert len(asked(artifact).problems) == 1
    monkeypatch.setattr(asking_again, "CANDIDATES", 10_000)
    monkeypatch.setattr(asking_again, "TOLERANCES", {("float32", "cpu"): 10.0})
    told = asked(artifact)
    assert told.problems == ()
    assert "1 more part where two tokens are equally likely" in told.remarks[-1]


def test_samples_are_drawn_by_the_seed(artifact: Path) -> None:
    told = asked(artifact, count=3)
    assert "of 3 answers are the same" in told.remarks[-1]
    assert told.not_asked == {"nano-llama": 7}


def test_what_cannot_be_asked_is_told_and_is_no_problem(artifact: Path) -> None:
    rows = read_records(artifact / PLACE, Prediction)
    told = [each.model_copy(update={"others": each.others | {"revision": "x"}}) for each in rows]
    write_records(artifact / PLACE, told)
    found = asked(artifact)
    assert found.problems == ()
    assert "nano-llama was not asked again: its weights are" in found.remarks[-1]
    assert found.not_asked == {"nano-llama": 10}


def test_code_of_a_stranger_is_never_run(artifact: Path) -> None:
    path = artifact / "inputs/config/models.yaml"
    text = path.read_text()
    place = text.index("  nano-llama:\n") + len("  nano-llama:\n")
    more = "    trust_remote_code: true\n    backend: transformers\n"
    path.write_text(text[:place] + more + text[place:])
    assert "a review never runs that" in asked(artifact).remarks[-1]


def test_a_question_that_is_not_there_asks_nobody(artifact: Path) -> None:
    rows = [json.loads(line) for line in (artifact / PLACE).read_text().splitlines()]
    rows[0]["task"] = "../../x"
    (artifact / PLACE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "was not asked again" in asked(artifact).remarks[-1]
