"""Laws of the engine: how prompts are read changes no answer, and no work is done twice."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from needlework import models
from needlework.defects import LayerHazard
from needlework.engine import choosing, decode, likelihood
from needlework.engine.cell import Dataset, Setting, predict_cell
from needlework.engine.choosing import Sampled
from needlework.engine.running import last_logits
from needlework.engine.schedule import Limits
from needlework.engine.stopping import PUBLISHED_SAMPLING, Decoding
from needlework.models.decoder import Decoder
from needlework.models.hazards import with_hazards
from needlework.models.state import DecoderState, RowState
from needlework.proving.checking import state_tensors
from needlework.records import Prediction
from needlework.tokenizers.prefixes import plan_forest
from tests.engine_for_tests import (
    FEW_SLOTS,
    ONE_BY_ONE,
    ROOMY,
    TINY,
    NumberTokenizer,
    compared_cell,
    dataset,
    plain_answer,
    prefill_then_steps,
    run_cell,
    shared_cell,
    watched,
)
from tests.models_for_tests import FAMILIES, family
from tests.tasks_for_tests import DEPTH, ROOT, RULER, nano_tokenizer, rows

SHIPPED = sorted(path.parent.name for path in (ROOT / "resources/nano").glob("*/config.json"))
LIMITS = {"roomy": ROOMY, "tiny": TINY, "few slots": FEW_SLOTS, "one row": ONE_BY_ONE}


def model(name: str, dtype: torch.dtype = torch.float64) -> Decoder:
    return family(name, dtype=dtype)


def expected(decoder: Decoder, cell: dict[str, Dataset]) -> list[tuple[str, str]]:
    return [
        plain_answer(decoder, asked, metric=data.metric)
        for data in cell.values()
        for asked in data.samples
    ]


def answers(predictions: list[Prediction]) -> list[tuple[str, str]]:
    return [(each.pred, each.stop_reason) for each in predictions]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_engine_answers_as_a_plain_loop_does(name: str, tmp_path: Path) -> None:
    decoder, cell = model(name), shared_cell(samples=3)
    predictions = run_cell(decoder, cell, tmp_path / "journal")
    assert answers(predictions) == expected(decoder, cell)


@pytest.mark.parametrize("decoding", [Decoding(), PUBLISHED_SAMPLING], ids=["greedy", "drawn"])
@pytest.mark.parametrize("limits", [ROOMY, TINY], ids=["roomy", "tiny"])
def test_tokens_that_nobody_looked_at_change_no_answer(
    limits: Limits, decoding: Decoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows end for every reason within four tokens that are written at once."""
    decoder, cell = model("llama"), shared_cell(samples=3)
    monkeypatch.setattr(choosing, "close_share", lambda logits: None)
    expected = run_cell(decoder, cell, tmp_path / "a", limits=limits, decoding=decoding)
    assert len({each.generated_tokens % 4 for each in expected}) > 2
    monkeypatch.setattr(decode, "unseen_tokens", lambda decoder: 4)
    found = run_cell(decoder, cell, tmp_path / "b", limits=limits, decoding=decoding)
    assert found == expected


RECURRENT = ("mamba2", "griffin", "rwkv6")


@pytest.mark.parametrize("limits", [ROOMY, ONE_BY_ONE], ids=["roomy", "one row"])
@pytest.mark.parametrize("name", RECURRENT)
def test_nobody_uses_a_state_again_that_was_written_on_from(
    name: str, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On CUDA a step overwrites its state: siblings, branches and answers must have their own.

    One prompt is the beginning of others, so it is answered from a branch that is kept.
    """
    decoder, cell = model(name), shared_cell(samples=3)
    cell["repeated"] = dataset(cell["repeated"].samples[:1])
    honest, steps = Decoder.write, []

    def spoiling(
        self: Decoder, tokens_B1: Tensor, state: DecoderState
    ) -> tuple[Tensor, DecoderState]:
        hidden_BD, after = honest(self, tokens_B1, state)
        for layer in state.layers:
            if isinstance(layer, RowState):  # Behind what is in use, a cache may be written anyway.
                for tensor in state_tensors(layer):
                    tensor.fill_(float("nan"))
        steps.append(hidden_BD)
        return hidden_BD, after

    monkeypatch.setattr(Decoder, "write", spoiling)
    predictions = run_cell(decoder, cell, tmp_path / "journal", limits=limits)
    assert steps
    assert answers(predictions) == expected(decoder, cell)


def test_the_cell_of_these_laws_stops_for_every_reason(tmp_path: Path) -> None:
    """A law over answers that all stop alike would not see the other stop rules."""
    reasons = Counter(
        reason
        for name in FAMILIES
        for _, reason in answers(run_cell(model(name), shared_cell(), tmp_path / name))
    )
    assert min(reasons["end"], reasons["limit"], reasons["decided"]) >= 10


@pytest.fixture(scope="session")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Prediction]]:
    """Every family's answers in float32, one row at a time, each prompt from its start."""
    folder = tmp_path_factory.mktemp("one_by_one")
    return {
        name: run_cell(
            model(name, torch.float32),
            shared_cell(),
            folder / name,
            limits=ONE_BY_ONE,
            share=False,
        )
        for name in FAMILIES
    }


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("share", [True, False], ids=["shared", "alone"])
@pytest.mark.parametrize("name", FAMILIES)
def test_sharing_batches_and_chunks_change_nothing(
    name: str,
    share: bool,
    limits: Limits,
    one_by_one: dict[str, list[Prediction]],
    tmp_path: Path,
) -> None:
    decoder = model(name, torch.float32)
    predictions = run_cell(decoder, shared_cell(), tmp_path / "j", limits=limits, share=share)
    assert predictions == one_by_one[name]


@pytest.mark.parametrize("steps", [likelihood.STEPS, 1 << 18], ids=["as told", "finest"])
@pytest.mark.parametrize("name", FAMILIES)
def test_likelihoods_do_not_depend_on_what_is_read_together(
    name: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In single precision every batch rounds otherwise, which fine steps would show."""
    monkeypatch.setattr(likelihood, "STEPS", steps)
    decoder, cell = model(name, torch.float32), compared_cell(samples=2)
    reference = run_cell(decoder, cell, tmp_path / "one", limits=ONE_BY_ONE, share=False)
    assert run_cell(decoder, cell, tmp_path / "roomy", limits=ROOMY) == reference
    assert run_cell(decoder, cell, tmp_path / "tiny", limits=TINY) == reference


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_models_answer_alike_in_every_batch(name: str, tmp_path: Path) -> None:
    """Trained weights have other margins than random ones: every task of both suites at 256."""
    decoder, tokenizer = models.load(str(ROOT / "resources" / "nano" / name)), nano_tokenizer()
    tasks = RULER | {task: spec for task, spec in DEPTH.items() if "uuids" in task}
    cell = {
        task: dataset(
            [each for each, _ in rows(task, samples=2)],
            limit=spec.tokens_to_generate,
            metric=spec.metric,
        )
        for task, spec in tasks.items()
    }
    alone = Setting(limits=ONE_BY_ONE, share=False)
    first, second = (
        predict_cell(
            decoder, tokenizer, cell, revision="", journal=tmp_path / str(number), setting=setting
        )
        for number, setting in enumerate((Setting(), alone))
    )
    assert first == second
    assert sum(each.stop_reason == "decided" for each in first) > len(first) / 2


def test_close_logits_are_decided_by_the_row_alone(tmp_path: Path) -> None:
    """Tokens with nearly equal weights tie for ever: whatever rounding says, all batches agree."""
    decoder, cell = model("transformerpp", torch.float32), shared_cell()
    with torch.no_grad():
        decoder.head.weight[20:] = decoder.head.weight[:28] * (1 + 1e-7)
    reference = run_cell(decoder, cell, tmp_path / "one", limits=ONE_BY_ONE, share=False)
    assert run_cell(decoder, cell, tmp_path / "two", limits=ROOMY) == reference


def test_the_order_of_tasks_and_samples_changes_no_answer(tmp_path: Path) -> None:
    decoder, cell = model("griffin"), shared_cell()
    turned = {
        name: dataset(tuple(reversed(cell[name].samples)), metric=cell[name].metric)
        for name in reversed(cell)
    }
    first = {(each.task, each.index): each.pred for each in run_cell(decoder, cell, tmp_path / "a")}
    second = run_cell(decoder, turned, tmp_path / "b")
    assert {(each.task, each.index): each.pred for each in second} == first
    assert [each.index for each in second][:6] == sorted(each.index for each in second[:6])


def test_a_prefix_is_read_once_for_all_prompts(tmp_path: Path) -> None:
    """The accounts are kept: what the forward calls read is what the cell was charged."""
    read: list[int] = []
    decoder = watched(lambda tokens_BT: read.append(tokens_BT.numel()))
    cell = {"depth": shared_cell()["depth_100"]}
    predictions = run_cell(decoder, cell, tmp_path / "journal", limits=ONE_BY_ONE)
    charged = sum(each.prompt_tokens - each.shared_tokens for each in predictions)
    steps = sum(each.generated_tokens - (each.stop_reason != "end") for each in predictions)
    assert sum(read) == charged + steps
    assert charged < 0.5 * sum(each.prompt_tokens for each in predictions)


def test_accounts_do_not_depend_on_batches_or_on_resuming(tmp_path: Path) -> None:
    decoder, cell = model("mamba2"), shared_cell()
    whole = run_cell(decoder, cell, tmp_path / "a", limits=TINY)
    part = dict(list(cell.items())[2:4])
    run_cell(decoder, part, tmp_path / "b")
    assert run_cell(decoder, cell, tmp_path / "b") == whole


def test_more_samples_compute_only_the_new_ones(tmp_path: Path) -> None:
    """From 100 to 250 samples must cost 150."""
    calls: list[int] = []
    decoder = watched(lambda tokens_BT: calls.append(len(tokens_BT)))
    more = {"alone": shared_cell()["alone"]}
    few = {"alone": dataset(more["alone"].samples[:4])}
    run_cell(decoder, few, tmp_path / "journal", limits=ONE_BY_ONE)
    calls.clear()
    extended = run_cell(decoder, more, tmp_path / "journal", limits=ONE_BY_ONE)
    steps = [each.generated_tokens + (each.stop_reason == "end") for each in extended[4:]]
    assert len(calls) == sum(steps)
    assert extended == run_cell(decoder, more, tmp_path / "fresh")


def test_a_complete_journal_leaves_nothing_to_compute(tmp_path: Path) -> None:
    calls: list[int] = []
    decoder = watched(lambda tokens_BT: calls.append(len(tokens_BT)))
    first = run_cell(decoder, shared_cell(), tmp_path / "journal")
    calls.clear()
    assert run_cell(decoder, shared_cell(), tmp_path / "journal") == first
    assert not calls


@pytest.mark.parametrize("change", ["revision", "decoding", "dtype", "limit", "references"])
def test_what_decides_an_answer_is_part_of_its_key(change: str, tmp_path: Path) -> None:
    """A journal of another model, precision or question must not lend its answers."""
    cell = {"alone": shared_cell()["alone"]}
    run_cell(model("mamba2"), cell, tmp_path / "journal")
    calls: list[int] = []
    dtype = torch.float32 if change == "dtype" else torch.float64
    decoder = watched(lambda tokens_BT: calls.append(len(tokens_BT)), dtype=dtype)
    samples = cell["alone"].samples
    if change == "references":
        samples = [each.model_copy(update={"outputs": ("6",)}) for each in samples]
    run_cell(
        decoder,
        {"alone": dataset(samples, limit=5 if change == "limit" else 9)},
        tmp_path / "journal",
        revision="second" if change == "revision" else "first",
        decoding=PUBLISHED_SAMPLING if change == "decoding" else None,
    )
    assert calls


def defective(hazard: LayerHazard, name: str) -> Decoder:
    plain = model(name)
    decoder = Decoder(with_hazards(plain.config, [hazard])).double()
    decoder.load_state_dict(plain.state_dict())
    return decoder.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("hazard", "name"), [("m2a-conv-state", "mamba2attn"), ("rg-window", "griffin")]
)
def test_a_defect_is_reproduced_the_same_in_every_batch(
    hazard: LayerHazard, name: str, tmp_path: Path
) -> None:
    """Both defects treat a prompt and its answer differently, so cutting at the wrong place hides
    them: the honest model would answer, and the hazard study would find no effect."""
    decoder, cell = defective(hazard, name), shared_cell(samples=3)
    predictions = run_cell(decoder, cell, tmp_path / "a", limits=TINY)
    again = run_cell(decoder, cell, tmp_path / "b", limits=ROOMY)
    expected_answers = [
        prefill_then_steps(decoder, asked, metric=data.metric)
        for data in cell.values()
        for asked in data.samples
    ]
    assert answers(predictions) == answers(again) == expected_answers
    assert answers(predictions) != answers(run_cell(model(name), cell, tmp_path / "c"))


def test_without_pieces_nothing_is_counted_as_shared(tmp_path: Path) -> None:
    decoder = defective("rg-window", "griffin")
    predictions = run_cell(decoder, shared_cell(samples=3), tmp_path / "journal")
    assert {each.shared_tokens for each in predictions} == {0}


def test_published_sampling_writes_every_token_and_depends_on_the_sample_alone(
    tmp_path: Path,
) -> None:
    """Hazard H1: no end token, exactly `tokens_to_generate` tokens, a stream for every sample."""
    decoder, cell = model("mamba2"), {"alone": shared_cell()["alone"]}
    whole = run_cell(decoder, cell, tmp_path / "a", decoding=PUBLISHED_SAMPLING)
    part = {"alone": dataset(cell["alone"].samples[3:])}
    assert run_cell(decoder, part, tmp_path / "b", decoding=PUBLISHED_SAMPLING, limits=TINY) == [
        each.model_copy(update={"shared_tokens": again.shared_tokens})
        for each, again in zip(
            whole[3:],
            run_cell(decoder, part, tmp_path / "b", decoding=PUBLISHED_SAMPLING),
            strict=True,
        )
    ]
    assert {each.generated_tokens for each in whole if each.stop_reason == "limit"} == {9}
    assert not any(each.stop_reason == "end" for each in whole)


def test_sampling_draws_from_the_likeliest_tokens_by_their_share() -> None:
    """Two tokens at 3 to 1: the counts of 400 draws stay within four standard errors."""
    logits = torch.full((1, 40), -50.0)
    logits[0, 5], logits[0, 6] = float(torch.tensor(3.0).log()), 0.0
    draw = Sampled(top_k=32, temperature=1.0, seed=0, addresses=[("task", 0)])
    counts = Counter(draw(logits, [0])[0] for _ in range(400))
    assert set(counts) == {5, 6}
    assert abs(counts[5] - 300) < 4 * (400 * 0.75 * 0.25) ** 0.5


def test_top_k_leaves_out_the_rest() -> None:
    logits = torch.arange(40.0)[None] / 100
    draw = Sampled(top_k=3, temperature=1.0, seed=0, addresses=[("task", 0)])
    assert {draw(logits, [0])[0] for _ in range(100)} == {37, 38, 39}


def test_padded_rows_of_the_head_are_never_chosen(tmp_path: Path) -> None:
    decoder = model("mamba2")
    with torch.no_grad():
        decoder.head.weight[40:] = 100 * decoder.head.weight[3]
    predictions = run_cell(decoder, shared_cell(), tmp_path / "journal")
    written = {int(word) for each in predictions for word in each.pred.split()}
    assert max(written) < 40


def test_plans_of_random_prompts_cover_them_exactly() -> None:
    """Every prompt is the concatenation of its segments, whatever its neighbours."""
    draws = random.Random(3)
    for _ in range(50):
        prompts = [
            np.array([draws.randrange(2) for _ in range(draws.randrange(1, 12))], dtype=np.int32)
            for _ in range(draws.randrange(1, 15))
        ]
        forest = plan_forest(prompts, branch_cost=draws.choice([0, 1, 4, 1000]))
        seen = []
        for segment in forest:
            for prompt in segment.prompts:
                pieces, at = [], segment
                while True:
                    pieces.append(prompts[at.prompt][at.start : at.end])
                    if at.parent is None:
                        break
                    at = forest[at.parent]
                assert np.concatenate(pieces[::-1]).tolist() == prompts[prompt].tolist()
                seen.append(prompt)
        assert sorted(seen) == list(range(len(prompts)))


def test_the_tokenizer_of_these_laws_reads_what_it_writes() -> None:
    tokenizer = NumberTokenizer()
    assert tokenizer.decode(tokenizer.encode("7 8 9")) == "7 8 9"


def test_a_lower_temperature_makes_the_likelier_token_likelier() -> None:
    """3 to 1 becomes 9 to 1 at one half: the counts of 400 draws within four standard errors."""
    logits = torch.full((1, 40), -50.0)
    logits[0, 5], logits[0, 6] = float(torch.tensor(3.0).log()), 0.0
    draw = Sampled(top_k=32, temperature=0.5, seed=0, addresses=[("task", 0)])
    counts = Counter(draw(logits, [0])[0] for _ in range(400))
    assert abs(counts[5] - 360) < 4 * (400 * 0.9 * 0.1) ** 0.5


def test_a_contested_row_goes_on_from_the_state_that_answers_start_from() -> None:
    """A defect that tells prompt from answer would vanish where a row is computed by itself."""
    decoder = defective("m2a-conv-state", "mamba2attn")
    prompt, written = np.arange(3, 23, dtype=np.int32), np.array([7, 8], dtype=np.int32)
    logits, state = decoder(torch.tensor([prompt.tolist()]), decoder.init_state(1))
    marked, _ = decoder(torch.tensor([written.tolist()]), state.after_prompt())
    unmarked, _ = decoder(torch.tensor([written.tolist()]), state)
    found = last_logits(decoder, prompt, written)
    torch.testing.assert_close(found, marked[0, -1], rtol=0, atol=1e-10)
    assert (found - unmarked[0, -1]).abs().max() > 1e-6
    before = last_logits(decoder, prompt, written[:0])
    torch.testing.assert_close(before, logits[0, -1], rtol=0, atol=1e-10)
