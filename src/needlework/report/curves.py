"""Scores against length: how far each model reads, and what is kept beyond its training.

Colours and files come from `charts`, estimates from `layout`.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt

from needlework.analysis.controls import Controlled, whole
from needlework.analysis.effective_length import retention
from needlework.analysis.training_runs import runs_of
from needlework.report.charts import estimate_tips, looks, spoken
from needlework.report.composition import (
    COLUMN,
    INK,
    TEXT,
    Point,
    answers,
    framed,
    heading,
    length_axis,
    names_at_ends,
)
from needlework.report.runs import bands, of_recipes, over_runs, thin_lines
from needlework.scores.estimates import Scores
from needlework.statistics.means import Estimate
from needlework.study.controls import LABELS
from needlework.study.definitions import FigureDefinition, Name
from needlework.study.selection import needs, row_lengths, selected
from needlework.study.shown import ShownModel
from needlework.tasks.controls import Control

TIMES = (1, 2, 4, 8, 16)
MOST_KEPT = 1.2
"""Where the axis of what is kept ends; what is above is drawn at its end."""
BAND = 0.25
"""How much of its colour a band has: seen on paper, and lines are seen through it."""

MARKS: Mapping[Control, tuple[str, str]] = {
    "truncated": ("triangle-down", "pointing down"),
    "no-haystack": ("triangle-up", "pointing up"),
    "no-needle": ("M-1,-1L1,1M-1,1L1,-1", "a cross"),
}
"""How each control is marked, and what the mark is called."""


def length_curve(
    scores: Scores,
    models: Sequence[ShownModel],
    figure: FigureDefinition,
    controls: Sequence[Controlled] = (),
) -> alt.TopLevelMixin:
    """A suite's score by length with its interval; one line per model.

    The scores of its controls are marked, where the suite as a whole has them.
    """
    marked = list(_marked(scores, models, figure, controls))
    lengths = sorted({cell.length for cell in needs(figure, scores.grid, models)})
    rows, runs = over_runs(models, lambda model: list(_points(scores, model, figure)), at="length")
    look = looks([each[0].label for each in runs_of(models)])
    x = alt.X(
        "length:Q",
        title="context length (tokens)",
        scale=alt.Scale(type="log", base=2),
        axis=length_axis(lengths),
    )
    every = alt.Chart().encode(x=x, color=look["color"])
    base = of_recipes(every, marked=bool(marked), runs=bool(runs))
    mean = alt.Y(
        "mean:Q", title=f"{spoken(figure.suite)} score (%)", scale=alt.Scale(domain=[0, 100])
    )
    marks, told = _trained(models, lengths, base.encode(y=mean))
    chart = alt.layer(
        base.mark_area(opacity=BAND).encode(y="low:Q", y2="high:Q"),
        *thin_lines(every, mean, look, runs),
        base.mark_line(strokeWidth=1.5).encode(y=mean, strokeDash=look["strokeDash"]),
        base.mark_point(filled=True, size=30, opacity=1).encode(
            y=mean, shape=look["shape"], tooltip=estimate_tips("label:N", "length:Q", "trained:Q")
        ),
        *marks,
        *_marks(every, mean, marked),
        names_at_ends(rows, x=x, value="mean", color=look["color"], height=150, top=100),
        data=alt.Data(values=[*rows, *runs, *marked]),
    )
    shown = tasks(scores, figure)
    mean_of = f"Mean over {len(shown)} tasks; " if len(shown) > 1 else ""
    notes = [f"{mean_of}{answers(rows, 'point')}", bands(rows, runs), *told]
    notes += _told_of(marked)
    title = f"{spoken(figure.suite)} score of each model by context length"
    return framed(chart, width=TEXT, height=240).properties(title=heading(title, *notes))


def _trained(
    models: Sequence[ShownModel], lengths: Sequence[int], points: alt.Chart
) -> tuple[list[alt.Chart | alt.LayerChart], list[str]]:
    """What marks the training lengths, and what has to be said of it.

    One that all models share is a line with its name; where they differ, points have rings.
    """
    trained = {model.trained_length for model in models}
    if len(trained) > 1:
        ring = points.mark_point(shape="circle", size=110, strokeWidth=1.2, opacity=1)
        return [ring.transform_filter("datum.length == datum.trained")], ["Rings: training length."]
    if not lengths or not min(lengths) <= min(trained) <= max(lengths):
        return [], [f"Trained at {min(trained):,} tokens."]
    base = alt.Chart(alt.Data(values=[{"length": min(trained)}])).encode(x="length:Q")
    line = base.mark_rule(strokeDash=[4, 3], color=INK)
    name = base.mark_text(dy=-5, color=INK, text="training length").encode(y=alt.value(0))
    return [line, name], []


def _marked(
    scores: Scores,
    models: Sequence[ShownModel],
    figure: FigureDefinition,
    controls: Sequence[Controlled],
) -> Iterator[dict[str, str | float]]:
    """The measured controls of what a figure shows, which is all tasks of a suite or nothing."""
    if tasks(scores, figure) != scores.suite(figure.suite).names():
        return
    by_name = {model.name: model for model in models}
    for line in whole(controls):
        if line.suite == figure.suite and line.length in computed(
            scores, figure, by_name[line.model]
        ):
            model = by_name[line.model]
            for beside in line.controls:
                if beside.score and beside.state == "measured":
                    yield {
                        "label": model.label,
                        "family": model.family,
                        "length": line.length,
                        "trained": model.trained_length,
                        "control": LABELS[beside.control],
                        "mean": 100 * beside.score.value,
                        "low": 100 * beside.score.low,
                        "high": 100 * beside.score.high,
                    }


def _marks(
    base: alt.Chart, mean: alt.Y, marked: Sequence[Mapping[str, str | float]]
) -> Iterator[alt.Chart]:
    """A layer for each control that is marked."""
    for control, (shape, _) in MARKS.items():
        if any(row["control"] == LABELS[control] for row in marked):
            yield (
                base.mark_point(shape=shape, filled=False, size=36, strokeWidth=1.2, opacity=1)
                .encode(y=mean, tooltip=estimate_tips("label:N", "length:Q", "control:N")[:-1])
                .transform_filter(f"datum.control == '{LABELS[control]}'")
            )


def _told_of(marked: Sequence[Mapping[str, str | float]]) -> list[str]:
    """What the marks mean, in a sentence, where there are any."""
    there = {row["control"] for row in marked}
    told = [f"{LABELS[one]} ({mark})" for one, (_, mark) in MARKS.items() if LABELS[one] in there]
    return [f"Open marks: {', '.join(told)}."] if told else []


def retention_curve(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Share of the score kept at multiples of the training length; one line per model."""
    rows, runs = over_runs(models, lambda model: list(_kept(scores, model, figure)), at="times")
    look = looks([each[0].label for each in runs_of(models)])
    x = alt.X(
        "times:Q",
        title="times the training length",
        scale=alt.Scale(type="log", base=2),
        axis=alt.Axis(values=sorted({row["times"] for row in rows}), labelExpr="datum.value + 'x'"),
    )
    every = alt.Chart().encode(x=x, color=look["color"])
    base = of_recipes(every, marked=False, runs=bool(runs))
    top = min(MOST_KEPT, max([1.0, *(float(row["high"]) for row in rows)]))
    share = alt.Scale(domain=[0, top], clamp=True, nice=False)
    kept = alt.Y("kept:Q", title="share kept", scale=share, axis=alt.Axis(format=".1f"))
    tips = [
        alt.Tooltip("label:N"),
        alt.Tooltip("times:Q"),
        alt.Tooltip("kept:Q", title="share kept", format=".3f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
    ]
    chart = alt.layer(
        base.mark_area(opacity=BAND).encode(y=alt.Y("low:Q", scale=share), y2="high:Q"),
        *thin_lines(every, kept, look, runs),
        base.mark_line(strokeWidth=1.5).encode(y=kept, strokeDash=look["strokeDash"]),
        base.mark_point(filled=True, size=24, opacity=1).encode(
            y=kept, shape=look["shape"], tooltip=tips
        ),
        names_at_ends(rows, x=x, value="kept", color=look["color"], height=120, top=top),
        data=alt.Data(values=[*rows, *runs]),
    )
    name = spoken(figure.suite)
    notes = f"Over the {name} score at the training length; {answers(rows, 'score')}"
    return framed(chart, width=COLUMN, height=210).properties(
        title=heading(f"{name} score kept", notes, bands(rows, runs), width=COLUMN)
    )


def tasks(scores: Scores, figure: FigureDefinition) -> list[Name]:
    """The tasks of which a figure shows the mean."""
    return [task.name for task in selected(figure, scores.suite(figure.suite))]


def computed(scores: Scores, figure: FigureDefinition, model: ShownModel) -> list[int]:
    """The lengths at which a figure shows a model, without those that are missing."""
    there = scores.computed(model, figure.suite)
    return [n for n in row_lengths(figure, scores.suite(figure.suite), model) if n in there]


def _points(scores: Scores, model: ShownModel, figure: FigureDefinition) -> Iterator[Point]:
    for length in computed(scores, figure, model):
        found = scores.mean(model, figure.suite, tasks(scores, figure), length)
        yield _point(found, model, length)


def _point(found: Estimate, model: ShownModel, length: int) -> Point:
    """One model at one length, in percent."""
    return {
        "label": model.label,
        "family": model.family,
        "length": length,
        "trained": model.trained_length,
        "mean": 100 * found.mean,
        "low": 100 * found.low,
        "high": 100 * found.high,
        "count": found.count,
    }


def _kept(scores: Scores, model: ShownModel, figure: FigureDefinition) -> Iterator[Point]:
    by_length = {
        length: scores.mean(model, figure.suite, tasks(scores, figure), length)
        for length in computed(scores, figure, model)
    }
    for times in TIMES:
        found = retention(by_length, trained=model.trained_length, times=times)
        if found is not None:
            kept, low, high = found if times > 1 else (1.0, 1.0, 1.0)
            count = by_length[times * model.trained_length].count
            yield {
                "label": model.label,
                "times": times,
                "kept": kept,
                "low": low,
                "high": min(high, 2.0),
                "count": count,
            }
