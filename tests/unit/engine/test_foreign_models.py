"""Models that transformers computes: whatever depends on the length, an answer does not depend on
what else is asked, and a sample that the library fails on is a failed sample."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from needlework.engine.cell import Setting, predict_cell
from needlework.engine.schedule import Limits
from needlework.models.hub_cuts import lengths_around
from needlework.models.hub_model import HubModel, load_hub_model
from needlework.records import Prediction
from tests.engine_for_tests import NumberTokenizer, dataset, sample

SHAPE = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}
SWITCH = 32
WRITTEN = 6


def long_rope(**changed: object) -> transformers.PreTrainedModel:
    """Other angles for all positions, beyond so many tokens."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0, 8.0, 16.0, 32.0],
        "factor": 8.0,
        "original_max_position_embeddings": SWITCH,
    }
    return transformers.Phi3ForCausalLM(
        transformers.Phi3Config(
            **SHAPE | changed,
            max_position_embeddings=8 * SWITCH,
            original_max_position_embeddings=SWITCH,
            rope_parameters=rope,
        )
    )


def dynamic() -> transformers.PreTrainedModel:
    """Other angles with every token."""
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SHAPE, max_position_embeddings=SWITCH, rope_parameters=rope)
    )


def plain() -> transformers.PreTrainedModel:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))


def hub_model(
    model: transformers.PreTrainedModel, folder: Path, dtype: torch.dtype = torch.float32
) -> HubModel:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3, generator=generator)
    model.save_pretrained(folder)
    return load_hub_model(
        str(folder), revision=None, device="cpu", dtype=dtype, trust_remote_code=False
    )


def book(length: int) -> list[int]:
    return [2 + (7 * place + place // 5) % 37 for place in range(length)]


def prompts(count: int, length: int = 60) -> list[list[int]]:
    """Prompts that share much of their beginning, and some of them more than others."""
    return [[*book(length - 9 - 2 * index), 3 + index, 5, 6] for index in range(count)]


def answered(
    hub: HubModel, folder: Path, asked: Sequence[Sequence[int]], **setting: object
) -> list[Prediction]:
    samples = [sample(index, tokens) for index, tokens in enumerate(asked)]
    return predict_cell(
        hub,
        NumberTokenizer(),
        {"task": dataset(samples, limit=WRITTEN)},
        revision="first",
        journal=folder / "journal",
        setting=Setting(**setting),
    )


@torch.no_grad()
def by_reading_all(folder: Path, tokens: Sequence[int]) -> str:
    """The answer by definition: one reading of everything for every token, by a model that has
    read nothing else."""
    written: list[int] = []
    while len(written) < WRITTEN:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        logits_1TV: Tensor = model(torch.tensor([[1, *tokens, *written]])).logits
        token = int(logits_1TV[0, -1].argmax())
        if token in NumberTokenizer.end:
            break
        written.append(token)
    return NumberTokenizer().decode(written)


@pytest.mark.parametrize("make", [long_rope, dynamic, plain])
@pytest.mark.parametrize("length", [20, 31, 60])
def test_an_answer_is_that_of_one_reading(
    make: Callable[[], transformers.PreTrainedModel], length: int, tmp_path: Path
) -> None:
    hub = hub_model(make(), tmp_path / "model")
    asked = prompts(4, length)
    found = answered(hub, tmp_path, asked)
    assert [each.pred for each in found] == [
        by_reading_all(tmp_path / "model", tokens) for tokens in asked
    ]


@pytest.mark.parametrize("make", [long_rope, dynamic, plain])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_more_samples_and_other_limits_change_no_answer(
    make: Callable[[], transformers.PreTrainedModel], dtype: torch.dtype, tmp_path: Path
) -> None:
    hub = hub_model(make(), tmp_path / "model", dtype)
    many = answered(hub, tmp_path / "many", prompts(8))
    few = answered(hub, tmp_path / "few", prompts(3))
    tight = Limits(tokens=32, chunk=8, rows=2, states=1)
    pieces = answered(hub, tmp_path / "pieces", prompts(8), limits=tight)
    assert [each.pred for each in few] == [each.pred for each in many[:3]]
    assert [each.pred for each in pieces] == [each.pred for each in many]


@pytest.mark.parametrize(
    ("make", "length", "cuts"),
    [
        (plain, 60, "anywhere"),
        (long_rope, 20, "anywhere"),
        (long_rope, 60, "after the prompt"),
        (dynamic, 20, "anywhere"),
        (dynamic, 60, "nowhere"),
    ],
)
def test_what_is_seen_to_continue_is_continued(
    make: Callable[[], transformers.PreTrainedModel], length: int, cuts: str, tmp_path: Path
) -> None:
    """Below the length at which angles change nothing is lost; beyond it no more than must be."""
    hub = hub_model(make(), tmp_path)
    hub.prepare([np.array(tokens) for tokens in prompts(3, length)], WRITTEN)
    assert hub.cuts == cuts


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 128, 129, 144, 8000, 8192])
def test_a_range_of_lengths_is_the_same_for_all_lengths_in_it(length: int) -> None:
    first, last = lengths_around(length)
    assert first <= length <= last
    assert last - first < max(16, length / 8)
    assert {lengths_around(each) for each in range(max(1, first), last + 1)} == {(first, last)}


@pytest.mark.parametrize(
    ("make", "kept"),
    [(plain, [True, True]), (long_rope, [True, True]), (dynamic, [True, False])],
)
def test_in_half_precision_other_prompts_do_not_decide_how_one_is_read(
    make: Callable[[], transformers.PreTrainedModel], kept: list[bool], tmp_path: Path
) -> None:
    """Not those of other lengths, and not what any of them says."""
    hub = hub_model(make(), tmp_path / "model", torch.bfloat16)
    chosen = []
    for others in ([], [10, 200], [60, 61, 90]):
        for word in (3, 5):
            asked = [np.full(length, word, dtype=np.int32) for length in [20, 55, *others]]
            hub.prepare(asked, WRITTEN)
            rows = [hub.read(torch.full((1, length), 7), hub.init_state(1)) for length in (20, 55)]
            chosen.append([row.rows[0].cache is not None for _, row in rows])
    assert chosen == [kept] * len(chosen)


def test_a_prompt_before_the_switch_among_longer_ones_is_read_as_if_alone(tmp_path: Path) -> None:
    hub = hub_model(long_rope(), tmp_path / "model")
    asked = [book(SWITCH - 3), book(60)]
    found = answered(hub, tmp_path, asked)
    assert [each.pred for each in found] == [
        by_reading_all(tmp_path / "model", tokens) for tokens in asked
    ]


def test_nothing_is_proven_in_half_precision_but_that_answers_continue(tmp_path: Path) -> None:
    hub = hub_model(plain(), tmp_path, torch.bfloat16)
    hub.prepare([np.array(tokens) for tokens in prompts(3)], WRITTEN)
    assert (hub.cuts, hub.one_pass) == ("after the prompt", True)


POSITIONS = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=40, n_positions=32, n_embd=32, n_layer=2, n_head=4)
    ),
    "opt": lambda: transformers.OPTForCausalLM(
        transformers.OPTConfig(
            vocab_size=40,
            hidden_size=32,
            ffn_dim=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=32,
            word_embed_proj_dim=32,
        )
    ),
    "gpt-neo": lambda: transformers.GPTNeoForCausalLM(
        transformers.GPTNeoConfig(
            vocab_size=40,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global"], 2]],
            max_position_embeddings=32,
        )
    ),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_beyond_the_learned_positions_samples_fail_and_others_are_answered(
    name: str, tmp_path: Path
) -> None:
    hub = hub_model(POSITIONS[name](), tmp_path / "model")
    assert hub.config.positions == 32
    short, long = answered(hub, tmp_path, [book(20), book(40)])
    assert short.error is None
    assert long.error == (
        "prompt and answer of 47 tokens exceed the 32 positions of the model; choose a shorter "
        "length"
    )


def test_rotary_models_have_no_last_position(tmp_path: Path) -> None:
    assert hub_model(plain(), tmp_path).config.positions is None


def test_what_was_read_before_changes_nothing(tmp_path: Path) -> None:
    """The library's dynamic angles stay those of the longest text that a model has seen."""
    hub = hub_model(dynamic(), tmp_path / "model")
    short = prompts(1, 40)
    alone = answered(hub, tmp_path / "alone", short)
    together = answered(hub, tmp_path / "together", [*short, book(200)])
    assert together[0].pred == alone[0].pred == by_reading_all(tmp_path / "model", short[0])


def test_what_the_library_fails_on_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that no configuration tells, such as a table inside of remote code."""
    hub = hub_model(plain(), tmp_path / "model")
    forward = hub.model.forward

    def limited(tokens_BT: Tensor, **arguments: object) -> object:
        if tokens_BT.shape[1] > 30:
            raise IndexError("index out of range in self")
        return forward(tokens_BT, **arguments)

    monkeypatch.setattr(hub.model, "forward", limited)
    short, long = answered(hub, tmp_path, [book(20), book(40)])
    assert short.error is None
    assert long.error is not None
    assert long.error.startswith("LlamaForCausalLM of transformers fails on 41 tokens (IndexError")


def test_models_of_several_inputs_describe_text_in_a_part_of_their_own(tmp_path: Path) -> None:
    text = {key: SHAPE[key] for key in SHAPE if key not in ("pad_token_id", "bos_token_id")}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = transformers.Gemma3Config(
        text_config=text | {"head_dim": 8}, vision_config=vision, mm_tokens_per_image=4
    )
    hub = hub_model(transformers.Gemma3ForConditionalGeneration(config), tmp_path)
    assert hub.config.vocabulary == 40
