"""Claims: the paper's numbers, studies made so that a claim is true or false, and gaps."""

import csv
import re
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest
from click.testing import CliRunner

from needlework.cli import cli
from needlework.errors import RecordError
from needlework.paper.claims import CLAIMS, Result, judge
from needlework.paper.evidence import OfSamples, read_evidence, read_models
from needlework.scores.cells import SCORES, estimated
from needlework.scores.estimates import Scores
from needlework.scores.paired import Paired
from needlework.statistics.means import Estimate, wilson
from needlework.study.plan import Plan
from needlework.study.presets import claim_tables
from needlework.study.shown import ShownModel
from tests.study_for_tests import estimates, small_plan

FAMILIES = {
    "nano-mamba2": "linear",
    "nano-mamba2attn": "hybrid",
    "nano-transformerpp": "attention",
    "nano-griffin": "hybrid",
    "nano-llama": "attention",
    "nano-rwkv6": "linear",
}
TRAINED = 256


def model(name: str) -> ShownModel:
    return ShownModel(
        name=name,
        label=name,
        family=FAMILIES[name],
        checkpoint="here",
        revision=None,
        tokenizer="nano",
        wrapper="base",
        trained_length=TRAINED,
        licence="none",
    )


MODELS = [model(name) for name in FAMILIES]


class World:
    """A study in which every claim is true; methods are replaced to make one false."""

    retained: ClassVar[dict[str, float]] = {
        "nano-mamba2": 0.5,
        "nano-rwkv6": 0.7,
        "nano-mamba2attn": 0.6,
        "nano-griffin": 0.6,
        "nano-transformerpp": 0.1,
        "nano-llama": 0.0,
    }

    def lengths(self, suite: str) -> list[int]:
        return [128, 256, 512, 1024, 2048]

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        if model.name == "nano-rwkv6":
            return wilson(0.7 - 0.15 * self.lengths("ruler").index(length), count=3000)
        share = self.retained[model.name] if length > TRAINED else 1
        if model.name == "nano-griffin":
            share = min(1.0, share + 0.2) if length > 2 * TRAINED else share - 0.2
        return wilson(0.8 * share, count=3000)

    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        if length > TRAINED and model.name in ("nano-griffin", "nano-rwkv6"):
            return wilson(0.9, count=3000)
        return wilson(0.5 if 20 < depth < 80 else 0.9, count=3000)

    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        beyond = length > TRAINED
        if model.name == "nano-mamba2":
            return wilson(0.8 if form.startswith("repeat") or not beyond else 0.0, count=3000)
        if model.name == "nano-transformerpp":
            return wilson(0.9 if length == TRAINED else 0.3, count=3000)
        return wilson(0.4, count=3000)


def verdicts(results: list[Result]) -> dict[str, str | None]:
    return {result.claim.id: result.verdict for result in results}


def test_the_paper_supports_six_and_contradicts_two_of_its_claims() -> None:
    evidence = read_evidence(Path("resources/published"), samples=250)
    models = read_models(Path("config/models.yaml"), evidence)
    assert [len(models), verdicts(judge(evidence, models))] == [
        8,
        {
            "C1": "supported",
            "C2": "supported",
            "C3": "supported",
            "C4": "contradicted",
            "C5": "contradicted",
            "C6": "supported",
            "C7": "supported",
            "C8": "undecided",
            "C9": "supported",
        },
    ]


def test_where_every_claim_is_true_none_is_contradicted() -> None:
    assert verdicts(judge(World(), MODELS)) == dict.fromkeys(
        (claim.id for claim in CLAIMS), "supported"
    )


class Cliff(World):
    def ruler(self, model: ShownModel, length: int) -> Estimate:
        if model.name == "nano-rwkv6":
            return wilson(0.8 if length <= TRAINED else {512: 0.56}.get(length, 0.0), count=3000)
        return super().ruler(model, length)


class SteadyAttention(World):
    retained: ClassVar[dict[str, float]] = World.retained | {
        "nano-transformerpp": 1.0,
        "nano-llama": 1.0,
    }


class HybridsAhead(World):
    def ruler(self, model: ShownModel, length: int) -> Estimate:
        if FAMILIES[model.name] == "hybrid":
            return wilson(0.95 if length <= TRAINED else 0.8, count=3000)
        return super().ruler(model, length)


class Early(World):
    """One model falls within its training length, and hardly beyond it."""

    def ruler(self, model: ShownModel, length: int) -> Estimate:
        if model.name == "nano-llama":
            return wilson(0.9 if length < TRAINED else 0.3, count=3000)
        return super().ruler(model, length)


class EvenDepths(World):
    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        return wilson(0.9, count=3000)


class Windowed(World):
    def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
        return wilson(float(depth >= 50), count=3000)


class Strong(World):
    def depth(self, model: ShownModel, form: str, *, depth: int, length: int) -> Estimate:
        return wilson(0.9, count=3000)


@pytest.mark.parametrize(
    ("world", "false"),
    [
        (Cliff(), {"C9"}),
        (SteadyAttention(), {"C2"}),
        (Early(), {"C1"}),
        (HybridsAhead(), {"C3"}),
        (EvenDepths(), {"C4", "C5"}),
        (Windowed(), {"C4", "C5"}),
        (Strong(), {"C6"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_false_claim_is_contradicted(world: World, false: set[str]) -> None:
    found = verdicts(judge(world, MODELS))
    assert {claim for claim, verdict in found.items() if verdict == "contradicted"} == false


def test_of_two_wordings_claims_are_told_of_the_one_that_was_published() -> None:
    """A run in plain words was once a model that plays no role, and so was one in RULER's."""

    class Spoken(World):
        def ruler(self, model: ShownModel, length: int) -> Estimate:
            own = model.model_copy(update={"name": model.weights})
            return super().ruler(own, length)

    runs = [
        each.model_copy(update={"name": f"{each.name}+{wording}"})
        for each in MODELS
        for wording in ("ruler", "plain")
    ]
    results = judge(Spoken(), runs)
    assert results[1].verdict == "supported"
    deciding = [each for each in results[0].statistics if not each.beside]
    assert len(deciding) == len(MODELS) - 1
    named = {
        cell.split("/")[0]
        for result in results
        for each in result.statistics
        for cell in each.cells
    }
    assert {name.partition("+")[2] for name in named} == {"ruler"}


def test_few_samples_leave_claims_undecided() -> None:
    class Small(World):
        def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
            return wilson(0.5 if 20 < depth < 80 else 0.7, count=10)

    assert verdicts(judge(Small(), MODELS))["C4"] == "undecided"


def test_a_missing_cell_is_named_and_supports_nothing() -> None:
    class Torn(World):
        def ruler(self, model: ShownModel, length: int) -> Estimate:
            if model.name == "nano-llama" and length == 512:
                raise RecordError("not measured")
            return super().ruler(model, length)

    drop, linear, *_ = judge(Torn(), MODELS)
    assert drop.verdict == "undecided"
    assert drop.missing[0].startswith("nano-llama, steepest drop of RULER")
    assert drop.missing[0].endswith("beyond 256, minus that up to it: not measured")
    assert linear.verdict is None


def test_a_missing_cell_never_contradicts() -> None:
    """Of hybrids that all keep more, one pair was once enough, as the others were missing."""

    class Torn(HybridsAhead):
        def ruler(self, model: ShownModel, length: int) -> Estimate:
            if model.name == "nano-rwkv6":
                raise RecordError("not measured")
            return super().ruler(model, length)

    assert verdicts(judge(HybridsAhead(), MODELS))["C3"] == "contradicted"
    assert verdicts(judge(Torn(), MODELS))["C3"] == "undecided"


def test_full_scores_cannot_test_a_lost_middle() -> None:
    """Where all depths are near 100 % it was once contradicted that the middle is lost."""

    class Full(World):
        def over_formats(self, model: ShownModel, *, depth: int, length: int) -> Estimate:
            return wilson(0.99, count=3000)

    found = verdicts(judge(Full(), MODELS))
    assert (found["C4"], found["C5"]) == ("untestable", "untestable")


def test_the_training_length_of_recurrentgemma_is_told_twice() -> None:
    """The paper treats its window as trained; at 8192, where it was trained, C1 does not hold."""
    evidence = read_evidence(Path("resources/published"), samples=250)
    (drop, *_) = judge(evidence, read_models(Path("config/models.yaml"), evidence))
    told = {
        (each.subject, each.beside): each.verdict
        for each in drop.statistics
        if each.subject.startswith("RG") and "steepest" in each.quantity
    }
    assert told == {
        ("RG", False): "supported",
        ("RG if trained at 8192", True): "contradicted",
        ("RG-IT", False): "supported",
        ("RG-IT if trained at 8192", True): "contradicted",
    }


def test_published_numbers_name_the_defects_behind_them(tmp_path: Path) -> None:
    arguments = ["claims", "resources/published", str(tmp_path / "claims")]
    CliRunner().invoke(cli, arguments, catch_exceptions=False)
    with (tmp_path / "claims.csv").open() as file:
        rows = list(csv.DictReader(file))
    (row,) = [
        each
        for each in rows
        if (each["claim"], each["subject"], each["decides"]) == ("C1", "M2A", "yes")
    ]
    assert row["defects"] == "mamba-sampling m2a-conv-state"
    (row,) = [each for each in rows if each["claim"] == "C6" and "repeat" in each["subject"]]
    assert row["defects"] == "mamba-sampling uuid-numbers"
    page = (tmp_path / "claims.md").read_text()
    assert "up to 11.9 points" not in page
    assert "| known defects |" in page


def test_a_study_without_the_models_of_a_claim_says_so(tmp_path: Path) -> None:
    results = judge(World(), [model("nano-llama")])
    assert verdicts(results)["C6"] is None


def test_every_statistic_names_its_cells() -> None:
    for result in judge(World(), MODELS):
        assert all(statistic.cells for statistic in result.statistics)


def test_the_command_writes_a_page_and_every_statistic(tmp_path: Path) -> None:
    arguments = ["claims", "resources/published", str(tmp_path / "claims"), "--explorer", "x.html"]
    printed = CliRunner().invoke(cli, arguments, catch_exceptions=False).output
    page = (tmp_path / "claims.md").read_text()
    with (tmp_path / "claims.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert printed.count("\n") == 9
    assert "intervals are inferred from 250 samples" in page
    assert "[mamba2/ruler](x.html#mamba2/ruler)" in page
    assert "Numbers: Table 1." in page
    assert {row["claim"] for row in rows} == {claim.id for claim in CLAIMS}


def test_statistics_speak_with_the_words_of_verdicts(tmp_path: Path) -> None:
    """They once said yes, no and unclear beside claims that were supported or contradicted."""
    arguments = ["claims", "resources/published", str(tmp_path / "claims")]
    CliRunner().invoke(cli, arguments, catch_exceptions=False)
    with (tmp_path / "claims.csv").open() as file:
        rows = list(csv.DictReader(file))
    words = {"supported", "contradicted", "undecided", "cannot be tested here"}
    assert {row["verdict"] for row in rows} <= words
    assert {row["says"] for row in rows} <= words
    page = (tmp_path / "claims.md").read_text()
    assert not re.search(r"\| (yes|no|unclear|no room) \|", page)


def test_no_row_of_a_page_is_so_wide_that_one_has_to_scroll(tmp_path: Path) -> None:
    """A column of ten links once made rows of 800 characters."""
    arguments = ["claims", "resources/published", str(tmp_path / "claims"), "--explorer", "x.html"]
    CliRunner().invoke(cli, arguments, catch_exceptions=False)
    rows = [line for line in (tmp_path / "claims.md").read_text().splitlines() if "|" in line]
    assert max(map(len, rows)) <= 200
    assert not any("x.html" in row for row in rows)


def test_every_claim_names_the_tables_that_its_cells_fill() -> None:
    """One needle format: Table 4; depths at 1x: Table 2, at 2x: Table 3; RULER: Table 1."""
    trained = {model.name: model.trained_length for model in MODELS}
    for result in judge(World(), MODELS):
        found = set()
        for cell in (cell for statistic in result.statistics for cell in statistic.cells):
            model, suite, length, *rest = cell.split("/")
            depth_table = 2 if int(length) == trained[model] else 3
            found.add(1 if suite == "ruler" else 4 if len(rest) == 2 else depth_table)
        named = claim_tables(Path("config"))[result.claim.id]
        assert found <= {int(name.removeprefix("table_")) for name in named}, result.claim.id
        assert found or not result.statistics


@pytest.mark.parametrize(("tables", "linked"), [("paper", True), ("auto", False)])
def test_links_lead_to_tables_that_the_study_makes(
    tables: str, linked: bool, tmp_path: Path
) -> None:
    """Beside tables of one's own the page once linked to files that nobody had made."""
    plan = small_plan(tables=tables)
    shown = tmp_path / "shown.json"
    shown.write_text(plan.shows.model_dump_json())
    arguments = ["claims", "resources/published", str(tmp_path / "claims"), "--explorer", "x.html"]
    CliRunner().invoke(cli, [*arguments, "--shown", str(shown)], catch_exceptions=False)
    page = (tmp_path / "claims.md").read_text()
    assert ("Numbers: [Table 1](tables/table_01.md)." in page) == linked
    assert ("Numbers: Table 1." in page) != linked


def test_published_claims_name_tables_without_linking_to_files(tmp_path: Path) -> None:
    arguments = ["claims", "resources/published", str(tmp_path / "claims")]
    CliRunner().invoke(cli, arguments, catch_exceptions=False)
    page = (tmp_path / "claims.md").read_text()
    assert "Numbers: Table 4." in page
    assert "tables/table" not in page


def samples_of(plan: Plan, *, without: int | None = None) -> OfSamples:
    """Samples of a study of which every other is right, without those of ruler at a length."""
    rows = [
        dict.fromkeys(SCORES)
        | {name: getattr(each, name) for name in ("model", "suite", "task", "length")}
        | {"index": index, "score": float(index % 2)}
        for each in estimates(plan)
        for index in range(10)
        if (each.suite, each.length) != ("ruler", without)
    ]
    frame = pl.DataFrame(rows, schema=SCORES)
    return OfSamples(Paired(frame, Scores(estimated(frame), plan.grid()), seed=1))


def test_a_length_that_no_model_has_is_named() -> None:
    """A line through the other lengths would look like one through all of them."""
    lengths = {"ruler": {"lengths": [128, 256, 512, 1024]}, "depth": {"lengths": [256, 512]}}
    plan = small_plan(models=["nano-rwkv6"], suites=lengths)
    whole, lacking = (
        {
            result.claim.id: result
            for result in judge(samples_of(plan, without=without), plan.shown())
        }
        for without in (None, 1024)
    )
    assert len(whole["C9"].statistics) == 4
    assert not whole["C9"].missing
    assert not lacking["C9"].statistics
    assert all("nano-rwkv6 on ruler at length 1024" in line for line in lacking["C9"].missing)
    assert lacking["C9"].missing
