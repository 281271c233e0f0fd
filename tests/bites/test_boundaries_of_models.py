"""Small changes to models, tokenizers and generators that no test noticed: one odd case each."""

import math
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import sentencepiece
import torch
from torch import Tensor

from needlework.engine import verification
from needlework.engine.trial import Trial
from needlework.engine.verification import Candidate
from needlework.errors import CheckpointError, RecordError
from needlework.models.checkpoints import llama
from needlework.models.references import Reference
from needlework.models.rwkv6 import FACTOR_LIMIT, weighted_key_values
from needlework.scores.cells import collect
from needlework.study.grid import Cell
from needlework.tasks.released.draws import Draws, UnluckyError
from needlework.tasks.released.niah import Niah
from needlework.tasks.specs import NiahSpec
from needlework.tokenizers.sentencepiece import SentencePieceTokenizer
from tests.reference import test_against_upstream as upstream
from tests.unit.scores.test_cells import COMPLETE, scored

# --- models


def by_steps(r: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, bonus_HK: Tensor) -> Tensor:
    """The recurrence of RWKV-6, a token at a time; all (T, H, K)."""
    heads, width = bonus_HK.shape
    state_HKV = torch.zeros(heads, width, v.shape[-1], dtype=r.dtype)
    outputs = []
    for token in range(len(r)):
        pair_HKV = k[token, :, :, None] * v[token, :, None, :]
        seen_HKV = state_HKV + bonus_HK[..., None] * pair_HKV
        outputs.append((r[token, :, :, None] * seen_HKV).sum(dim=1))
        state_HKV = log_decay[token].exp()[..., None] * state_HKV + pair_HKV
    return torch.stack(outputs)


@pytest.mark.parametrize("strong", [[], [3], [0, 7], list(range(8))])
def test_one_channel_that_forgets_at_once_spoils_no_other(strong: list[int]) -> None:
    """Factors of its decay leave the range of floats; the safe path was once taken only where all
    channels are like that."""
    torch.manual_seed(0)
    r, k, v = (torch.randn(1, 40, 2, 8) for _ in range(3))
    log_decay = torch.full((1, 40, 2, 8), -0.1)
    log_decay[..., strong] = -20 * FACTOR_LIMIT
    bonus_HK = torch.randn(2, 8)
    found, _ = weighted_key_values(r, k, v, log_decay, bonus_HK, torch.zeros(1, 2, 8, 8), chunk=16)
    slow = by_steps(*(each[0].double() for each in (r, k, v, log_decay)), bonus_HK.double())
    torch.testing.assert_close(found[0].double(), slow, rtol=1e-4, atol=1e-4)


LLAMA = upstream.llama().config.to_dict()
BASE = {"rope_theta": 10000.0}
SCALED = [
    {"rope_type": kind, **more}
    for kind in ("linear", "dynamic", "yarn", "longrope", "llama3", "proportional", "unheard of")
    for more in ({}, {"factor": 2.0}, {"factor": 4.0, **BASE})
]


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize("scaling", SCALED)
def test_angles_that_are_scaled_are_refused(scaling: dict[str, object], key: str) -> None:
    """With or without a factor, under the name of today or that of before."""
    renamed = {"type" if name == "rope_type" else name: value for name, value in scaling.items()}
    for said in (scaling, renamed):
        with pytest.raises(ValueError, match="is not supported; use another backend"):
            llama.decoder_config(LLAMA | {key: said})


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize(
    "scaling", [None, {}, BASE, {"rope_type": "default"}, {"type": "linear", "factor": 1.0}]
)
def test_angles_that_are_plain_are_read(scaling: dict[str, object] | None, key: str) -> None:
    assert llama.decoder_config(LLAMA | {key: scaling}) == llama.decoder_config(LLAMA)


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_logit_that_is_no_number_is_a_difference(side: str, value: float) -> None:
    """No comparison with NaN is true, so it must not be the one that refuses."""
    trial = Trial(tokens=torch.arange(5).numpy(), prompts=(3,), written=1, needed=3)
    sides = {"ours": torch.randn(2, 9), "theirs": torch.zeros(2, 9)}
    sides["theirs"] = sides["ours"].clone()
    sides[side][1, 4] = value
    shown = verification._Shown(tensors=1, parameters=1, trial=trial, logits_PV=sides["ours"])
    reference = Reference("another library", lambda *_: sides["theirs"])
    model = Candidate(
        checkpoint="here",
        revision=None,
        dtype="float32",
        backend="needlework",
        trust_remote_code=False,
    )
    with pytest.raises(CheckpointError, match="logits differ from another library"):
        verification._difference(shown, reference, model, 1e-3)


# --- tokenizers


@pytest.mark.parametrize(("kind", "may_be_cut"), [("bpe", True), ("unigram", False)])
def test_only_models_that_merge_by_rank_are_cut(
    kind: str, may_be_cut: bool, tmp_path: Path
) -> None:
    """Where scores are no ranks but logarithms, the best pieces depend on the whole text."""
    words = [f"{one}{two} a b" for one in "abcdefgh" for two in "abcdefgh"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type=kind,
        remove_extra_whitespaces=False,
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=9,
    )
    made = SentencePieceTokenizer(tmp_path / "tokenizer.model")
    assert (made.cuts is not None, made.blank is not None) == (may_be_cut, may_be_cut)


# --- generators


class Sentences(list[str]):
    """A prefix of the essays."""

    def part(self, first: int, last: int) -> list[str]:
        return self[first:last]


@pytest.mark.parametrize("count", [39, 40, 41])
def test_as_many_needles_as_there_are_depths_can_be_hidden(count: int) -> None:
    """The artifact draws depths without putting them back: of 40, a 41st cannot be drawn."""
    made = Niah.__new__(Niah)
    made._spec = NiahSpec(haystack="essay", values=count)
    made._draws = Draws(3)
    made._form = SimpleNamespace(say=lambda key, value: f"{key}={value}")  # type: ignore[assignment]
    made._book = SimpleNamespace(prefix=lambda size: Sentences("abcdefgh"))  # type: ignore[assignment]
    needles = [("key", str(number)) for number in range(count)]
    if count > 40:
        with pytest.raises(UnluckyError):
            made._essay(needles, 8)
        return
    rope, planted, units = made._essay(needles, 8)
    assert units == 8
    assert [each for each in rope if len(str(each)) == 1] == list("abcdefgh")
    assert sorted(each.value for each in planted) == sorted(value for _, value in needles)


# --- scores


@pytest.mark.parametrize("column", ["model", "suite", "length"])
def test_a_score_file_with_one_row_of_another_cell_is_refused(column: str, tmp_path: Path) -> None:
    path = scored(tmp_path, COMPLETE)
    frame = pl.read_parquet(path)
    other = frame[1:2].with_columns(
        pl.lit(512 if column == "length" else "other").cast(frame.schema[column]).alias(column)
    )
    pl.concat([frame[:1], other, frame[2:]]).write_parquet(path)
    with pytest.raises(RecordError, match=r"256\.parquet: holds scores of"):
        collect([CELL], tmp_path, scores=tmp_path / "all", estimates=tmp_path / "cells")


CELL = Cell("model", "depth", 256)


def test_models_of_which_one_lacks_samples_are_refused(tmp_path: Path) -> None:
    """All cells of a suite have as many samples of a task, whoever answered them."""
    other = Cell("other", "depth", 256)
    scored(tmp_path, COMPLETE)
    path = scored(tmp_path, COMPLETE, other)
    frame = pl.read_parquet(path)
    frame.filter(~((pl.col("task") == "needle") & (pl.col("index") == 1))).write_parquet(path)
    for cells in ([CELL, other], [other, CELL]):
        with pytest.raises(RecordError, match="results of two studies are mixed"):
            collect(cells, tmp_path, scores=tmp_path / "all", estimates=tmp_path / "cells")
    assert not (tmp_path / "cells").exists()
