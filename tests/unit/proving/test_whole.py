"""`needlework prove` as people call it, at toy sizes: every step for real, then `plan`."""

import json
from pathlib import Path

import pytest

from needlework.proving.records import Checks, Speed, read_proof
from needlework.proving.running import NO_GPU
from needlework.proving.steps import TOY, steps
from tests.unit.proving.conftest import Proven, run_command

pytestmark = pytest.mark.xdist_group("prove")


def test_every_step_is_done_without_a_gpu_and_says_so(proven: Proven) -> None:
    proof = read_proof(proven.folder / "prove.json")
    assert proof.toy
    assert [step.name for step in proof.steps] == [step.name for step in steps(TOY, build=False)]
    assert {step.status for step in proof.steps} == {"done"}
    assert NO_GPU in proven.said.splitlines()
    assert len(proven.said.splitlines()) == len(proof.steps) + 2


def test_every_check_agrees_on_the_cpu(proven: Proven) -> None:
    found = [step.result for step in read_proof(proven.folder / "prove.json").steps]
    checks = [each for result in found if isinstance(result, Checks) for each in result.checks]
    assert len(checks) == 6 * (len(TOY.tokens) + len(TOY.long))
    assert all(check.passed for check in checks)


def test_every_model_reads_and_writes(proven: Proven) -> None:
    speeds = read_proof(proven.folder / "prove.json").speeds
    assert [each.checkpoints[0] for each in speeds] == list(TOY.models)
    for speed in speeds:
        assert isinstance(speed, Speed)
        assert [each.length for each in speed.reading] == list(TOY.lengths)
        assert all(each.tokens_per_second for each in speed.writing)
        assert speed.rates is not None
        assert speed.rates.flops > 1e8


def test_the_page_starts_with_what_it_does_not_say(proven: Proven) -> None:
    page = (proven.folder / "prove.md").read_text()
    assert page.index("nothing here speaks of a GPU") < page.index("## ")


def test_the_same_command_again_does_nothing(proven: Proven) -> None:
    before = {path: path.stat().st_mtime_ns for path in proven.folder.glob("steps/*.json")}
    done = run_command("prove", "--output", str(proven.folder))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    after = {path: path.stat().st_mtime_ns for path in proven.folder.glob("steps/*.json")}
    assert [path.stem for path in before if before[path] != after[path]] == ["facts"]


def test_plan_takes_the_file_as_it_is(proven: Proven) -> None:
    path = proven.folder / "prove.json"
    done = run_command("plan", "--measured", str(path))
    assert done.returncode == 0, done.stderr
    assert "6 models" in done.stdout
    rates = next(each for each in read_proof(path).speeds if each.checkpoints[0].endswith("llama"))
    assert rates.rates is not None
    shown = f"measured: nano-llama reads at {rates.rates.flops / 1e9:.3g} GFLOP/s"
    assert shown in done.stdout


def test_plan_refuses_what_it_did_not_measure(proven: Proven) -> None:
    path = str(proven.folder / "prove.json")
    done = run_command("plan", "--configfile", "config/paper.yaml", "--measured", path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "none of this study's models" in line
    done = run_command("plan", "--device", "h100-80gb", "--measured", path)
    assert done.returncode == 2
    assert "was measured on cpu, not h100-80gb; drop one" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "prove.json"),
        ('{"format": "needlework-prove-1", "toy": true}', "steps: is missing"),
        ('{"format": "needlework-prove-1", "toy": true, "steps": []}', "without the facts"),
    ],
)
def test_plan_refuses_a_broken_file_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prove.json"
    path.write_text(text)
    done = run_command("plan", "--measured", str(path))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


def test_plan_refuses_an_unknown_gpu(proven: Proven, tmp_path: Path) -> None:
    proof = json.loads((proven.folder / "prove.json").read_text())
    proof["steps"][0]["result"] |= {"device": "cuda", "name": "NVIDIA L4"}
    path = tmp_path / "prove.json"
    path.write_text(json.dumps(proof))
    done = run_command("plan", "--measured", str(path))
    assert done.returncode == 2
    assert "NVIDIA L4) is not in the table of devices" in done.stderr
    proof["steps"][0]["result"]["name"] = "NVIDIA H100 80GB HBM3"
    path.write_text(json.dumps(proof))
    done = run_command("plan", "--measured", str(path))
    assert "h100-80gb: NVIDIA H100 data sheet" in done.stdout


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_command("prove", "--output", str(tmp_path / "file" / "out"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
