"""A server as a process: `python own_server_for_tests.py PORT [ANSWERS] [LINE...]`.

It ends by itself after so many answers (0: never), with the lines as its last words. A line
`named=NAME` is what it calls its model.
"""

import os
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.asking_for_tests import echo
from tests.servers_for_tests import Loopback, _Handler


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(port: int, answers: int, lines: list[str]) -> None:
    say("loading")
    names = [line.removeprefix("named=") for line in lines if line.startswith("named=")]
    health = {"/health": {"status": "ok"}}
    server = Loopback(models=tuple(names or ["tiny"]), seconds=0.02, pages=health)

    def write(body: dict[str, Any]) -> dict[str, Any]:
        if answers and len(server.asked) > answers:
            say("\n".join(lines))
            os._exit(3)
        assert body["model"] in (server.models or ())
        return echo(body)

    server.write = write
    handler = type("Handler", (_Handler,), {"loopback": server})
    loop = ThreadingHTTPServer(("127.0.0.1", port), handler)
    say(f"listening, {os.environ.get('OUR_KEY', 'no key')}")
    threading.Thread(target=loop.serve_forever, daemon=True).start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    if sys.argv[1] == "refuse":
        sys.exit("\x1b[31mno such checkpoint\x1b[0m")
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
