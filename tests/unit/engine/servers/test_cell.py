"""A cell asked of a server: each question once, in order, kept at once, and counted."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.servers.cell import Setting
from needlework.engine.servers.questions import Asked, forest_order
from needlework.errors import ServerError
from needlework.records import LIBRARIES
from tests import servers_for_tests as faults
from tests.asking_for_tests import LIMIT, ask, echo, echoing, model, reader_of, sample, tasks
from tests.servers_for_tests import KEY, Loopback, completion, serving


def test_answers_are_predictions(tmp_path: Path) -> None:
    with serving(echoing()) as server:
        found = ask(tmp_path, model(server.url))
    assert [(each.task, each.index) for each in found] == [
        (task, index) for task in ("one", "two") for index in range(6)
    ]
    assert {each.pred for each in found} == {" 8", " 9"}
    assert {each.prompt_tokens for each in found} == {5}
    assert {each.generated_tokens for each in found} == {1}
    assert {each.stop_reason for each in found} == {"limit"}


def test_what_is_sent(tmp_path: Path) -> None:
    with serving(echoing()) as server:
        ask(tmp_path, model(server.url))
    first, *others = server.asked
    assert first["max_tokens"] == 1  # Whether it takes token ids is tried with one token.
    assert others[0] == {
        "model": "tiny",
        "prompt": [1, 3, 4, 5, 8],
        "max_tokens": 4,
        "temperature": 0,
        "seed": 0,
    }


def test_token_ids_are_tried_not_assumed(tmp_path: Path) -> None:
    with serving(echoing(takes_ids=False)) as server:
        found = ask(tmp_path, model(server.url))
    forms = [type(body["prompt"]) for body in server.asked]
    assert forms == [list] + [str] * 12
    assert found[0].others[LIBRARIES].endswith("prompts as text")


def test_ids_that_a_server_misreads_are_sent_as_text(tmp_path: Path) -> None:
    """A list of numbers was taken for several prompts."""

    def one_each(body: dict[str, Any]) -> dict[str, Any]:
        said = echo(body)
        if isinstance(body["prompt"], list):
            said["usage"] = {"prompt_tokens": 1, "completion_tokens": 1}
        return said

    with serving(Loopback(write=one_each)) as server:
        found = ask(tmp_path, model(server.url))
    assert found[0].others[LIBRARIES].endswith("prompts as text")


def test_questions_are_sent_in_the_order_of_the_forest(tmp_path: Path) -> None:
    with serving(echoing()) as server:
        ask(tmp_path, model(server.url, concurrency=1))
    prompts = [body["prompt"] for body in server.asked[1:]]
    assert prompts == sorted(prompts)
    asked = [question for _, _, question in reader_of(model(server.url)).questions(tasks())]
    assert [list(each.tokens) for each in forest_order(asked)] == prompts


def test_what_is_answered_is_not_asked_again(tmp_path: Path) -> None:
    with serving(echoing()) as server:
        first = ask(tmp_path, model(server.url))
        server.asked.clear()
        assert ask(tmp_path, model(server.url)) == first
        assert server.asked == []
        ask(tmp_path, model(server.url), tasks(8))
    assert len(server.asked) == 1 + 4


@pytest.mark.parametrize(
    "change", [{"model": "small"}, {"api": "chat"}, {"checkpoint": "me/other", "model": "small"}]
)
def test_other_questions_have_other_keys(change: dict[str, str]) -> None:
    one, other = model("http://h/v1"), model("http://h/v1", **change)
    keys = [{each.key for _, _, each in reader_of(s).questions(tasks())} for s in (one, other)]
    assert keys[0].isdisjoint(keys[1])


def test_where_the_server_is_decides_no_answer() -> None:
    """A job on another node, or at another port, goes on where the last one was."""
    one, other = model("http://node1:8000/v1"), model("http://node2:9000/v1", concurrency=3)
    keys = [[each.key for _, _, each in reader_of(s).questions(tasks())] for s in (one, other)]
    assert keys[0] == keys[1]


def test_equal_questions_are_asked_once(tmp_path: Path) -> None:
    twice = {"one": tasks(3)["one"], "again": tasks(3)["one"]}
    with serving(echoing()) as server:
        found = ask(tmp_path, model(server.url), twice)
    assert len(found) == 6
    assert len(server.asked) == 1 + 3


def test_a_killed_client_loses_what_was_under_way_and_nothing_else(tmp_path: Path) -> None:
    """SIGKILL in the middle of a cell."""
    server = echoing(seconds=0.1)
    with serving(server):
        child = os.fork()
        if not child:
            ask(tmp_path, model(server.url, concurrency=2))
            os._exit(0)
        journal = tmp_path / "cell.jsonl.journal"
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 4):
            threading.Event().wait(0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kept = journal.read_bytes().count(b"\n")
        server.asked.clear()
        found = ask(tmp_path, model(server.url, concurrency=2))
    assert len(found) == 12
    assert len(server.asked) == 1 + 12 - kept


def test_a_request_to_stop_begins_nothing_new(tmp_path: Path) -> None:
    interruption = Interruption(grace=5)
    server = echoing()
    plain = server.write

    def then_stop(body: dict[str, Any]) -> dict[str, Any]:
        if len(server.asked) == 4:
            interruption.request()
        assert plain is not None
        return plain(body)

    server.write = then_stop
    with serving(server):
        setting = Setting(name="m/s/1", interruption=interruption)
        with pytest.raises(StoppedError, match=r"m/s/1 stopped at 3 of 12 samples"):
            ask(tmp_path, model(server.url, concurrency=1), setting=setting)
        assert len(ask(tmp_path, model(server.url))) == 12
    assert len(server.asked) == 4 + 1 + 9


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (1, "adds a begin token that the prompt has already"),
        (9, "puts a template around prompts"),
        (-1, "adds no begin token"),
        (-2, "cuts prompts"),
    ],
)
def test_tokens_that_differ_stop_the_model(added: int, said: str, tmp_path: Path) -> None:
    """A hidden begin token, a template applied twice, a truncated prompt."""
    with (
        serving(echoing(added=added, takes_ids=False)) as server,
        pytest.raises(ServerError, match=said) as error,
    ):
        ask(tmp_path, model(server.url))
    assert f"tiny read {5 + added} tokens of one #0, where 5 were meant" in str(error.value)


def test_a_prompt_that_is_cut_later_stops_the_model(tmp_path: Path) -> None:
    def short(body: dict[str, Any]) -> dict[str, Any]:
        said = echo(body)
        said["usage"] = {"prompt_tokens": min(5, len(body["prompt"])), "completion_tokens": 1}
        return said

    asked = tasks(3) | {"long": Asked([sample(0, [9] * 7)], LIMIT)}
    with (
        serving(Loopback(write=short)) as server,
        pytest.raises(ServerError, match="read 5 tokens of long #0, where 8 were meant"),
    ):
        ask(tmp_path, model(server.url), asked)


def test_a_server_that_does_not_count_is_not_compared(tmp_path: Path) -> None:
    with serving(echoing(counts=False)) as server:
        found = ask(tmp_path, model(server.url))
    assert all(each.error is None for each in found)
    assert {each.prompt_tokens for each in found} == {5}


def chatting(**message: Any) -> Loopback:
    def write(body: dict[str, Any]) -> dict[str, Any]:
        text = body["messages"][0]["content"]
        said = {"role": "assistant", "content": text.split()[-1], **message}
        usage = {"prompt_tokens": 11 + len(text.split()), "completion_tokens": 1}
        return {"choices": [{"message": said, "finish_reason": "stop"}], "usage": usage}

    return Loopback(write=write, chat=True)


def test_a_chat_has_one_message_and_a_template_of_its_own(tmp_path: Path) -> None:
    with serving(chatting()) as server:
        found = ask(tmp_path, model(server.url, api="chat"))
    assert server.asked[0]["messages"] == [{"role": "user", "content": "3 4 5 8"}]
    assert len(server.asked) == 12
    assert {each.pred for each in found} == {"8", "9"}
    assert {each.stop_reason for each in found} == {"end"}


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_are_kept_and_not_scored(name: str, tmp_path: Path) -> None:
    with serving(chatting(**{name: "it may be 7"})) as server:
        found = ask(tmp_path, model(server.url, api="chat"))
    assert {each.reasoning for each in found} == {"it may be 7"}
    assert all("7" not in each.pred for each in found)


def test_a_prediction_without_thoughts_says_nothing_of_them(tmp_path: Path) -> None:
    with serving(echoing()) as server:
        found = ask(tmp_path, model(server.url))
    assert "reasoning" not in found[0].model_dump()


@pytest.mark.parametrize(
    ("chat", "api", "other"), [(True, "completions", "chat"), (False, "chat", "completions")]
)
def test_the_other_interface_is_offered(chat: bool, api: str, other: str, tmp_path: Path) -> None:
    server = chatting() if chat else echoing()
    with serving(server), pytest.raises(ServerError, match=f"set `api: {other}`"):
        ask(tmp_path, model(server.url, api=api))


def test_a_wrong_name_is_told_with_the_right_ones(tmp_path: Path) -> None:
    with (
        serving(echoing(models=("tiny", "large"))) as server,
        pytest.raises(ServerError, match=r"`tine` is unknown at .* serves tiny, large"),
    ):
        ask(tmp_path, model(server.url, model="tine"))
    assert server.asked == []


def test_a_broken_list_of_models_is_no_obstacle(tmp_path: Path) -> None:
    """That of `transformers serve` answers 500 for a local folder."""
    with serving(echoing(models=None)) as server:
        assert len(ask(tmp_path, model(server.url))) == 12


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_list_of_models_is_read_again(status: int, tmp_path: Path) -> None:
    """What a server says of itself was missing in the cells that began when it was busy."""
    server = echoing(about={"owned_by": "vllm"})
    page, busy = server.page, [(status, "busy"), (status, "busy")]
    server.page = lambda path: busy.pop() if busy else page(path)  # type: ignore[method-assign]
    with serving(server):
        found = ask(tmp_path, model(server.url))
    assert found[0].others[LIBRARIES].startswith("vllm, model tiny")


@pytest.mark.parametrize(
    "listed",
    [
        {"data": 5},
        {"data": [5, None, {"id": None}, {}]},
        {"data": [{"id": "tiny", "owned_by": 5, "max_model_len": -1}]},
        {"data": [{"id": "tiny", "owned_by": "a\nb", "max_model_len": True}]},
        [1],
        None,
    ],
)
def test_nonsense_in_the_list_of_models_is_no_obstacle(listed: Any, tmp_path: Path) -> None:
    server = echoing()
    server.page = lambda path: (200, listed)  # type: ignore[method-assign]
    with serving(server):
        found = ask(tmp_path, model(server.url))
    assert len(found) == 12
    assert "\n" not in found[0].others[LIBRARIES]


def test_a_server_that_does_not_say_its_context_is_asked_the_longest_first(tmp_path: Path) -> None:
    """Half a cell was answered before the first prompt was too long."""
    too_long = faults.status(400, '{"error": "7 tokens exceed context window of 6"}')
    asked = {"long": Asked([sample(0, [4, 5]), sample(1, [9] * 7)], LIMIT)}
    with (
        serving(echoing(faults=[too_long] * 9)) as server,
        pytest.raises(ServerError, match=r"exceed context window of 6.*--max-model-len"),
    ):
        ask(tmp_path, model(server.url), asked)
    assert {len(body["prompt"]) for body in server.asked if type(body["prompt"]) is list} == {8}


def test_answers_that_the_server_cut_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some servers make answers shorter where their context ends."""
    with serving(echoing()) as server:
        ask(tmp_path, model(server.url))
    assert "12 of 12 answers were cut before they had as many tokens" in caplog.text


@pytest.mark.parametrize("key", ["max_model_len", "context_length"])
def test_a_short_context_is_told_before_the_cell(key: str, tmp_path: Path) -> None:
    with (
        serving(echoing(about={key: 8})) as server,
        pytest.raises(ServerError, match="8 tokens of context, and prompt and answer here need 9"),
    ):
        ask(tmp_path, model(server.url))
    assert server.asked == []


def test_what_a_server_says_of_itself_is_written_down(tmp_path: Path) -> None:
    about = {"owned_by": "vllm", "max_model_len": 4096}
    server = echoing(about=about, pages={"/version": {"version": "0.10.1"}})

    def printed(body: dict[str, Any]) -> dict[str, Any]:
        return echo(body) | {"system_fingerprint": "fp_7"}

    server.write = printed
    with serving(server):
        found = ask(tmp_path, model(server.url))
    assert found[0].others[LIBRARIES] == (
        "vllm 0.10.1, model tiny, at most 4096 tokens, fingerprint fp_7, prompts as token ids"
    )


@pytest.mark.parametrize(
    ("owner", "sent"),
    [
        ("vllm", {"repetition_penalty": 1.0}),
        ("sglang", {"repetition_penalty": 1.0}),
        ("llamacpp", {"repeat_penalty": 1.0}),
        ("me", {"repeat_penalty": 1.0}),
        ("openai", {}),
    ],
)
def test_repeated_tokens_cost_nothing_where_a_server_would_have_them_cost(
    owner: str, sent: dict[str, float], tmp_path: Path
) -> None:
    """With a penalty the best token is another one, whatever the temperature."""
    with serving(echoing(about={"owned_by": owner})) as server:
        ask(tmp_path, model(server.url))
    penalties = [{key: body[key] for key in body if "penalty" in key} for body in server.asked]
    assert penalties == [sent] * len(penalties) != []


def test_tokens_in_a_server_s_cache_are_shared(tmp_path: Path) -> None:
    def cached(body: dict[str, Any]) -> dict[str, Any]:
        details = {"cached_tokens": 3}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": details}
        return echo(body) | {"usage": usage}

    with serving(Loopback(write=cached)) as server:
        found = ask(tmp_path, model(server.url))
    assert {each.shared_tokens for each in found} == {3}


def test_an_answer_that_is_broken_off_has_failed(tmp_path: Path) -> None:
    def filtered(body: dict[str, Any]) -> dict[str, Any]:
        said = completion("")
        said["choices"][0]["finish_reason"] = "content_filter"
        return said if body["prompt"][-1] == 9 else echo(body)

    with serving(Loopback(write=filtered)) as server:
        found = ask(tmp_path, model(server.url))
    assert {each.task: each.stop_reason for each in found} == {"one": "limit", "two": "failed"}


PRICES = {"input": 100_000.0, "output": 1_000_000.0}
"""5 tokens in for 0.5, each token out for 1: a question is at most 4.5 and costs 1.5."""


def test_a_budget_is_never_passed(tmp_path: Path) -> None:
    with serving(echoing()) as server:
        paid = model(server.url, prices=PRICES, budget=12.0, concurrency=3)
        with pytest.raises(ServerError, match=r"budget of 12 .* raise `budget`"):
            ask(tmp_path, paid)
        kept = (tmp_path / "cell.jsonl.journal").read_bytes().count(b"\n")
        # One token to see whether ids are taken costs 1.5 as well.
        assert float((tmp_path / ".spent").read_text()) <= 12.0
        assert 1.5 * (kept + 1) <= 12.0
        more = model(server.url, prices=PRICES, budget=100.0)
        assert len(ask(tmp_path, more)) == 12


def test_prices_of_cached_tokens(tmp_path: Path) -> None:
    prices = model("http://h/v1", prices=PRICES | {"cached": 0.0}).prices
    assert prices is not None
    assert prices.of(read=5, written=1, cached=5) == 1.0
    assert prices.of(read=5, written=1) == 1.5


def test_no_key_is_written_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even when the server says it, escaped or not."""
    monkeypatch.setenv("OUR_KEY", KEY)
    caplog.set_level("DEBUG")

    def tells(body: dict[str, Any]) -> dict[str, Any]:
        return echo(body) | {"system_fingerprint": KEY}

    server = Loopback(write=tells, about={"owned_by": KEY})
    with serving(server):
        found = ask(tmp_path, model(server.url, key="OUR_KEY"))
    assert all(each["authorization"] == f"Bearer {KEY}" for each in map(_lower, server.headers))
    assert KEY not in json.dumps([each.model_dump(mode="json") for each in found])
    assert all(
        KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )
    assert KEY not in caplog.text


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_keys_of_others_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library would send what it finds in the environment, to any host."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: own-secret")
    with serving(echoing()) as server:
        ask(tmp_path, model(server.url))
    sent = json.dumps(server.headers)
    assert not any(word in sent for word in (KEY, "secret", "Bearer"))


def test_a_key_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUR_KEY", raising=False)
    with pytest.raises(ServerError, match="expected in the environment variable OUR_KEY"):
        ask(tmp_path, model("http://127.0.0.1:9/v1", key="OUR_KEY"))


@pytest.mark.parametrize("key", ["sk-a\nsk-b", "sk-\u00fc", "sk-a\tb"])
def test_a_key_that_no_header_takes_is_not_told(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP library quoted a key of two lines, and a traceback told a letter of another."""
    monkeypatch.setenv("OUR_KEY", key)
    with pytest.raises(ServerError, match="copy it again") as error:
        ask(tmp_path, model("http://127.0.0.1:9/v1", key="OUR_KEY"))
    assert "sk-" not in str(error.value)


def test_an_endpoint_may_stand_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(echoing()) as server:
        monkeypatch.setenv("OUR_SERVER", server.url)
        assert len(ask(tmp_path, model("$OUR_SERVER"))) == 12
    monkeypatch.setenv("OUR_SERVER", f"http://me:{KEY}@127.0.0.1/v1")
    with pytest.raises(ServerError, match=r"endpoint \$OUR_SERVER: .* may be a key") as error:
        ask(tmp_path / "other", model("$OUR_SERVER"))
    assert KEY not in str(error.value)
