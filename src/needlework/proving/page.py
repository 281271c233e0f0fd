"""What was found, as one page of Markdown."""

from collections.abc import Callable, Iterator, Sequence

from needlework.proving.records import (
    BatchAnswers,
    BesidePrefix,
    Built,
    Checks,
    Facts,
    LongRead,
    Peaks,
    PromptSpeed,
    Proof,
    Replayed,
    Speed,
    StepRecord,
)
from needlework.proving.steps import short
from needlework.proving.summaries import (
    GIB,
    built_told,
    facts_told,
    longest_told,
    peaks_told,
    rows_told,
    share_told,
)

TOY = (
    "**No GPU: toy sizes on the CPU; nothing here speaks of a GPU.** The decoders are those of the "
    "nano models, with random weights."
)


def markdown(proof: Proof) -> str:
    """The whole page."""
    parts = ["# What `needlework prove` found"]
    if proof.toy:
        parts.append(TOY)
    parts += [part for section in _SECTIONS for part in section(proof)]
    parts += _outcomes(proof.steps)
    return "\n\n".join(parts) + "\n"


def _machine(proof: Proof) -> Iterator[str]:
    for facts in proof.results:
        if isinstance(facts, Facts):
            packages = [f"{name} {state}" for name, state in facts.packages.items()]
            yield f"Machine: {facts_told(facts)}. Packages: {', '.join(packages)}."
    for built in proof.results:
        if isinstance(built, Built):
            yield f"causal-conv1d was {built_told(built)}, forward pass alone."
    for peaks in proof.results:
        if isinstance(peaks, Peaks):
            yield f"Peaks: {peaks_told(peaks)}."


def _checked(proof: Proof) -> Iterator[str]:
    """Layers against float64, and long calls against short ones."""
    for what, title, said in (
        (
            "prompt",
            "Layers against float64",
            "A call, a padded continuation and single tokens, after earlier tokens; outputs and "
            "final states; decays of 0.99 to 0.999. The largest difference over the largest "
            "number, and the same for torch alone.",
        ),
        (
            "pieces",
            "One long call against pieces by torch",
            "Outputs of every token and the final state, decays as above.",
        ),
    ):
        rows = [
            [
                found.layer,
                ", ".join(sorted(set(found.kernels.values()))),
                check.dtype,
                f"{check.tokens:,}",
                f"{check.difference:.1e}",
                f"{check.by_torch:.1e}" if what == "prompt" else "",
                f"{check.allowed:.1e}",
                "yes" if check.passed else "**no**",
            ]
            for found in proof.results
            if isinstance(found, Checks)
            for check in found.checks
            if check.what == what
        ]
        if rows:
            titles = "layer|computed by|dtype|tokens|differs by|torch|allowed|agrees"
            yield f"## {title}\n\n{said}"
            yield _table(titles, rows, right=4)


def _speeds(proof: Proof) -> Iterator[str]:
    if not proof.speeds:
        return
    peak = proof.peaks.flops if proof.peaks else None
    lengths = sorted({each.length for found in proof.speeds for each in found.reading})
    yield (
        "## Reading\n\nTokens a second, in brackets the share of the measured peak of matrix "
        "products; then the most memory of any length. Random weights, the engine's calls."
    )
    yield _table(
        "|".join(["model", "dtype", *(f"{length:,} tokens" for length in lengths), "memory"]),
        [
            [_names(found), found.dtype, *_by_length(found, lengths, peak), _most(found.reading)]
            for found in proof.speeds
        ],
        right=2,
    )
    rows = sorted({each.rows for found in proof.speeds for each in found.writing})
    yield (
        f"## Writing\n\nTokens a second of all rows together, after {proof.speeds[0].context:,} "
        "tokens each; then the longest context of one row, tried."
    )
    yield _table(
        "|".join(["model", "dtype", *map(rows_told, rows), "longest context"]),
        [
            [_names(found), found.dtype, *_by_rows(found, rows), longest_told(found)]
            for found in proof.speeds
        ],
        right=2,
    )


def _by_length(found: Speed, lengths: Sequence[int], peak: float | None) -> Iterator[str]:
    known = {each.length: each for each in found.reading}
    for length in lengths:
        each = known.get(length)
        share = f" ({each.flops / peak:.0%})" if each and peak else ""
        yield f"{each.tokens_per_second:,.0f}{share}" if each else "does not fit"


def _by_rows(found: Speed, rows: Sequence[int]) -> Iterator[str]:
    known = {each.rows: each.tokens_per_second for each in found.writing}
    for count in rows:
        wrote = known.get(count)
        yield "does not fit" if wrote is None else f"{wrote:,.0f}"


def _most(reading: Sequence[PromptSpeed]) -> str:
    peaks = [each.peak_bytes for each in reading if each.peak_bytes is not None]
    return f"{max(peaks) / GIB:.1f} GiB" if peaks else "not known on a CPU"


def _replays(proof: Proof) -> Iterator[str]:
    rows = [
        [
            short(each.checkpoint),
            f"{each.rows}",
            f"{each.differing} of {each.tokens}",
            f"{each.difference:.1e}",
            f"{1000 * each.launched_seconds:.2f}",
            f"{1000 * each.replayed_seconds:.2f}",
        ]
        for each in proof.results
        if isinstance(each, Replayed) and each.recorded
    ]
    if rows:
        yield (
            "## Recorded steps\n\nThe same steps launched one by one and replayed: tokens that "
            "differ, the largest difference of logits over the largest logit, and milliseconds of "
            "a step."
        )
        yield _table("model|rows|tokens differ|logits differ|launched|replayed", rows, right=1)


def _prefixes(proof: Proof) -> Iterator[str]:
    rows = [
        [
            short(each.checkpoint),
            f"{each.rows}",
            f"{each.prefix:,}",
            f"{each.difference:.1e}",
            f"{each.tolerance:g}",
            f"{1000 * each.copied_seconds:.2f}",
            f"{1000 * each.beside_seconds:.2f}",
        ]
        for each in proof.results
        if isinstance(each, BesidePrefix) and each.in_place
    ]
    if rows:
        yield (
            "## Rows beside a prefix\n\nRows that begin alike, with all keys of their own and "
            "beside one copy of what they have in common: tokens of that, the largest difference "
            "of logits over the largest logit, how large it may be, and milliseconds of a step."
        )
        titles = "model|rows|prefix|logits differ|at most|keys of their own|beside a prefix"
        yield _table(titles, rows, right=1)


def _batch_table(proof: Proof) -> Iterator[str]:
    found = [each for each in proof.results if isinstance(each, BatchAnswers)]
    if found:
        first = found[0]
        yield (
            f"## Batches\n\nGreedy answers of {first.tokens} tokens to {first.prompts} prompts, "
            f"in {first.dtype}, that are not those of one row at a time. Weights are random, and "
            "their likeliest tokens closer to each other than those of trained ones."
        )
        titles = "|".join(["model", *map(rows_told, first.differing)])
        rows = [
            [short(each.checkpoint), *(share_told(each, rows) for rows in each.differing)]
            for each in found
        ]
        yield _table(titles, rows, right=1)


def _long_table(proof: Proof) -> Iterator[str]:
    rows = [
        [
            short(each.checkpoint),
            f"{each.tokens:,}",
            f"{each.seconds:.1f}",
            "" if each.peak_bytes is None else f"{each.peak_bytes / GIB:.1f} GiB",
        ]
        for each in proof.results
        if isinstance(each, LongRead)
    ]
    if rows:
        yield "## Long prompts\n\nOne prompt, read by a whole decoder under the engine's limits."
        yield _table("model|tokens|seconds|memory", rows, right=1)


_SECTIONS: Sequence[Callable[[Proof], Iterator[str]]] = (
    _machine,
    _checked,
    _speeds,
    _replays,
    _prefixes,
    _batch_table,
    _long_table,
)


def _outcomes(steps: Sequence[StepRecord]) -> Iterator[str]:
    """What failed and what was not run, or that there is nothing of the kind."""
    left = [step for step in steps if step.status != "done"]
    wrong = [
        step.title
        for step in steps
        if (isinstance(step.result, Checks) and not step.result.worst.passed)
        or (isinstance(step.result, Replayed | BesidePrefix) and not step.result.passed)
    ]
    yield "## What is missing"
    lines = [f"- {step.title}: {step.status}: {step.error}" for step in left]
    lines += [f"- {title}: does not agree" for title in wrong]
    yield "\n".join(lines) or "Nothing: every step was done, and every check agrees."


def _names(found: Speed) -> str:
    return ", ".join(map(short, found.checkpoints))


def _table(titles: str, rows: Sequence[Sequence[str]], *, right: int) -> str:
    """A table whose columns from `right` on are set flush right."""
    names = titles.split("|")
    rule = ["---" if place < right else "--:" for place in range(len(names))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (names, rule, *rows))
