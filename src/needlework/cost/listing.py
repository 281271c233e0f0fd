"""The cost of a study as text for people and as JSON for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from needlework.cost.devices import (
    DEVICES,
    READING,
    READING_OTHERWISE,
    WRITING,
    DeviceName,
)
from needlework.cost.estimate import LEAST_MINUTES, ROOM, SAFETY
from needlework.cost.launches import BLOCK, LAUNCHED, REPLAYED
from needlework.cost.measured import Measured
from needlework.cost.room import UNSEEN
from needlework.cost.starting import assumed_of_starts
from needlework.cost.study import PlannedCell

COLUMNS = (
    ("model", -17),
    ("suite", -5),
    ("length", 6),
    ("read", 7),
    ("shared", 6),
    ("memory", 7),
    ("rows", 4),
    ("hours", 6),
    ("split", 8),
    ("peak", 6),
    ("bound", -13),
)
"""Titles and widths; negative ones are set flush left."""
HOURS = ("reading_hours", "writing_hours", "starting_hours", "hours", "hours_at_peak")
LEGEND = (
    "read: prompt tokens to compute; shared: share of all prompt tokens that is not computed again",
    "memory: peak on the device; rows: answers written together",
    "split: percent of the hours that prompts are read, answers written and jobs started",
    "peak: hours of reading and writing at the peaks of the device; `-` where none is known",
    "bound: what takes most of the hours, and the share of its peak that is assumed or measured",
)
MEASURED = (
    ("model", -22),
    ("suite", -5),
    ("length", 6),
    ("estimated s", 11),
    ("measured s", 10),
    ("ratio", 6),
    ("estimated MB", 12),
    ("measured MB", 11),
    ("ratio", 6),
)


def lines(cells: Sequence[PlannedCell]) -> Iterator[str]:
    """The table: a line for every cell, a sum for every model and one for the study."""
    columns = _wide_enough(COLUMNS, cells)
    yield _line(columns, [title for title, _ in columns])
    for model in dict.fromkeys(cell.model for cell in cells):
        own = [cell for cell in cells if cell.model == model]
        for cell in own:
            yield _line(columns, [model, cell.suite, str(cell.length), *_numbers([cell])])
        yield _line(columns, [model, "all", "", *_numbers(own)])
    yield _line(columns, ["all models", "all", "", *_numbers(cells)])
    yield from LEGEND


def _wide_enough(
    columns: Sequence[tuple[str, int]], cells: Sequence[PlannedCell]
) -> list[tuple[str, int]]:
    """The columns with room for the longest names of models and suites."""
    longest = {
        "model": max((len(cell.model) for cell in cells), default=0),
        "suite": max((len(cell.suite) for cell in cells), default=0),
    }
    return [
        (name, min(width, -longest[name]) if name in longest else width) for name, width in columns
    ]


def spent(cells: Sequence[PlannedCell]) -> str:
    """What all cells take, and what of it goes into reading, writing and starting, in words."""
    total = totals(cells)
    parts = ("reading prompts", "writing answers", "starting jobs")
    split = (f"{duration(total[key])} of {part}" for key, part in zip(HOURS, parts, strict=False))
    peak = total["hours_at_peak"]
    least = f"; {duration(peak)} of reading and writing at the device's peaks" if peak else ""
    return f"{duration(total['hours'])} on one device: {', '.join(split)}{least}"


def duration(hours: float) -> str:
    """Hours in words, below one in minutes."""
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def measured_lines(found: Sequence[tuple[PlannedCell, Measured]]) -> Iterator[str]:
    """Estimates beside what jobs took, cell by cell; a ratio above 1 means we said too much."""
    yield _line(MEASURED, [title for title, _ in MEASURED])
    for cell, job in found:
        seconds = 3600 * cell.hours
        place = [cell.model, cell.suite, str(cell.length)]
        times = [f"{seconds:.1f}", f"{job.seconds:.1f}", f"{seconds / job.seconds:.2f}"]
        yield _line(MEASURED, [*place, *times, str(cell.memory_mb), *_measured_memory(cell, job)])


def _measured_memory(cell: PlannedCell, job: Measured) -> list[str]:
    """The peak and its ratio; dashes for a job that was over before anybody looked."""
    if not job.memory_mb:
        return ["-", "-"]
    return [str(job.memory_mb), f"{cell.memory_mb / job.memory_mb:.2f}"]


def totals(cells: Sequence[PlannedCell]) -> dict[str, Any]:
    """Sums over cells, by name."""
    return {
        "cells": len(cells),
        "prompt_tokens": sum(cell.prompt_tokens for cell in cells),
        "shared_tokens": sum(cell.shared_tokens for cell in cells),
        "answer_tokens": sum(cell.answer_tokens for cell in cells),
        "flops": sum(cell.flops for cell in cells),
        **{name: _sum(getattr(cell, name) for cell in cells) for name in HOURS},
    }


def _sum(hours: Iterable[float | None]) -> float | None:
    """None where one of them is not known."""
    found = list(hours)
    known = [each for each in found if each is not None]
    return sum(known) if len(known) == len(found) else None


def assumptions(
    used: Sequence[DeviceName], *, calibrated: Sequence[str], counted: int, cells: int
) -> list[str]:
    """What the numbers rest on, one sentence each."""
    said = [f"{name}: {DEVICES[name].source}" for name in used]
    on_gpu = any(DEVICES[name].kind == "cuda" for name in used)
    said += calibrated
    if on_gpu and not calibrated:
        slow = ", ".join(f"{share:.0%} for {family}" for family, share in READING.items())
        said.append(
            f"assumed: prompts are read at {READING_OTHERWISE:.0%} of the peak ({slow}), answers "
            f"written at {WRITING:.0%} of the bandwidth; nothing here was calibrated on a GPU"
        )
        said.append(
            f"assumed: a step replays its launches, as many as were counted, at {REPLAYED * 1e6:g} "
            f"us each, and {UNSEEN} steps take the host {BLOCK * 1e6:g} us; launched one by one, "
            f"each would take {LAUNCHED * 1e6:g} us"
        )
    if on_gpu:
        said.append(
            "assumed: where many prompts begin alike, the keys of that are in memory once, and "
            "read once a step for all rows by a kernel of our own, which needs triton"
        )
    said.append(assumed_of_starts(on_gpu=on_gpu))
    said.append("assumed: every answer is as long as its task allows, so writing is an upper bound")
    how = (
        "counted in the datasets" if counted == cells else f"counted in {counted} of {cells} cells"
    )
    rest = (
        ""
        if counted == cells
        else ("; expected elsewhere: prompts agree up to their first needle" if counted else "")
    )
    said.append(
        f"tokens: {how}{rest}"
        if counted
        else "tokens: expected, prompts agree up to their first "
        "needle; --exact counts them where datasets exist"
    )
    said.append(
        f"a job asks the scheduler for {SAFETY:g} times the hours (at least {LEAST_MINUTES} min) "
        f"and {ROOM:g} times the memory"
    )
    return said


def document(
    study: str,
    cells: Sequence[PlannedCell],
    *,
    said: Sequence[str],
    undescribed: Sequence[str],
    disk: int,
) -> dict[str, Any]:
    """The same as data: hours, bytes and FLOPs in plain numbers."""
    return {
        "study": study,
        "assumptions": list(said),
        "undescribed": list(undescribed),
        "disk_bytes": disk,
        "totals": totals(cells),
        "cells": [cell.model_dump(mode="json") for cell in cells],
    }


def _numbers(cells: Sequence[PlannedCell]) -> list[str]:
    total = totals(cells)
    asked = total["prompt_tokens"]
    rows = {cell.rows for cell in cells}
    return [
        _short(asked - total["shared_tokens"]),
        f"{total['shared_tokens'] / max(1, asked):.0%}",
        f"{max((cell.memory_mb for cell in cells), default=0) / 1000:.1f} GB",
        str(min(rows)) if len(rows) == 1 else "",
        _hours(total["hours"]),
        _split(total),
        _hours(total["hours_at_peak"]),
        _bound(cells),
    ]


def _split(total: Mapping[str, Any]) -> str:
    parts = (total[name] for name in HOURS[:3])
    return "/".join(f"{100 * each / (total['hours'] or 1):.0f}" for each in parts)


def _hours(hours: float | None) -> str:
    if hours is None:
        return "-"
    return f"{hours:.3f}" if hours < 1 else f"{hours:.2f}"


def _bound(cells: Sequence[PlannedCell]) -> str:
    """What bounds all of these alike, and how near they are taken to come to it."""
    found = {(cell.bound, cell.bound_share) for cell in cells}
    if len(found) != 1:
        return ""
    ((bound, share),) = found
    return bound if share is None else f"{bound} {share:.0%}"


def _short(tokens: float) -> str:
    """A count of tokens in thousands or millions."""
    return f"{tokens / 1e6:.1f} M" if tokens >= 1e6 else f"{tokens / 1e3:.1f} k"


def _line(columns: Sequence[tuple[str, int]], words: Sequence[str]) -> str:
    shown = (
        word.ljust(-width) if width < 0 else word.rjust(width)
        for (_, width), word in zip(columns, words, strict=True)
    )
    return "  ".join(shown).rstrip()
