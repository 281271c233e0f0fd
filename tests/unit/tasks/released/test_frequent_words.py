"""Coded words: the law of their frequencies."""

from scipy.special import zeta

from needlework.tasks.released import frequent_words


def test_eulers_value_is_scipys_to_the_last_bit() -> None:
    """The artifact divides by scipy's; one bit of difference could move a count."""
    assert frequent_words._zeta(2.0) == float(zeta(2.0))


def test_other_exponents_are_scipys() -> None:
    assert frequent_words._zeta(2.5) == float(zeta(2.5))


def test_codes_too_rare_to_come_are_left_out() -> None:
    often = frequent_words._repeats(100, 50, 2.0)
    assert often == tuple(int(100 * rank**-2.0 / zeta(2.0)) for rank in range(1, len(often) + 1))
    assert min(often) == 1
