"""Every page, table and figure there is, of a study in which every text is an attack.

The study is made by the list that a review makes it by, so the next page is among them without
anybody thinking of it; a template that none of them uses is an error here.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from needlework.artifact.bundle import MANIFEST, Manifest
from needlework.artifact.rendering import Output, outputs
from needlework.cost.study import parts
from needlework.files import read_records, write_records
from needlework.hazards.page import write_hazards
from needlework.paper.outputs import OUTPUTS
from needlework.records import Prediction
from needlework.report import rendering
from needlework.report.card import card
from needlework.report.results import read_results
from needlework.study.grid import Grid
from tests import study_for_tests
from tests.browser_for_tests import Browser, chromium
from tests.hostile_for_tests import ANSWER, LABELS, SCRIPT, hostile_config
from tests.study_for_tests import estimates
from tests.unit.hazards.test_effects import MODELS, frame, scores
from tests.unit.hazards.test_page import STUDY
from tests.unit.report.test_tables import cells_file, proof
from tests.whole_study_for_tests import make_study

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "reports/templates"
HARMLESS = "Conflicting legend property"
"""Vega-Lite says so of two encodings that share a legend."""
OURS = re.compile(r"</?ins>")
"""The only HTML that our Markdown has."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that a hostile study shows, in folders by the kind of study."""
    folder = tmp_path_factory.mktemp("hostile")
    rendered: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        hostile_config(folder / "config", patch)
        original = rendering.render

        def render(template: Path, **content: object) -> str:
            rendered.add(template.name)
            return original(template, **content)

        for module in [each for each in sys.modules.values() if hasattr(each, "render")]:
            if module.render is original:
                patch.setattr(module, "render", render)
        _nano(folder / "nano", folder)
        _paper(folder / "paper")
        _hazards(folder / "hazards")
    assert rendered == {path.name for path in TEMPLATES.iterdir()}
    return folder


def _nano(folder: Path, where: Path) -> None:
    """A study of small models, with answers and verifications as hostile as its labels."""
    plan = make_study(where / "made", samples=2, models=("nano-mamba2", "nano-llama"))
    study = where / "made/nano"
    for path in (study / "predictions").rglob("*.jsonl"):
        told = read_records(path, Prediction)
        write_records(path, [each.model_copy(update={"pred": ANSWER}) for each in told])
    for place, model in enumerate(plan.models):
        told = {"reference": None, "reason": LABELS[place]} if place else {"reference": LABELS[0]}
        path = study / f"verified/{model}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(proof(model, **told).model_dump_json())
    (where / "artifact").mkdir()
    day = "2026-01-01T00:00:00+00:00"
    manifest = Manifest(study="nano", version="0.1.0", code="0" * 16, finished=day, files={})
    (where / "artifact" / MANIFEST).write_text(manifest.model_dump_json())
    (where / "artifact/study").symlink_to(study)
    (where / "artifact/inputs/resources").mkdir(parents=True)
    (where / "artifact/inputs/resources/published").symlink_to(ROOT / "resources/published")
    folder.mkdir()
    for name in ("scores.parquet", "estimates.parquet", "diagnosis.parquet"):
        (folder / name).write_bytes((study / name).read_bytes())
    _make(outputs(where / "artifact", folder, TEMPLATES, OUTPUTS))
    _cards(folder)


def _cards(folder: Path) -> None:
    """The card of every model without the block that hubs read, which is YAML and says the same."""
    results = read_results(folder / "results.json")
    for model in results.models:
        block, _, body = card(results, model.name, templates=TEMPLATES).partition("\n---\n")
        (index,) = yaml.safe_load(block.removeprefix("---\n"))["model-index"]
        assert index["name"] == model.label
        (folder / f"card_{model.name}.md").write_text(body, encoding="utf-8")


def _paper(folder: Path) -> None:
    """The tables that stand beside published ones."""
    plan = study_for_tests.small_plan(
        models=["mamba2", "rwkv6"],
        material="english",
        suites={"ruler": {"lengths": [1024, 2048]}, "depth": {"lengths": [1024]}},
    )
    artifact = folder.with_name("paper-artifact")
    for part, content in parts(plan).items():
        path = artifact / f"study/plan/{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_plain(content)))
    (artifact / "inputs/resources").mkdir(parents=True)
    (artifact / "inputs/resources/published").symlink_to(ROOT / "resources/published")
    folder.mkdir()
    cells_file(folder, estimates(plan))
    _make(
        each
        for each in outputs(artifact, folder, TEMPLATES, OUTPUTS)
        if "comparison" in each.command or "agreement" in each.command
    )


def _plain(content: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(content)


def _hazards(folder: Path) -> None:
    folder.mkdir()
    frame(scores()).write_parquet(folder / "scores.parquet")
    models = [
        model.model_copy(update={"label": label})
        for model, label in zip(MODELS, LABELS, strict=False)
    ]
    write_hazards(STUDY, models, folder, scores=folder / "scores.parquet", templates=TEMPLATES)


def _make(wanted: Iterator[Output] | Any) -> None:
    for output in wanted:
        output.make()


def files(pages: Path, suffix: str) -> list[Path]:
    found = [
        path
        for name in ("nano", "paper", "hazards")
        for path in sorted((pages / name).rglob(f"*{suffix}"))
        if "explored" not in path.parts
    ]
    assert found, f"no {suffix}"
    return found


def test_every_page_keeps_its_kinds_of_files(pages: Path) -> None:
    suffixes = {
        path.suffix for name in ("nano", "paper", "hazards") for path in (pages / name).rglob("*.*")
    }
    assert suffixes == {
        *(".md", ".tex", ".csv", ".html", ".svg", ".png", ".pdf", ".parquet", ".json"),
    }


def test_markdown_has_no_markup_of_a_strangers(pages: Path) -> None:
    """As GitHub reads it: all rows as wide as their head, no HTML, no link or code of theirs."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    seen = ""
    for path in files(pages, ".md"):
        text = path.read_text(encoding="utf-8")
        _check_widths(path, text)
        for token in parser.parse(text):
            assert token.type != "html_block", (path, token.content)
            for child in token.children or ():
                if child.type == "html_inline":
                    assert OURS.fullmatch(child.content), (path, child.content)
                if child.type in ("link_open", "image"):
                    address = str(child.attrs.get("href") or child.attrs.get("src"))
                    assert re.fullmatch(r"[\w./#+@-]+", address), (path, address)
                assert child.type not in ("em_open", "s_open") or "_" not in child.markup, path
                seen += child.content
    for label in LABELS[:2]:
        assert label in seen


def _check_widths(path: Path, text: str) -> None:
    """GitHub drops what is too much in a row, so a parser that does it, too, would not tell."""
    width = 0
    for line in text.splitlines():
        bars = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) if line.startswith("|") else 0
        assert not width or not bars or bars == width, (path, line)
        width = bars


def test_latex_has_no_command_of_a_strangers(pages: Path) -> None:
    for path in files(pages, ".tex"):
        text = path.read_text(encoding="utf-8")
        for command in (r"\input", r"\write", "$x^2$"):
            assert command not in text, path
        assert not re.search(r"(?<!\\)&\s*<b", text), path


@pytest.mark.skipif(chromium() is None, reason="needs a browser: apt-get install chromium")
def test_no_page_and_no_picture_runs_a_strangers_script(pages: Path, tmp_path: Path) -> None:
    """In Chromium: nothing ran, nothing was asked for, and the page works under its own policy."""
    with Browser(tmp_path / "profile") as browser:
        for path in [*files(pages, ".html"), *files(pages, ".svg")]:
            browser.errors.clear()
            browser.requests.clear()
            browser.open(path.as_uri())
            if path.name == "explorer.html":
                browser.wait("document.querySelector('main table, main .plot') !== null")
                _walk(browser, path)
            elif path.suffix == ".html":
                browser.wait("document.querySelector('#vega-chart svg') !== null")
            else:
                browser.wait("document.readyState === 'complete'")
            assert browser.run("typeof window.HIT") == "undefined", path
            told = [each for each in browser.errors if HARMLESS not in each]
            assert told == [], path
            assert all(url.startswith(("file:", "data:")) for url in browser.requests), path


def _walk(browser: Browser, path: Path) -> None:
    """Have every mark tell its name; open cells of one model and list their samples."""
    browser.run("document.querySelectorAll('.plot a').forEach(mark => mark.focus())")
    grid = json.loads((path.parents[1] / "made/nano/plan/grid.json").read_text())
    (model, *_), cells = grid["models"], Grid.model_validate(grid).cells()
    for cell in [each for each in cells if each.model == model][:2]:
        place = f"{cell.model}/{cell.suite}/{cell.length}"
        browser.run(f"location.hash = {json.dumps(place)}")
        browser.wait(f"document.getElementById('main').innerText.includes('{cell.length}')")
        browser.run(f"location.hash = {json.dumps(place + '?show=samples')}")
        browser.wait("document.querySelector('td.text') !== null")
        assert browser.run("typeof window.HIT") == "undefined"


@pytest.mark.skipif(chromium() is None, reason="needs a browser: apt-get install chromium")
def test_a_script_that_got_in_would_not_run(pages: Path, tmp_path: Path) -> None:
    """The policy of every page, tried by putting a script into its body as it is."""
    with Browser(tmp_path / "profile") as browser:
        for path in files(pages, ".html"):
            text = path.read_text(encoding="utf-8")
            assert "Content-Security-Policy" in text
            evil = f"<img src=x onerror={SCRIPT}><script>{SCRIPT}</script></body>"
            forged = tmp_path / path.name
            forged.write_text(text.replace("</body>", evil), encoding="utf-8")
            browser.open(forged.as_uri())
            browser.wait("document.readyState === 'complete' && document.images.length > 0")
            assert browser.run("typeof window.HIT") == "undefined", path


def test_every_template_escapes_what_it_is_given(tmp_path: Path) -> None:
    """By itself: a template that nobody has written yet cannot forget it."""
    for name, wanted in (
        ("new.md.j2", r"\|&lt;b>\`\*\_x"),
        ("new.tex.j2", r"|<b>`*\_x"),
    ):
        template = tmp_path / name
        template.write_text("{{ value }}" if name.startswith("new.md") else "<< value >>")
        assert rendering.render(template, value="|<b>`*_x") == wanted
