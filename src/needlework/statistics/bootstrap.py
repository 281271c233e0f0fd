"""Bootstrap intervals for scores with partial credit, from a stream with an address.

Where all scores are equal a bootstrap collapses to a point, so tables use the Wilson interval of
`needlework.statistics.means`; this is its sharper companion.
"""

from collections.abc import Sequence

import numpy as np

from needlework.rng import stream_seed
from needlework.statistics.contrasts import Interval

RESAMPLES = 10_000


def bootstrap(
    scores: Sequence[float | None], *, seed: int, address: Sequence[str | int]
) -> Interval:
    """The mean with the 95 % percentile interval of its bootstrap; a failed sample scores zero.

    Scores take few values, so a resample is a draw of how often each value comes: the same
    distribution as drawing samples one by one, without their number in the cost. Around a mean of 0
    or 1 the interval has no width.

    Raises:
        ValueError: there is no score.
    """
    if not scores:
        raise ValueError("an empty cell has no mean; was every sample predicted?")
    values, counts = np.unique([score or 0.0 for score in scores], return_counts=True)
    generator = np.random.default_rng(stream_seed(seed, "bootstrap", *address))
    draws = generator.multinomial(len(scores), counts / len(scores), size=RESAMPLES)
    low, high = np.quantile(draws @ values / len(scores), [0.025, 0.975])
    mean = float(counts @ values) / len(scores)
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))
