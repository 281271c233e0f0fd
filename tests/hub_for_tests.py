"""A small Hugging Face hub on this machine, for the real client and real bytes."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_example"
Answer = tuple[int, bytes, Mapping[str, str]]


@dataclass
class Hub:
    """One repository at its last commit, and what was asked of it."""

    hub_id: str
    files: Mapping[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    breaks_after: int | None = None
    """Bytes of a file after which the connection breaks off."""
    swapped: Mapping[str, bytes] = field(default_factory=dict)
    """Files for which other bytes are served than announced."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and range of every request."""
    url: str = ""

    def listing(self) -> bytes:
        """What the hub says of the repository; large files have their SHA-256."""
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content)}
            header = b"blob %d\0" % len(content)
            entry["blobId"] = hashlib.sha1(header + content).hexdigest()
            if name.endswith((".safetensors", ".bin")):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 130}
            siblings.append(entry)
        return json.dumps({"id": self.hub_id, "sha": self.commit, "siblings": siblings}).encode()

    def downloads(self) -> list[tuple[str, str | None]]:
        """Name and range of every file that was asked for."""
        return [
            (path.rpartition("/")[2], span)
            for method, path, span in self.asked
            if method == "GET" and "/resolve/" in path
        ]

    def environment(self, **others: str) -> dict[str, str]:
        """The environment of a process that reaches this hub alone."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return kept | {"HF_ENDPOINT": self.url} | others

    def answer(self, path: str, span: str | None, token: str | None) -> Answer:
        """Status, body and headers for a path of this repository."""
        name = path.rpartition("/")[2]
        listings = (
            f"/api/models/{self.hub_id}",
            f"/api/models/{self.hub_id}/revision/{self.commit}",
        )
        if path in listings:
            return 200, self.listing(), {}
        if path.startswith("/api/"):
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        if path != f"/{self.hub_id}/resolve/{self.commit}/{name}" or name not in self.files:
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        if self.gated and token != f"Bearer {TOKEN}":
            return 401, b"", {"X-Error-Code": "GatedRepo"}
        content = self.swapped.get(name, self.files[name])
        start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
        about = {"ETag": f'"{name}"', "X-Repo-Commit": self.commit}
        if span:
            about["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return 206 if span else 200, content[start:], about


@contextmanager
def serving(hub: Hub, *others: Hub) -> Iterator[Hub]:
    """The hub with one or more repositories, reachable at `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path, span = self.path.partition("?")[0], self.headers.get("Range")
            hub.asked.append((self.command, path, span))
            owner = "/".join(path.removeprefix("/api/models").split("/")[1:3])
            asked = next((each for each in (hub, *others) if each.hub_id == owner), None)
            if asked is None:
                self._send(hub, 404, b"", {"X-Error-Code": "RepoNotFound"})
            else:
                self._send(asked, *asked.answer(path, span, self.headers.get("Authorization")))

        def _send(self, asked: Hub, status: int, body: bytes, about: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in about.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if asked.breaks_after is not None and "/resolve/" in self.path:
                body = body[: asked.breaks_after]
                self.close_connection = True
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def needlework(
    folder: Path, hub: Hub, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, with this hub as the only one."""
    return subprocess.run(
        [sys.executable, "-c", "from needlework.cli import main; main()", *words],
        cwd=folder,
        env=hub.environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
