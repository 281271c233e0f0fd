"""Scores against length: how far each architecture reads, and what is kept beyond the training.

Colours and files come from `charts`, estimates from `layout`.
"""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt

from needlework.analysis.controls import Controlled, whole
from needlework.analysis.effective_length import retention
from needlework.report.charts import estimate_tips, looks, spoken
from needlework.scores.estimates import Scores
from needlework.statistics.means import Estimate
from needlework.study.config import ShownModel
from needlework.study.controls import LABELS
from needlework.study.definitions import FigureDefinition, Name
from needlework.study.selection import needs, row_lengths, selected
from needlework.tasks.controls import Control

FAMILIES = ("linear", "hybrid", "attention", "unknown")
TIMES = (1, 2, 4, 8, 16)
MOST_KEPT = 1.2
"""Where the axis of what is kept ends; what is above is drawn at its end."""

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
    """A suite's score by length with its interval; one panel per family, one line per model.

    The scores of its controls are marked, where the suite as a whole has them.
    """
    marked = list(_marked(scores, models, figure, controls))
    lengths = sorted({cell.length for cell in needs(figure, scores.grid, models)})
    rows = [*_points(scores, models, figure), *marked]
    look = looks([model.label for model in models])
    every = alt.Chart().encode(
        x=alt.X(
            "length:Q",
            title="context length (tokens)",
            scale=alt.Scale(type="log", base=2),
            axis=alt.Axis(values=lengths, format="d"),
        ),
        color=look["color"],
    )
    base = every.transform_filter("!datum.control") if marked else every
    name = f"{spoken(figure.suite)} score (%)"
    mean = alt.Y("mean:Q", title=name, scale=alt.Scale(domain=[0, 100]))
    trained = alt.Chart().mark_rule(strokeDash=[4, 3], color="#777777")
    panel = alt.layer(
        trained.encode(x="max(trained):Q", detail="label:N"),
        base.mark_area(opacity=0.12).encode(y="low:Q", y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=mean, strokeDash=look["strokeDash"]),
        base.mark_point(filled=True, size=55, opacity=1).encode(
            y=mean,
            shape=look["shape"],
            tooltip=estimate_tips("label:N", "length:Q", "trained:Q"),
        ),
        base.mark_point(shape="circle", size=200, strokeWidth=1.5, opacity=1)
        .encode(y=mean)
        .transform_filter("datum.length == datum.trained"),
        *_marks(every, mean, marked),
        data=alt.Data(values=rows),
    ).properties(width=210, height=220)
    families = [each for each in FAMILIES if any(model.family == each for model in models)]
    return panel.facet(
        column=alt.Column("family:N", title=None, sort=families),
        spacing=36,
        title=_titled(
            "How far each architecture reads (ringed: training length; bands: 95 % interval)",
            marked,
        ),
    )


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
                base.mark_point(shape=shape, filled=False, size=70, strokeWidth=1.5, opacity=1)
                .encode(y=mean, tooltip=estimate_tips("label:N", "length:Q", "control:N")[:-1])
                .transform_filter(f"datum.control == '{LABELS[control]}'")
            )


def _titled(title: str, marked: Sequence[Mapping[str, str | float]]) -> str | alt.TitleParams:
    """The title and, where there are marks, what they mean."""
    there = {row["control"] for row in marked}
    told = [f"{LABELS[one]} ({mark})" for one, (_, mark) in MARKS.items() if LABELS[one] in there]
    return alt.TitleParams(title, subtitle=f"Open marks: {', '.join(told)}.") if told else title


def retention_curve(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> alt.TopLevelMixin:
    """Share of the score kept at multiples of the training length; one panel per model."""
    rows = list(_kept(scores, models, figure))
    base = alt.Chart().encode(
        x=alt.X(
            "times:Q",
            title="times the training length",
            scale=alt.Scale(type="log", base=2, nice=False, padding=20),
            axis=alt.Axis(values=sorted({row["times"] for row in rows}), format="d"),
        ),
    )
    share = alt.Scale(domain=[0, MOST_KEPT], clamp=True)
    tips = [
        alt.Tooltip("label:N"),
        alt.Tooltip("times:Q"),
        alt.Tooltip("kept:Q", title="share kept", format=".3f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
    ]
    kept = f"{spoken(figure.suite)} score kept beyond the training length"
    panel = alt.layer(
        base.mark_area(opacity=0.2).encode(y=alt.Y("low:Q", scale=share), y2="high:Q"),
        base.mark_line(point=True).encode(
            y=alt.Y("kept:Q", title="share kept", scale=share), tooltip=tips
        ),
        base.mark_text(dy=-9, dx=9, fontSize=9).encode(
            y=alt.Y("kept:Q", scale=share), text=alt.Text("kept:Q", format=".2f")
        ),
        data=alt.Data(values=rows),
    ).properties(width=150, height=120)
    return panel.facet(
        facet=alt.Facet("label:N", title=None, sort=[model.label for model in models]),
        columns=3,
        title=f"{kept} (bands: 95 % interval)",
    )


def tasks(scores: Scores, figure: FigureDefinition) -> list[Name]:
    """The tasks of which a figure shows the mean."""
    return [task.name for task in selected(figure, scores.suite(figure.suite))]


def computed(scores: Scores, figure: FigureDefinition, model: ShownModel) -> list[int]:
    """The lengths at which a figure shows a model, without those that are missing."""
    there = scores.computed(model, figure.suite)
    return [n for n in row_lengths(figure, scores.suite(figure.suite), model) if n in there]


def _points(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> Iterator[dict[str, str | float]]:
    for model in models:
        for length in computed(scores, figure, model):
            found = scores.mean(model, figure.suite, tasks(scores, figure), length)
            yield _point(found, model, length)


def _point(found: Estimate, model: ShownModel, length: int) -> dict[str, str | float]:
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


def _kept(
    scores: Scores, models: Sequence[ShownModel], figure: FigureDefinition
) -> Iterator[dict[str, str | float]]:
    for model in models:
        by_length = {
            length: scores.mean(model, figure.suite, tasks(scores, figure), length)
            for length in computed(scores, figure, model)
        }
        for times in TIMES:
            found = retention(by_length, trained=model.trained_length, times=times)
            if found is not None:
                kept, low, high = found if times > 1 else (1.0, 1.0, 1.0)
                yield {
                    "label": model.label,
                    "times": times,
                    "kept": kept,
                    "low": low,
                    "high": min(high, 2.0),
                }
