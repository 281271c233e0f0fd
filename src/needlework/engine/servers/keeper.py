"""Runs one command and ends it, with everything it started, when whoever asked for it is gone.

`python -m needlework.engine.servers.keeper WORD...`: the end of standard input is the sign, which
comes whatever ends the other process, SIGKILL included. On Linux the command is told when this
process is killed as well.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

LOOK_SECONDS = 0.2
GRACE_SECONDS = 10.0
"""For the command to end by itself after SIGTERM."""
PARENT_DIES = 1
"""PR_SET_PDEATHSIG of Linux's prctl: the signal that a child gets when its parent ends."""


def main(words: list[str]) -> int:
    """Run the command until it ends or standard input does; its exit code, or 128 and a signal."""
    # A signal to the whole job must not end this process before it has ended the command.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    command = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _begin(library),
    )
    while command.poll() is None:
        if _asked_to_end():
            _end(command)
    # Of what it started, something may be left.
    _signal(command, signal.SIGKILL)
    return command.returncode if command.returncode >= 0 else 128 - command.returncode


def _begin(library: ctypes.CDLL | None) -> None:
    """In the command: what this process ignores it need not, and it does not outlive this one."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if library is not None:
        library.prctl(PARENT_DIES, signal.SIGTERM)


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
