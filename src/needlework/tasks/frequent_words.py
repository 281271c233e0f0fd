"""Made-up words whose frequencies follow a power law: which three come most often?"""

import math

from needlework.tasks import drafts
from needlework.tasks.common_words import first_occurrences
from needlework.tasks.drafts import Draft, Outline
from needlework.tasks.material import Item, Material, distinct
from needlework.tasks.specs import FrequentWordsSpec

_ASKED = 3
_FEWEST = 8
_TOKENS_PER_WORD = 50
"""A text of n tokens is written in n / 50 different words, as RULER's are."""


def plan(spec: FrequentWordsSpec, material: Material, item: Item) -> Outline:
    """Draw the made-up words of one sample, most frequent first."""
    kinds = min(max(_FEWEST, item.budget // _TOKENS_PER_WORD), material.coins)
    coined = distinct(material.coin, item.stream("words"), kinds)
    asked = coined[:_ASKED]
    shares = _shares(spec.alpha, kinds + 1)
    fewest = math.ceil(1 / shares[_ASKED])
    frame = material.wording.frequent

    def compose(size: int) -> Draft:
        counts = _counts(shares, fewest + size)
        if not item.needle:
            counts = _level(counts)
        ranked = zip([material.wording.filler, *coined], counts, strict=True)
        words = [word for word, count in ranked for _ in range(count)]
        item.stream("order", size).shuffle(words)
        return drafts.finish(
            material,
            frame,
            first_occurrences(
                words,
                asked if item.needle else (),
                texts=words,
                separator=material.wording.hay_separator,
            ),
            outputs=asked,
            completion=f" {frame.between.join(asked)}{frame.end}",
        )

    return Outline(compose, most=item.budget)


def _shares(alpha: float, ranks: int) -> list[float]:
    """The expected share of every rank in a text."""
    weights = [rank**-alpha for rank in range(1, ranks + 1)]
    return [weight / math.fsum(weights) for weight in weights]


def _level(counts: list[int]) -> list[int]:
    """As many words, of which none but the filler comes more often than another."""
    filler, *others = counts
    return [filler, *[max(1, sum(others) // len(others))] * len(others)]


def _counts(shares: list[float], words: int) -> list[int]:
    """How often the word of every rank comes; none that is not asked for ties with one that is."""
    counts = [int(words * share) for share in shares]
    limit = counts[_ASKED] - 1
    return counts[: _ASKED + 1] + [min(count, limit) for count in counts[_ASKED + 1 :]]
