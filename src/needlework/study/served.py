"""Models that a server answers for: what an entry of models.yaml says of it.

A key is never among them, only the name of the environment variable that holds it.
"""

import os
import re
import shlex
import string
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeFloat, PositiveFloat, StringConstraints

from needlework.errors import ServerError
from needlework.parsing import Closed
from needlework.tasks.specs import Spec

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
PLACES = ("checkpoint", "port", "model")
"""What a command that starts a server may ask for, in braces."""
HAZARDS = frozenset({"uuid-numbers", "format-mix"})
"""Defects of questions and means, which do not depend on who answers."""
MILLION = 1e6
Api = Literal["completions", "chat"]
NotEmpty = Annotated[str, StringConstraints(min_length=1)]


class Prices(Closed):
    """What a million tokens cost, in any one currency."""

    input: NonNegativeFloat
    output: NonNegativeFloat
    cached: NonNegativeFloat | None = None
    """Of prompt tokens that the server had in its cache; as any other where left out."""

    def of(self, *, read: float, written: float, cached: float = 0) -> float:
        """What tokens cost; `cached` are those of `read` that the server had already."""
        known = self.input if self.cached is None else self.cached
        return ((read - cached) * self.input + cached * known + written * self.output) / MILLION


class ServerKeys(Closed):
    """The keys of an entry with `backend: server`."""

    endpoint: NotEmpty | None = Field(
        None, description="URL of a server, up to `/v1`; or $NAME, the variable that holds it."
    )
    serve: NotEmpty | None = Field(
        None,
        description="In place of an endpoint: the command that starts a server for the job, with "
        "{checkpoint}, {port} and, if it wants, {model}.",
    )
    gpus: Annotated[int, Field(ge=0)] | None = Field(
        None, description="GPUs of the job that starts a server; else as config/cluster.yaml says."
    )
    model: NotEmpty | None = Field(
        None, description="What the server calls the model; the checkpoint unless said."
    )
    api: Api = Field("completions", description="The plain text, or one message of a chat.")
    concurrency: Annotated[int, Field(ge=1, le=4096)] = Field(
        8, description="Questions under way at a time."
    )
    timeout: PositiveFloat = Field(600.0, description="Seconds for one answer.")
    key: str | None = Field(
        None, description="The NAME of the environment variable that holds the key."
    )
    repeated: Annotated[int, Field(ge=0, le=1000)] = Field(
        8, description="Samples that are asked twice, as servers that batch may answer otherwise."
    )
    prices: Prices | None = Field(None, description="What a million tokens cost.")
    budget: PositiveFloat | None = Field(
        None, description="Most that the answers of a study may cost, in the currency of prices."
    )

    def server_json(self) -> str | None:
        """The keys of a server as a job is told them; None of an entry that has no server."""
        if self.endpoint is None and self.serve is None:
            return None
        return ServerKeys(**{name: getattr(self, name) for name in KEYS}).model_dump_json(
            exclude_defaults=True
        )


KEYS = tuple(ServerKeys.model_fields)


class Server(ServerKeys):
    """A server and the model on it, as a job is told: everything but the key itself."""

    checkpoint: str
    revision: str | None = None

    @property
    def name(self) -> str:
        """What the server calls the model."""
        return self.model or self.checkpoint

    def url(self) -> str:
        """The endpoint, from the environment where the entry names a variable.

        Raises:
            ServerError: the variable is not set, or is no URL that may be used.
        """
        assert self.endpoint is not None, "the entry starts a server of its own"
        if not self.endpoint.startswith("$"):
            return self.endpoint.rstrip("/")
        value = os.environ.get(self.endpoint[1:], "")
        if problem := url_problem(value):
            raise ServerError(
                f"endpoint {self.endpoint}: {problem}; `export {self.endpoint[1:]}=http://...`"
            )
        return value.rstrip("/")

    def secret(self) -> str | None:
        """The key, from the environment; None where the entry has none.

        Raises:
            ServerError: the variable is not set, or holds what no header can.
        """
        if self.key is None:
            return None
        value = os.environ.get(self.key, "").strip()
        if not value:
            raise ServerError(
                f"the key of {self.name} is expected in the environment variable {self.key}, which "
                f"is not set; `export {self.key}=...`, or remove `key`"
            )
        if not (value.isascii() and value.isprintable()):
            raise ServerError(
                f"the key of {self.name} in the environment variable {self.key} has a line break "
                "or a letter that is not ASCII, as no key has; copy it again"
            )
        return value


def problem(keys: ServerKeys, *, backend: str, given: set[str]) -> str | None:
    """What is wrong with the keys of an entry, and what to do; None for nothing.

    No value is told: somebody may have written a key where the name of its variable belongs.
    """
    strange = [name for name in KEYS if name in given]
    if backend != "server":
        return f"{strange[0]} is for backend: server; set that, or remove it" if strange else None
    if (keys.endpoint is None) == (keys.serve is None):
        return (
            "backend: server needs `endpoint`, the URL of a server, or `serve`, the command that "
            "starts one; give one of them"
        )
    if keys.key is not None and not VARIABLE.fullmatch(keys.key):
        return (
            "key must be the NAME of an environment variable, as OPENAI_API_KEY; never write the "
            "key itself into a file, and replace one that was"
        )
    if keys.budget is not None and keys.prices is None:
        return "budget needs `prices: {input: ..., output: ...}`, or nothing can be counted"
    return _endpoint_problem(keys) or _command_problem(keys)


def entry_problem(
    keys: ServerKeys, backend: str, formats: Collection[str], hazards: Collection[str]
) -> str | None:
    """The same of a whole entry, with the prompt formats and the defects that it names."""
    if found := problem(keys, backend=backend, given=keys.model_fields_set):
        return found
    if backend == "server" and keys.api == "chat" and set(formats) != {"base"}:
        return "wrapper must be base at `api: chat`, where the server has a template"
    if backend == "server" and not HAZARDS.issuperset(hazards):
        return "hazards of decoding cannot be switched on in a server; remove them"
    return None


def _endpoint_problem(keys: ServerKeys) -> str | None:
    if keys.endpoint is None:
        return None
    if keys.gpus is not None:
        return "gpus is for `serve`, which starts a server in the job; remove it"
    if keys.endpoint.startswith("$"):
        named = VARIABLE.fullmatch(keys.endpoint[1:])
        return None if named else "endpoint: behind $ stands the name of an environment variable"
    found = url_problem(keys.endpoint)
    return f"endpoint: {found}" if found else None


def url_problem(url: str) -> str | None:
    """What is wrong with an address; None for nothing. The address may hold a key: it is not told.

    An address is written into predictions, so it may hold nothing that is secret.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole:
        return "not a URL as http://127.0.0.1:8000/v1"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "a URL with a user, a password or a query, which may be a key; use `key: NAME`"
    return None


def _command_problem(keys: ServerKeys) -> str | None:
    if keys.serve is None:
        return None
    try:
        words = shlex.split(keys.serve)
        names = [name for word in words for _, name, *_ in string.Formatter().parse(word)]
    except ValueError as error:
        return f"serve: {error}; it is read as a shell would read it, braces are doubled"
    unknown = [name for name in names if name is not None and name not in PLACES]
    if unknown:
        known = ", ".join(PLACES)
        return f"serve: {{{unknown[0]}}} is unknown; known: {known}; double other braces"
    if any(word.startswith("--api-key") for word in words):
        return "serve: a key never stands in a file; servers read it from the environment"
    return None if "port" in names else "serve: name {port}, the port that the job found free"


def command(server: Server, *, checkpoint: str, port: int) -> list[str]:
    """The words of the command that starts a server; no shell ever reads them."""
    assert server.serve is not None, "the entry has an endpoint"
    known = {"checkpoint": checkpoint, "port": str(port), "model": server.model or checkpoint}
    return [word.format(**known) for word in shlex.split(server.serve)]


class ServedCell(Closed):
    """A cell as the job about its server is told of it."""

    suite: str
    length: int
    datasets: tuple[Path, ...]
    tasks: dict[str, Spec]
