"""What servers answer, in the two forms of OpenAI's interface; anything else is unreadable."""

from typing import Literal

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from needlework.parsing import Closed
from needlework.study.served import Api

ENDS = {"length": "limit", "content_filter": "refused", "error": "refused", "abort": "refused"}
"""Why an answer ended, in words of ours; everything else is an end that the model wrote."""


class UnreadableError(Exception):
    """An answer that is not what the interface says: a torn body, a web page, something else."""


class Reply(Closed):
    """One answer of a server."""

    text: str
    reasoning: str | None
    """What a thinking model wrote apart from its answer; kept, never scored."""
    end: Literal["end", "limit", "refused"]
    prompt_tokens: int | None
    """As the server counts them, as are all others; None where it does not."""
    cached_tokens: int | None
    written_tokens: int | None
    fingerprint: str | None


class _Details(BaseModel):
    cached_tokens: NonNegativeInt | None = None


class _Usage(BaseModel):
    prompt_tokens: NonNegativeInt | None = None
    completion_tokens: NonNegativeInt | None = None
    prompt_tokens_details: _Details | None = None


class _Message(BaseModel):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Completion(BaseModel):
    text: str
    finish_reason: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _ChatCompletion(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Body(BaseModel):
    usage: _Usage | None = None
    system_fingerprint: str | None = None


class _Completions(_Body):
    choices: list[_Completion] = Field(min_length=1)


class _ChatCompletions(_Body):
    choices: list[_ChatCompletion] = Field(min_length=1)


def read_reply(body: str, api: Api) -> Reply:
    """The answer in the body of a response.

    Raises:
        UnreadableError: it is none; the message quotes its beginning.
    """
    try:
        if api == "chat":
            chat = _ChatCompletions.model_validate_json(body)
            first = chat.choices[0]
            return _reply(chat, first.message.content or "", first.message, first.finish_reason)
        plain = _Completions.model_validate_json(body)
        only = plain.choices[0]
        return _reply(plain, only.text, only, only.finish_reason)
    except ValidationError as error:
        raise UnreadableError(f"no answer in it: {excerpt(body)}") from error


def _reply(body: _Body, text: str, said: _Message | _Completion, end: str | None) -> Reply:
    usage = body.usage or _Usage()
    details = usage.prompt_tokens_details or _Details()
    return Reply.model_validate(
        {
            "text": text,
            "reasoning": said.reasoning or said.reasoning_content,
            "end": ENDS.get(end or "stop", "end"),
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": details.cached_tokens,
            "written_tokens": usage.completion_tokens,
            "fingerprint": one_line(body.system_fingerprint),
        }
    )


def excerpt(body: str, most: int = 160) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(body.split())
    return repr(line if len(line) <= most else f"{line[:most]}...")


def one_line(said: object, most: int = 200) -> str | None:
    """What a server calls something, on one line that is no longer; None where it is no text."""
    return " ".join(said.split())[:most] or None if isinstance(said, str) else None
