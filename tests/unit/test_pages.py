"""The pages of the repository: links that lead somewhere, short lines, a diagram that is true."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from docs import floors
from needlework.cli import cli

ROOT = Path(__file__).parents[2]
FOLDERS = ("config", "docs", "envs", "reports", "resources/nano", "resources/published")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for each in FOLDERS for page in (ROOT / each).rglob("*.md"))]
)
SHORT_LINES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/glossary.md",
    "docs/troubleshooting.md",
)
COLUMNS = 100
"""Of a line of prose; tables, pictures and code may be longer."""
PARSER = MarkdownIt("commonmark").enable("table")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def blocks(page: Path) -> list[Token]:
    return PARSER.parse(page.read_text(encoding="utf-8"))


def tokens(page: Path) -> Iterator[Token]:
    for block in blocks(page):
        yield block
        yield from block.children or ()


def targets(page: Path) -> list[str]:
    """Where the links and pictures of a page lead, addresses on the web aside."""
    found = [str(each.attrs.get("href") or each.attrs.get("src") or "") for each in tokens(page)]
    return [each for each in found if each and not re.match(r"[a-z]+:", each)]


@cache
def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for opening, inline in pairwise(blocks(page)):
        if opening.type == "heading_open":
            words = "".join(each.content for each in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def broken(page: Path) -> list[str]:
    """The links of a page to files that are not there, or to headings that no page has."""
    wrong = []
    for target in targets(page):
        place, _, anchor = unquote(target).partition("#")
        there = (page.parent / place).resolve() if place else page
        exists = there.exists()
        if exists and anchor and there.suffix == ".md":
            exists = anchor in anchors(there)
        if not exists:
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert broken(page) == []


def test_links_to_nothing_are_found(tmp_path: Path) -> None:
    """The check itself: one missing file, one missing heading, and links in code that are none."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One heading, two\n\n[a](gone.md) [b](#two) [c](#one-heading-two) `[d](also-gone.md)`\n\n"
        "![e](gone.png) [f](https://example.org/gone)\n",
        encoding="utf-8",
    )
    assert broken(page) == ["gone.md", "#two", "gone.png"]


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    """A page that nothing links to is read by nobody."""
    reached = {ROOT / "README.md"}
    while new := {
        (page.parent / unquote(target).partition("#")[0]).resolve()
        for page in reached
        for target in targets(page)
        if target.partition("#")[0].endswith(".md")
    } - {page.resolve() for page in reached}:
        reached |= new
    pages = set((ROOT / "docs").glob("*.md")) - {ROOT / "docs/index.md"}
    assert {name(page) for page in pages - reached} == set()


@pytest.mark.parametrize("page", SHORT_LINES)
def test_prose_has_short_lines(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines()
    assert [line for line in prose if len(line) > COLUMNS and line[0] not in "|!"] == []


def test_the_diagram_shows_the_floors_of_pyproject() -> None:
    """Renewed by `.venv/bin/python docs/floors.py`."""
    assert floors.DRAWING.read_text(encoding="utf-8") == floors.draw()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=name)
def test_modules_that_pages_name_exist(page: Path) -> None:
    """`engine/cell.py` in a page is a file, of the package or of the repository."""
    told = re.findall(
        r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|smk|yaml|json))`", page.read_text("utf-8")
    )
    roots = (ROOT, ROOT / "src/needlework", ROOT / "resources", ROOT / "config")
    made = ("plan/", "verified/", "data/", "checkpoints/")
    gone = [
        each
        for each in told
        if not each.startswith(made) and not any((root / each).exists() for root in roots)
    ]
    assert gone == []


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every command of ours that a page shows, in its text or in a block of code."""
    for each in tokens(page):
        if each.type in {"code_inline", "fence"}:
            joined = each.content.replace("\\\n", " ")
            for line in joined.splitlines():
                called = re.sub(r"^\$ ", "", line.partition(" #")[0].strip())
                for command in re.split(r"&&|\|", called):
                    words = command.split()
                    if len(words) > 1 and words[0].rpartition("/")[2] in {"needlework", "make"}:
                        yield words


def unknown(words: list[str]) -> list[str]:
    """What of a command does not exist: its name, or options of that name."""
    program, command = words[0].rpartition("/")[2], words[1]
    if program == "make":
        made = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
        return [command] if re.fullmatch(r"[a-z][\w-]*", command) and command not in made else []
    if not re.fullmatch(r"[a-z][\w-]*", command):
        return []
    if command not in cli.commands:
        return [command]
    known = {"--help", *(name for each in cli.commands[command].params for name in each.opts)}
    asked = [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
    return [each for each in asked if each not in known]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_that_pages_show_exist(page: Path) -> None:
    assert {" ".join(words): gone for words in commands(page) if (gone := unknown(words))} == {}


def test_commands_that_do_not_exist_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`make tea`, `needlework knit`, `needlework plan --colour red`, `make study`\n\n"
        "```\n$ .venv/bin/needlework fetch --everything  # and more\n```\n",
        encoding="utf-8",
    )
    found = [each for words in commands(page) for each in unknown(words)]
    assert found == ["tea", "knit", "--colour", "--everything"]
