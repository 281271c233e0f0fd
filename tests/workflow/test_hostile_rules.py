"""No value reaches a shell uninterpreted: every rule there is, run with names that are commands."""

import ast
import os
import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from snakemake.utils import QuotedFormatter, SequenceFormatter

from needlework.cluster.slurm import Cluster
from needlework.errors import StudyError
from tests.hostile_for_tests import shell_words
from tests.study_for_tests import small_plan
from tests.workflow.conftest import ROOT, copy_project, run_snakemake

PLACEHOLDER = re.compile(r"(?<!\{)\{(?!\{)([^{}]*)\}")


class Shell(NamedTuple):
    """The shell block of a rule."""

    place: str
    text: str


def shells() -> Iterator[Shell]:
    """Every shell block of the workflow."""
    for path in sorted((ROOT / "workflow").rglob("*")):
        if path.suffix == ".smk" or path.name == "Snakefile":
            text = path.read_text(encoding="utf-8")
            for found in re.finditer(
                r"^ +shell:\n((?: +f?\"(?:[^\"\\]|\\.)*\"\n)+)", text, re.MULTILINE
            ):
                line = text[: found.start()].count("\n") + 1
                yield Shell(f"{path.name}:{line}", ast.literal_eval(f"({found[1]})"))


SHELLS = list(shells())


def test_every_shell_block_is_looked_at() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "workflow").rglob("*.smk")]
    texts.append((ROOT / "workflow/Snakefile").read_text("utf-8"))
    assert len(SHELLS) == sum(len(re.findall(r"^ +shell:", text, re.MULTILINE)) for text in texts)
    assert not any(
        re.search(r"^ +(run|script|notebook|wrapper):", text, re.MULTILINE) for text in texts
    )


@pytest.mark.parametrize("block", SHELLS, ids=lambda block: block.place)
def test_every_value_in_a_shell_block_is_quoted(block: Shell) -> None:
    for value in PLACEHOLDER.findall(block.text):
        assert value.endswith(":q"), f"{block.place}: {{{value}}} must be {{{value}:q}}"


class Anything:
    """The input, output, wildcards or params of a rule whose every value is the same."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getattr__(self, name: str) -> Any:
        return self._value

    def __getitem__(self, name: object) -> Any:
        return self._value

    def __format__(self, specification: str) -> str:
        return SequenceFormatter(element_formatter=QuotedFormatter()).format_field(
            self._value, specification
        )


class Numbers:
    mem_mb = 1000


@pytest.mark.parametrize("block", SHELLS, ids=lambda block: block.place)
def test_no_shell_block_runs_what_a_name_says(block: Shell, tmp_path: Path) -> None:
    trap, folder = tmp_path / "trap", tmp_path / "work"
    folder.mkdir()
    formatter = SequenceFormatter(separator=" ", element_formatter=QuotedFormatter())
    commands = ["needlework() { cat > /dev/null < /dev/null; }"]
    for word in shell_words(trap):
        for value in (word, [word, word]):
            named = {
                name: Anything(value)
                for name in ("input", "output", "params", "wildcards", "log", "benchmark")
            }
            filled = formatter.vformat(
                block.text,
                (),
                named | {"threads": 1, "resources": Numbers(), "log": Anything(word)},
            )
            commands.append(f"( {filled} )")
    done = subprocess.run(
        ["bash", "-c", "\n".join(commands)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert not trap.exists(), done.stderr
    assert "syntax error" not in done.stderr


def test_the_sweep_bites(tmp_path: Path) -> None:
    """The same block without its quotes runs what the name says."""
    unquoted = Shell("here", "needlework fetch {wildcards.path} 2> /dev/null")
    with pytest.raises(AssertionError):
        test_no_shell_block_runs_what_a_name_says(unquoted, tmp_path)
    with pytest.raises(AssertionError):
        test_every_value_in_a_shell_block_is_quoted(unquoted)


@pytest.mark.slow
def test_the_name_of_an_environment_or_of_a_project_is_only_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder's name once ran in the shell of every job, and its braces were filled in."""
    trap = tmp_path / "trap"
    home = tmp_path / "a $(touch $TRAP)`touch $TRAP`'\"; touch $TRAP; {x} <results> é %s\\n #&"
    environment = home / "v$(touch $TRAP)\"{y}'"
    monkeypatch.setenv("TRAP", str(trap))
    project = home / "project"
    project.mkdir(parents=True)
    copy_project(project)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(environment)
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "all.pth").write_text("\n".join(each for each in sys.path if "site-packages" in each))
    program = Path(sys.executable).with_name("needlework")
    (environment / "bin/needlework").symlink_to(program)
    done = subprocess.run(
        [
            str(environment / "bin/python"),
            "-m",
            "snakemake",
            "-c1",
            "results/nano/plan/study.json",
            "results/nano/data/nano-base/128/vt.jsonl",
        ],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (project / "results/nano/data/nano-base/128/vt.jsonl").stat().st_size > 0
    assert not trap.exists()


@pytest.mark.parametrize("word", shell_words(Path("TRAP")))
def test_a_target_that_is_a_command_is_refused(word: str, made: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    done = run_snakemake(made, "-c1", f"resources/external/{word.replace('TRAP', str(trap))}x")
    assert done.returncode != 0
    assert not trap.exists()


@pytest.mark.parametrize("word", ["$(touch$IFS/tmp/X)x", "../x", "nowhere/x.safetensors"])
def test_a_source_below_resources_must_be_one(word: str, tmp_path: Path) -> None:
    """It was once taken for a file that the workflow makes, whatever it was called."""
    from tests import study_for_tests

    catalogue = yaml.safe_load((study_for_tests.CONFIG / "models.yaml").read_text("utf-8"))
    catalogue["models"]["nano-llama"]["checkpoint"] = f"resources/external/{word}"
    from tests.hostile_for_tests import copy

    copy(tmp_path, catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_for_tests, "CONFIG", tmp_path)
        with pytest.raises(StudyError, match=r"models.nano-llama.checkpoint: .* does not exist"):
            small_plan()


@pytest.mark.parametrize("mark", ["{model}", "<results>", "a\nb", "a\x1b[31mb"])
@pytest.mark.parametrize("key", ["checkpoint", "label", "licence"])
def test_what_rules_fill_in_and_what_terminals_obey_is_refused(
    key: str, mark: str, tmp_path: Path
) -> None:
    from tests import study_for_tests
    from tests.hostile_for_tests import copy

    if key != "checkpoint" and mark[0] in "{<":
        return
    catalogue = yaml.safe_load((study_for_tests.CONFIG / "models.yaml").read_text("utf-8"))
    catalogue["models"]["nano-llama"][key] = f"x/{mark}"
    copy(tmp_path, catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_for_tests, "CONFIG", tmp_path)
        with pytest.raises(StudyError, match=rf"models.nano-llama.{key}: holds "):
            small_plan()


def test_words_for_sbatch_are_words(tmp_path: Path) -> None:
    """The executor puts them into a command line as they are."""
    trap = tmp_path / "trap"
    for word in shell_words(trap):
        quoted = shlex.quote(f"--reservation={word}")
        for extra in (quoted, f"--comment=a {quoted}"):
            told = Cluster(extra=extra).words()["slurm_extra"]
            said = subprocess.check_output(["bash", "-c", f"printf '%s\\0' {told}"])
            assert said.decode().rstrip("\0").split("\0")[-1] == f"--reservation={word}"
    told = Cluster(extra=f"--reservation=$(touch {trap})").words()["slurm_extra"]
    subprocess.run(["bash", "-c", f"true {told}"], check=True)
    assert not trap.exists()
    with pytest.raises(ValueError, match="close the quotes"):
        Cluster(extra="--comment='a")
