"""Pictures: the estimates of the figures, and addresses that lead to the samples behind them."""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import polars as pl
import pytest

from needlework.analysis.why import range_of
from needlework.report import charts
from needlework.report.explorer.addresses import samples
from needlework.report.explorer.pictures import looks, pictures
from needlework.report.figures import DRAW, EXPLAIN
from needlework.report.layout import Source
from needlework.scores.cells import read_estimates
from needlework.scores.diagnoses import read_diagnoses
from needlework.scores.estimates import Scores
from needlework.study.definitions import FigureDefinition
from needlework.study.plan import Plan
from tests.whole_study_for_tests import make_study

PLACES = {
    "length_curve": ["label", "length"],
    "depth_heatmap": ["label", "length", "depth"],
    "distance_curve": ["label", "length", "from", "to"],
}
TOLD = ["mean", "low", "high", "count"]


class Made(NamedTuple):
    """A study, and what its pictures are made from."""

    folder: Path
    plan: Plan
    scores: Scores
    diagnoses: pl.DataFrame

    def pictures(self) -> list[dict[str, Any]]:
        figures = self.plan.shows.figures
        return pictures(figures, self.scores, self.plan.shown(), self.diagnoses)

    def figures(self) -> Iterator[FigureDefinition]:
        for kind in PLACES:
            yield from (each for each in self.plan.shows.figures if each.kind == kind)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    plan = make_study(folder, samples=5, models=("nano-mamba2", "nano-llama"))
    estimates = read_estimates(folder / "nano/estimates.parquet")
    diagnoses = read_diagnoses(folder / "nano/diagnosis.parquet", plan.grid())
    return Made(folder / "nano", plan, Scores(estimates, plan.grid()), diagnoses)


def drawn(made: Made, figure: FigureDefinition) -> list[dict[str, Any]]:
    """The rows of the chart that the figure is."""
    models = made.plan.shown()
    chart = (
        EXPLAIN[figure.kind](made.diagnoses, made.plan.grid(), models, figure)
        if figure.kind in EXPLAIN
        else DRAW[figure.kind](made.scores, models, figure)
    )
    rows: list[dict[str, Any]] = chart.to_dict(validate=False)["data"]["values"]
    return rows


def test_pictures_have_the_points_of_the_figures_in_their_order(made: Made) -> None:
    labels = {model.name: model.label for model in made.plan.shown()}
    found = made.pictures()
    assert [picture["kind"] for picture in found] == list(PLACES)
    for picture, figure in zip(found, made.figures(), strict=True):
        names = PLACES[picture["kind"]]
        rows = drawn(made, figure)
        assert len(picture["points"]) == len(rows) > 4
        for (model, *point, _), row in zip(picture["points"], rows, strict=True):
            place = [labels[model], *point[: len(names) - 1]]
            assert list(map(str, place)) == [str(row[name]) for name in names]
            *shares, count = point[-len(TOLD) :]
            told = [*(100 * share for share in shares), count]
            assert told == pytest.approx([row[name] for name in TOLD], rel=1e-12)


def behind(made: Made, address: str) -> pl.DataFrame:
    """The answers that an address lists, as the page looks them up."""
    path, _, query = address.partition("?")
    filters = dict(parse_qsl(query))
    assert filters.pop("show") == "samples"
    scores = pl.read_parquet(made.folder / "scores.parquet")
    place = ["model", "suite", "length", "task", "index"]
    rows = scores.join(made.diagnoses.select(*place, "distance"), on=place)
    for name, value in zip(place, path.split("/"), strict=False):
        rows = rows.filter(pl.col(name).cast(pl.String) == value)
    for name, value in filters.items():
        if name == "distance":
            ends = [each is not None and range_of(each)[1] == int(value) for each in rows[name]]
            rows = rows.filter(pl.Series(ends, dtype=pl.Boolean))
        else:
            column = {"tasks": "task"}.get(name, name)
            rows = rows.filter(pl.col(column).cast(pl.String).is_in(value.split(",")))
    return rows


def test_a_point_opens_as_many_samples_as_it_counts_and_those_of_its_score(made: Made) -> None:
    """Every task has as many samples, so the mean of the samples is the mean over the tasks."""
    for picture in made.pictures():
        for *_, mean, _, _, count, address in picture["points"]:
            rows = behind(made, address)
            assert rows.height == count, address
            assert fmean(rows["score"].fill_null(0.0)) == pytest.approx(mean, rel=1e-12), address


def test_what_is_not_computed_is_left_out_and_named(made: Made) -> None:
    there = read_estimates(made.folder / "estimates.parquet")
    some = [each for each in there if (each.model, each.length) != ("nano-llama", 512)]
    found = made._replace(scores=Scores(some, made.plan.grid())).pictures()
    assert {picture["missing"][0] for picture in found} == {
        f"Llama, suite {suite}, at 512 tokens" for suite in ("ruler", "depth")
    }
    for picture in found:
        places = {(model, length) for model, length, *_ in picture["points"]}
        assert ("nano-llama", 512) not in places
        assert {("nano-mamba2", 512), ("nano-llama", 256)} <= places


def test_a_study_without_figures_has_no_pictures(made: Made) -> None:
    assert pictures((), made.scores, made.plan.shown(), made.diagnoses) == []


def test_models_look_as_in_the_figures() -> None:
    labels = [f"model {number}" for number in range(40)]
    shown = charts.looks(labels)
    for name, part in {"color": "colour", "strokeDash": "dash", "shape": "shape"}.items():
        wanted = shown[name].to_dict()["scale"]["range"]
        assert [list(value) if part == "dash" else value for value in wanted] == [
            list(looks(place)[part]) if part == "dash" else looks(place)[part]
            for place in range(len(labels))
        ]


def test_lengths_are_coloured_as_in_the_figures(made: Made) -> None:
    (figure,) = (each for each in made.figures() if each.kind == "distance_curve")
    models = made.plan.shown()
    chart = EXPLAIN["distance_curve"](made.diagnoses, made.plan.grid(), models, figure)
    layer = chart.to_dict(validate=False)["spec"]["layer"][0]
    picture = made.pictures()[-1]
    assert picture["shades"] == layer["encoding"]["color"]["scale"]["range"]


@pytest.mark.parametrize(
    ("tasks", "filters", "wanted"),
    [
        (("vt",), (), "m/ruler/128/vt?show=samples"),
        (("vt",), ("distance=64",), "m/ruler/128/vt?show=samples&distance=64"),
        (("vt", "cwe"), (), "m/ruler/128?tasks=vt,cwe&show=samples"),
    ],
)
def test_addresses_of_samples(
    made: Made, tasks: tuple[str, ...], filters: tuple[str, ...], wanted: str
) -> None:
    sources = [Source("ruler", task, 128) for task in tasks]
    assert samples("m", sources, made.plan.grid(), *filters) == wanted
