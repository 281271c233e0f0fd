"""Forged artifacts, each with every digest, size and description renewed: a review refuses them.

For each check there is a forgery of its kind; what a review cannot notice it says instead.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from needlework.artifact import belonging, checks, replanning
from needlework.artifact.bundle import Manifest
from needlework.artifact.comparing import first_difference
from needlework.artifact.crate import README, readme
from needlework.artifact.rendering import outputs
from needlework.artifact.review import carried_out
from needlework.artifact.unpacking import unpack
from needlework.cli import cli
from needlework.errors import ArtifactError
from needlework.paper.outputs import OUTPUTS
from needlework.report.explorer.packing import Block
from tests.unit.artifact.conftest import STUDY
from tests.unit.report.test_tables import proof

TEMPLATES = Path("reports/templates")
Parts = dict[str, bytes]
Change = Callable[[Parts], None]
UNSIZED = ("environment.json", "README.md")
LLAMA = "study/predictions/nano-llama/ruler/256.jsonl"


def sealed(archive: Path, folder: Path, change: Change) -> Path:
    """The artifact after a change, with all digests, sizes and descriptions set right."""
    with zipfile.ZipFile(archive) as old:
        parts = {entry: old.read(entry) for entry in old.namelist()}
    manifest = json.loads(parts.pop("manifest.json"))
    parts.pop("ro-crate-metadata.json")
    change(parts)
    manifest["study"] = json.loads(parts["study/plan/study.json"])["study"]
    parts[README] = readme(manifest["study"], manifest["version"]).encode()
    manifest["files"] = {name: hashlib.sha256(text).hexdigest() for name, text in parts.items()}
    inside = {name: len(text) for name, text in parts.items() if name not in UNSIZED}
    parts["manifest.json"] = json.dumps(manifest).encode()
    parts["ro-crate-metadata.json"] = json.dumps(Manifest(**manifest).description(inside)).encode()
    with zipfile.ZipFile(folder / "forged.zip", "w", zipfile.ZIP_DEFLATED) as new:
        for name, text in parts.items():
            new.writestr(name, text)
    return folder / "forged.zip"


CHECKS = (
    *("digests", "described", "inputs", "made", "licences", "answers", "scores", "estimates"),
    "intervals",
)
"""All but that of pages, which are told where they differ by functions of their own."""


def opened(archive: Path, folder: Path) -> Path:
    """The unpacked artifact."""
    unpack(archive, folder / "artifact")
    return folder / "artifact"


def problems(archive: Path) -> str:
    """What the checks say, in the order of a review, of an artifact that is sealed well."""
    folder = archive.with_suffix(f".{len(list(archive.parent.iterdir()))}")
    artifact, again = opened(archive, folder), folder / "again"
    again.mkdir()
    told = {}
    for name in CHECKS:
        given = [again] if name in ("scores", "estimates") else []
        told[name] = carried_out(name, name, getattr(checks, name), artifact, *given)
    assert told["digests"].passed
    assert told["described"].passed
    wanted = [
        name for output in outputs(artifact, again, TEMPLATES, OUTPUTS) for name in output.names
    ]
    strange = list(belonging.strange(artifact, (*checks.ESTIMATED, *wanted)))
    lines = [problem for line in told.values() for problem in line.problems] + strange
    assert lines
    return "\n".join(lines)


def edited(name: str, change: Callable[[Any], Any]) -> Change:
    """A change of a JSON file."""

    def apply(parts: Parts) -> None:
        content = json.loads(parts[name])
        changed = change(content)
        parts[name] = json.dumps(content if changed is None else changed).encode()

    return apply


def without_a_model(parts: Parts) -> None:
    """Bad results hidden: a model is gone from everything but the configuration."""
    for name in [each for each in parts if "nano-llama" in each]:
        del parts[name]
    edited("study/plan/grid.json", lambda grid: grid.update(models=["nano-mamba2"]))(parts)
    edited("study/plan/models.json", lambda models: models[:1])(parts)


def without_a_length(grid: dict[str, Any]) -> None:
    grid["suites"]["ruler"]["lengths"] = grid["suites"]["ruler"]["lengths"][:-1]


def another_metric(tasks: dict[str, Any]) -> None:
    for spec in tasks.values():
        spec["metric"] = "part"


def depths_turned_round(tasks: dict[str, Any]) -> None:
    for spec in tasks.values():
        spec["depth"] = 100 - spec["depth"]


def tasks_in_another_order(tasks: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(tasks.items()))


def of_the_study(**changed: Any) -> Change:
    return edited("study/plan/study.json", lambda study: study.update(changed))


def inputs_that_ask_for_nothing(parts: Parts) -> None:
    del parts[f"inputs/{STUDY}"]


def other_label(parts: Parts) -> None:
    text = parts["inputs/config/models.yaml"].decode()
    parts["inputs/config/models.yaml"] = text.replace("label: Llama", "label: Best", 1).encode()


PLANS: dict[str, tuple[Change, str]] = {
    "a model dropped": (without_a_model, "plan/grid.json: models"),
    "a length dropped": (
        edited("study/plan/grid.json", without_a_length),
        "plan/grid.json: suites.ruler.lengths[2]: None, but 512 follows",
    ),
    "another metric": (
        edited("study/plan/suites/ruler.json", another_metric),
        "plan/suites/ruler.json: ",
    ),
    "depths turned round": (
        edited("study/plan/suites/depth.json", depths_turned_round),
        "plan/suites/depth.json: ",
    ),
    "columns turned round": (
        edited("study/plan/suites/ruler.json", tasks_in_another_order),
        "plan/suites/ruler.json: its keys: another order of keys",
    ),
    "a seed": (of_the_study(seed=7), "asks for another study than plan/study.json: seed: 7"),
    "another name": (of_the_study(study="other"), "no file of inputs/config asks for the study"),
    "nobody asked": (inputs_that_ask_for_nothing, "no file of inputs/config asks for the study"),
    "another label": (other_label, "plan/models.json: [1].label: 'Llama', but 'Best' follows"),
    "a table's title": (
        edited("study/plan/shown.json", lambda shown: shown["tables"][0].update(title="We win")),
        "plan/shown.json: tables[0].title: 'We win'",
    ),
    "costs told twice": (
        edited("study/plan/costs.json", lambda rows: rows.append(rows[0])),
        "plan/costs.json: nano-",
    ),
    "costs below nothing": (
        edited("study/plan/costs.json", lambda rows: rows[0].update(memory_mb=-(10**40))),
        "plan/costs.json: 0.memory_mb: ",
    ),
    "costs beyond all": (
        edited("study/plan/costs.json", lambda rows: rows[0].update(rows=10**19)),
        "plan/costs.json: 0.rows: ",
    ),
    "a task that is a path": (
        edited("study/plan/suites/ruler.json", lambda specs: specs.update({"../x": specs["vt"]})),
        "plan/suites/ruler.json: ../x",
    ),
    "costs of nowhere": (
        edited("study/plan/costs.json", lambda rows: rows[0].update(model="nano-rwkv6")),
        "plan/costs.json: nano-rwkv6/",
    ),
}


@pytest.mark.parametrize(("change", "told"), PLANS.values(), ids=PLANS.keys())
def test_a_plan_that_its_configuration_does_not_give_is_refused(
    archive: Path, tmp_path: Path, change: Change, told: str
) -> None:
    assert told in problems(sealed(archive, tmp_path, change))


def with_proof(**changed: Any) -> Change:
    def add(parts: Parts) -> None:
        for model in ("nano-llama", "nano-mamba2"):
            content = proof(model).model_dump(mode="json") | changed
            parts[f"study/verified/{model}.json"] = json.dumps(content).encode()

    return add


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"largest_difference": float("nan")}, " is not JSON: NaN is no number"),
        ({"largest_difference": -1.0}, ": "),
        (
            {"tolerance": float("inf"), "largest_difference": 0.9},
            " is not JSON: Infinity is no number",
        ),
        ({"tolerance": 1e9, "largest_difference": 0.9}, ": "),
        ({"largest_difference": 0.9}, ": "),
        ({"model": "another"}, ": "),
        ({"reason": "line\nok     every file", "reference": None}, ": "),
        ({"parameters": -5}, ": "),
    ],
    ids=str,
)
def test_numbers_of_a_verification_must_be_sane(
    archive: Path, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    assert f"verified/nano-llama.json{told}" in problems(
        sealed(archive, tmp_path, with_proof(**changed))
    )


OF_A_SERVER = {
    "model": "nano-llama",
    "server": "vllm 0.10.1, model me/llama",
    "reads": "token ids",
    "sent": "temperature 0",
    "counts": True,
    "reference": None,
    "reason": "not here",
    "prompts": 0,
    "tokens": 0,
    "ties": 0,
    "repeated": 8,
    "different": 0,
}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "is of a server, and the configuration names none for it"),
        ({"repeated": -8}, ": repeated: "),
        ({"different": 9}, ": counts more answers than it asked for"),
        ({"server": "vllm\n12 of 12 checks passed"}, ": server: holds U+000A"),
    ],
    ids=str,
)
def test_weights_are_not_said_to_be_a_servers(
    archive: Path, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    """Of which nothing can be compared, so that weights found wrong would pass."""

    def forge(parts: Parts) -> None:
        with_proof()(parts)
        parts["study/verified/nano-llama.json"] = json.dumps(OF_A_SERVER | changed).encode()

    lines = problems(sealed(archive, tmp_path, forge)).splitlines()
    assert any("verified/nano-llama.json" in line and told in line for line in lines)


def lines_of(name: str, change: Callable[[list[dict[str, Any]]], None]) -> Change:
    """A change of a file of JSON lines."""

    def apply(parts: Parts) -> None:
        rows = [json.loads(line) for line in parts[name].splitlines()]
        change(rows)
        parts[name] = "".join(json.dumps(row) + "\n" for row in rows).encode()

    return apply


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[0].update(task="../../../../../../etc/x"), "is no task of it"),
        (lambda rows: rows[0].update(task="/etc/hostname"), "is no task of it"),
        (lambda rows: rows[0].update(prompt_tokens=10**30), f"{LLAMA[6:]}:1: prompt_tokens"),
        (lambda rows: rows[0].update(generated_tokens=-1), f"{LLAMA[6:]}:1: generated_tokens"),
        (lambda rows: rows.pop(), "nano-llama/ruler/256"),
        (lambda rows: rows.append(rows[0]), "nano-llama/ruler/256"),
        (lambda rows: rows[0].update(outputs=["o"]), "its references are not those of its sample"),
        (
            lambda rows: rows[1].update(others={}),
            "niah_single_1 #1: made with other settings than environment.json records",
        ),
    ],
    ids=["outside", "absolute", "huge", "negative", "short", "twice", "references", "origin"],
)
def test_predictions_that_lead_elsewhere_or_do_not_fit_are_refused(
    archive: Path, tmp_path: Path, change: Callable[[Any], None], told: str
) -> None:
    assert told in problems(sealed(archive, tmp_path, lines_of(LLAMA, change)))


@pytest.mark.parametrize("name", ["/etc", "../../../etc/passwd", "nano/../../x"])
def test_no_name_in_the_plan_leads_out_of_the_artifact(
    archive: Path, tmp_path: Path, name: str
) -> None:
    """A tokenizer with an absolute path once read datasets from the reviewer's disk."""
    for key in ("tokenizer", "wrapper"):
        change = edited(
            "study/plan/models.json",
            lambda models, key=key: [each.update({key: name}) for each in models] and None,
        )
        assert f"plan/models.json: 0.{key}: " in problems(sealed(archive, tmp_path, change))


def test_a_task_of_ones_own_does_not_lead_out_either(archive: Path, tmp_path: Path) -> None:
    spec = {"kind": "file", "path": "../../../etc/passwd", "metric": "all", "tokens_to_generate": 9}
    change = edited("study/plan/suites/ruler.json", lambda tasks: tasks.update(mine=spec))
    assert "plan/suites/ruler.json: " in problems(sealed(archive, tmp_path, change))


@pytest.mark.parametrize(
    "name",
    [
        "study/data/nano-base/128/extra.jsonl",
        "study/predictions/nano-llama/ruler/999.jsonl",
        "study/predictions/extra.txt",
        "study/scores/other/ruler/128.parquet",
        "study/verified/other.json",
        "study/plan/other.json",
        "inputs/run.sh",
        "inputs/resources/published/x.exe",
        "inputs/data/mine.jsonl",
        "run.sh",
        "index.html",
        "Study/other.md",
        "studies/report.md",
        "other/manifest.json",
        "study/benchmarks/predict/nano-llama/ruler/999.tsv",
        "study/benchmarks/score/nano-llama.tsv",
        "study/tables/e\u0301.md",
        "study/.hidden",
    ],
)
def test_a_file_that_nothing_asks_for_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    def add(parts: Parts) -> None:
        parts[name] = b"{}"

    assert f"{name}: " in problems(sealed(archive, tmp_path, add))


def explorer(change: Callable[[bytes], bytes]) -> Change:
    def apply(parts: Parts) -> None:
        text = parts["study/explorer.html"]
        parts["study/explorer.html"] = changed = change(text)
        assert changed != text

    return apply


BLOCK = re.compile(rb'<script type="text/plain" data-key="(answers/[^"]*)">([^<]*)</script>')


def of_block(change: Callable[[bytes, bytes], bytes]) -> Change:
    """A change of the first block with answers."""
    return explorer(lambda text: BLOCK.sub(lambda each: change(each[1], each[2]), text, count=1))


def spelled_out(key: bytes, packed: bytes) -> bytes:
    """The text of a block in its place, which once passed; scripts in answers then ran."""
    return key + b": " + zlib.decompress(base64.b64decode(packed), -15)


def block(key: bytes, packed: bytes) -> bytes:
    return b'<script type="text/plain" data-key="' + key + b'">' + packed + b"</script>"


def behind_the_stream(key: bytes, packed: bytes) -> bytes:
    return block(key, base64.b64encode(base64.b64decode(packed) + b"<script>1</script>"))


def twice_padded(key: bytes, packed: bytes) -> bytes:
    """Base64 with bits behind its end, which Python ignores."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    while not packed.endswith(b"=") and packed:
        raw = base64.b64decode(packed)
        plain = zlib.decompress(raw, -15) + b" "
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = base64.b64encode(deflate.compress(plain) + deflate.flush())
    place = len(packed.rstrip(b"=")) - 1
    other = letters[letters.index(packed[place]) ^ 1]
    return block(key, packed[:place] + bytes([other]) + packed[place + 1 :])


def another_answer(key: bytes, packed: bytes) -> bytes:
    content = json.loads(zlib.decompress(base64.b64decode(packed), -15))
    content["pred"][0] = "</script><script>alert(1)</script>"
    return block(key, Block(key.decode(), content).packed().encode())


def bomb(key: bytes, _: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return block(key, base64.b64encode(deflate.compress(bytes(1 << 24)) + deflate.flush()))


def no_policy(text: bytes) -> bytes:
    return re.sub(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", text)


EXPLORERS = {
    "spelled out": of_block(spelled_out),
    "letters before": of_block(lambda key, packed: block(key, b"\n!" + packed)),
    "behind the stream": of_block(behind_the_stream),
    "other bits": of_block(twice_padded),
    "carriage returns": explorer(lambda text: text.replace(b"\n", b"\r\n")),
    "form feed": explorer(lambda text: text.replace(b'"use strict";\n', b'"use strict";\x0c', 1)),
    "another key": of_block(lambda key, packed: block(key + b"x", packed)),
    "another answer": of_block(another_answer),
    "bomb": of_block(bomb),
    "a block more": explorer(lambda text: text + block(b"x", b"")),
    "a script more": explorer(lambda text: text + b"<script>alert(1)</script>"),
    "no policy": explorer(no_policy),
    "trailing blank": explorer(lambda text: text + b" "),
}


@pytest.mark.parametrize("change", EXPLORERS.values(), ids=EXPLORERS.keys())
def test_an_explorer_that_a_browser_reads_otherwise_is_refused(
    archive: Path, tmp_path: Path, change: Change
) -> None:
    page = "artifact/study/explorer.html"
    opened(archive, tmp_path / "honest")
    opened(sealed(archive, tmp_path, change), tmp_path / "forged")
    assert first_difference(tmp_path / "forged" / page, tmp_path / "honest" / page)


def test_an_environment_of_cells_that_are_none_is_refused(archive: Path, tmp_path: Path) -> None:
    change = edited(
        "environment.json", lambda told: told["cells"].update({"a/b/1\nok": {"x": "y"}})
    )
    assert "is no cell of the study" in problems(sealed(archive, tmp_path, change))


def test_scores_and_estimates_of_other_predictions_are_refused(
    archive: Path, tmp_path: Path
) -> None:
    def raise_scores(parts: Parts) -> None:
        for name in [each for each in parts if each.endswith(".parquet")]:
            path = tmp_path / "one.parquet"
            path.write_bytes(parts[name])
            frame = pl.read_parquet(path)
            column = "score" if "score" in frame.columns else "mean"
            frame.with_columns(pl.lit(1.0).alias(column)).write_parquet(path)
            parts[name] = path.read_bytes()

    told = problems(sealed(archive, tmp_path, raise_scores))
    assert "scores/nano-mamba2/ruler/128.parquet: nano-mamba2" in told
    assert "estimates.parquet" in told


def test_a_licence_that_is_empty_is_refused(archive: Path, tmp_path: Path) -> None:
    change = edited("study/plan/models.json", lambda models: models[0].update(licence=" "))
    assert "has no licence" in problems(sealed(archive, tmp_path, change))


MAIN = "from needlework.cli import main; main()"


def ran(archive: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The command as a reviewer runs it."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from needlework.cli import main; main()",
            "review",
            str(archive),
            *words,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=300,
    )


FORGED = "12 of 12 checks passed"


def test_nothing_that_a_stranger_wrote_makes_a_line_or_moves_a_terminal(
    archive: Path, tmp_path: Path
) -> None:
    """Versions, cells, tasks and ids are told with what no terminal obeys written out."""
    evil = f"1.0\n{FORGED}\x1b[2J\x1b[31m\u202e"

    def forge(parts: Parts) -> None:
        edited("environment.json", lambda told: told["packages"].update(polars=evil))(parts)
        edited("environment.json", lambda told: told["cells"].update({evil: {"x": evil}}))(parts)
        lines_of(LLAMA, lambda rows: rows[0].update(task=evil))(parts)

    done = ran(sealed(archive, tmp_path, forge))
    assert done.returncode == 1
    assert FORGED not in done.stdout.splitlines()
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    assert r"\x1b[2J" in done.stdout


@pytest.mark.parametrize("name", [f"study/x\n{FORGED}", "study/\x1b[31mx", "study/\u202ex"])
def test_a_file_whose_name_cannot_be_printed_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(name, b"x")
    done = ran(tmp_path / "a.zip")
    assert done.returncode == 2
    assert "is no printable name; refused" in done.stderr
    assert done.stderr.count("\n") == 1


def test_three_outcomes_have_three_codes_and_a_mistake_of_ours_a_fourth(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ran(archive).returncode == 0
    no_zip = tmp_path / "no.zip"
    no_zip.write_text("hello")
    assert ran(no_zip).returncode == 2
    assert ran(tmp_path / "absent.zip").returncode == 2
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import needlework.artifact.unpacking as it\n"
        "def fail(*_): raise ZeroDivisionError('ours')\n"
        "it.unpack = fail\n"
    )
    ours = ran(archive, PYTHONPATH=str(broken))
    assert ours.returncode == 3
    assert "ZeroDivisionError: ours" in ours.stderr


def test_the_result_says_what_it_did_not_show(archive: Path) -> None:
    done = CliRunner().invoke(cli, ["review", str(archive)])
    told = done.output[done.output.index("not shown") :]
    assert "that these models gave these answers" in told
    assert "that the samples are those that the tasks make" in told
    assert "that the weights are those of the models" in told
    assert "who made it" in told


def aliases(parts: Parts) -> None:
    """417 bytes that stand for billions of values."""
    names = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in pairwise(names)]
    parts["inputs/config/tasks.yaml"] = "\n".join(lines).encode()


def lists_of_lists(parts: Parts) -> None:
    """Names of lists that stand for 2^60 tasks."""
    text = parts["inputs/config/tasks.yaml"].decode()
    made = "".join(f"    l{n}: [l{n + 1}, l{n + 1}]\n" for n in range(60)) + "    l60: [vt]\n"
    parts["inputs/config/tasks.yaml"] = re.sub(
        r"(nano:\n(?:.*\n)*?  lists:\n)", rf"\1{made}", text, count=1
    ).encode()


def vast_grid(parts: Parts) -> None:
    def grow(grid: dict[str, Any]) -> None:
        grid["models"] = [f"m{n}" for n in range(3000)]
        for suite in grid["suites"].values():
            suite["lengths"] = list(range(1, 3001))

    edited("study/plan/grid.json", grow)(parts)


def vast_study(parts: Parts) -> None:
    """A million lengths, of which there are predictions of three."""

    def grow(study: dict[str, Any]) -> None:
        for suite in study["suites"].values():
            suite["lengths"] = list(range(1, 1_000_001))

    edited("study/plan/study.json", grow)(parts)
    parts[f"inputs/{STUDY}"] = parts["study/plan/study.json"]


def vast_config(parts: Parts) -> None:
    """The same in the configuration alone."""
    study = json.loads(parts["study/plan/study.json"])
    study["suites"]["ruler"]["lengths"] = list(range(1, 1_000_001))
    parts[f"inputs/{STUDY}"] = json.dumps(study).encode()


def vast_parquet(parts: Parts) -> None:
    """Some hundred kilobytes that unpack to gigabytes."""
    import io

    frame = pl.DataFrame({"model": pl.repeat("x" * 50, 40_000_000, eager=True)})
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd", row_group_size=40_000_000)
    parts["study/scores.parquet"] = content.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (aliases, "inputs/config/tasks.yaml"),
        (vast_grid, "files of study/predictions"),
        (vast_study, "files of study/predictions"),
        (vast_config, "suites.ruler.lengths` in line 1 is too long"),
        (vast_parquet, "scores.parquet: 40,000,000 rows where"),
    ],
    ids=["aliases", "grid", "study", "config", "parquet"],
)
def test_what_would_take_for_ever_is_refused_at_once(
    archive: Path, tmp_path: Path, change: Change, told: str
) -> None:
    done = ran(sealed(archive, tmp_path, change))
    assert done.returncode == 1
    assert told in done.stdout


def test_lists_of_lists_are_looked_at_once(archive: Path, tmp_path: Path) -> None:
    forged = sealed(archive, tmp_path, lists_of_lists)
    assert list(replanning.unlike(opened(forged, tmp_path))) == []


def test_a_signature_names_its_signer_and_no_other_bytes(archive: Path, tmp_path: Path) -> None:
    """By OpenSSH's own tool, with a key of the test's."""
    key, mine = tmp_path / "key", tmp_path / "mine.zip"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    mine.write_bytes(archive.read_bytes())
    allowed = tmp_path / "signers"
    allowed.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    assert CliRunner().invoke(cli, ["sign", str(mine), "--key", str(key)]).exit_code == 0
    done = CliRunner().invoke(cli, ["review", str(mine), "--signers", str(allowed)])
    assert done.exit_code == 0
    assert "\nsigned by ada@example.org\n" in done.output
    assert "who made it" not in done.output
    mine.write_bytes(mine.read_bytes() + b" ")
    changed = CliRunner().invoke(cli, ["review", str(mine), "--signers", str(allowed)])
    assert isinstance(changed.exception, ArtifactError)
    assert "is for other bytes" in str(changed.exception)
    allowed.write_text("")
    stranger = CliRunner().invoke(cli, ["review", str(mine), "--signers", str(allowed)])
    assert "not by anybody whom" in str(stranger.exception)


def test_what_fails_after_something_did_not_agree_is_no_mistake_of_ours(
    archive: Path, tmp_path: Path
) -> None:
    """A task of another name in the grid alone once ended a review in a traceback."""

    def rename(grid: dict[str, Any]) -> None:
        grid["suites"]["ruler"]["tasks"][0]["name"] = "x"

    forged = sealed(archive, tmp_path, edited("study/plan/grid.json", rename))
    done = CliRunner().invoke(cli, ["review", str(forged)])
    assert done.exit_code == 1, done.exception
    assert "plan/grid.json: suites.ruler.tasks[0].name: 'x', but" in done.output


def test_asking_models_again_is_watched_too(archive: Path, tmp_path: Path) -> None:
    """What reads the artifact for it has the limits of any review."""
    done = ran(archive, "--recompute", "1", NEEDLEWORK_LIMITS="0.001")
    assert done.returncode == 2
    assert re.search(
        r"the review of .*: needs more than 4\.\d+ MB of memory.*NEEDLEWORK_LIMITS=4", done.stderr
    )
    assert done.stderr.count("\n") == 1


def test_what_is_only_told_is_listed(archive: Path, tmp_path: Path) -> None:
    """Also tables among the inputs, which were once taken for compared by their kind."""
    more = (
        "inputs/workflow/answers.csv",
        "inputs/workflow/answers.jsonl",
        "inputs/config/more.yaml",
        "inputs/packaged/workflow/x.sh",
        "study/benchmarks/predict/nano-llama/ruler/256.tsv",
    )

    def add(parts: Parts) -> None:
        parts.update(dict.fromkeys(more, b"x"))

    told = list(belonging.believed(opened(sealed(archive, tmp_path, add), tmp_path)))
    assert {"study/plan/costs.json", *more} <= set(told)


def of_the_manifest(archive: Path, folder: Path, **words: str) -> Path:
    """The artifact with other words in its manifest, and all that repeats them."""
    with zipfile.ZipFile(archive) as old:
        parts = {entry: old.read(entry) for entry in old.namelist()}
    manifest = json.loads(parts["manifest.json"]) | words
    parts[README] = readme(manifest["study"], manifest["version"]).encode()
    manifest["files"][README] = hashlib.sha256(parts[README]).hexdigest()
    sizes = {name: len(parts[name]) for name in manifest["files"] if name not in UNSIZED}
    parts["manifest.json"] = json.dumps(manifest).encode()
    told = Manifest.model_construct(**manifest).description(sizes)
    parts["ro-crate-metadata.json"] = json.dumps(told).encode()
    with zipfile.ZipFile(folder / "forged.zip", "w", zipfile.ZIP_DEFLATED) as new:
        for name, text in parts.items():
            new.writestr(name, text)
    return folder / "forged.zip"


def test_a_manifest_is_about_the_study_of_the_plan(archive: Path, tmp_path: Path) -> None:
    artifact = opened(of_the_manifest(archive, tmp_path, study="better"), tmp_path)
    assert list(checks.described(artifact)) == [
        "manifest.json: is about a study better, and plan/study.json about nano"
    ]


@pytest.mark.parametrize(
    "words",
    [
        {"study": "[x](javascript:1)"},
        {"study": "nano\n\n**12 of 12 checks passed**"},
        {"version": "0.1\n\n# [Click](http://attacker.test)"},
        {"version": "<script>alert(1)</script>"},
        {"finished": "tomorrow\x1b[2J"},
        {"code": "zzz"},
    ],
    ids=str,
)
def test_the_words_of_a_manifest_make_no_text_of_their_own(
    archive: Path, tmp_path: Path, words: dict[str, str]
) -> None:
    """The README repeats them, and people read it as ours."""
    artifact = opened(of_the_manifest(archive, tmp_path, **words), tmp_path)
    with pytest.raises(ArtifactError, match=rf"manifest\.json: {next(iter(words))}: "):
        checks.read_manifest(artifact)
