"""Package code is a dependency that Snakemake cannot see; every rule names it as a parameter."""

import re
from pathlib import Path

import pytest

from needlework import sources
from tests.sources_for_tests import Edit, comment, edit, forget, statement

RULES = sorted((Path(__file__).parents[2] / "workflow/rules").glob("*.smk"))
NAMED = sorted(set(re.findall(r'"(needlework\.[\w.]+)"', "".join(f.read_text() for f in RULES))))


def blocks() -> list[str]:
    """The text of every rule that runs a command."""
    texts = [re.split(r"^\s*rule\s?\w*:", file.read_text(), flags=re.M)[1:] for file in RULES]
    return [block for text in texts for block in text if "shell:" in block]


@pytest.mark.parametrize("module", NAMED)
def test_a_named_module_exists(module: str) -> None:
    assert module in sources.closure(module)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.split("log:")[1].split()[0])
def test_a_rule_that_calls_the_package_carries_its_digest(block: str) -> None:
    """Fetched files are the exception: their SHA-256 says what they are, whatever fetched them."""
    calls = re.findall(r'"needlework (\S+)', block)
    carried = re.search(r"code=(lambda wildcards: code_for\(wildcards\.model, |digest\()", block)
    assert bool(set(calls) - {"fetch"}) == bool(carried)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.split("log:")[1].split()[0])
def test_a_rule_says_where_it_logs_and_what_it_needs(block: str) -> None:
    for directive in ("log:", "benchmark:", "threads:", "resources:", "conda:"):
        assert directive in block


def test_the_digest_reaches_what_is_imported_indirectly() -> None:
    """Tables depend on how a sample is scored, three imports away."""
    assert "needlework.scoring" in sources.closure("needlework.report.tables")


def test_the_digest_stays_out_of_what_is_not_imported() -> None:
    """A change of a figure must not predict anything again."""
    assert not any("report" in name for name in sources.closure("needlework.engine.predict"))
    assert "needlework.study" not in sources.closure("needlework.engine.predict")


@pytest.mark.parametrize(("change", "matters"), [(statement, True), (comment, False)])
def test_a_changed_module_changes_the_digest(
    monkeypatch: pytest.MonkeyPatch, change: Edit, matters: bool
) -> None:
    before = sources.digest("needlework.report.tables")
    edit(monkeypatch, "needlework.scoring", change)
    after = sources.digest("needlework.report.tables")
    monkeypatch.undo()
    forget()
    assert (after != before) == matters


def test_a_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="scorings"):
        sources.digest("needlework.scorings")
