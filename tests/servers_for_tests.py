"""A small server with OpenAI's interface on this machine, and all that can go wrong with one.

It stands for a server, or as a proxy before a real one. What it answers is made by a function, so a
test says what the model would write.
"""

import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-a-key-that-must-not-be-written-anywhere-0123456789"
Fault = Callable[["_Handler"], None]
Write = Callable[[dict[str, Any]], dict[str, Any]]


def words(prompt: Any) -> int:
    """Tokens of a prompt, where each word is one and a begin token comes first."""
    return len(prompt) if isinstance(prompt, list) else 1 + len(prompt.split())


def completion(text: str, **others: Any) -> dict[str, Any]:
    """The body of an answer without its counts."""
    return {"choices": [{"index": 0, "text": text, "finish_reason": "length"}], **others}


@dataclass
class Loopback:
    """What a server does, and what it was asked."""

    write: Write | None = None
    """The body of the answer to a request; counts of tokens are added. None: `upstream` answers."""
    upstream: str = ""
    models: tuple[str, ...] | None = ("tiny",)
    """None: the list of models is broken, as that of `transformers serve`."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the list says of the first model."""
    pages: Mapping[str, Any] = field(default_factory=dict)
    """Other paths, as /version."""
    takes_ids: bool = True
    chat: bool = False
    """Whether it has only the interface of chats; without it only that of completions."""
    faults: list[Fault | None] = field(default_factory=list)
    """What happens to the next questions in place of an answer; None for nothing."""
    added: int = 0
    """Tokens that the server puts before prompts by itself."""
    counts: bool = True
    certificate: str = ""
    """A file with a certificate and its key, for a server with TLS."""
    seconds: float = 0.0
    """That an answer takes."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    most_at_a_time: int = 0
    url: str = ""
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """How many questions are under way."""
        with self._lock:
            self._under_way += 1
            self.most_at_a_time = max(self.most_at_a_time, self._under_way)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def page(self, path: str) -> tuple[int, Any]:
        """Status and JSON at a path that is read."""
        if path == "/v1/models":
            if self.models is None:
                return 500, "Internal Server Error"
            listed = [{"id": name, "object": "model"} for name in self.models]
            return 200, {"object": "list", "data": [listed[0] | self.about, *listed[1:]]}
        return (200, self.pages[path]) if path in self.pages else (404, {"detail": "Not Found"})

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON of the answer to a question."""
        wanted = "/v1/chat/completions" if self.chat else "/v1/completions"
        if path != wanted:
            return 404, {"detail": "Not Found"}
        prompt = body["messages"][0]["content"] if self.chat else body["prompt"]
        if isinstance(prompt, list) and not self.takes_ids:
            return 400, {"detail": "prompt must be a string."}
        assert self.write is not None
        said = self.write(body)
        if self.counts and "usage" not in said:
            text = said["choices"][0].get("text", "")
            read = words(prompt) + self.added
            said["usage"] = {"prompt_tokens": read, "completion_tokens": len(text.split())}
        return 200, said


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    loopback: Loopback

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def send(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.loopback.headers.append(dict(self.headers))
        status, said = self.loopback.page(self.path)
        self.send(status, json.dumps(said).encode())

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        own, body = self.loopback, json.loads(raw)
        own.headers.append(dict(self.headers))
        own.asked.append(body)
        with own.counted():
            time.sleep(own.seconds)
            fault = own.faults.pop(0) if own.faults else None
            try:
                if fault is not None:
                    fault(self)
                elif own.upstream:
                    self.send(*_forwarded(own.upstream + self.path, raw))
                else:
                    status, said = own.answer(self.path, body)
                    self.send(status, json.dumps(said).encode())
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # Whoever asked has gone.


def _forwarded(address: str, raw: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(address, raw, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def stall(handler: _Handler) -> None:
    """Say nothing for longer than anybody waits."""
    time.sleep(1.5)
    handler.close_connection = True


def status(code: int, said: str = '{"error": "busy"}', **headers: str) -> Fault:
    return lambda handler: handler.send(code, said.encode(), **headers)


def web_page(handler: _Handler) -> None:
    handler.send(200, b"<html><body>Please log in</body></html>", "text/html")


def no_json(handler: _Handler) -> None:
    handler.send(200, b'{"choices": [{"text": "half an ans')


def nothing_in_it(handler: _Handler) -> None:
    handler.send(200, b'{"choices": []}')


def cut_off(handler: _Handler) -> None:
    """Announce a body and send half of it."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"text": "half')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def elsewhere(address: str) -> Fault:
    return lambda handler: handler.send(307, b"", Location=address)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no error here."""


@contextmanager
def serving(loopback: Loopback) -> Iterator[Loopback]:
    """The server at a port of 127.0.0.1, `loopback.url`."""
    handler = type("Handler", (_Handler,), {"loopback": loopback})
    server = _Server(("127.0.0.1", 0), handler)
    if loopback.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(loopback.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    scheme = "https" if loopback.certificate else "http"
    loopback.url = f"{scheme}://127.0.0.1:{server.server_port}/v1"
    try:
        yield loopback
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
