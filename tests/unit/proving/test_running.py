"""Steps in workers: what a crash, a hang, a full clock or an earlier run leaves behind."""

from pathlib import Path

import pytest

from needlework.errors import EngineError, RecordError
from needlework.proving import running, steps
from needlework.proving.records import Proof, StepRecord, read_proof
from needlework.proving.steps import FULL, TOY
from tests.unit.proving.conftest import Install

CRASH = "if name == 'peaks':\n    {}"


def prove(folder: Path, *, minutes: float = 5) -> tuple[Proof, list[str]]:
    """The proof of one run, and its lines."""
    said: list[str] = []
    proof = running.prove(folder, minutes=minutes, source=None, say=said.append)
    assert read_proof(folder / "prove.json") == proof
    return proof, said


def of(proof: Proof, name: str) -> StepRecord:
    (found,) = (step for step in proof.steps if step.name == name)
    return found


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().split()


def test_every_step_is_done_in_the_order_of_importance(pretend: Install) -> None:
    folder = pretend()
    proof, said = prove(folder)
    assert {step.status for step in proof.steps} == {"done"}
    assert asked(folder) == [step.name for step in steps.steps(TOY, build=False)]
    assert said[1] == running.NO_GPU
    assert proof.toy


def test_what_is_done_is_not_done_again(pretend: Install) -> None:
    folder = pretend()
    prove(folder)
    (folder / "asked").unlink()
    proof, _ = prove(folder)
    assert asked(folder) == ["facts"]
    assert {step.status for step in proof.steps} == {"done"}


@pytest.mark.parametrize(
    ("mishap", "error"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        (
            "sys.stderr.write('needlework prove: OutOfMemoryError: too much\\n'); sys.exit(1)",
            "OutOfMemoryError: too much",
        ),
        ("sys.exit(3)", "ended with code 3"),
        ("print('something else', flush=True); sys.exit(4)", "ended with code 4"),
    ],
)
def test_a_step_that_dies_takes_no_other_with_it(pretend: Install, mishap: str, error: str) -> None:
    folder = pretend(CRASH.format(mishap))
    proof, said = prove(folder)
    assert of(proof, "peaks").status == "failed"
    assert error in str(of(proof, "peaks").error)
    assert len(str(of(proof, "peaks").error).splitlines()) == 1
    assert {step.status for step in proof.steps if step.name != "peaks"} == {"done"}
    assert any(error in line for line in said)
    assert f"- peaks: failed: {of(proof, 'peaks').error}" in (folder / "prove.md").read_text()


def test_a_step_that_failed_is_tried_again(pretend: Install) -> None:
    prove(pretend(CRASH.format("sys.exit(3)")))
    proof, _ = prove(pretend())
    assert of(proof, "peaks").status == "done"


def test_a_step_that_hangs_is_ended(pretend: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LEAST_PATIENCE", 3.0)
    proof, _ = prove(pretend(CRASH.format("time.sleep(600)")))
    assert "no result after 3 s" in str(of(proof, "peaks").error)
    assert {step.status for step in proof.steps if step.name != "peaks"} == {"done"}


def test_what_has_no_time_is_listed_and_done_the_next_time(pretend: Install) -> None:
    folder = pretend("time.sleep(0.25)")
    proof, _ = prove(folder, minutes=0.08)
    missing = [step.name for step in proof.steps if step.status == "not run"]
    assert missing
    assert missing[-1] == proof.steps[-1].name
    assert proof.steps[1].status == "done"
    assert "not run: there was no time left" in (folder / "prove.md").read_text()
    proof, _ = prove(folder)
    assert {step.status for step in proof.steps} == {"done"}


def test_on_a_gpu_layers_are_checked_beside_each_other_and_timed_alone(pretend: Install) -> None:
    folder = pretend(device="cuda", name="NVIDIA H100 80GB HBM3")
    proof, said = prove(folder)
    beside = {step.name for step in steps.steps(FULL, build=False) if step.beside}
    assert len(beside) == 5
    assert set(asked(folder)[1:6]) == beside
    in_turn = [step.name for step in steps.steps(FULL, build=False) if not step.beside]
    assert asked(folder)[6:] == in_turn[1:]
    assert not proof.toy
    assert running.NO_GPU not in said


def test_a_slow_device_gets_more_time(pretend: Install) -> None:
    """1 TFLOP/s is a 250th of what the seconds of steps are meant for."""
    proof, _ = prove(pretend(device="cuda", flops=1e12), minutes=12)
    assert of(proof, "peaks").status == "done"
    assert {step.status for step in proof.steps if step.name.startswith("speed")} == {"not run"}


def test_steps_of_two_machines_are_not_mixed(pretend: Install) -> None:
    folder = pretend()
    prove(folder)
    before = (folder / "steps/facts.json").read_bytes()
    pretend(name="another CPU")
    with pytest.raises(EngineError, match=r"another machine or code .*another CPU"):
        prove(folder)
    assert (folder / "steps/facts.json").read_bytes() == before


def test_a_damaged_step_is_named(pretend: Install) -> None:
    folder = pretend()
    prove(folder)
    (folder / "steps/peaks.json").write_text("{")
    with pytest.raises(RecordError, match=r"peaks.json is not JSON.*delete it"):
        prove(folder)


def test_a_machine_that_cannot_even_start_is_one_line(pretend: Install) -> None:
    folder = pretend()
    script = folder.parent / "worker.py"
    script.write_text("import sys; sys.stdin.readline(); sys.exit(1)")
    with pytest.raises(EngineError, match="cannot even be looked at"):
        prove(folder)
