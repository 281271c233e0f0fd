"""What a prediction says of likelihoods as columns: log-likelihood of the reference, rank, margin.

All follows from the log-likelihoods of references and distractors that the prediction holds.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from needlework.records import Likelihood, Prediction

LIKELIHOOD = pl.Schema(
    {
        "nats": pl.Float64,
        "nats_tokens": pl.Int64,
        "rank": pl.Int64,
        "margin": pl.Float64,
        "chance": pl.Float64,
        "apart": pl.Boolean,
    }
)
"""Of the likeliest reference: its log-likelihood in nats, its tokens, its rank among itself and the
distractors, and by how many nats it is likelier than the likeliest of them; how often a reference
would be first by chance; and whether it was tokenized by itself. Rank, margin and chance are none
where the task has no distractor, all of them where the sample failed."""


def columns(likelihood: Likelihood | None) -> dict[str, Any]:
    """The values of the columns LIKELIHOOD.

    Of several references the likeliest counts: it is what the answer would begin with. A distractor
    that is as likely comes before it.
    """
    if likelihood is None:
        return dict.fromkeys(LIKELIHOOD)
    best = max(likelihood.references, key=lambda each: each.nats)
    wrong = [each.nats for each in likelihood.distractors]
    right = len(likelihood.references)
    return {
        "nats": best.nats,
        "nats_tokens": best.tokens,
        "rank": 1 + sum(nats >= best.nats for nats in wrong) if wrong else None,
        "margin": best.nats - max(wrong) if wrong else None,
        "chance": right / (right + len(wrong)) if wrong else None,
        "apart": best.apart,
    }


def are_asked(found: Iterable[Prediction]) -> bool:
    """Whether predictions hold likelihoods; failed samples never do."""
    return any(each.likelihood is not None for each in found)


def fault(frame: pl.DataFrame) -> str | None:
    """What in the columns LIKELIHOOD cannot be; None where nothing is wrong, or none are there."""
    if "nats" not in frame.columns:
        return None
    rules: Mapping[str, pl.Expr] = {
        "nats": pl.col("nats") <= 0,
        "nats_tokens": pl.col("nats_tokens") >= 1,
        "rank": pl.col("rank") >= 1,
        "margin": (pl.col("margin") > 0) == (pl.col("rank") == 1),
        "chance": pl.col("chance").is_between(0, 1, closed="none"),
    }
    for name, rule in rules.items():
        wrong = frame.filter(pl.col(name).is_not_null() & ~rule.fill_null(value=False))
        if wrong.height:
            row = wrong.row(0, named=True)
            return f"{row['task']} #{row['index']} has {name} {row[name]}"
    return None
