"""One server asked over HTTP: tried again where that helps, named in one line where it does not.

The key of an entry goes to the host of its endpoint and nowhere else: redirects are not followed,
headers that the library finds in the environment are taken off, and whatever comes back is freed of
it before anybody reads, logs or writes it.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import openai

from needlework.engine.servers.connection import connection
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.replies import Reply, UnreadableError, excerpt, read_reply
from needlework.errors import ServerError
from needlework.study.served import Server

log = logging.getLogger(__name__)

TRIES = 7
"""Of one question: with the waits between them somewhat over a minute."""
TRIAL_TRIES = 3
"""Of a prompt that the server may not take: enough for what passes."""
LONGEST_WAIT = 30.0
"""Seconds between two tries, unless the server asks for more."""
MOST_PATIENT = 3600.0
"""Seconds of a Retry-After that are waited for."""
CONNECT_SECONDS = 15.0
AGAIN = frozenset({408, 409, 425, 429})
"""What a server says when the same question may succeed later; so may all from 500 on."""
BUSY = frozenset({502, 503, 504})
"""What makes a page about the server worth another look; it is no answer that somebody pays for."""
LOOKS = 3
GATEWAYS = frozenset({502, 504})
"""What a proxy says of a server that may have answered all the same."""
OURS = frozenset({"host", "accept", "accept-encoding", "connection", "content-type"})
OURS |= {"content-length", "user-agent", "x-stainless-raw-response"}
"""Headers that are sent, beside the key; the last tells the library what to return. Of what the
environment holds, none is sent."""
HIDDEN = "[key]"


class RefusedError(Exception):
    """The server will not answer this question, now or later: status 4xx."""

    def __init__(self, status: int, said: str) -> None:
        self.status = status
        super().__init__(f"the server refuses it with status {status}: {said}")


class Client:
    """A connection to one server, whose answers the purse pays for.

    `name` is what the server calls the model, `neutral` what turns its own habits off; `gone` says
    whether the server has died, so that nobody waits for it.

    Raises:
        ServerError: the environment has no key, or names certificates or proxies of no use.
    """

    def __init__(
        self,
        server: Server,
        url: str,
        *,
        name: str,
        purse: Purse,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._server = server
        self._url = url
        self._purse = purse
        self._gone = gone
        self.name = name
        self.neutral: Mapping[str, float] = {}
        self._key = server.secret()
        http = connection(url, self._only_our_headers)
        # Its own tries know neither a torn body nor a server that has died.
        self._openai = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=url,
            http_client=http,
            max_retries=0,
            timeout=openai.Timeout(server.timeout, connect=CONNECT_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._openai.close()

    async def _only_our_headers(self, request: Any) -> None:  # noqa: ANN401 - of its HTTP library
        for name in set(request.headers) - OURS:
            del request.headers[name]
        if self._key is not None:
            request.headers["authorization"] = f"Bearer {self._key}"

    def clean(self, text: str) -> str:
        """A text without the key, should the server have said it, escaped as JSON or not."""
        if self._key is None:
            return text
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False)
        return text.replace(self._key, HIDDEN)

    async def ask(
        self, prompt: str | list[int], limit: int, *, read: int, on_trial: bool = False
    ) -> Reply:
        """The greedy answer to a prompt of `read` tokens, of at most `limit` tokens.

        A prompt `on_trial` is one that the server may not take: status 500 says so, too.

        Raises:
            RefusedError: the server will never answer this question.
            ServerError: it cannot be reached, does not do what servers do, or the budget is spent.
        """
        said = _AgainError("never asked")
        tries = TRIAL_TRIES if on_trial else TRIES
        for attempt in range(tries):
            if attempt:
                seconds = _wait(attempt, said.seconds)
                log.warning("%s: %s; tried again in %.0f s", self._url, said, seconds)
                await asyncio.sleep(seconds)
            if self._gone():
                raise ServerError(f"{self._url}: the server has ended")
            # What is under way when this job ends, and what may have been answered although no
            # answer came, counts as spent.
            aside = self._purse.set_aside(read=read, written=limit)
            try:
                reply = await self._once(prompt, limit)
            except RefusedError:
                self._purse.give_back(aside)
                raise
            except _AgainError as error:
                said = error
                if not said.answered:
                    self._purse.give_back(aside)
                if on_trial and said.status == 500:
                    raise RefusedError(500, str(said)) from error
            else:
                self._purse.settle(aside, reply, read=read, limit=limit)
                return reply
        raise ServerError(
            f"{self._url}: {said}, {tries} times; what is answered is kept, so mend the server and "
            "run again"
        )

    async def _once(self, prompt: str | list[int], limit: int) -> Reply:
        """The answer to a question that is sent once.

        Raises:
            _AgainError: there is none yet.
            RefusedError: there never will be one.
            ServerError: nor to any other question.
        """
        try:
            async with asyncio.timeout(self._server.timeout):
                return read_reply(await self._send(prompt, limit), self._server.api)
        except openai.APIStatusError as error:
            raise self._again(error) from error
        except TimeoutError as error:
            raise self._too_late() from error
        except openai.APIConnectionError as error:
            raise self._unreachable(error) from error
        except UnreadableError as error:
            raise _AgainError(str(error), answered=True) from error

    async def _send(self, prompt: str | list[int], limit: int) -> str:
        """The body of the response, freed of the key."""
        settings: dict[str, Any] = {"max_tokens": limit, "temperature": 0, "seed": 0}
        common = {"model": self.name, "extra_body": self.neutral, **settings}
        if self._server.api == "chat":
            assert isinstance(prompt, str), "messages are text"
            raw = await self._openai.chat.completions.with_raw_response.create(
                messages=[{"role": "user", "content": prompt}], **common
            )
        else:
            raw = await self._openai.completions.with_raw_response.create(prompt=prompt, **common)
        return self.clean(raw.http_response.text)

    async def look(self, path: str) -> Mapping[str, Any] | None:
        """The JSON object at a path of the server; None where there is none.

        Raises:
            ServerError: it cannot be reached, sends elsewhere, or does not let us in.
        """
        address = path if path.startswith("http") else f"{self._url}/{path}"
        for attempt in range(LOOKS):
            if attempt:
                await asyncio.sleep(_wait(attempt, None))
            with suppress(_AgainError):
                return await self._looked(address)
        return None

    async def _looked(self, address: str) -> Mapping[str, Any] | None:
        """The same of an address that is read once.

        Raises:
            _AgainError: the server is busy, or was cut off.
        """
        try:
            async with asyncio.timeout(min(60.0, self._server.timeout)):
                said = await self._openai.get(address, cast_to=object)
                found = json.loads(self.clean(json.dumps(said)))
        except openai.APIStatusError as error:
            self._stop_if_final(error)
            if error.status_code in AGAIN | BUSY:
                raise _AgainError(f"status {error.status_code}") from error
            return None
        except TimeoutError as error:
            raise self._too_late() from error
        except (ValueError, RecursionError):
            return None
        except openai.APIConnectionError as error:
            told = self._unreachable(error)
            if not _was_never_there(error):
                raise told from error
            raise ServerError(f"{self._url}: {told}; start it, or correct endpoint") from error
        return found if isinstance(found, dict) else None

    def _again(self, error: openai.APIStatusError) -> "_AgainError":
        """Why a question is asked again.

        Raises:
            RefusedError: it would be in vain.
            ServerError: every question would be.
        """
        self._stop_if_final(error)
        said = excerpt(self.clean(error.response.text))
        if error.status_code not in AGAIN and error.status_code < 500:
            raise RefusedError(error.status_code, said) from error
        seconds = _asked_to_wait(error.response.headers.get("retry-after"))
        status = error.status_code
        return _AgainError(
            f"status {status}: {said}", seconds, status=status, answered=status in GATEWAYS
        )

    def _stop_if_final(self, error: openai.APIStatusError) -> None:
        """Raise what no other question would change either: a redirect, or no way in."""
        status, place = error.status_code, error.response.headers.get("location", "nowhere")
        if 300 <= status < 400:
            raise ServerError(
                f"{self._url} sends to {self.clean(place)!r}, which is not followed: the key would "
                "go along; write the address of the server itself into endpoint"
            ) from error
        if status in (401, 403):
            way = (
                f"check the key in {self._server.key}"
                if self._server.key
                else "name the environment variable that holds a key: `key: NAME`"
            )
            told = f"{status}: {excerpt(self.clean(error.response.text))}"
            raise ServerError(f"{self._url} does not let us in ({told}); {way}") from error

    def _unreachable(self, error: openai.APIConnectionError) -> "_AgainError":
        """Why a question is asked again.

        Raises:
            ServerError: certificates do not change within minutes.
        """
        if _was_never_there(error) and isinstance(error, openai.APITimeoutError):
            return _AgainError(f"not reached within {CONNECT_SECONDS:g} s")
        if isinstance(error, openai.APITimeoutError):
            return self._too_late()
        causes = list(_causes(error))
        for cause in causes:
            if "SSL" in str(cause) and "EOF" not in str(cause):
                raise ServerError(
                    f"{self._url}: no safe connection ({self.clean(str(cause))}); name the file "
                    "with its certificate authority in SSL_CERT_FILE, or correct http and https in "
                    "endpoint"
                ) from error
        said = f"not reached, or cut off ({self.clean(str(causes[-1]))})"
        return _AgainError(said, answered=not _was_never_there(error))

    def _too_late(self) -> "_AgainError":
        said = f"no answer within {self._server.timeout:g} s (`timeout`)"
        return _AgainError(said, answered=True)


class _AgainError(Exception):
    """What went wrong, and the seconds that the server asks to wait.

    `answered`: it may have written an answer, which nobody has read.
    """

    def __init__(
        self,
        said: str,
        seconds: float | None = None,
        *,
        status: int | None = None,
        answered: bool = False,
    ) -> None:
        self.seconds = seconds
        self.status = status
        self.answered = answered
        super().__init__(said)


def _wait(attempt: int, asked: float | None) -> float:
    """Seconds before the next try: what the server asks for, else longer with every try."""
    if asked is not None and asked > 0:
        return min(asked, MOST_PATIENT)
    # Not all at the same time: many questions fail together.
    return min(LONGEST_WAIT, 2.0**attempt) * random.uniform(0.5, 1.0)


def _asked_to_wait(header: str | None) -> float | None:
    """The seconds of a Retry-After, which are a number or a date; None where there is none."""
    try:
        return None if header is None else float(header)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(header or "").timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


def _was_never_there(error: openai.APIConnectionError) -> bool:
    """Whether nobody listens at the address, where others are cut off in what they say."""
    return type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout")


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what led to it, the first cause last."""
    found = [error]
    while (before := found[-1].__cause__ or found[-1].__context__) is not None:
        found.append(before)
    return found
