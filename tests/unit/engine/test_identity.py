"""Every input of an answer is changed, one at a time: the answer is computed again. What is beside
it is changed as well, and no answer is. `docs/answers.md` tells the same as a table.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from needlework import sources
from needlework.engine import identity, predict
from needlework.engine.stopping import Decoding, StopRule
from needlework.files import read_records, write_records
from needlework.models import cuda, kernels
from needlework.parsing import parse, read
from needlework.records import PlacedDetail, Prediction, Reasoning, Sample
from needlework.scores.shards import Shard
from needlework.tasks.specs import Spec
from tests.engine_for_tests import VOCABULARY, in_child, shared_cell
from tests.models_for_tests import SPECS, WIDTH, family, mixer
from tests.own_code_for_tests import write_with_code
from tests.sources_for_tests import Edit, comment, docstring, edit, forget, statement

PAGE = Path(__file__).parents[3] / "docs/answers.md"
TASKS = {"alone": {"generator": "niah", "haystack": "essay", "tokens_to_generate": 9}}
ANSWERS = 6


@dataclass(frozen=True)
class Run:
    """One try to answer a cell: its files, and what is asked for beside them."""

    folder: Path
    patch: pytest.MonkeyPatch
    model: predict.Model
    memory: int | None = None
    shard: Shard | None = None
    likelihood: bool = False

    @property
    def output(self) -> Path:
        return self.folder / "predictions/model/ruler/60.jsonl"

    @property
    def journal(self) -> Path:
        return self.output.with_name("60.jsonl.journal")

    def answer(self) -> None:
        """Answer the cell in a process of its own."""
        machine = predict.Machine(device="cpu", threads=1, memory=self.memory)
        tasks = parse(dict[str, Spec], read(self.folder / "tasks.json"), where="tasks")

        def child() -> None:
            datasets = [self.folder / "alone.jsonl"]
            predict.predict(
                self.output,
                datasets,
                model=self.model,
                tasks=tasks,
                protocol="corrected",
                machine=machine,
                shard=self.shard,
                likelihood=self.likelihood,
            )

        assert in_child(child) == 0

    def answered(self) -> int:
        """Answers that are in the journal."""
        return len(self.journal.read_text().splitlines())

    def predictions(self) -> list[Prediction]:
        return read_records(self.output, Prediction)


Change = Callable[[Run], Run | None]


def write_inputs(folder: Path) -> None:
    """Samples, their tasks and a tokenizer of numbers."""
    words = Tokenizer(models.WordLevel({str(each): each for each in range(VOCABULARY)}))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    write_records(folder / "alone.jsonl", shared_cell()["alone"].samples)
    (folder / "tasks.json").write_text(json.dumps(TASKS))


def asked(folder: Path, **changed: Any) -> predict.Model:
    settings = {
        "checkpoint": str(folder / "checkpoint"),
        "revision": None,
        "tokenizer": str(folder),
        "tokenizer_revision": None,
        "dtype": "float32",
    }
    return predict.Model(**(settings | changed))


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell that our own decoder has answered."""
    folder = tmp_path_factory.mktemp("answered")
    write_inputs(folder)
    decoder = family("llama", dtype=torch.float32, vocabulary=VOCABULARY)
    (folder / "checkpoint").mkdir()
    save_file(decoder.state_dict(), folder / "checkpoint/model.safetensors")
    config = decoder.config.model_dump_json()
    (folder / "checkpoint/config.json").write_text(config)
    with pytest.MonkeyPatch.context() as patch:
        run = Run(folder, patch, asked(folder))
        run.answer()
    assert run.answered() == ANSWERS
    return folder


@pytest.fixture
def run(answered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the answered cell, to change at will."""
    forget()
    folder = Path(shutil.copytree(answered, tmp_path / "cell"))
    yield Run(folder, monkeypatch, asked(folder))
    monkeypatch.undo()
    forget()


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def samples(change: Callable[[Sample], dict[str, Any]]) -> Change:
    """Every sample with some other fields."""

    def act(run: Run) -> None:
        path = run.folder / "alone.jsonl"
        found = read_records(path, Sample)
        write_records(path, [each.model_copy(update=change(each)) for each in found])

    return act


def text(name: str, old: str, new: str) -> Change:
    return lambda run: rewrite(run.folder / name, old, new)


def file(name: str, content: str) -> Change:
    def act(run: Run) -> None:
        (run.folder / name).write_text(content)

    return act


def weights(run: Run) -> None:
    path = run.folder / "checkpoint/model.safetensors"
    save_file({name: -tensor for name, tensor in load_file(path).items()}, path)


def model(**changed: Any) -> Change:
    return lambda run: replace(run, model=replace(run.model, **changed))


def kernel(operation: str) -> Change:
    """A package that computes an operation; here it is torch by another name."""

    def act(run: Run) -> None:
        honest = kernels.choices
        run.patch.setattr(
            kernels, "choices", lambda *where: honest(*where) | {operation: "flash-attn"}
        )

    return act


def code(module: str, change: Edit = statement) -> Change:
    return lambda run: edit(run.patch, f"needlework.{module}", change)


def version(of: str) -> Change:
    return lambda run: run.patch.setattr(sys.modules[of], "__version__", "99.0.0")


def likelihood(run: Run) -> Run:
    """Every sample with a distractor, and likelihoods asked for."""
    found = read_records(run.folder / "alone.jsonl", Sample)
    nothing = {"depths": (), "needles": (), "answers": (), "needle_tokens": ()}
    places = {"prompt_tokens": 1, "question_start": 0, "question_token": 0}
    details = [
        PlacedDetail(index=each.index, distractors=("7",), **nothing, **places) for each in found
    ]
    write_records(run.folder / "alone.details.jsonl", details)
    return replace(run, likelihood=True)


def moved(run: Run) -> Run:
    folder = run.folder.with_name("elsewhere")
    run.folder.rename(folder)
    return Run(folder, run.patch, asked(folder))


def another_mixer(text: bytes) -> bytes:
    """The table of mixers with a row more, as somebody who adds one writes it."""
    text = text.replace(
        b"from needlework.models.rwkv6 import ChannelMix, TimeMix",
        b"from needlework.models.rwkv6 import ChannelMix, TimeMix, TimeMix as Delta",
    )
    return text.replace(b"    config.MLP: MLP,", b"    config.MLP: MLP,\n    config.Delta: Delta,")


AGAIN: dict[str, Change] = {
    "the words of a prompt": samples(lambda each: {"input": f"{each.input} 7"}),
    "one token of a prompt": samples(lambda each: {"input": f"8 {each.input[2:]}"}),
    "the chat template": samples(lambda each: {"input": f"3 4 {each.input} 5"}),
    "the begin token": file("tokenizer_config.json", '{"add_bos_token": true, "bos_token": "1"}'),
    "the end token": file("tokenizer_config.json", '{"eos_token": "31"}'),
    "the words of the tokenizer": text("tokenizer.json", '"0"', '"zero"'),
    "the references": samples(lambda each: {"outputs": ("6",)}),
    "the metric": text("tasks.json", '"niah", "haystack": "essay"', '"qa", "source": "facts"'),
    "`tokens_to_generate`": text("tasks.json", "9", "8"),
    "the weights": weights,
    "`config.json`, where it changes the model": text(
        "checkpoint/config.json", '"rotary_base":10000.0', '"rotary_base":500.0'
    ),
    "the dtype": model(dtype="float64"),
    "how tokens are chosen": model(hazards=("mamba-sampling",)),
    "`reasoning`": model(reasoning=Reasoning(end="7", tokens=3)),
    "`likelihood`": likelihood,
    "a kernel that the model uses": kernel("attention"),
    "code of the engine": code("engine.decode"),
    "code of a mixer that the model has": code("models.attention"),
    "code that says which keys are seen": code("models.attending"),
    "code of the loader of its format": code("models.checkpoints.native"),
    "code of the reader of its tokenizer": code("tokenizers.hub"),
    "code that compares answers with references": code("tasks.metrics"),
}
KEPT: dict[str, Change] = {
    "nothing": lambda run: None,
    "a comment or the layout": code("models.attention", comment),
    "a docstring": code("models.attention", docstring),
    "code of a mixer that the model does not have": code("models.rwkv6"),
    "a mixer more in the table": code("models.decoder", another_mixer),
    "code of the loader of another format": code("models.checkpoints.llama"),
    "code of the reader of another tokenizer": code("tokenizers.world"),
    "code for CUDA kernels, where torch computes": code("models.cuda"),
    "kernels of our own, where torch computes": code("models.fused"),
    "kernels of our own beside a prefix, where torch computes": code("models.fused_attention"),
    "kernels of our own around recurrences, where torch computes": code("models.fused_recurrent"),
    "code of progress, memory and messages": code("engine.memory"),
    "code of likelihoods, where none is asked for": code("engine.likelihood"),
    "code of tables, scores and figures": code("report.tables"),
    "a kernel that the model does not use": kernel("diagonal_scan"),
    "the version of torch (marked)": version("torch"),
    "`--memory`": lambda run: replace(run, memory=1),
    "the number of shards": lambda run: replace(run, shard=Shard(1, 1)),
    "where the files lie": moved,
    "the layout of `config.json`": lambda run: rewrite(
        run.folder / "checkpoint/config.json", ",", ",\n "
    ),
    "a file that is not read": file("checkpoint/modeling_x.py", "x = 1"),
}


@pytest.mark.parametrize("change", AGAIN)
def test_a_change_of_an_input_computes_the_answer_again(change: str, run: Run) -> None:
    changed = AGAIN[change](run) or run
    changed.answer()
    assert changed.answered() == 2 * ANSWERS


@pytest.mark.parametrize("change", KEPT)
def test_a_change_beside_computes_nothing(change: str, run: Run) -> None:
    before = run.predictions()
    changed = KEPT[change](run) or run
    changed.answer()
    assert changed.answered() == ANSWERS
    assert [each.pred for each in changed.predictions()] == [each.pred for each in before]


def test_answers_keep_the_versions_that_computed_them(run: Run) -> None:
    """More samples under another torch: each answer says its own, and the cell is marked."""
    told = f"torch {torch.__version__}"
    path = run.folder / "alone.jsonl"
    found = read_records(path, Sample)
    more = [
        each.model_copy(update={"index": 6 + each.index, "input": f"5 {each.input}"})
        for each in found[:2]
    ]
    write_records(path, [*found, *more])
    version("torch")(run)
    run.answer()
    assert [each.others["libraries"] for each in run.predictions()] == (
        [told] * ANSWERS + ["torch 99.0.0"] * 2
    )


# Models of transformers, with code of their own.


@pytest.fixture(scope="module")
def answered_by_transformers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same cell, answered by a small Llama whose folder brings code of its own."""
    folder = tmp_path_factory.mktemp("transformers")
    write_inputs(folder)
    write_with_code(folder / "checkpoint", vocabulary=VOCABULARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_MODULES_CACHE", str(folder / "modules"))
        run = Run(folder, patch, theirs(folder))
        run.answer()
    assert run.answered() == ANSWERS
    return folder


def theirs(folder: Path) -> predict.Model:
    return asked(folder, backend="transformers", trust_remote_code=True)


@pytest.fixture
def theirs_run(
    answered_by_transformers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    folder = Path(shutil.copytree(answered_by_transformers, tmp_path / "cell"))
    forget()
    yield Run(folder, monkeypatch, theirs(folder))
    monkeypatch.undo()
    forget()


THEIRS_AGAIN: dict[str, Change] = {
    "code beside the weights, where it is run": text(
        "checkpoint/modeling_x.py", "SCALE = 1", "SCALE = -1"
    ),
    "the version of transformers, where it computes": version("transformers"),
    "the version of torch, where transformers computes": version("torch"),
    "`config.json`, where transformers computes": text(
        "checkpoint/config.json", '"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-01'
    ),
    "our code that asks transformers": code("models.hub_model"),
}
THEIRS_KEPT: dict[str, Change] = {
    "code of our mixers, where transformers computes": code("models.attention"),
}


@pytest.mark.parametrize("change", THEIRS_AGAIN)
def test_what_transformers_computes_depends_on_it_and_its_files(
    change: str, theirs_run: Run
) -> None:
    """A model's code and a library of another version lent old answers to new models."""
    changed = THEIRS_AGAIN[change](theirs_run) or theirs_run
    changed.answer()
    assert changed.answered() == 2 * ANSWERS
    told = {each.others["libraries"] for each in changed.predictions()}
    assert all(re.fullmatch(r"torch \S+, transformers \S+", each) for each in told)


@pytest.mark.parametrize("change", THEIRS_KEPT)
def test_what_transformers_computes_depends_on_nothing_else(change: str, theirs_run: Run) -> None:
    changed = THEIRS_KEPT[change](theirs_run) or theirs_run
    changed.answer()
    assert changed.answered() == ANSWERS


def test_answers_of_two_backends_are_not_mixed(theirs_run: Run) -> None:
    """The same files, read by our decoder: the journal of transformers lends it nothing."""
    rewrite(
        theirs_run.folder / "checkpoint/config.json", '"model_type": "x"', '"model_type": "llama"'
    )
    ours = replace(theirs_run, model=asked(theirs_run.folder))
    ours.answer()
    assert ours.answered() == 2 * ANSWERS


def test_a_page_tells_what_is_computed_again() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (every answer|none) \|", PAGE.read_text(), re.M)
    told = [(change, answers) for change, answers in rows if change != "change"]
    again = [(change, "every answer") for change in (*AGAIN, *THEIRS_AGAIN)]
    kept = [(change, "none") for change in (*KEPT, *THEIRS_KEPT) if change != "nothing"]
    assert sorted(told) == sorted(again + kept)


# The parts of the key.


def key_of(tokens: Sequence[int], **changed: Any) -> str:
    import numpy as np

    decoder = family("llama", vocabulary=VOCABULARY)

    class Named:
        identity = changed.pop("tokenizer", "here@1234")

    reader = identity.reader_of(
        decoder, Named(), changed.pop("decoding", Decoding()), weights=changed.pop("weights", "w")
    )
    rule = StopRule(**({"limit": 9, "outputs": ("7",), "metric": "all"} | changed))
    return identity.key(reader, np.array(tokens), rule, ())


def test_ids_that_agree_in_their_last_16_bits_are_different_prompts() -> None:
    assert key_of([5, 6]) != key_of([5 + 65_536, 6])
    assert key_of([5, 6]) != key_of([6, 5]) != key_of([6])


def test_another_tokenizer_of_equal_ids_has_other_answers() -> None:
    """What its tokens say decides when an answer is decided; where it lies does not."""
    assert key_of([5]) != key_of([5], tokenizer="here@5678")
    assert key_of([5]) == key_of([5], tokenizer="there@1234")


def test_the_order_of_end_tokens_is_nothing() -> None:
    one, other = frozenset({31, 2, 33}), frozenset({33, 31, 2})
    assert key_of([5], end=one) == key_of([5], end=other) != key_of([5], end=frozenset({31}))


@pytest.mark.parametrize("field", Decoding.model_fields)
def test_every_generation_setting_counts(field: str) -> None:
    old = getattr(Decoding(), field)
    others: dict[str, Any] = {"kind": "sample", "reasoning": Reasoning(end="7", tokens=3)}
    new = others[field] if field in others else not old if isinstance(old, bool) else old + 1
    assert key_of([5]) != key_of([5], decoding=Decoding(**{field: new}))


@pytest.mark.parametrize("changed", [{"end": "8"}, {"tokens": 4}])
def test_every_setting_of_thoughts_counts(changed: dict[str, Any]) -> None:
    thinks = Reasoning(end="7", tokens=3)
    one, other = (Decoding(reasoning=each) for each in (thinks, thinks.model_copy(update=changed)))
    assert key_of([5], decoding=one) != key_of([5], decoding=other)


@pytest.mark.parametrize("name", SPECS)
def test_a_mixer_asks_for_the_kernels_that_are_said_to_be_its_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    honest = kernels.chosen

    def chosen(operation: str, *where: Any) -> str:
        asked.add(operation)
        return honest(operation, *where)

    monkeypatch.setattr(kernels, "chosen", chosen)
    # Attention asks on CUDA, for shapes that its kernel takes; those of the laws need not be such.
    monkeypatch.setattr(kernels, "accelerated", lambda device: True)
    monkeypatch.setattr(cuda, "attends", lambda *_: True)
    layer = mixer(name)
    _, state = layer(torch.zeros(1, 3, WIDTH, dtype=torch.float64), layer.init_state(1), None)
    layer(torch.zeros(1, 1, WIDTH, dtype=torch.float64), state, None)
    assert asked == set(SPECS[name].operations)


ENGINE = {
    "engine.choosing",
    "engine.decode",
    "engine.groups",
    "engine.prefill",
    "engine.recording",
    "tokenizers.prefixes",
    "engine.running",
    "engine.schedule",
    "engine.slots",
    "engine.stopping",
    "models.decoder",
    "models.mixer",
    "models.norms",
    "models.padding",
    "models.pointwise",
    "models.key_values",
    "models.sharing",
    "models.slots",
    "models.state",
    "rng",
    "tasks.metrics",
    "tokenizers.hub",
    "tokenizers.sidecars",
}


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("llama", {"attending", "attention", "convolution", "mlp", "rotary"}),
        ("mamba2", {"convolution", "ssd"}),
        ("rwkv6", {"convolution", "rwkv6"}),
    ],
)
def test_the_code_that_decides_an_answer_is_known_by_name(
    name: str, own: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the engine begins to import is looked at here: does it decide answers?"""
    asked: list[set[str]] = []

    def digest(*modules: str, without: set[str]) -> str:
        asked.append(sources.closure(*modules, without=without))
        return ""

    monkeypatch.setattr(sources, "digest", digest)
    identity.code_of(family(name), "needlework.tokenizers.hub")
    found = {module.removeprefix("needlework.") for module in asked[0]}
    assert found == ENGINE | {f"models.{module}" for module in own}
