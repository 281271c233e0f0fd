"""Review: an honest artifact passes; whatever was changed, and however well hidden, is named."""

import base64
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from pydantic_core import to_json

from needlework.artifact import checks
from needlework.artifact.bundle import Environment, Manifest
from needlework.artifact.review import Review, review
from needlework.cli import cli
from needlework.cost.study import parts
from needlework.errors import ArtifactError
from needlework.files import write_text
from needlework.paper.outputs import OUTPUTS
from needlework.report.explorer.packing import Block, packed
from tests.unit.artifact.conftest import INPUTS, bundle, run
from tests.unit.report.test_tables import proof
from tests.unit.study.test_variants import hazard_plan

TEMPLATES = Path("reports/templates")


def reviewed(archive: Path) -> Review:
    return review(archive, templates=TEMPLATES, preset=OUTPUTS)


def answer(found: Review, question: str) -> str:
    """What a review says to the question that begins so."""
    (verdict,) = [each for each in found.verdicts() if each.question.name.startswith(question)]
    return verdict.answer


def packed_line(block: Block) -> str:
    return f'<script type="text/plain" data-key="{block.key}">{block.packed()}</script>'


def content(line: str) -> bytes:
    """What is in a block of the explorer."""
    block = packed(line.encode())
    assert block is not None
    return block.content(at_most=None)


def problems(found: Review) -> str:
    return "\n".join(problem for line in found.lines for problem in line.problems)


def repacked(
    archive: Path, folder: Path, name: str, change: Callable[[bytes], bytes | None]
) -> Path:
    """The artifact with one file changed, or left out."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(folder / "new.zip", "w") as new:
        for entry in old.infolist():
            content: bytes | None = old.read(entry)
            if entry.filename == name:
                content = change(content or b"")
            if content is not None:
                new.writestr(entry.filename, content)
    return folder / "new.zip"


def test_an_honest_artifact_passes(archive: Path) -> None:
    found = reviewed(archive)
    assert problems(found) == ""
    assert {verdict.answer for verdict in found.verdicts()} == {"yes", "for people"}
    assert found.remarks == ()
    assert "asks the models again" in found.not_shown[0]


def test_every_page_comes_with_its_command(archive: Path) -> None:
    made = {names: command for command, names in reviewed(archive).commands}
    assert made["claims.md, claims.csv"].startswith("needlework claims study/scores.parquet")
    assert len(made) == 20 + 8 + 6 + 1
    assert "figures/cost.svg" in next(names for names in made if "figures/cost.pdf" in names)


@pytest.mark.parametrize(
    "name",
    [
        "study/predictions/nano-llama/ruler/256.jsonl",
        "study/data/nano-base/256/vt.jsonl",
        "study/tables/table_02.md",
        "environment.json",
    ],
)
def test_a_missing_file_is_named(archive: Path, tmp_path: Path, name: str) -> None:
    found = reviewed(repacked(archive, tmp_path, name, lambda _: None))
    assert f"{name}: missing" in problems(found)
    assert not found.passed


def test_one_changed_byte_is_named(archive: Path, tmp_path: Path) -> None:
    name = "study/tables/table_06.csv"
    found = reviewed(repacked(archive, tmp_path, name, lambda text: text.replace(b"0.", b"1.", 1)))
    assert f"{name}: changed since it was bundled" in problems(found)


def test_a_file_slipped_in_is_named(archive: Path, tmp_path: Path) -> None:
    path = repacked(archive, tmp_path, "nothing", lambda text: text)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("study/extra.txt", "x")
    assert "study/extra.txt: not in the manifest" in problems(reviewed(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("environment.json", b"{}"),
        ("environment.json", b"no JSON"),
        ("environment.json", b'{"packages": [], "cells": 3}'),
        ("ro-crate-metadata.json", b"{}"),
        ("ro-crate-metadata.json", b"\xff\xfe"),
        ("ro-crate-metadata.json", b'{"@context": 1, "@graph": [1, {}]}'),
        ("ro-crate-metadata.json", b'{"@context": 1, "@graph": 5}'),
        ("ro-crate-metadata.json", b'{"@context": 1, "@graph": [{"@id": []}]}'),
        ("study/plan/grid.json", b"[" * 100_000),
        ("study/plan/grid.json", b'{"models": ["m"], "suites": {}}'),
        ("study/plan/study.json", b"{}"),
        ("study/plan/models.json", b"[]"),
        ("study/estimates.parquet", b"PAR1"),
        ("study/scores.parquet", b""),
    ],
)
def test_a_damaged_file_is_a_finding_and_no_accident(
    archive: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    found = reviewed(repacked(archive, tmp_path, name, lambda _: content))
    assert not found.passed
    assert name in problems(found)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"[" * 100_000, b'{"files": null}', b'{"format": "needlework-artifact-2"}'],
)
def test_a_manifest_that_is_none_is_refused(archive: Path, tmp_path: Path, content: bytes) -> None:
    path = repacked(archive, tmp_path, "manifest.json", lambda _: content)
    assert "no manifest.json of this version inside" in refused(path)


def test_a_changed_description_is_named(archive: Path, tmp_path: Path) -> None:
    """No digest covers it: it is compared with the one that would be written now."""
    name = "ro-crate-metadata.json"

    def later(text: bytes) -> bytes:
        crate = json.loads(text)
        (run_of_study,) = [each for each in crate["@graph"] if each["@id"] == "#run"]
        run_of_study["actionStatus"] = "http://schema.org/FailedActionStatus"
        return json.dumps(crate).encode()

    found = problems(reviewed(repacked(archive, tmp_path, name, later)))
    assert f"{name}: #run: actionStatus is 'http://schema.org/FailedActionStatus'" in found


def resealed(archive: Path, folder: Path, name: str, content: bytes) -> Path:
    """The artifact with another content of one file, and all digests and sizes set right."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(folder / "new.zip", "w") as new:
        parts = {entry: old.read(entry) for entry in old.namelist()} | {name: content}
        manifest = json.loads(parts["manifest.json"])
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        sizes = {
            part: len(text)
            for part, text in parts.items()
            if part.startswith(("study/", "inputs/"))
        }
        parts["manifest.json"] = json.dumps(manifest).encode()
        crate = Manifest(**manifest).description(sizes)
        parts["ro-crate-metadata.json"] = json.dumps(crate).encode()
        for part, text in parts.items():
            new.writestr(part, text)
    return folder / "new.zip"


def test_an_environment_that_the_answers_contradict_is_named(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        told = json.loads(opened.read("environment.json"))
    told["cells"]["nano-llama/ruler/128"]["device"] = "NVIDIA A100"
    path = resealed(archive, tmp_path, "environment.json", json.dumps(told).encode())
    found = problems(reviewed(path))
    assert (
        "predictions/nano-llama/ruler/128.jsonl: niah_single_1 #0: made with other settings"
        in found
    )


def test_another_text_for_people_is_named(archive: Path, tmp_path: Path) -> None:
    found = reviewed(resealed(archive, tmp_path, "README.md", b"All is well."))
    assert problems(found) == "README.md: not the text that `artifact` writes"


def test_other_published_numbers_are_remarked_on(archive: Path, tmp_path: Path) -> None:
    name = "inputs/resources/published/ruler.csv"
    with zipfile.ZipFile(archive) as opened:
        content = opened.read(name).replace(b"38.52", b"48.52")
    remarks = reviewed(resealed(archive, tmp_path, name, content)).remarks
    assert f"{name}: not the published numbers of this version" in remarks


def test_a_review_works_in_any_folder(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Templates were once looked for below the current folder."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["review", str(archive)])
    assert done.exit_code == 0, done.output


# From here on whoever changes something bundles anew, so that every digest is right.


def tampered(study: Path, tmp_path: Path) -> str:
    bundle(study, tmp_path / "tampered.zip")
    found = reviewed(tmp_path / "tampered.zip")
    assert answer(found, "ACM Artifacts Available") == "yes"
    assert not found.passed
    return problems(found)


def test_one_changed_prediction_is_named_with_its_sample(study: Path, tmp_path: Path) -> None:
    path = study / "predictions/nano-llama/ruler/256.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    place = next(k for k, row in enumerate(rows) if row["outputs"][0] in row["pred"])
    rows[place]["pred"] = "nothing of the sort"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sample = f"{rows[place]['task']} at 256 #{rows[place]['index']}: score is 1.0, recomputed 0.0"
    assert sample in tampered(study, tmp_path)


def test_easier_references_are_named(study: Path, tmp_path: Path) -> None:
    """Changed references could turn every answer right; the dataset has the true ones."""
    path = study / "predictions/nano-llama/ruler/256.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["outputs"] = ["o"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "niah_single_1 #0: its references are not those of its sample" in tampered(
        study, tmp_path
    )


def test_one_changed_score_is_named(study: Path, tmp_path: Path) -> None:
    path = study / "scores/nano-llama/depth/256.parquet"
    scores = pl.read_parquet(path)
    changed = pl.when(pl.int_range(pl.len()) == 0).then(0.123).otherwise(pl.col("score"))
    scores.with_columns(score=changed).write_parquet(path)
    assert "scores/nano-llama/depth/256.parquet: nano-llama" in tampered(study, tmp_path)


def test_one_changed_estimate_is_named(study: Path, tmp_path: Path) -> None:
    path = study / "estimates.parquet"
    pl.read_parquet(path).with_columns(high=pl.lit(1.0)).write_parquet(path)
    assert "estimates.parquet: nano-mamba2" in tampered(study, tmp_path)


def test_one_changed_diagnosis_is_named(study: Path, tmp_path: Path) -> None:
    path = study / "diagnosis.parquet"
    changed = pl.when(pl.int_range(pl.len()) == 0).then(7).otherwise(pl.col("distance"))
    pl.read_parquet(path).with_columns(distance=changed).write_parquet(path)
    wanted = "diagnosis.parquet: nano-mamba2 niah_single_1 at 128 #0: distance is 7, recomputed"
    assert wanted in tampered(study, tmp_path)


@pytest.mark.parametrize(
    "name",
    ["tables/table_01.tex", "claims.csv", "report.md", "figures/length_curve.csv"],
)
def test_one_changed_number_on_a_page_is_named_with_its_line(
    study: Path, tmp_path: Path, name: str
) -> None:
    lines = (study / name).read_text().splitlines(keepends=True)
    number = next(k for k, line in reversed(list(enumerate(lines))) if "." in line)
    lines[number] = lines[number].replace(".", ".7", 1)
    (study / name).write_text("".join(lines))
    assert f"study/{name}: line {number + 1} is " in tampered(study, tmp_path)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".html"])
def test_a_retouched_figure_is_named(study: Path, tmp_path: Path, suffix: str) -> None:
    path = study / f"figures/depth_heatmap{suffix}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"study/figures/depth_heatmap{suffix}: " in tampered(study, tmp_path)


def test_a_changed_answer_in_the_explorer_is_named_by_its_block(
    study: Path, tmp_path: Path
) -> None:
    path = study / "explorer.html"
    lines = path.read_text().splitlines()
    place = next(k for k, line in enumerate(lines) if "answers/nano-llama/ruler/256/vt" in line)
    columns = json.loads(content(lines[place]))
    columns["pred"][0] = "nothing of the sort"
    lines[place] = packed_line(Block("answers/nano-llama/ruler/256/vt", columns))
    path.write_text("\n".join(lines) + "\n")
    found = tampered(study, tmp_path)
    assert "study/explorer.html: answers/nano-llama/ruler/256/vt is '" in found
    assert "nothing of the sort" in found


def test_an_explorer_that_is_only_packed_otherwise_passes(study: Path, tmp_path: Path) -> None:
    """Other releases of zlib pack alike content in other bytes."""
    path = study / "explorer.html"
    lines = path.read_text().splitlines()
    place = next(k for k, line in enumerate(lines) if "answers/nano-llama/ruler/256/vt" in line)
    plain = content(lines[place])
    loose = zlib.compressobj(0, zlib.DEFLATED, -15)
    packed = base64.b64encode(loose.compress(plain) + loose.flush()).decode()
    lines[place] = lines[place].partition(">")[0] + f">{packed}</script>"
    path.write_text("\n".join(lines) + "\n")
    bundle(study, tmp_path / "loose.zip")
    assert problems(reviewed(tmp_path / "loose.zip")) == ""


def test_a_mean_over_fewer_samples_is_named(study: Path, tmp_path: Path) -> None:
    path = study / "estimates.parquet"
    pl.read_parquet(path).with_columns(count=pl.lit(2)).write_parquet(path)
    wanted = "estimates.parquet: nano-mamba2 niah_single_1 at 128: over 2 samples, not 3"
    assert wanted in tampered(study, tmp_path)


def test_a_mean_outside_its_interval_is_named(study: Path, tmp_path: Path) -> None:
    """It was once a traceback."""
    path = study / "estimates.parquet"
    pl.read_parquet(path).with_columns(mean=pl.lit(0.01), low=pl.lit(0.5)).write_parquet(path)
    found = tampered(study, tmp_path)
    assert "estimates.parquet: nano-mamba2 niah_single_1 at 128: mean is 0.01" in found
    assert (
        "estimates.parquet: nano-mamba2 ruler niah_single_1 128: Value error, not an estimate"
        in found
    )


def test_answers_of_two_runs_in_one_cell_are_named(study: Path, tmp_path: Path) -> None:
    path = study / "predictions/nano-llama/ruler/256.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["others"]["revision"] = "another"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = tampered(study, tmp_path)
    assert "niah_single_2 #0: made with other settings than environment.json records" in found
    assert "niah_single_2 #0 has revision another, the first answer nano-llama" in found


def test_a_cell_whose_shards_ran_on_two_machines_passes(study: Path, tmp_path: Path) -> None:
    path = study / "predictions/nano-llama/ruler/256.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for place, row in enumerate(rows):
        row["others"]["device"] = ("NVIDIA A100", "NVIDIA H100")[place % 2]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bundle(study, tmp_path / "shards.zip")
    assert problems(reviewed(tmp_path / "shards.zip")) == ""
    with zipfile.ZipFile(tmp_path / "shards.zip") as opened:
        cells = json.loads(opened.read("environment.json"))["cells"]
    assert cells["nano-llama/ruler/256"]["device"] == "NVIDIA A100 and NVIDIA H100"


def test_a_page_that_nothing_makes_is_named(study: Path, tmp_path: Path) -> None:
    (study / "tables/table_99.md").write_text("Llama wins")
    assert "study/tables/table_99.md: follows from nothing" in tampered(study, tmp_path)


def test_tables_with_intervals_are_made_again(study: Path, tmp_path: Path) -> None:
    plan = {name: study / f"plan/{name}.json" for name in ("grid", "models")}
    words = ["--grid", plan["grid"], "--models", plan["models"], "--templates", TEMPLATES]
    stem = study / "intervals/table_06"
    definition = study / "plan/tables/table_06.json"
    run("table", definition, stem, study / "scores.parquet", "--intervals", *words)
    bundle(study, tmp_path / "honest.zip")
    assert reviewed(tmp_path / "honest.zip").passed
    path = stem.with_suffix(".md")
    text = path.read_text()
    widened = re.sub(r"\[[\d.]+, ", "[0.7, ", text, count=1)
    assert widened != text
    path.write_text(widened)
    assert "study/intervals/table_06.md: line" in tampered(study, tmp_path)


def test_a_difference_is_quoted_where_it_is(study: Path, tmp_path: Path) -> None:
    path = study / "report.md"
    text = path.read_text()
    last = text.rstrip("\n").splitlines()[-1]
    assert len(last) > 70
    path.write_text(text.replace(last, f"{last[:-4]}PAGE"))
    assert "PAGE', but '..." in tampered(study, tmp_path)


def verification(model: str, *, difference: float) -> dict[str, Any]:
    return proof(model, largest_difference=difference).model_dump()


def test_weights_that_failed_their_comparison_are_named(study: Path, tmp_path: Path) -> None:
    for model, difference in (("nano-mamba2", 1e-6), ("nano-llama", 0.5)):
        path = study / f"verified/{model}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(verification(model, difference=difference)))
    found = tampered(study, tmp_path)
    assert "verified/nano-llama.json: logits differ by 0.5, more than 0.001" in found
    assert "nano-mamba2.json" not in found


@pytest.mark.parametrize(
    ("checked", "named"),
    [("nano-llama+no-defect", []), ("nano-mamba2", ["verified/nano-llama.json: missing"])],
)
def test_variants_share_the_verification_of_their_weights(
    tmp_path: Path, checked: str, named: list[str]
) -> None:
    """An honest study of hazards, which verifies the weights of a model once, was once refused."""
    plan = hazard_plan("nano-llama")
    for part in ("grid", "models"):
        write_text(tmp_path / f"study/plan/{part}.json", to_json(parts(plan)[part]).decode())
    cells = {"/".join(map(str, cell)): {"revision": "r"} for cell in plan.grid().cells()}
    told = Environment(python="3", platform="p", packages={}, cells=cells)
    write_text(tmp_path / "environment.json", told.model_dump_json())
    one = verification(checked, difference=1e-6)
    write_text(tmp_path / f"study/verified/{checked}.json", json.dumps(one))
    assert list(checks.made(tmp_path)) == named


def test_a_study_that_nobody_could_run_again_is_named(study: Path, tmp_path: Path) -> None:
    bundle(study, tmp_path / "bare.zip", inputs=INPUTS[1:])
    found = reviewed(tmp_path / "bare.zip")
    assert "inputs/Snakefile: missing" in problems(found)
    assert answer(found, "NeurIPS 5") == "no"
    assert answer(found, "NeurIPS 7") == "yes"


def test_every_claim_leads_to_its_command_and_cells(archive: Path) -> None:
    own = {claim.claim: claim for claim in reviewed(archive).claims if "study/" in claim.command}
    assert own["C1"].command == "needlework claims study/estimates.parquet claims"
    assert "nano-mamba2/ruler/512" in own["C1"].cells
    assert own["C1"].verdict in ("supported", "contradicted", "undecided")


def refused(archive: Path) -> str:
    """What the command says to a file that it does not unpack: one line."""
    done = CliRunner().invoke(cli, ["review", str(archive)])
    assert isinstance(done.exception, ArtifactError), done.exception
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_a_path_outside_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("../evil.txt", b"x")
    assert "lies outside the artifact; refused" in refused(tmp_path / "a.zip")


def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened,
        opened.open("bomb.txt", "w", force_zip64=True) as bomb,
    ):
        for _ in range(110):
            bomb.write(bytes(1 << 20))
    assert "refused as a bomb" in refused(tmp_path / "a.zip")


def test_a_cell_left_out_everywhere_is_named(study: Path, tmp_path: Path) -> None:
    for kind, suffix in (("predictions", "jsonl"), ("scores", "parquet")):
        (study / kind / f"nano-llama/ruler/256.{suffix}").unlink()
    assert "predictions/nano-llama/ruler/256.jsonl" in tampered(study, tmp_path)


def test_another_version_is_said_to_be_one(archive: Path, tmp_path: Path) -> None:
    def other(text: bytes) -> bytes:
        return json.dumps(json.loads(text) | {"code": "0" * 16}).encode()

    found = reviewed(repacked(archive, tmp_path, "manifest.json", other))
    assert "another version" in found.remarks[0]
    assert found.passed


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("manifest.json", "[]")
    with pytest.raises(ArtifactError, match="was it made by"):
        reviewed(tmp_path / "a.zip")


def test_the_command_says_what_it_found(archive: Path, tmp_path: Path) -> None:
    honest = CliRunner().invoke(cli, ["review", str(archive)])
    assert honest.exit_code == 0
    assert "yes        ACM Results Reproduced" in honest.output
    assert "yes        NeurIPS 7 Statistical significance" in honest.output
    assert "for people ACM Results Replicated" in honest.output
    assert honest.output.endswith("\n10 of 10 checks passed\n")
    name = "study/claims.md"
    path = repacked(archive, tmp_path, name, lambda text: text + b"!")
    changed = CliRunner().invoke(cli, ["review", str(path)])
    assert changed.exit_code == 1
    assert "FAILED every file has the digest" in changed.output
    assert changed.output.endswith("\n7 of 10 checks passed\n")
    assert "no         ACM Results Reproduced" in changed.output
