"""Package code is a dependency that Snakemake cannot see; every rule names it as a parameter."""

import re
from pathlib import Path

import pytest

from needlework import sources
from needlework.tasks import code
from needlework.tasks.specs import FUNCTION, OwnSpec
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
    carried = re.search(
        r"code=(lambda wildcards: code_for\(wildcards\.model, |digest\()"
        r"|code=lambda wildcards: PLAN\.dataset_code\(",
        block,
    )
    assert bool(set(calls) - {"fetch"}) == bool(carried)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.split("log:")[1].split()[0])
def test_a_rule_says_where_it_logs_and_what_it_needs(block: str) -> None:
    for directive in ("log:", "benchmark:", "threads:", "resources:", "conda:"):
        assert directive in block


def test_the_digest_reaches_what_is_imported_indirectly() -> None:
    """Tables depend on how a sample is scored, three imports away."""
    assert "needlework.tasks.metrics" in sources.closure("needlework.report.tables")


def test_the_digest_stays_out_of_what_is_not_imported() -> None:
    """A change of a figure must not predict anything again."""
    assert not any("report" in name for name in sources.closure("needlework.engine.predict"))
    assert "needlework.study.config" not in sources.closure("needlework.engine.predict")


def test_every_module_behind_a_dataset_is_in_the_digest_of_some_task() -> None:
    """Going round other generators leaves out nothing else."""
    kinds = [
        code.deciding(kind, protocol=protocol, material=material)
        for kind in code.GENERATORS
        for protocol in ("corrected", "released")
        for material in code.MATERIALS
    ]
    assert set().union(*kinds) == sources.closure(code.FRAME) - code.TABLES


def test_a_dataset_depends_on_its_own_generator_alone() -> None:
    found = code.deciding("niah", protocol="corrected", material="nano")
    assert "needlework.tasks.niah" in found
    assert not found & {"needlework.tasks.qa", "needlework.tasks.own", "needlework.tasks.english"}
    assert "needlework.tasks.released.niah" not in found


def test_a_generator_keeps_what_it_takes_from_another_one() -> None:
    found = code.deciding("frequent_words", protocol="corrected", material="nano")
    assert "needlework.tasks.common_words" in found


def test_what_a_file_of_ones_own_imports_of_us_decides_its_datasets(tmp_path: Path) -> None:
    own = {"generator": "config/examples/whereabouts.py:f", "metric": "all"}
    spec = OwnSpec.model_validate(own | {"tokens_to_generate": 4})
    assert "needlework.nano.vocabulary" in code._borrowed(Path(spec.path))
    without = code.deciding(FUNCTION, protocol="corrected", material="english")
    assert "needlework.nano.vocabulary" not in without
    made = code.dataset_code(spec, protocol="corrected", material="english")
    assert made != sources.digest_of(without)
    for broken in ("def (", "import needlework.nothing", "\0"):
        (tmp_path / "own.py").write_text(broken)
        assert code._borrowed(tmp_path / "own.py") == set()


@pytest.mark.parametrize(("change", "matters"), [(statement, True), (comment, False)])
def test_a_changed_module_changes_the_digest(
    monkeypatch: pytest.MonkeyPatch, change: Edit, matters: bool
) -> None:
    before = sources.digest("needlework.report.tables")
    edit(monkeypatch, "needlework.tasks.metrics", change)
    after = sources.digest("needlework.report.tables")
    monkeypatch.undo()
    forget()
    assert (after != before) == matters


def test_a_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="scorings"):
        sources.digest("needlework.scorings")
