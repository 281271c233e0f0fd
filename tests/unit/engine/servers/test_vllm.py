"""vLLM's dialect, from its published schema: not run against vLLM.

The bodies follow `vllm.entrypoints.openai.protocol` (ModelList, CompletionResponse,
ChatCompletionResponse, ErrorResponse): fields that nobody else has, nulls where others leave out.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from needlework.engine.servers.replies import read_reply
from needlework.errors import ServerError
from needlework.records import LIBRARIES
from tests import servers_for_tests as faults
from tests.asking_for_tests import ask, model
from tests.servers_for_tests import Loopback, serving

CARD = {
    "created": 1764288000,
    "owned_by": "vllm",
    "root": "/weights/tiny",
    "parent": None,
    "max_model_len": 4096,
    "permission": [{"id": "modelperm-1", "object": "model_permission", "allow_sampling": True}],
}


def completed(body: dict[str, Any]) -> dict[str, Any]:
    """CompletionResponse, of a prompt that is text or token ids."""
    prompt = body["prompt"]
    read = len(prompt) if isinstance(prompt, list) else 1 + len(prompt.split())
    choice = {
        "index": 0,
        "text": " 8",
        "logprobs": None,
        "finish_reason": "length",
        "stop_reason": None,
        "token_ids": None,
        "prompt_logprobs": None,
        "prompt_token_ids": None,
    }
    usage = {
        "prompt_tokens": read,
        "total_tokens": read + 1,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 4} if body["max_tokens"] > 1 else None,
    }
    return {
        "id": "cmpl-5f6c",
        "object": "text_completion",
        "created": 1764288000,
        "model": body["model"],
        "choices": [choice],
        "service_tier": None,
        "system_fingerprint": None,
        "usage": usage,
        "kv_transfer_params": None,
    }


def vllm(**others: Any) -> Loopback:
    version = {"/version": {"version": "0.11.0"}}
    return Loopback(write=completed, about=CARD, pages=version, **others)


def test_a_cell(tmp_path: Path) -> None:
    with serving(vllm()) as server:
        found = ask(tmp_path, model(server.url))
    assert all(isinstance(body["prompt"], list) for body in server.asked)
    assert {each.shared_tokens for each in found} == {4}
    assert found[0].others[LIBRARIES] == (
        "vllm 0.11.0, model tiny, at most 4096 tokens, prompts as token ids"
    )


def error(code: int, kind: str, message: str) -> faults.Fault:
    told = {"message": message, "type": kind, "param": None, "code": code}
    return faults.status(code, json.dumps({"error": told}))


def test_a_model_that_is_not_served(tmp_path: Path) -> None:
    with serving(vllm()) as server, pytest.raises(ServerError, match="which serves tiny"):
        ask(tmp_path, model(server.url, model="large"))


def test_a_prompt_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    said = "This model's maximum context length is 4096 tokens. However, you requested 4100"
    long = error(400, "BadRequestError", said)
    with serving(vllm(faults=[None, None, None, long])) as server:
        found = ask(tmp_path, model(server.url, concurrency=1))
    (failed,) = [each.error for each in found if each.error]
    assert "maximum context length is 4096 tokens" in failed


def test_an_aborted_answer_is_none() -> None:
    text = '{"choices": [{"index": 0, "text": "8", "finish_reason": "abort"}]}'
    assert read_reply(text, "completions").end == "refused"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_a_chat_with_thoughts(name: str) -> None:
    """`reasoning_content` until 0.11, `reasoning` from then on; the answer may still be missing."""
    message = {"role": "assistant", "content": None, name: "so", "tool_calls": []}
    choice = {"index": 0, "message": message, "finish_reason": "length", "stop_reason": None}
    usage = {"prompt_tokens": 30, "total_tokens": 40, "completion_tokens": 10}
    body = {"object": "chat.completion", "choices": [choice], "usage": usage}
    reply = read_reply(json.dumps(body), "chat")
    assert (reply.text, reply.reasoning, reply.end) == ("", "so", "limit")
    assert (reply.prompt_tokens, reply.written_tokens, reply.cached_tokens) == (30, 10, None)


def test_a_server_that_wants_a_key(tmp_path: Path) -> None:
    server = vllm(faults=[faults.status(401, '{"error": "Unauthorized"}')] * 3)
    with serving(server), pytest.raises(ServerError, match="key: NAME"):
        ask(tmp_path, model(server.url))
