"""The command line: a mistake is one line and exit code 2, and leaves nothing behind."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from needlework import cli, commands
from needlework.errors import NeedleworkError

COMMANDS = sorted(cli.cli.commands)
LIGHT = (
    "click",
    "collections",
    "contextlib",
    "pathlib",
    "typing",
    "needlework.commands",
    "needlework.errors",
    "needlework.study.paper",
    "needlework.terminal",
)
"""What a command file may import at its top."""


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["needlework", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def raise_in_command(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let a command `boom` end with an error."""

    @click.command()
    def boom() -> None:
        raise error

    monkeypatch.setitem(cli.cli.commands, "boom", boom)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    """The first sentence says what comes out."""
    assert (cli.cli.commands[command].help or "").strip()


def test_an_unknown_command_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "tabel") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "needlework: No such command 'tabel'. Did you mean 'table'?"


def test_a_users_mistake_is_one_line_without_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raise_in_command(monkeypatch, NeedleworkError("samples is 0,\nbut must be 1"))
    assert run(monkeypatch, "boom") == 2
    assert capsys.readouterr().err == "needlework: samples is 0, but must be 1\n"


def test_a_file_error_names_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raise_in_command(monkeypatch, OSError(28, "No space left on device", "out.parquet"))
    assert run(monkeypatch, "boom") == 2
    assert capsys.readouterr().err == "needlework: out.parquet: No space left on device\n"


def test_a_file_error_without_a_number_is_no_empty_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Libraries raise such errors with a text alone."""
    raise_in_command(monkeypatch, FileNotFoundError("no such table"))
    assert run(monkeypatch, "boom") == 2
    assert capsys.readouterr().err == "needlework: FileNotFoundError: no such table\n"


def test_our_own_mistake_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exit code is that of no verdict of a review."""
    raise_in_command(monkeypatch, KeyError("bug"))
    assert run(monkeypatch, "boom") == 3
    assert capsys.readouterr().err.splitlines()[-1] == "KeyError: 'bug'"


def test_an_output_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The folder of the output is a file."""
    (tmp_path / "file").touch()
    assert run(monkeypatch, "schema", str(tmp_path / "file/schema.json")) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """No process may write more than 100 bytes here, as on a disk that is full after them."""
    output = tmp_path / "schema.json"
    output.write_text("before", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from needlework.cli import main; main()", "schema", str(output)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("needlework: ")
    assert len(done.stderr.splitlines()) == 1
    assert output.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("path", sorted(Path(commands.__file__).parent.glob("*.py")), ids=str)
def test_heavy_imports_live_inside_the_commands(path: Path) -> None:
    """A job that only counts must not wait for torch, nor `--help` for anything."""
    top = ast.parse(path.read_text(encoding="utf-8")).body
    names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    assert all(name.startswith(LIGHT) for name in names)
