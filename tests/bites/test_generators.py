"""Would the laws of tasks notice? Each generator below is broken in one way a benchmark was."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from needlework import tasks
from needlework.nano import language
from needlework.tasks import drafts, english, niah, ruler
from needlework.tasks.fitting import Counter
from needlework.tasks.material import Item, Material
from needlework.tasks.prompts import Wording, WordingName
from needlework.tasks.released.prompts import Prompts
from tests import compare_with_ruler
from tests.golden import test_ruler_agreement as agreement
from tests.laws import test_tasks as laws
from tests.tasks_for_tests import RULER, rows


@pytest.mark.parametrize("task", RULER)
def test_a_generator_on_the_global_stream_is_caught(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULER seeds one global stream, so every draw moves all later ones."""
    monkeypatch.setattr(Item, "stream", lambda self, *address: random)
    with pytest.raises(AssertionError):
        laws.check_same_address_same_sample(task)


def test_a_stream_per_dataset_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one stream for all samples, a sample depends on those that were made before it."""
    one_for_all = random.Random(0)
    monkeypatch.setattr(Item, "stream", lambda self, *address: one_for_all)
    with pytest.raises(AssertionError):
        laws.test_asking_for_more_samples_moves_none("niah_single_1")


def test_a_needle_at_a_free_depth_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed depth that is drawn and then forgotten would fill a table with noise."""
    monkeypatch.setattr(drafts, "at_depth", lambda percent, units: units // 2)
    with pytest.raises(AssertionError):
        laws.test_the_depth_is_honoured("niah_essay_numbers_0")


def test_a_count_without_the_begin_token_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULER measures the prompt without the begin token that the model then reads."""
    honest = tasks.prompt_budget
    monkeypatch.setattr(
        tasks, "prompt_budget", lambda spec, length, begin: honest(spec, length, begin=0)
    )
    exact = next(
        length
        for length in range(120, 136)
        if rows("niah_single_1", length=length)[0][0].length == length
    )
    with pytest.raises(AssertionError):
        laws.check_budget("niah_single_1", rows("niah_single_1", length=exact)[0], exact)


def test_a_timid_fit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-evaluation-harness fills 78 percent of 1024 tokens, for want of a finer step."""
    monkeypatch.setattr(
        tasks, "Counter", lambda tokenizer: lambda text: 2 * Counter(tokenizer)(text)
    )
    with pytest.raises(AssertionError):
        laws.test_the_budget_is_kept_and_nearly_used("niah_single_2", 256)


def test_a_lost_needle_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hay that is joined without its needles leaves a question nobody can answer."""
    honest = drafts.weave

    def drop(units: Any, inserts: Any, *, separator: str) -> drafts.Body:
        body = honest(units, inserts, separator=separator)
        return drafts.Body(honest(units, [], separator=separator).text, body.needles)

    monkeypatch.setattr(niah.drafts, "weave", drop)
    with pytest.raises(AssertionError):
        laws.test_answers_lie_where_claimed("niah_multikey_1")


@pytest.mark.parametrize("name", ["_MISSPELT", "SINGULAR"])
def test_another_template_than_rulers_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    """A word of the template that is not replaced where RULER replaces it."""
    task = {"_MISSPELT": "vt", "SINGULAR": "niah_single_1"}[name]
    nothing = ("", "") if name == "_MISSPELT" else ()
    line = next(line for line in compare_with_ruler.read() if line.task == task)
    monkeypatch.setattr(ruler, name, nothing)
    with pytest.raises(AssertionError):
        agreement.test_our_prompts_have_the_form_of_rulers(line, shared)


def test_another_needle_sentence_than_rulers_is_caught(
    monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    """The plural of its needles is odd, but RULER's numbers have it."""
    honest = ruler.wording
    line = next(line for line in compare_with_ruler.read() if line.task == "niah_single_1")

    def singular(texts: Prompts) -> Wording:
        says = honest(texts)
        return replace(says, nouns={**says.nouns, "numbers": ("number", "number")})

    monkeypatch.setattr(ruler, "wording", singular)
    with pytest.raises(AssertionError):
        agreement.test_our_prompts_have_the_form_of_rulers(line, shared)


def test_a_wording_with_draws_of_its_own_is_caught(
    monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    """Then two wordings would differ in needles as well, and nothing could be said of words."""
    honest = english.material

    def other(*paths: Path | None, wording: WordingName) -> Material:
        made = honest(*paths, wording=wording)  # type: ignore[arg-type]
        number = made.draws["numbers"]
        draws = {**made.draws, "numbers": lambda draw: (draw.random(), number(draw))[1]}
        return replace(made, draws=draws) if wording == "plain" else made

    monkeypatch.setattr(english, "material", other)
    with pytest.raises(AssertionError):
        laws.check_both_wordings_ask_the_same("niah_single_1", shared)


def test_training_on_the_evaluation_is_caught() -> None:
    """A model that has read the prompts of its test proves nothing."""
    evaluated = rows("niah_single_1", length=128)
    leaked = {(language.BEGIN, *language.tokens(evaluated[1][0].input))}
    with pytest.raises(AssertionError):
        laws.check_apart(evaluated, leaked)
