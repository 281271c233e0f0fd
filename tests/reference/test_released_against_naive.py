"""The replay against the specification told slowly, where no golden file reaches.

Other seeds, lengths, wrappers and tokenizers, parameters no task has, lengths that never end.
"""

from pathlib import Path

import pytest

from needlework.errors import BudgetError
from needlework.tasks import released, words
from needlework.tasks.released import catalog, niah, qa
from needlework.tasks.released.catalog import Task
from needlework.tasks.specs import (
    CommonWordsSpec,
    FrequentWordsSpec,
    NiahSpec,
    QaSpec,
    VariableTrackingSpec,
)
from tests.reference.released_naive import Artifact, EndlessError, Row
from tests.released_for_tests import Material, reference

OWN = "x {task_template}  y"
"""A wrapper that is not the artifact's, with blanks that belong to no word."""

CASES = [
    ("niah_single_2", 2000, 7, "gpt-neox-20b", "base"),
    ("niah_single_3", 700, 4_294_967_295, "llama-2", "meta-chat"),
    ("niah_multikey_1", 1024, 1, "rwkv-world", "RWKV"),
    ("niah_multikey_2", 777, 3, "llama-2", "vicuna-chat"),
    ("niah_multikey_3", 1500, 5, "rwkv-world", OWN),
    ("niah_multiquery", 900, 9, "opaque", "lwm-chat"),
    ("niah_repeat_numbers_30", 650, 2, "opaque", "base"),
    ("niah_essay_numbers_random", 512, 11, "rwkv-world", "sheared_llama-chat"),
    ("vt", 1200, 43, "rwkv-world", "RWKV"),
    ("vt", 900, 12, "opaque", "qwen2_instruct"),
    ("vt", 2500, 77, "llama-2", OWN),
    ("cwe", 1100, 6, "llama-2", "base"),
    ("cwe", 4096, 8, "gpt-neox-20b", "command-r-chat"),
    ("cwe", 700, 10, "opaque", "base"),
    ("fwe", 640, 21, "rwkv-world", "chatglm-chat"),
    ("fwe", 1000, 22, "opaque", OWN),
    ("qa_1", 1024, 31, "llama-2", "base"),
    ("qa_2", 3000, 32, "rwkv-world", "RWKV"),
    ("qa_1", 800, 33, "opaque", "meta-chat"),
]
SPECS = [
    (NiahSpec(haystack="essay", keys=6, values=3, queries=4), 1500),
    (NiahSpec(haystack="needle", key_kind="numbers", keys=2, values=2, depth=50), 1200),
    (NiahSpec(haystack="repeat", value_kind="uuids", keys=2, queries=2, depth=100), 900),
    (VariableTrackingSpec(chains=3, hops=2), 1000),
    (VariableTrackingSpec(chains=1, hops=12), 1600),
    (CommonWordsSpec(common_repeats=20, uncommon_repeats=2), 4096),
]
"""Parameters that no task of the artifact has."""


def naive(task: Task, artifact: Artifact, samples: int, questions: qa.Collection) -> list[Row]:
    """The samples by the slow generator of a task."""
    spec = task.spec
    if isinstance(spec, NiahSpec):
        return artifact.niah(
            samples,
            haystack=spec.haystack,
            kinds=(spec.key_kind, spec.value_kind),
            counts=(spec.keys, spec.values, spec.queries),
            depth=None if spec.depth is None else spec.depth / 100,
            step=niah.step(spec, artifact.length, fine=task.fine_steps),
        )
    if isinstance(spec, VariableTrackingSpec):
        return artifact.tracking(samples, chains=spec.chains, hops=spec.hops)
    if isinstance(spec, CommonWordsSpec):
        repeats = (spec.common_repeats, spec.uncommon_repeats)
        return artifact.common(samples, common=spec.common, repeats=repeats)
    if isinstance(spec, FrequentWordsSpec):
        return artifact.frequent(samples, alpha=spec.alpha)
    return artifact.qa(
        samples, questions=questions.questions, documents=questions.documents, first=2
    )


def both(
    task: Task, material: Material, *, length: int, seed: int, name: str, wrapper: str
) -> tuple[list[Row] | None, list[Row] | None]:
    """Samples made slowly and made by the package; None where they never end."""
    tokenizer = material.tokenizer(name)
    source = task.spec.source if isinstance(task.spec, QaSpec) else "squad"
    path = material.golden / f"qa/{source}.json"
    artifact = Artifact(
        material.prompts,
        wrapper,
        lambda text: len(tokenizer.encode(text)),
        length,
        seed,
        words=words.pairs(),
        listed=words.listed(),
        essay=material.words,
        split=lambda text: [text[start:end] for start, end in material.splitter.spans(text)],
    )
    rows = released.generate(
        task,
        length=length,
        samples=4,
        seed=seed,
        tokenizer=tokenizer,
        prompts=material.prompts,
        wrapper=wrapper,
        resources=material.resources,
        questions=path,
        pre_samples=2 if isinstance(task.spec, QaSpec) else 0,
    )
    try:
        slow = naive(task, artifact, 4, qa.read(source, path))
    except EndlessError:
        slow = None
    try:
        fast = [(sample.input, list(sample.outputs), sample.length) for sample, _ in rows]
    except BudgetError:
        fast = None
    return slow, fast


@pytest.mark.parametrize(("task", "length", "seed", "name", "wrapper"), CASES)
def test_other_seeds_lengths_tokenizers_and_wrappers(
    task: str, length: int, seed: int, name: str, wrapper: str, shared: Path
) -> None:
    slow, fast = both(
        catalog.find(task),
        reference(shared),
        length=length,
        seed=seed,
        name=name,
        wrapper=wrapper,
    )
    assert slow is not None
    assert fast == slow


@pytest.mark.parametrize(("spec", "length"), SPECS)
def test_parameters_that_no_task_has(spec: NiahSpec, length: int, shared: Path) -> None:
    slow, fast = both(
        Task(spec),
        reference(shared),
        length=length,
        seed=17,
        name="gpt-neox-20b",
        wrapper="base",
    )
    assert slow is not None
    assert fast == slow


@pytest.mark.parametrize("task", ["niah_single_1", "niah_multikey_1", "vt", "cwe", "fwe"])
def test_where_the_artifact_never_ends_there_is_one_error(task: str, shared: Path) -> None:
    """Its loops have no way out when the template alone is too long."""
    slow, fast = both(
        catalog.find(task),
        reference(shared),
        length=165,
        seed=1,
        name="gpt-neox-20b",
        wrapper="RWKV",
    )
    assert (slow, fast) == (None, None)
