"""Runs one command and ends it, with everything it started, when whoever asked for it is gone.

`python -m needlework.engine.servers.keeper WORD...`: the end of standard input is the sign, which
comes whatever ends the other process, SIGKILL included.
"""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

LOOK_SECONDS = 0.2
GRACE_SECONDS = 10.0
"""For the command to end by itself after SIGTERM."""


def main(words: list[str]) -> int:
    """Run the command until it ends or standard input does; its exit code, or 128 and a signal."""
    # A signal to the whole job must not end this process before it has ended the command.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    command = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_listen_to_signals,
    )
    while command.poll() is None:
        if _asked_to_end():
            _end(command)
    # Of what it started, something may be left.
    _signal(command, signal.SIGKILL)
    return command.returncode if command.returncode >= 0 else 128 - command.returncode


def _listen_to_signals() -> None:
    """What this process ignores, the command need not."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _asked_to_end() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


def _end(command: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the command and all it started; what is left after a while gets SIGKILL."""
    _signal(command, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        command.wait(GRACE_SECONDS)
    _signal(command, signal.SIGKILL)
    command.wait()


def _signal(command: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(command.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
