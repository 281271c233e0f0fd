"""Where the server is: at an endpoint, or a process of this job that is started and ended here.

A server of this job listens on 127.0.0.1, is started from a list of words without a shell, and is
ended whatever happens: a keeper (`keeper`) sees when this process is gone.
"""

import logging
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.servers.client import HIDDEN
from needlework.errors import ServerError
from needlework.study import served
from needlework.study.served import Server

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Between two looks at whether a server is ready."""
SAID_SECONDS = 10.0
"""Between two lines about a server that is not."""
START_SECONDS = 7200.0
"""After which a server that is not ready is given up; large weights take a while to load."""
END_SECONDS = 20.0
"""For the keeper to end the server; somewhat more than it gives the server itself."""
LAST_LINES = 5
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class StartError(ServerError):
    """A server that cannot be started: no cell of its model can be asked."""


class Endpoint:
    """A server that somebody else runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.model = server.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is ours to end."""

    def url(self, interruption: Interruption) -> str:
        """Where it is."""
        del interruption
        return self._server.url()

    def died(self, within: float = 0.0) -> bool:
        """Not known of somebody else's server."""
        del within
        return False

    def last_words(self) -> str:
        """Nor what it said."""
        return ""

    def end(self) -> None:
        """It goes on."""


class Process:
    """A server that this job starts when it is first needed."""

    def __init__(self, server: Server, *, checkpoint: str, log_file: Path) -> None:
        self._server = server
        self._checkpoint = checkpoint
        self.model = server.model or checkpoint
        """What it calls the model unless it says otherwise: what its command was told to load."""
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self._reading: Thread | None = None
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def url(self, interruption: Interruption) -> str:
        """Where it is, once it is ready; it is started if it does not run.

        Raises:
            StartError: the command is not there, or ends before the server is ready.
            StoppedError: somebody asked to stop while it was starting.
        """
        if self._process is None or self.died():
            self.end()
            self._start()
            self._await(interruption)
        return self._url

    def died(self, within: float = 0.0) -> bool:
        """Whether it was started and has ended, or does so within some seconds."""
        if self._process is None:
            return False
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        return self._process.returncode is not None

    def last_words(self) -> str:
        """The last lines of its log, on one line."""
        if self._reading is not None and self.died():
            self._reading.join(LOOK_SECONDS)
        return " | ".join(self._lines) or "nothing"

    def end(self) -> None:
        """End it, with everything it started."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reading is not None:
            self._reading.join(END_SECONDS)
        self._process = None

    def _start(self) -> None:
        port = _free_port()
        words = served.command(self._server, checkpoint=self._checkpoint, port=port)
        if shutil.which(words[0]) is None:
            raise StartError(
                f"serve: {words[0]} is not a command here; install it into the environment of the "
                "job, or write its whole path"
            )
        self._url = f"http://127.0.0.1:{port}/v1"
        self._lines.clear()
        keeper = [sys.executable, "-m", "needlework.engine.servers.keeper", *words]
        self._process = subprocess.Popen(
            keeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reading = Thread(target=self._read_log, args=(self._process,), daemon=True)
        self._reading.start()
        log.info("starting the server on port %d; its log is %s", port, self._log_file)

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        """Write what the server says into its log, freed of the key, until it says no more."""
        assert process.stdout is not None
        secret = self._server.secret()
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with process.stdout as said, self._log_file.open("a", encoding="utf-8") as out:
            for line in said:
                text = line.decode(errors="replace").rstrip()
                text = text if secret is None else text.replace(secret, HIDDEN)
                out.write(f"{text}\n")
                out.flush()
                if plain := COLOURS.sub("", text).strip():
                    self._lines.append(plain[-200:])

    def _await(self, interruption: Interruption) -> None:
        """Return when the server is ready, saying now and then what it says."""
        started = said = time.monotonic()
        while not _is_ready(self._url):
            if interruption.requested:
                self.end()
                raise StoppedError("stopped while the server was starting; run it again")
            if self.died():
                raise StartError(
                    f"serve: the server ended before it was ready (exit code "
                    f"{self._process.returncode if self._process else 0}); its last words: "
                    f"{self.last_words()}"
                )
            if time.monotonic() - started > START_SECONDS:
                raise StartError(
                    f"serve: the server is not ready after {START_SECONDS:.0f} s; its last words: "
                    f"{self.last_words()}"
                )
            if time.monotonic() - said > SAID_SECONDS:
                log.info("waiting for the server, which says: %s", self.last_words())
                said = time.monotonic()
            time.sleep(LOOK_SECONDS)
        log.info("the server is ready after %.0f s", time.monotonic() - started)


Service = Endpoint | Process


def service(server: Server, *, checkpoint: str, log_file: Path) -> Service:
    """The server of an entry; one that a job starts is started when it is first asked."""
    if server.serve is None:
        return Endpoint(server)
    return Process(server, checkpoint=checkpoint, log_file=log_file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(url: str) -> bool:
    """Whether a server of ours answers: at its health where it has one, else at its models."""
    status = _status(url.removesuffix("/v1") + "/health")
    if status == 404:
        status = _status(f"{url}/models")
        return status is not None and status < 500
    return status is not None and 200 <= status < 300


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """None: the status of the redirect is the answer."""


def _status(address: str) -> int | None:
    """The status at an address of this machine; None where nobody answers."""
    # Without the proxies of the environment, which are for hosts elsewhere, as redirects may be.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())
    try:
        with opener.open(address, timeout=10) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
