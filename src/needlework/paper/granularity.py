"""Which printed percentages a number of samples can produce at all (the GRIM test).

A score over 250 yes-or-no samples is a multiple of 100 / 250 = 0.4 %; 10.95 % is none, so it is not
the score of 250 samples. Brown and Heathers, "The GRIM Test", 2017, doi:10.1177/1948550616673876.
"""

from fractions import Fraction
from math import ceil, floor

REFERENCES = {"niah_multivalue": 4, "niah_multiquery": 4, "vt": 5, "cwe": 10, "fwe": 3}
"""Reference answers of RULER's tasks with partial credit; every other task is right or wrong."""


def steps(task: str, samples: int) -> int:
    """How many equal steps lead from 0 to 100 % on a RULER task."""
    return samples * REFERENCES.get(task, 1)


def is_possible(value: Fraction, half_unit: Fraction, *, parts: int) -> bool:
    """Whether some whole number of `parts` gives this percentage once it is rounded.

    `half_unit` is half of the last printed digit; both ways of rounding a tie are allowed.
    """
    lowest, highest = (
        ceil((value - half_unit) * parts / 100),
        floor((value + half_unit) * parts / 100),
    )
    return max(lowest, 0) <= min(highest, parts)


def nearest(value: Fraction, *, parts: int) -> tuple[Fraction, Fraction]:
    """The multiples of 100 / `parts` just below and just above a percentage."""
    step = Fraction(100, parts)
    below = floor(value / step) * step
    return below, below + step


def largest_possible(
    value: Fraction, half_unit: Fraction, *, samples: int, references: int
) -> int | None:
    """The largest count of at most `samples` samples that can give this percentage."""
    counts = range(samples, 0, -1)
    fits = (n for n in counts if is_possible(value, half_unit, parts=n * references))
    return next(fits, None)
