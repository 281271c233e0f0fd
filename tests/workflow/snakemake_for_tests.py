"""Snakemake from a process that has imported it already: every run is a fork of that process.

Only packages of others are loaded there: a run imports ours from the project it is started in, and
goes on and ends as `python -m snakemake` does.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

SERVER = """
import gc, json, os, sys
import click, jinja2, pydantic, yaml
import snakemake.api, snakemake.cli
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

ExecutorPluginRegistry()  # It imports every executor, and pandas with that for Slurm.
gc.freeze()  # No run looks for garbage among what was imported.
assert not any(name.partition(".")[0] == "needlework" for name in sys.modules)

def run(asked):
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = [asked["folder"], asked["environment"]["PYTHONPATH"]]
    sys.argv = ["snakemake", *asked["words"]]
    for number, name in enumerate((os.devnull, asked["said"], asked["complained"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_APPEND), number)
    snakemake.cli.main()

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def run_snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a copy of the project, with the copy's package."""
    ours = {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.NamedTemporaryFile() as said, tempfile.NamedTemporaryFile() as complained:
        asked = {
            "folder": str(folder),
            "words": words,
            "environment": dict(os.environ) | ours,
            "said": said.name,
            "complained": complained.name,
        }
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(
            words, status, *(Path(each.name).read_text("utf-8") for each in (said, complained))
        )


@cache
def _server() -> "subprocess.Popen[str]":
    """The process, which ends with this one: nothing then writes to its input any more."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
