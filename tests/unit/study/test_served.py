"""Entries of served models: what they may say, what rules are told, what costs and tables say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from needlework.cost import served as cost
from needlework.cost.study import planned, undescribed
from needlework.errors import StudyError
from needlework.parsing import parse
from needlework.records import Verification
from needlework.report.notes import read_verified
from needlework.report.tables import _compared, write_models
from needlework.study import serving
from needlework.study.config import ModelEntry
from needlework.study.pins import repositories
from needlework.study.plan import Plan, resolve
from needlework.study.served_records import Served, ServedVerification, parse_verification
from tests.study_for_tests import CONFIG, study_keys

KEY = "sk-a-key-that-somebody-wrote-into-a-file-0123456789"
ENTRY = {
    "label": "Large",
    "family": "attention",
    "checkpoint": "me/large",
    "tokenizer": "nano",
    "wrapper": "base",
    "trained_length": 256,
    "licence": "MIT",
    "backend": "server",
    "endpoint": "http://node:8000/v1",
}
SERVE = "vllm serve {checkpoint} --port {port} --tensor-parallel-size 4"


def entry(**changed: Any) -> ModelEntry:
    values = {name: value for name, value in (ENTRY | changed).items() if value is not None}
    return parse(ModelEntry, values, where="models.yaml: models.large")


def refused(**changed: Any) -> str:
    with pytest.raises(StudyError) as error:
        entry(**changed)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"endpoint": None}, "needs `endpoint`, the URL of a server, or `serve`"),
        ({"serve": SERVE}, "give one of them"),
        ({"endpoint": "node:8000"}, "endpoint: not a URL as http://127.0.0.1:8000/v1"),
        ({"endpoint": "ftp://node/v1"}, "endpoint: not a URL"),
        ({"endpoint": "http://node:port/v1"}, "endpoint: not a URL"),
        ({"endpoint": f"http://me:{KEY}@node/v1"}, "which may be a key; use `key: NAME`"),
        ({"endpoint": f"http://node/v1?key={KEY}"}, "which may be a key; use `key: NAME`"),
        ({"endpoint": "$my server"}, "behind $ stands the name of an environment variable"),
        ({"key": KEY}, "key must be the NAME of an environment variable, as OPENAI_API_KEY"),
        ({"budget": 5.0}, "budget needs `prices:"),
        ({"gpus": 4}, "gpus is for `serve`"),
        ({"backend": None}, "endpoint is for backend: server; set that, or remove it"),
        ({"backend": "transformers"}, "endpoint is for backend: server"),
        ({"api": "chat", "wrapper": "chat"}, "wrapper must be base at `api: chat`"),
        ({"hazards": ["m2a-conv-state"]}, "cannot be switched on in a server"),
        ({"trust_remote_code": True}, "trust_remote_code is for backend: transformers"),
        ({"concurrency": 0}, "concurrency"),
        ({"endpoint": None, "serve": "vllm serve"}, "serve: name {port}"),
        (
            {"endpoint": None, "serve": "run {port} {path}"},
            "serve: {path} is unknown; known: check",
        ),
        ({"endpoint": None, "serve": "run {port} 'x"}, "serve: No closing quotation"),
        ({"endpoint": None, "serve": f"run {{port}} --api-key {KEY}"}, "never stands in a file"),
    ],
)
def test_a_mistake_is_told_in_one_line_without_what_may_be_a_key(
    changed: dict[str, Any], said: str
) -> None:
    line = refused(**changed)
    assert said in line
    assert KEY not in line


def a_plan(folder: Path, *, study: Mapping[str, Any] | None = None, **changed: Any) -> Plan:
    """A study of nano-llama and of a served model, with config files of its own."""
    for name in ("tasks.yaml", "models.lock.yaml"):
        (folder / name).write_bytes((CONFIG / name).read_bytes())
    (folder / "tables").mkdir(exist_ok=True)
    for path in (CONFIG / "tables").iterdir():
        (folder / "tables" / path.name).write_bytes(path.read_bytes())
    models = yaml.safe_load((CONFIG / "models.yaml").read_text(encoding="utf-8"))
    values = {name: value for name, value in (ENTRY | changed).items() if value is not None}
    models["models"]["large"] = values
    (folder / "models.yaml").write_text(yaml.safe_dump(models), encoding="utf-8")
    suites = {"few": {"tasks": ["vt"], "lengths": [128, 256]}}
    keys = study_keys(models=["nano-llama", "large"], suites=suites, **(study or {}))
    return resolve(keys, folder)


def test_weights_behind_an_endpoint_are_not_fetched(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    assert plan.checkpoint_files("large") == []
    assert repositories(plan.models, plan.tokenizers) == []
    started = a_plan(tmp_path, endpoint=None, serve=SERVE)
    assert [each.hub for each in repositories(started.models, started.tokenizers)] == ["me/large"]


def test_rules_are_told_everything_but_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    plan = a_plan(tmp_path, key="OUR_KEY", concurrency=16)
    options = plan.predict_options("large")
    assert "--backend server" in options
    assert '"endpoint":"http://node:8000/v1","concurrency":16,"key":"OUR_KEY"' in options
    assert KEY not in options
    assert "--server" not in plan.predict_options("nano-llama")


def test_a_study_of_likelihoods_names_the_model_that_tells_none(tmp_path: Path) -> None:
    told = "likelihood: large is answered by a server, .* take the model out, or remove likelihood"
    with pytest.raises(StudyError, match=told):
        a_plan(tmp_path, study={"likelihood": True})


def test_one_job_answers_all_cells_where_it_starts_the_server(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, endpoint=None, serve=SERVE, gpus=4)
    (part,) = serving.parts(plan).values()
    assert [each.length for each in part] == [128, 256]
    assert serving.gpus(plan, "large", 1) == 4
    assert (serving.remote(plan), serving.started(plan)) == ([], ["large"])
    remote = a_plan(tmp_path)
    (part,) = serving.parts(remote).values()
    assert [each.length for each in part] == [128]
    assert (serving.remote(remote), serving.started(remote)) == (["large"], [])


def test_a_study_without_servers_has_no_parts_about_them(tmp_path: Path) -> None:
    plan = resolve(study_keys(), CONFIG)
    assert serving.parts(plan) == {}
    assert not any("served" in part for part in plan.parts())


def test_what_a_served_study_costs_is_known_before(tmp_path: Path) -> None:
    prices = {"input": 100.0, "output": 1000.0}
    plan = a_plan(tmp_path, prices=prices, budget=0.5)
    short, long = cost.served_costs(plan)
    assert (short.questions, short.length, long.length) == (10, 128, 256)
    limit = plan.tasks["few"]["vt"].tokens_to_generate
    assert short.prompt_tokens == 10 * (128 - limit)
    assert short.answer_tokens == 10 * limit
    read, written = short.prompt_tokens, short.answer_tokens
    assert short.money == pytest.approx((100 * read + 1000 * written) / 1e6)
    first = cost.first_questions(plan, "large")
    # Each of eight twice, one before them, three short ones; and ids at three beginnings.
    assert first.questions == 1 + 2 * 8 + 3 + 3
    assert first.prompt_tokens == 20 * 128 + 128 + 128 + 256
    assert first.answer_tokens == 20 * limit + 3
    *_, verdict, _ = cost.lines(plan, [short, long])
    most = sum(each.money or 0 for each in (short, long, first))
    assert verdict == (f"large: at most {most:.4g}; the budget of 0.5 may stop it before its end")
    assert {each.model for each in planned(plan)} == {"nano-llama"}
    assert undescribed(plan) == []


def verification(**changed: Any) -> ServedVerification:
    values: dict[str, Any] = {
        "model": "large",
        "server": "vllm 0.10.1, model me/large, at most 4096 tokens",
        "reads": "token ids",
        "sent": "temperature 0",
        "counts": True,
        "reference": None,
        "reason": "a server answers, and its weights are not here",
        "prompts": 0,
        "tokens": 0,
        "ties": 0,
        "repeated": 8,
        "different": 2,
    }
    return ServedVerification(**(values | changed))


def test_table_5_says_what_is_known_of_a_server(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    path = tmp_path / "large.json"
    path.write_text(verification().model_dump_json(), encoding="utf-8")
    verified = read_verified([path])
    (definition,) = [each for each in plan.shows.tables if each.value == "models"]
    templates = Path(__file__).parents[3] / "reports/templates"
    output = tmp_path / "models"
    write_models(definition, output, models=plan.shown(), templates=templates, verified=verified)
    text = output.with_suffix(".md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if "Large" in line]
    for said in (
        "| as served |",
        "not compared with another implementation: a server answers, and its weights are not here",
        "vllm 0.10.1, model me/large, at most 4096 tokens; prompts as token ids; temperature 0",
        "25 % of 8 samples asked twice were answered otherwise",
    ):
        assert said in line
    assert "25~\\% of 8 samples" in output.with_suffix(".tex").read_text(encoding="utf-8")
    columns = output.with_suffix(".csv").read_text(encoding="utf-8").splitlines()[0]
    assert columns.endswith("tolerance,server,reads,sent,repeated,different,passed")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"repeated": 0, "different": 0}, "no sample was asked twice"),
        ({"counts": False}, "it does not say how many tokens it reads"),
        (
            {"reference": "our decoder", "reason": None, "prompts": 3, "tokens": 16, "ties": 1},
            "after 3 short prompts 16 greedy tokens are those of our decoder, 1 of them but for a "
            "tie",
        ),
    ],
)
def test_words_about_a_server(changed: dict[str, Any], said: str) -> None:
    assert said in _compared(verification(**changed))


def test_a_verification_is_told_by_what_it_holds() -> None:
    served = verification()
    assert parse_verification(json.loads(served.model_dump_json()), where="x") == served
    with pytest.raises(StudyError):
        parse_verification({"model": "large"}, where="x")
    assert Verification.model_fields.keys().isdisjoint({"server"})


def test_what_is_known_of_a_server_is_a_closed_record() -> None:
    assert Served.model_config["extra"] == "forbid"
