"""A SIGTERM that only the first process of a group gets reaches the others."""

import os
import signal
import subprocess
import sys

import pytest

# The child waits for a signal that is blocked until then: one that came just before a `pause` would
# be handled, and the child pause for ever.
PARENT = """
import signal, subprocess, sys
from needlework.cluster.forwarding import pass_on_sigterm

pass_on_sigterm()
came = []
signal.signal(signal.SIGTERM, lambda *_: came.append(1))
child = [sys.executable, "-c", '''
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
print("told", flush=True)
''']
subprocess.run(child, check=True)
print("waited", bool(came), flush=True)
"""


@pytest.fixture
def parent() -> "subprocess.Popen[str]":
    """A process that leads a group, and waits for its child as a Snakemake does."""
    return subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def test_the_child_is_told_and_the_parent_keeps_its_handler(
    parent: "subprocess.Popen[str]",
) -> None:
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    os.kill(parent.pid, signal.SIGTERM)
    said, _ = parent.communicate(timeout=60)
    assert said == "told\nwaited True\n"
    assert parent.returncode == 0


def test_a_process_that_leads_no_group_leaves_the_others_alone() -> None:
    """Its group is then that of the shell that started it."""
    script = (
        "import signal; from needlework.cluster import forwarding; forwarding.pass_on_sigterm();"
        "print(signal.set_wakeup_fd(-1))"
    )
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -c '{script}'; exit 0"],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout == "-1\n"
