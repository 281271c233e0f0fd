"""A conversation with one server: who it is, how it takes prompts, and many questions at a time.

Nothing about a server is assumed: whether it takes token ids is tried with the first question, and
every answer is counted.
"""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

from needlework.engine.interruption import Interruption
from needlework.engine.servers.client import Client, RefusedError
from needlework.engine.servers.questions import Counter, Form, Question, Reader
from needlework.engine.servers.replies import Reply, one_line
from needlework.errors import ServerError
from needlework.study.served import Server
from needlework.study.served_records import Facts

LENGTHS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call the most tokens of prompt and answer, in their lists of models."""
VERSIONS = (("version", "version"), ("props", "build_info"), ("get_server_info", "version"))
"""Where servers tell their version: vLLM, llama.cpp, SGLang; a path and a key."""
MORE_CONTEXT = (
    "start the server with more (vLLM: --max-model-len, llama.cpp: --ctx-size, llama-cpp-python: "
    "--n_ctx), or choose a shorter length"
)
NEUTRAL: Mapping[str, Mapping[str, float]] = {
    "vllm": {"repetition_penalty": 1.0},
    "sglang": {"repetition_penalty": 1.0},
    "llamacpp": {"repeat_penalty": 1.0},
    "me": {"repeat_penalty": 1.0},
}
"""What turns off a server's own penalty for repeated tokens, with which temperature 0 is not
greedy, by the owner that it tells of its models: `me` is llama-cpp-python, whose penalty is 1.1
unless told (its types.py), and vLLM takes that of the checkpoint's generation_config.json."""
MOST_NAMES = 12
LOOK_SECONDS = 0.5
"""Between two looks at whether somebody asked to stop."""
Thing = TypeVar("Thing")


class Session:
    """One server, asked after one model."""

    def __init__(self, client: Client, server: Server, reader: Reader, facts: Facts) -> None:
        self._client = client
        self._server = server
        self._counter = Counter(reader, server.name)
        self.facts = facts
        self.form: Form | None = None
        self.counts = False
        """Whether the server has said how many tokens it read."""
        self.fingerprint: str | None = None

    @classmethod
    async def begin(cls, client: Client, url: str, server: Server, reader: Reader) -> Self:
        """A session, once the server said who it is.

        Raises:
            ServerError: it cannot be reached, or serves other models than this one.
        """
        return cls(client, server, reader, await _facts(client, url, server))

    def check_length(self, questions: Sequence[Question]) -> None:
        """Accept questions that the server has room for.

        Raises:
            ServerError: the longest has more tokens than the server takes.
        """
        longest = max((len(each.tokens) + each.limit for each in questions), default=0)
        if self.facts.longest is not None and longest > self.facts.longest:
            raise ServerError(
                f"{self._server.name} is served with {self.facts.longest:,} tokens of context, and "
                f"prompt and answer here need {longest:,}; {MORE_CONTEXT}"
            )

    async def ask(self, question: Question) -> Reply:
        """The answer to a question.

        Raises:
            RefusedError: there never will be one.
            ServerError: the server cannot go on, reads something else, or the budget is spent.
        """
        if self.form is None:
            return await self._first(question)
        return await self._asked(question, self.form)

    async def _first(self, question: Question) -> Reply:
        """The answer to the first question, by which prompts find their form."""
        if self._server.api == "chat":
            self.form = "messages"
        elif await self._takes_ids(question):
            self.form = "token ids"
        else:
            self.form = "text"
        try:
            return await self._asked(question, self.form)
        except RefusedError as error:
            raise ServerError(self._why_refused(error)) from error

    async def _takes_ids(self, question: Question) -> bool:
        """Whether the server reads token ids as such, tried with one token of an answer."""
        read = len(question.tokens)
        try:
            reply = await self._client.ask(list(question.tokens), 1, read=read, on_trial=True)
        except (RefusedError, ServerError):
            return False
        return reply.prompt_tokens == read

    async def _asked(self, question: Question, form: Form) -> Reply:
        prompt = list(question.tokens) if form == "token ids" else question.text
        read = self._counter.expected(question)
        reply = await self._client.ask(prompt, question.limit, read=read)
        self._counter.check(question, reply.prompt_tokens)
        self.counts |= reply.prompt_tokens is not None
        self.fingerprint = reply.fingerprint or self.fingerprint
        return reply

    def _why_refused(self, error: RefusedError) -> str:
        other = "chat" if self._server.api == "completions" else "completions"
        if error.status in (404, 405):
            return (
                f"{self._server.name}: no answer at `api: {self._server.api}` ({error}); set "
                f"`api: {other}` if the server has no other, or correct endpoint and model"
            )
        said = f"{self._server.name}: the first question fails, and so would all: {error}"
        room = "context" in str(error).lower()
        return f"{said}; {MORE_CONTEXT}" if room else said


async def _facts(client: Client, url: str, server: Server) -> Facts:
    """What the server says of itself, as far as it says anything.

    A server of ours that has one model, which the entry does not name, is asked for that one.
    """
    listed = (await client.look("models") or {}).get("data")
    entries = [each for each in listed if isinstance(each, dict)] if type(listed) is list else []
    names = tuple(name for each in entries if isinstance(name := each.get("id"), str))
    if server.serve and server.model is None and len(names) == 1:
        (client.name,) = names
    if names and client.name not in names:
        shown = ", ".join(one_line(name) or "''" for name in names[:MOST_NAMES])
        shown += ", ..." if len(names) > MOST_NAMES else ""
        raise ServerError(
            f"model `{client.name}` is unknown at {url}, which serves {shown}; correct `model`"
        )
    own = next((each for each in entries if each.get("id") == client.name), {})
    client.neutral = NEUTRAL.get(str(own.get("owned_by")), {})
    version, room = await _version(client, url)
    words = [word for word in (one_line(own.get("owned_by")), version) if word]
    if not words and server.serve:
        words = [Path(shlex.split(server.serve)[0]).name, "started by the job"]
    software = " ".join(words)
    longest = next((found for key in LENGTHS if (found := _count(own.get(key)))), None)
    return Facts(
        software=software or None,
        model=server.name,
        longest=longest or room,
        served=names[:MOST_NAMES],
    )


async def _version(client: Client, url: str) -> tuple[str | None, int | None]:
    """The version of the software, and the tokens of context where the same page has them."""
    parts = urlsplit(url)
    for path, key in VERSIONS:
        found = await client.look(f"{parts.scheme}://{parts.netloc}/{path}")
        if found and (version := one_line(found.get(key))):
            settings = found.get("default_generation_settings")
            return version, _count(settings.get("n_ctx")) if isinstance(settings, dict) else None
    return None, None


def _count(said: object) -> int | None:
    """A number of tokens, where a server says one."""
    return said if type(said) is int and said > 0 else None


async def each_of(
    things: Sequence[Thing],
    work: Callable[[Thing], Awaitable[None]],
    *,
    at_a_time: int,
    interruption: Interruption,
) -> None:
    """Work on all things, so many at a time, in their order; after a request to stop begin none.

    The first error ends everything that is under way, and is raised.
    """
    waiting = iter(things)

    async def worker() -> None:
        for thing in waiting:
            if interruption.requested:
                return
            await work(thing)

    workers = [asyncio.create_task(worker()) for _ in range(min(at_a_time, len(things)))]
    try:
        left = set(workers)
        while left and not interruption.expired:
            done, left = await asyncio.wait(
                left, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_EXCEPTION
            )
            for each in done:
                each.result()
    finally:
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
