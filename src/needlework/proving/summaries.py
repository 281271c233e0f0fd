"""What each step has found, in one line of progress."""

from collections.abc import Callable

from needlework.proving.records import (
    BatchAnswers,
    BesidePrefix,
    Built,
    Checks,
    Facts,
    LongRead,
    Peaks,
    Replayed,
    Result,
    Speed,
    StepRecord,
)

GIB = 1 << 30


def summary(record: StepRecord) -> str:
    """What a finished step found, in half a line."""
    result = record.result
    if result is None:
        return record.error or "nothing"
    return _SUMMARIES[type(result)](result)


def facts_told(facts: Facts) -> str:
    """The machine."""
    parts = [facts.name]
    if facts.capability:
        parts.append(f"compute capability {facts.capability}, driver {facts.driver or 'unknown'}")
    parts += [f"{facts.memory / GIB:.0f} GiB", f"Python {facts.python}", f"torch {facts.torch}"]
    parts += [f"CUDA {facts.cuda}"] if facts.cuda else []
    return ", ".join([*parts, f"triton {facts.triton}" if facts.triton else "no triton"])


def _checks(found: Checks) -> str:
    wrong = sum(not check.passed for check in found.checks)
    worst = found.worst
    said = f"{len(found.checks) - wrong} of {len(found.checks)} calls agree"
    return (
        f"{said}, the farthest by {worst.difference:.2g} of the largest number "
        f"({worst.dtype}, {worst.tokens} tokens; allowed {worst.allowed:.2g})"
    )


def peaks_told(found: Peaks) -> str:
    """The peaks that were reached."""
    return f"{_rate(found.flops)}FLOP/s in {found.dtype}, {_rate(found.bandwidth)}B/s copied"


def _speed(found: Speed) -> str:
    parts = []
    if found.reading:
        last = found.reading[-1]
        parts.append(f"reads {last.tokens_per_second:,.0f} tokens/s at {last.length:,}")
    for each in found.writing:
        wrote = each.tokens_per_second
        told = "does not fit" if wrote is None else f"{wrote:,.0f} tokens/s"
        parts.append(f"writes with {rows_told(each.rows)}: {told}")
    return ", ".join([*parts, f"longest context {longest_told(found)}"])


def _long_read(found: LongRead) -> str:
    peak = found.peak_bytes
    beside = "" if peak is None else f", {peak / GIB:.1f} GiB at the peak"
    return f"{found.tokens:,} tokens in {found.seconds:.1f} s{beside}"


def _batches(found: BatchAnswers) -> str:
    shares = [f"{share_told(found, rows)} with {rows_told(rows)}" for rows in found.differing]
    return f"answers that differ from those of one row: {', '.join(shares)}"


def _replayed(found: Replayed) -> str:
    launched, replayed = 1000 * found.launched_seconds, 1000 * found.replayed_seconds
    if not found.recorded:
        return f"nothing is recorded here: {launched:.2g} ms a step with {rows_told(found.rows)}"
    said = f"{found.differing} of {found.tokens} tokens differ, logits by {found.difference:.2g}"
    return f"{said}; {launched:.2g} ms a step launched, {replayed:.2g} replayed"


def _beside(found: BesidePrefix) -> str:
    copied, beside = 1000 * found.copied_seconds, 1000 * found.beside_seconds
    said = f"logits differ by {found.difference:.2g} with {rows_told(found.rows)}"
    if not found.in_place:
        return f"{said}; a prefix is copied here"
    return f"{said}; {copied:.2g} ms a step with keys of their own, {beside:.2g} beside a prefix"


def built_told(found: Built) -> str:
    """What was compiled."""
    return f"compiled for {found.architecture}, {found.bytes / (1 << 20):.1f} MiB"


_SUMMARIES: dict[type[Result], Callable[..., str]] = {
    Facts: facts_told,
    Checks: _checks,
    Peaks: peaks_told,
    Speed: _speed,
    LongRead: _long_read,
    BatchAnswers: _batches,
    Replayed: _replayed,
    BesidePrefix: _beside,
    Built: built_told,
}


def longest_told(found: Speed) -> str:
    """The longest context that fits."""
    if found.longest is None:
        return "any length"
    return f"{'at least ' if found.at_least else ''}{found.longest:,}"


def rows_told(count: int) -> str:
    """So many rows, in words."""
    return f"{count} row{'' if count == 1 else 's'}"


def share_told(found: BatchAnswers, rows: int) -> str:
    """The share of answers that batches of so many rows change."""
    return f"{found.differing[rows] / found.prompts:.0%}"


def _rate(number: float) -> str:
    """A number with the letter of its thousands."""
    return f"{number / 1e12:.1f} T" if number >= 1e12 else f"{number / 1e9:.1f} G"
