"""Small changes to the code that moved a number, a verdict or a guarantee and that no test noticed.

Each test here fails under one of them, and under others of its kind: a boundary, an order, a case
that fixtures never hold.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from needlework import tokenizers
from needlework.analysis import comparisons
from needlework.analysis.effective_length import above_own_share
from needlework.engine import identity
from needlework.engine.choosing import Sampled
from needlework.engine.decode import decode
from needlework.engine.interruption import Interruption
from needlework.engine.prefill import Ready
from needlework.engine.slots import Slots
from needlework.engine.stopping import Answer, Decoding, Pieces, StopRule
from needlework.errors import CheckpointError, EngineError, RecordError, ResourceError
from needlework.models import config
from needlework.models.checkpoints import mamba_ssm, rwkv6
from needlework.models.decoder import Decoder
from needlework.models.hub_model import load_hub_model
from needlework.nano import language
from needlework.paper import claims, granularity
from needlework.paper.verdicts import every, some
from needlework.records import Prediction
from needlework.scores import shards
from needlework.statistics.contrasts import Interval
from needlework.statistics.means import estimate
from needlework.tasks import haystacks, niah, questions, words
from tests.engine_for_tests import NumberTokenizer, dataset, run_cell, sample, shared_cell
from tests.models_for_tests import family
from tests.reference import test_against_upstream as upstream
from tests.tasks_for_tests import item

# --- statistics, analysis, claims


def test_the_shortest_length_is_always_kept() -> None:
    """It is what the others are compared with, however few samples it has."""
    scores = {128: estimate([1.0, 0.0, 0.0]), 256: estimate([0.0] * 3)}
    found = above_own_share(scores)
    assert (found.length, found.low, found.high) == (128, 128, found.high)
    assert found.low == 128


def test_right_and_wrong_have_newcombes_interval_and_parts_have_students() -> None:
    first, second = [1.0] * 9 + [0.0] * 3, [1.0] * 4 + [0.0] * 8
    estimates = (estimate(first), estimate(second))
    found = comparisons._paired_difference(first, second, estimates)
    assert found == comparisons._newcombe(first, second, estimates)
    spread = float(np.subtract(first, second).std(ddof=1))
    student = 5 / 12 - 2.200985 * spread / math.sqrt(12)
    assert abs(found.low - student) > 1e-3
    parts = [0.5, *first[1:]]
    estimates = (estimate(parts), estimate(second))
    found = comparisons._paired_difference(parts, second, estimates)
    assert found != comparisons._newcombe(parts, second, estimates)


@pytest.mark.parametrize(
    "found", [Interval(0.4, 0.4, 0.6), Interval(-0.4, -0.6, -0.4), Interval(0.4, 0.4, 0.4)]
)
def test_an_interval_that_ends_at_its_value_is_far_from_zero(found: Interval) -> None:
    assert comparisons.interval_test(found) == comparisons.SMALLEST


def test_one_missing_cell_takes_nothing_from_a_claim_that_some_hold() -> None:
    assert some(["supported", "contradicted"]) == "supported"
    kinds = {combine for claim in claims.CLAIMS for combine in claim.combine.values()}
    assert every in kinds
    assert kinds - {every}, "there are claims that one example supports"


def test_the_full_number_of_samples_is_tried() -> None:
    """A value that only all of them give."""
    only = Fraction(100, 7)
    found = granularity.largest_possible(only, Fraction(1, 1000), samples=7, references=1)
    assert found == 7


# --- tasks


def test_a_short_essay_is_repeated_until_the_haystack_is_as_long_as_asked(
    shared: Path, tmp_path: Path
) -> None:
    essay = tmp_path / "essay.json"
    essay.write_text(json.dumps({"text": "One sentence here. Another one there. A third."}))
    punkt = shared / "mirror/nltk_data/tokenizers/punkt_tab/english"
    if not punkt.is_dir():
        punkt = next(shared.rglob("punkt_tab/english"), punkt)
    if not punkt.is_dir():
        pytest.skip("no Punkt tables among the reference material")
    tokens = 200
    found = haystacks.essay_sentences(essay, punkt, tokens)
    wanted = tokens * haystacks._LETTERS_PER_TOKEN
    assert len(" ".join(found)) >= wanted


@pytest.mark.parametrize("name", sorted(words._SIZES))
def test_one_other_word_is_noticed(name: str) -> None:
    lists = dict(words._lists())
    changed = [*lists[name]]
    changed[len(changed) // 2] += "x"
    with pytest.raises(ResourceError, match="every draw would differ"):
        words.verify(lists | {name: tuple(changed)})


def test_no_value_is_a_key() -> None:
    """Of numbers from a tiny range, all are used."""
    from needlework.tasks.specs import NiahSpec

    material = language.material()
    few = {"numbers": lambda draws: str(draws.randrange(8))}
    material = replace(material, draws={**material.draws, **few})
    spec = NiahSpec(
        generator="niah", haystack="repeat", key_kind="numbers", value_kind="numbers", keys=4
    )
    for index in range(20):
        facts = niah._facts(spec, material, item(index))
        keys, values = {fact.key for fact in facts}, {fact.value for fact in facts}
        assert len(keys) == len(values) == 4
        assert keys.isdisjoint(values)


def test_a_question_that_lacks_one_of_two_documents_is_not_asked(tmp_path: Path) -> None:
    row = {
        "question": "q?",
        "answer": "a",
        "supporting_facts": [["One", 0], ["Gone", 0]],
        "context": [["One", ["a."]], ["Near", ["b."]]],
    }
    path = tmp_path / "hotpot.json"
    path.write_text(json.dumps([row]))
    found = questions.hotpotqa(path)
    assert (found.entries, found.left_out) == ((), 1)


def test_misleading_documents_come_in_another_order_for_every_sample() -> None:
    entry = questions._Entry("q?", ("a",), (0,), tuple(range(1, 9)))
    collection = questions._Collection((entry,), tuple(f"text {each}" for each in range(20)))
    orders = set()
    for index in range(6):
        others = questions._others(collection, entry, item(index))
        first = tuple(next(others) for _ in range(8))
        assert sorted(first) == sorted(collection.pool[1:9])
        orders.add(first)
    assert len(orders) > 3


# --- engine


def test_prompts_that_differ_by_sixteen_bits_are_different() -> None:
    rule = StopRule(limit=3, outputs=("a",), metric="all")
    reader = identity.Reader(
        weights="w",
        configuration="c",
        dtype="d",
        kernels="k",
        backend="b",
        code="c",
        tokenizer="t",
        decoding=Decoding(),
    )
    keys = {
        identity.key(reader, np.array([5, token], dtype=np.int64), rule, ())
        for token in (1, 1 + (1 << 8), 1 + (1 << 16), 1 + (1 << 24))
    }
    assert len(keys) == 4


@pytest.mark.parametrize(("temperature", "share"), [(0.25, 0.98), (1.0, 0.73), (4.0, 0.56)])
def test_a_low_temperature_makes_the_best_more_likely(temperature: float, share: float) -> None:
    logits = torch.tensor([[1.0, 0.0]]).repeat(4000, 1)
    addresses = [("task", row) for row in range(4000)]
    choose = Sampled(2, temperature, 0, addresses)
    first = choose(logits, list(range(4000))).count(0) / 4000
    assert first == pytest.approx(share, abs=0.03)  # Four standard deviations of 4,000 draws.


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_fails_the_row_alone(value: float) -> None:
    class Broken(Decoder):
        def logits(self, h: Tensor) -> Tensor:
            found = super().logits(h)
            found[0, 3] = value
            return found

    plain = family("llama", dtype=torch.float32, vocabulary=40)
    decoder = Broken(plain.config)
    decoder.load_state_dict(plain.state_dict())
    hidden = torch.randn(2, plain.config.width)
    slots = Slots(decoder, answers=2, kept=0, total=2, prompt=1, answer=2)
    rule = StopRule(limit=1, outputs=("no",), metric="all", decided=False)
    answers = [Answer(rule, Pieces(NumberTokenizer()), 1) for _ in range(2)]

    def ready() -> Iterator[Ready]:
        slots.begin([None, None])
        yield Ready((0, 1), hidden, 0)

    with torch.inference_mode():
        found = list(
            decode(
                decoder,
                ready(),
                answers,
                lambda logits, _: logits.argmax(dim=-1).tolist(),
                slots=slots,
                vocabulary=40,
                interruption=Interruption(),
            )
        )
    by_prompt = {each.prompt: each for each in found}
    assert by_prompt[0].stop_reason == "failed"
    assert by_prompt[1].stop_reason == "limit"


class Letters:
    """A token is its text."""

    identity, begin, end, vocabulary, blank, cuts = "letters", (), frozenset[int](), 9, None, None
    texts = ("7", " 7", "é", "İ", "K", "no", "\ufffd", "", " ")

    def encode(self, text: str) -> list[int]:
        return [self.texts.index(text)]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.texts[token] for token in tokens)


@pytest.mark.parametrize(
    ("output", "tokens", "decided"),
    [
        ("7", [0], 0),
        ("7", [5, 1], 1),
        ("é", [2], 0),
        ("K", [4], 0),
        ("i̇", [3], 0),
        ("7 ", [0, 8, 5], 2),
        ("77", [0, 2, 0, 0], 3),
        ("77", [0, 6, 0, 0], 3),
        ("no", [5], 0),
        ("x", [5, 0, 2], None),
    ],
)
def test_an_answer_is_decided_at_the_token_that_completes_it(
    output: str, tokens: list[int], decided: int | None
) -> None:
    """Plain letters or not, capitals, blanks that may be stripped, unfinished characters."""
    rule = StopRule(limit=99, outputs=(output,), metric="all")
    answer = Answer(rule, Pieces(Letters()), 1)  # type: ignore[arg-type]
    reasons = [answer.add(token) for token in tokens]
    expected = ["decided" if place == decided else None for place in range(len(tokens))]
    assert reasons[: None if decided is None else decided + 1] == (
        expected if decided is None else expected[: decided + 1]
    )


def test_shards_with_more_of_one_task_than_of_another_are_refused(tmp_path: Path) -> None:
    found = run_cell(
        family("llama", dtype=torch.float64, vocabulary=40),
        {"a": dataset([sample(0, [3, 4]), sample(1, [5, 6])]), "b": dataset([sample(0, [7, 8])])},
        tmp_path / "journal",
    )
    part = tmp_path / "part.jsonl"
    part.write_text("".join(each.model_dump_json() + "\n" for each in found))
    with pytest.raises(EngineError, match=r"more samples of one task|missing or duplicated"):
        shards.merge([part], ["a", "b"], tmp_path / "whole.jsonl")


def test_a_failed_sample_pays_for_nothing_that_others_share(tmp_path: Path) -> None:
    plain = family("llama", dtype=torch.float64, vocabulary=40)
    spec = plain.config.model_copy(update={"positions": 75})
    decoder = Decoder(spec).double()
    decoder.load_state_dict(plain.state_dict())
    cell = shared_cell(samples=2)
    longer = sample(9, [*range(3, 40), *range(3, 40)])
    cell["alone"] = replace(cell["alone"], samples=[*cell["alone"].samples, longer])
    found: list[Prediction] = run_cell(decoder.eval().requires_grad_(False), cell, tmp_path / "j")
    failed = [each for each in found if each.error]
    assert failed
    assert all(each.shared_tokens == 0 for each in failed)
    answered = [each for each in found if not each.error]
    assert any(each.shared_tokens for each in answered)


# --- models and tokenizers


@pytest.mark.parametrize("name", ["mamba2", "griffin", "rwkv6"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_long_sums_are_kept_in_float32(name: str, dtype: torch.dtype) -> None:
    """In half precision what is small is lost beside what is large."""
    decoder = family(name, dtype=dtype, vocabulary=40)
    state = decoder.init_state(1)
    kinds = [
        value.dtype
        for layer in state.layers
        for key, value in vars(layer).items()
        if isinstance(value, Tensor) and any(part in key for part in ("state", "hidden", "h_"))
    ]
    assert kinds
    assert set(kinds) == {torch.float32}


def test_a_width_that_is_not_told_is_rounded_down_to_32() -> None:
    raw = {"hidden_size": 96, "vocab_size": 50, "num_hidden_layers": 1, "head_size": 32}
    found = [each for each in rwkv6.decoder_config(raw).layers if hasattr(each, "hidden")]
    assert {each.hidden for each in found} == {320}  # 3.5 * 96 = 336.


def test_the_residual_stream_of_mamba_ssm_is_as_its_file_says() -> None:
    raw = {
        "d_model": 64,
        "n_layer": 1,
        "vocab_size": 50,
        "ssm_cfg": {"layer": "Mamba2"},
        "attn_layer_idx": [],
        "attn_cfg": {},
        "rms_norm": True,
        "fused_add_norm": True,
    }
    for wide in (True, False):
        found = mamba_ssm.decoder_config(raw | {"residual_in_fp32": wide})
        assert found.residual_float32 is wide
    assert any(isinstance(each, config.SSD) for each in found.layers)


@pytest.mark.parametrize("trusted", [True, False])
def test_missing_weights_are_refused_whoevers_code_it_is(trusted: bool, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    upstream.llama().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing: model\.norm\.weight"):
        load_hub_model(
            str(tmp_path),
            revision=None,
            device="cpu",
            dtype=torch.float32,
            trust_remote_code=trusted,
        )


def test_a_text_is_neither_cut_nor_filled(tmp_path: Path) -> None:
    language.write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    layout = json.loads(path.read_text())
    layout["truncation"] = {
        "direction": "Right",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    layout["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    path.write_text(json.dumps(layout))
    words_ = "the magic number is the magic number"
    assert len(tokenizers.load(str(tmp_path)).encode(words_)) == 7
    assert len(tokenizers.load(str(tmp_path)).encode("the")) == 1


def test_what_a_post_processor_puts_behind_a_text_is_no_begin_token(tmp_path: Path) -> None:
    import tokenizers as library
    from tokenizers import models, pre_tokenizers, processors

    made = library.Tokenizer(models.BPE({"a": 0, "<s>": 1, "</s>": 2}, []))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>", "</s>"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    assert tokenizers.load(str(tmp_path)).begin == (1,)
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    assert tokenizers.load(str(tmp_path)).begin == ()


def test_control_tokens_are_no_text(shared: Path) -> None:
    found = tokenizers.load(str(shared / "mirror/tokenizers/llama-2/tokenizer.model"))
    ids = found.encode("a word")
    assert found.decode([1, *ids, 2]) == found.decode(ids) == "a word"


# --- files


def test_a_part_with_a_stranger_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    part.write_text('{"task": "a"}\n')
    with pytest.raises(RecordError, match=r"part\.jsonl:1"):
        shards.merge([part], ["a"], tmp_path / "whole.jsonl")
