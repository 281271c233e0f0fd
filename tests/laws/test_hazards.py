"""Each published defect leaves the traces it left in the paper, on the shipped small models."""

from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor

from needlework import models
from needlework.defects import LayerHazard
from needlework.engine.cell import Dataset, predict_cell
from needlework.engine.stopping import PUBLISHED_SAMPLING, Decoding
from needlework.models.decoder import Decoder
from needlework.nano import language
from needlework.records import Prediction, Sample
from needlework.study.variants import misread
from needlework.tasks import generate
from needlework.tasks.metrics import score
from needlework.tokenizers.prefixes import plan_forest
from tests.tasks_for_tests import (
    DEPTH,
    DEPTHS,
    ENGLISH,
    NANO,
    ROOT,
    nano_tokenizer,
    needle_texts,
    rows,
)

NONE: tuple[LayerHazard, ...] = ()
WINDOW = 256
"""Griffin's attention window, which is also the training length."""
SIGMAS = 4.0


def nano(architecture: str, *hazards: LayerHazard) -> Decoder:
    return models.load(
        str(ROOT / "resources/nano" / architecture),
        revision=None,
        device="cpu",
        dtype=torch.float32,
        hazards=list(hazards),
    )


def samples_of(task: str, *, length: int, count: int) -> list[Sample]:
    return [sample for sample, _ in rows(task, length=length, samples=count)]


def answers(
    decoder: Decoder,
    journal: Path,
    tasks: dict[str, list[Sample]],
    decoding: Decoding | None = None,
    like: str | None = None,
) -> list[Prediction]:
    """Predictions for samples by task; with `like`, all as that task is answered and scored."""
    specs = {task: NANO[like or task] for task in tasks}
    datasets = {
        task: Dataset(
            samples=found,
            tokens_to_generate=specs[task].tokens_to_generate,
            metric=specs[task].metric,
        )
        for task, found in tasks.items()
    }
    return predict_cell(
        decoder, nano_tokenizer(), datasets, revision="test", journal=journal, decoding=decoding
    )


def total(predictions: Sequence[Prediction]) -> float:
    return sum(
        score(each.pred, each.outputs, metric=NANO[each.task].metric) for each in predictions
    )


def test_a_wrong_state_spoils_decoding_alone() -> None:
    """Hazard H2: the prompt is read exactly; after it every logit is off by about their spread."""
    for asked in samples_of("niah_single_3", length=128, count=3):
        prompt, answer = (nano_tokenizer().encode(text) for text in (asked.input, asked.outputs[0]))
        sound, broken = (
            decoded(nano("mamba2attn", *hazards), [*nano_tokenizer().begin, *prompt], answer)
            for hazards in (NONE, ("m2a-conv-state",))
        )
        off = (sound - broken).abs().amax(dim=-1)
        assert off[0] == 0
        assert off[1:].min() > 0.1 * sound.std()
        assert off[1:].max() > sound.std()


def decoded(decoder: Decoder, prompt: list[int], answer: list[int]) -> Tensor:
    """Logits after the prompt and after every word of the answer, which is given."""
    logits, state = decoder(torch.tensor([prompt]), decoder.init_state(1))
    state, rows_V = state.after_prompt(), [logits[0, -1]]
    for token in answer:
        logits, state = decoder(torch.tensor([[token]]), state)
        rows_V.append(logits[0, -1])
    return torch.stack(rows_V)


def test_a_wrong_state_spoils_long_answers(tmp_path: Path) -> None:
    """Hazard H2: what is said with the first word stays right, what follows is lost."""
    asked = {"niah_multivalue": samples_of("niah_multivalue", length=128, count=12)}
    sound = answers(nano("mamba2attn"), tmp_path / "sound", asked)
    broken = answers(nano("mamba2attn", "m2a-conv-state"), tmp_path / "broken", asked)
    first = [[each.pred.split()[0] for each in side] for side in (sound, broken)]
    assert first[0] == first[1]
    assert total(broken) < total(sound)


def test_a_wrong_state_spares_answers_of_one_token(tmp_path: Path) -> None:
    """Hazard H2: so whether it shows depends on how long an answer is."""
    asked = {"niah_single_1": samples_of("niah_single_1", length=128, count=8)}
    sound = answers(nano("mamba2attn"), tmp_path / "sound", asked)
    broken = answers(nano("mamba2attn", "m2a-conv-state"), tmp_path / "broken", asked)
    assert total(sound) == total(broken) == len(sound)


@pytest.mark.parametrize("length", [WINDOW // 2, WINDOW])
def test_a_shifted_window_is_harmless_up_to_the_window(length: int) -> None:
    """Hazard H3: identical up to the window, for the last token and those of the answer."""
    for sound, broken in windows(length):
        torch.testing.assert_close(broken, sound, rtol=1e-5, atol=1e-4)


def test_a_shifted_window_is_off_beyond_it() -> None:
    """Hazard H3: past the window the last token's logits are off by a tenth of their spread."""
    for sound, broken in windows(2 * WINDOW):
        assert (sound[0] - broken[0]).abs().max() > 0.1 * sound.std()


def windows(length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits without and with the defect, after prompts of (almost) `length` tokens."""
    decoders = [nano("griffin", *hazards) for hazards in (NONE, ("rg-window",))]
    for asked in samples_of("niah_single_1", length=length, count=3):
        prompt, answer = (nano_tokenizer().encode(text) for text in (asked.input, asked.outputs[0]))
        sound, broken = (
            decoded(decoder, [*nano_tokenizer().begin, *prompt], answer) for decoder in decoders
        )
        yield sound, broken


@pytest.fixture(scope="module")
def uncertain() -> dict[str, list[Sample]]:
    """Questions on which the small Mamba2 is not certain of its first word."""
    return {
        task: samples_of(task, length=256, count=30) for task in ("cwe", "fwe", "niah_multikey_3")
    }


def test_sampling_hits_the_likeliest_token_as_often_as_it_is_likely(
    uncertain: dict[str, list[Sample]], tmp_path: Path
) -> None:
    """Hazard H1: a draw at temperature 1 among the 32 likeliest; other models take the first."""
    decoder = nano("mamba2")
    drawn = answers(decoder, tmp_path / "drawn", uncertain, PUBLISHED_SAMPLING)
    chances, hits = [], 0
    asked = [sample for found in uncertain.values() for sample in found]
    for sample, each in zip(asked, drawn, strict=True):
        tokens = [*nano_tokenizer().begin, *nano_tokenizer().encode(sample.input)]
        logits, _ = decoder(torch.tensor([tokens]), decoder.init_state(1))
        best = torch.softmax(logits[0, -1].double().topk(32).values, dim=-1)
        chances.append(float(best[0]))
        likeliest = nano_tokenizer().decode([int(logits[0, -1].argmax())])
        hits += each.pred.split()[:1] == [likeliest.strip()]
    spread = sqrt(sum(chance * (1 - chance) for chance in chances))
    assert spread > 1
    assert abs(hits - sum(chances)) < SIGMAS * spread


def test_sampling_lowers_scores_and_never_ends_early(
    uncertain: dict[str, list[Sample]], tmp_path: Path
) -> None:
    """Hazard H1: no end token is set, and a wrong draw is not taken back."""
    decoder = nano("mamba2")
    greedy = answers(decoder, tmp_path / "greedy", uncertain)
    drawn = answers(decoder, tmp_path / "drawn", uncertain, PUBLISHED_SAMPLING)
    assert "end" not in {each.stop_reason for each in drawn}
    limits = {task: NANO[task].tokens_to_generate for task in uncertain}
    for each in drawn:
        assert each.stop_reason == "decided" or each.generated_tokens == limits[each.task]
    assert total(drawn) < total(greedy)


def test_mistaken_tasks_ask_for_numbers_again() -> None:
    """Hazard H4: in the artifact both files are the same to the byte."""
    for depth in DEPTHS:
        mistaken = misread(ENGLISH[f"niah_essay_uuids_{depth}"], ["uuid-numbers"])
        assert mistaken == ENGLISH[f"niah_essay_numbers_{depth}"]
    specs = {
        "niah_essay_uuids_40": misread(DEPTH["niah_essay_uuids_40"], ["uuid-numbers"]),
        "niah_essay_numbers_40": DEPTH["niah_essay_numbers_40"],
    }
    needles = [
        [
            needle_texts(row)
            for row in generate(
                spec,
                material=language.material(),
                tokenizer=nano_tokenizer(),
                length=256,
                samples=5,
                seed=42,
                task=task,
            )
        ]
        for task, spec in specs.items()
    ]
    assert needles[0] == needles[1]


def test_equal_columns_differ_by_the_noise_of_sampling_alone(
    uncertain: dict[str, list[Sample]], tmp_path: Path
) -> None:
    """Hazards H1 and H4 together: what Table 4 shows as two formats is one, drawn twice."""
    twice = {"numbers": uncertain["cwe"], "uuids": uncertain["cwe"]}
    decoder = nano("mamba2")
    for decoding, differ in ((None, False), (PUBLISHED_SAMPLING, True)):
        journal = tmp_path / str(differ)
        found = answers(decoder, journal, twice, decoding, like="cwe")
        texts = [[each.pred for each in found if each.task == task] for task in twice]
        assert (texts[0] != texts[1]) == differ


def test_equal_columns_are_read_as_what_they_are() -> None:
    """Hazard H4 makes a third of the depth suite's prompts equal to another third: fewer branches
    than prompts, and every prompt must still be put together from its own tokens."""
    draws = Random(1)
    hay = [draws.randrange(90) for _ in range(80)]
    equal = [(at, needle) for _ in range(2) for at in (0, 10) for needle in range(6)]
    others = [(at, needle) for at in (40, 60, 80) for needle in range(6)]
    prompts = [
        np.array([*hay[:at], 100 + needle, *hay[at:], 200 + needle], dtype=np.int32)
        for at, needle in equal + others
    ]
    forest = plan_forest(prompts, branch_cost=1)
    for segment in forest:
        tokens, above = [prompts[segment.prompt][segment.start : segment.end]], segment.parent
        while above is not None:
            parent = forest[above]
            tokens.insert(0, prompts[parent.prompt][parent.start : parent.end])
            above = parent.parent
        for prompt in segment.prompts:
            assert np.concatenate(tokens).tolist() == prompts[prompt].tolist()
