"""Likelihoods from forked states: those of one pass over prompt and text, and no answer changes."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from needlework import models
from needlework.cli import cli
from needlework.engine import likelihood
from needlework.engine.cell import Dataset
from needlework.engine.likelihood import STEPS, is_contested, nearest
from needlework.engine.samples import read_distractors
from needlework.engine.schedule import Limits
from needlework.errors import EngineError, StudyError
from needlework.files import write_records
from needlework.models.decoder import Decoder
from needlework.records import Likelihood, PlacedDetail, Prediction
from tests.engine_for_tests import (
    ONE_BY_ONE,
    ROOMY,
    TINY,
    NumberTokenizer,
    compared_cell,
    dataset,
    run_cell,
    sample,
    watched,
)
from tests.models_for_tests import FAMILIES, family
from tests.unit.engine.test_foreign_models import hub_model, plain

EXACT = 1e-10
"""Of a sum of a few logarithms in double precision."""
ROUNDED = 2e-4
"""Of logits in single precision that two libraries compute, some 10 in size, over four tokens."""


def slow_nats(decoder: Decoder, prompt: str, text: str) -> float:
    """By definition: one pass over prompt and text, the softmax at every place of the text."""
    tokenizer = NumberTokenizer()
    before, tokens = [1, *tokenizer.encode(prompt)], tokenizer.encode(text)
    logits_1TV, _ = decoder(torch.tensor([before + tokens]), decoder.init_state(1))
    logits_TV = logits_1TV[0, :, : decoder.config.vocabulary].double()
    shares_TV = torch.softmax(logits_TV, dim=-1)
    places = range(len(before) - 1, len(before) + len(tokens) - 1)
    return sum(
        float(shares_TV[place, token].log()) for place, token in zip(places, tokens, strict=True)
    )


def raw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell numbers as they are found, and none twice."""
    monkeypatch.setattr(likelihood, "nearest", lambda value: value)
    monkeypatch.setattr(likelihood, "is_contested", lambda value, error: False)


def told(predictions: list[Prediction], cell: dict[str, Dataset]) -> list[tuple[str, str, float]]:
    """Prompt, text and number of every text."""
    prompts = {(task, each.index): each for task in cell for each in cell[task].samples}
    found = []
    for each in predictions:
        assert each.likelihood is not None
        asked = prompts[each.task, each.index]
        words = [*each.likelihood.references, *each.likelihood.distractors]
        wrong = cell[each.task].distractors
        assert wrong is not None
        assert [word.text for word in words] == [*asked.outputs, *wrong[each.index]]
        assert all(word.tokens == len(word.text.split()) for word in words)
        found += [(asked.input, word.text, word.nats) for word in words]
    return found


@pytest.mark.parametrize("limits", [ROOMY, TINY, ONE_BY_ONE], ids=["roomy", "tiny", "one row"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_forked_state_tells_what_one_pass_does(
    name: str, limits: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw(monkeypatch)
    decoder, cell = family(name, dtype=torch.float64), compared_cell()
    found = told(run_cell(decoder, cell, tmp_path / "journal", limits=limits), cell)
    for prompt, text, nats in found:
        assert nats == pytest.approx(slow_nats(decoder, prompt, text), abs=EXACT)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_answer_changes_where_likelihoods_are_asked_for(name: str, tmp_path: Path) -> None:
    """The state is read on for a text, and then for the answer, which must not see that."""
    decoder, cell = family(name, dtype=torch.float64), compared_cell()
    asked = run_cell(decoder, cell, tmp_path / "a", limits=TINY)
    silent = {
        task: dataset(data.samples, limit=data.tokens_to_generate, metric=data.metric)
        for task, data in cell.items()
    }
    expected = run_cell(decoder, silent, tmp_path / "b", limits=TINY)
    assert [each.model_copy(update={"likelihood": None}) for each in asked] == expected
    assert "likelihood" not in expected[0].model_dump()


def test_what_transformers_computes_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw(monkeypatch)
    hub, cell = hub_model(plain(), tmp_path / "model"), compared_cell()
    own = models.load(
        str(tmp_path / "model"), revision=None, device="cpu", dtype=torch.float32, hazards=[]
    )
    theirs = told(run_cell(hub, cell, tmp_path / "a"), cell)
    ours = told(run_cell(own, cell, tmp_path / "b"), cell)
    for (*place, one), (*other, two) in zip(theirs, ours, strict=True):
        assert place == other
        assert one == pytest.approx(two, abs=ROUNDED)
    prompt, text, nats = theirs[0]
    assert nats == pytest.approx(slow_nats(own, prompt, text), abs=ROUNDED)


def test_a_journal_keeps_likelihoods_and_nothing_is_computed_again(tmp_path: Path) -> None:
    calls: list[int] = []
    decoder = watched(lambda tokens_BT: calls.append(len(tokens_BT)))
    cell = compared_cell()
    first = run_cell(decoder, cell, tmp_path / "journal")
    calls.clear()
    assert run_cell(decoder, cell, tmp_path / "journal") == first
    assert not calls


@pytest.mark.parametrize("change", ["none asked", "another distractor"])
def test_the_texts_are_part_of_the_key(change: str, tmp_path: Path) -> None:
    """Answers of a study without likelihoods have none to lend, and other texts have others."""
    calls: list[int] = []
    decoder = watched(lambda tokens_BT: calls.append(len(tokens_BT)))
    samples = [sample(0, [5, 6, 7, 8], ("9",))]
    before = {"one": dataset(samples)}
    if change == "another distractor":
        before = {"one": dataset(samples, distractors={0: ("10",)})}
    run_cell(decoder, before, tmp_path / "journal")
    calls.clear()
    (found,) = run_cell(
        decoder, {"one": dataset(samples, distractors={0: ("11",)})}, tmp_path / "journal"
    )
    assert calls
    assert isinstance(found.likelihood, Likelihood)
    assert [each.text for each in found.likelihood.distractors] == ["11"]


def test_a_text_of_unknown_tokens_is_refused(tmp_path: Path) -> None:
    cell = {"one": dataset([sample(0, [5, 6], ("7",))], distractors={0: ("99",)})}
    with pytest.raises(EngineError, match="produced id 99, outside the model's vocabulary"):
        run_cell(family("mamba2"), cell, tmp_path / "journal")


def test_logits_that_are_not_finite_fail_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the text alone: the answer itself is written, and still there is no likelihood."""
    honest = Decoder.following
    monkeypatch.setattr(Decoder, "following", lambda *arguments: honest(*arguments) * float("nan"))
    cell = {"one": dataset([sample(0, [5, 6, 7], ("8 9",))], distractors={0: ()})}
    (found,) = run_cell(family("llama"), cell, tmp_path / "journal")
    assert (found.stop_reason, found.likelihood) == ("failed", None)
    assert found.error == "the model's logits are not finite numbers"


def test_a_text_whose_numbers_are_none_spoils_no_other(tmp_path: Path) -> None:
    """What was read behind the first prompt lies where a shorter one stands beside a longer."""
    decoder = family("llama")
    with torch.no_grad():
        decoder.embedding.weight[39] = float("nan")
    samples = [sample(0, [*range(10, 30)], ("4",)), sample(1, [5, 9, 10], ("4",))]
    others = {"more": dataset(samples, distractors={0: (), 1: ()})}
    asked = [sample(0, [9, 8, 7, 6, 5], ("4",))]
    spoiled = {"one": dataset(asked, limit=1, distractors={0: (9 * "39 ",)})}
    two = Limits(tokens=64, chunk=64, rows=2, states=0)
    expected = run_cell(decoder, others, tmp_path / "a", limits=two)
    first, *found = run_cell(decoder, spoiled | others, tmp_path / "b", limits=two)
    assert first.error == "the model's logits are not finite numbers"
    assert found == expected
    assert all(each.error is None for each in found)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--backend", "server"], "a server tells no probability of a given text"),
        (["--thought-end", "x", "--thought-tokens", "9"], "it thinks before it answers"),
    ],
    ids=["served", "thinking"],
)
def test_who_tells_no_likelihood_is_named_in_one_line(
    tmp_path: Path, more: list[str], why: str
) -> None:
    for name in ("one.jsonl", "tasks.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    words = ["predict", str(tmp_path / "out.jsonl"), str(tmp_path / "one.jsonl")]
    words += ["--tasks", str(tmp_path / "tasks.json"), "--checkpoint", "me/large"]
    words += ["--dtype", "float32", "--tokenizer", "me/words", "--protocol", "corrected"]
    with pytest.raises(StudyError, match=f"^--likelihood: me/large: {why}.*; leave the option out"):
        CliRunner().invoke(cli, [*words, "--likelihood", *more], catch_exceptions=False)


def test_a_dataset_without_distractors_names_the_way_out(tmp_path: Path) -> None:
    nothing = {"depths": (), "needles": (), "answers": (), "needle_tokens": ()}
    places = {"prompt_tokens": 1, "question_start": 0, "question_token": 0}
    write_records(tmp_path / "one.details.jsonl", [PlacedDetail(index=0, **nothing, **places)])
    with pytest.raises(EngineError, match=r"one.details.jsonl: names no distractors.*--distract"):
        read_distractors([tmp_path / "one.jsonl"])


def test_numbers_are_told_in_steps() -> None:
    """A sixteenth of a nat; below one nat a sixteenth of the power of two below."""
    assert nearest(-12.34) == -12.3125
    assert nearest(-1.01) == -1.0
    assert nearest(-0.3) == -19 / 64
    assert nearest(-1e-9) == 0
    for value in (-1000.0, -7.77, -1.0, -0.99, -0.01, -1e-5):
        assert abs(nearest(value) - value) <= max(abs(value), 1.0) / STEPS
        assert nearest(nearest(value)) == nearest(value)


@pytest.mark.parametrize("value", [-12.34, -2.0, -1.03125, -0.51, -0.0123, -3e-7])
@pytest.mark.parametrize("error", [1e-9, 1e-3])
def test_what_is_not_contested_is_told_alike_however_it_is_rounded(
    value: float, error: float
) -> None:
    """By trying: the same number for all values that are this much off, or it is contested."""
    scale = min(1.0, abs(value))
    near = {nearest(value + shift * error * scale / 50) for shift in range(-50, 51)}
    assert is_contested(value, error * scale) or len(near) == 1


def test_a_value_between_two_numbers_is_contested() -> None:
    assert is_contested(-2.03125, 1e-6)
    assert not is_contested(-2.01, 1e-6)
