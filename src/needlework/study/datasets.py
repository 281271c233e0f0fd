"""A dataset as two files: samples in RULER's fields, and details of each sample beside them."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from needlework import files, rng, tasks
from needlework.errors import StudyError
from needlework.parsing import parse_json, unknown
from needlework.records import PlacedDetail, Sample, SampleDetail, Span
from needlework.tasks import controls
from needlework.tasks.controls import Control
from needlework.tasks.material import Draw, Material, distinct
from needlework.tasks.prompts import CHAT, WRAPPERS, WordingName, Wrapper
from needlework.tasks.specs import FileSpec, NiahSpec, Spec, question_group
from needlework.tokenizers import Tokenizer

MaterialName = Literal["english", "nano"]
Protocol = Literal["released", "corrected"]
Rows = Iterator[tuple[Sample, SampleDetail]]
DISTRACTORS = 4
"""Most wrong values that a sample is compared with: each costs its tokens in every model."""
Watch = Callable[[Rows], Iterable[tuple[Sample, SampleDetail]]]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One dataset to be made: everything that decides about its bytes."""

    task: str
    spec: Spec
    length: int
    samples: int
    seed: int
    protocol: Protocol
    material: MaterialName
    wrapper: str | Wrapper
    """The name of a prompt format, or a format by itself."""
    wording: WordingName | None
    """Whose words the prompts are in; None: RULER's in English, our own in the nano language."""
    resources: Path
    """The folder of essays, Punkt data and prompt texts; the nano material needs none."""
    questions: Path | None
    """The SQuAD v2 or HotpotQA file of a qa task."""
    control: Control | None = None
    """What is changed of every sample; None: nothing."""
    trained_length: int | None = None
    """Tokens of prompt and answer that the control `truncated` leaves."""
    distractors: bool = False
    """Whether the details name wrong values to compare the references with."""


def details_path(output: Path) -> Path:
    """Where the details of a dataset file lie."""
    return output.with_name(f"{output.stem}.details.jsonl")


def asked(
    *,
    protocol: Protocol,
    tokenizer: str,
    revision: str | None,
    wrapper: str,
    template_options: str | None,
    thinks: bool,
    **decided: Any,  # noqa: ANN401 - the other fields of Dataset
) -> Dataset:
    """A dataset for who reads it with this tokenizer, in the prompt format of a name.

    The name may stand for the chat template of the tokenizer. That is told `template_options`, an
    object of JSON. Where the model `thinks` first, answers are begun in the request.

    Raises:
        ResourceError: the tokenizer has no chat template that can be used.
        StudyError: no format has that name.
    """
    found: str | Wrapper = wrapper
    if protocol == "released" and wrapper == CHAT:
        raise StudyError(
            f"--wrapper {CHAT}: the artifact used fixed formats only; name one of them, or set "
            "--protocol corrected"
        )
    if protocol == "corrected" and wrapper == CHAT:
        from needlework.tasks import chat

        told = {}
        if template_options:
            told = parse_json(dict[str, object], template_options, where="--template-options")
        found = chat.wrapper(tokenizer, revision=revision, options=told, thinks=thinks)
    elif protocol == "corrected":
        if wrapper not in WRAPPERS:
            raise StudyError(f"--wrapper: {unknown(wrapper, [*WRAPPERS, CHAT])}")
        found = replace(WRAPPERS[wrapper], thinks=thinks)
    return Dataset(protocol=protocol, wrapper=found, **decided)


def write(dataset: Dataset, output: Path, tokenizer: Tokenizer, *, watch: Watch) -> None:
    """Write the samples to `output` and their details beside it, both whole or not at all.

    `watch` sees the samples pass, to show progress.

    Raises:
        NeedleworkError: the dataset cannot be made as asked for.
    """
    rows = _compared(dataset, _controlled(dataset, tokenizer), tokenizer)
    with (
        files.atomic(output) as sample_path,
        files.atomic(details_path(output)) as detail_path,
        sample_path.open("w", encoding="ascii") as samples,
        detail_path.open("w", encoding="ascii") as details,
    ):
        for sample, detail in watch(rows):
            samples.write(files.json_line(sample.model_dump(mode="json")))
            placed = place(detail, sample.input, tokenizer.starts(sample.input))
            details.write(files.json_line(placed.model_dump(mode="json")))


def _compared(dataset: Dataset, rows: Rows, tokenizer: Tokenizer) -> Rows:
    """The samples with the wrong values that references are compared with, if they are asked for.

    A control has those of the sample that it belongs to, so that their margins can be compared.
    """
    own = _own_values(dataset, tokenizer)
    for sample, detail in rows:
        known = detail if own is None else next(own)[1]
        others = distractors_of(dataset, sample, known) if dataset.distractors else None
        yield sample, detail.model_copy(update={"distractors": others})


def _own_values(dataset: Dataset, tokenizer: Tokenizer) -> Rows | None:
    """The samples that those of a control belong to, where their wrong values differ; else None.

    Hay of needles has more of them where the one that is asked for is taken out, and none where all
    hay is. Other hay has no values, and the end of a prompt is cut from one that has them all.
    """
    spec = dataset.spec
    is_hay_of_needles = isinstance(spec, NiahSpec) and spec.haystack == "needle"
    if dataset.distractors and is_hay_of_needles and dataset.control not in (None, "truncated"):
        return _rows(replace(dataset, control=None), tokenizer)
    return None


def distractors_of(dataset: Dataset, sample: Sample, detail: SampleDetail) -> tuple[str, ...]:
    """At most DISTRACTORS wrong values of a needle task: other needles', else one that is drawn.

    What is drawn has an address of its own and moves no other draw. Tasks without needles of keys
    and values have no distractor.
    """
    spec = dataset.spec
    if not isinstance(spec, NiahSpec):
        return ()
    group = question_group(spec, dataset.task)
    stream = rng.stream(dataset.seed, "distractors", group, sample.index)
    others = [
        each for each in dict.fromkeys(detail.distractors or ()) if each not in sample.outputs
    ]
    if len(others) > DISTRACTORS:
        kept = sorted(stream.sample(range(len(others)), DISTRACTORS))
        return tuple(others[place] for place in kept)
    if others:
        return tuple(others)
    (drawn,) = distinct(_value(dataset, spec), stream, 1, without=sample.outputs)
    return (drawn,)


def _value(dataset: Dataset, spec: NiahSpec) -> Draw:
    """How a value of a needle is drawn in the language of a dataset."""
    if dataset.material == "nano":
        from needlework.nano import language

        return language.DRAWS[spec.value_kind]
    from needlework.tasks import english

    return english.DRAWS[spec.value_kind]


def place(detail: SampleDetail, text: str, starts: Sequence[int]) -> PlacedDetail:
    """The details of a prompt whose tokens begin at these characters, with places in tokens."""
    question = len(text) - len(text[detail.question_start :].lstrip())

    def holding(character: int) -> int:
        """The first of the tokens that hold a character, several where it takes several."""
        before = bisect_right(starts, character)
        return bisect_left(starts, starts[before - 1]) if before else 0

    return PlacedDetail(
        **dict(detail),
        needle_tokens=tuple(
            Span(start=holding(span.start), end=bisect_left(starts, span.end))
            for span in detail.needles
        ),
        question_token=holding(question) if question < len(text) else len(starts),
    )


def _controlled(dataset: Dataset, tokenizer: Tokenizer) -> Rows:
    """The samples as a control changes them.

    Raises:
        StudyError: the task has no such control, or it is not said what it leaves.
    """
    control = dataset.control
    if control and (dataset.protocol == "released" or not controls.has(dataset.spec, control)):
        raise StudyError(
            f"--control {control}: task {dataset.task} of protocol {dataset.protocol} has no such "
            "control; leave it out"
        )
    if (control == "truncated") != (dataset.trained_length is not None):
        raise StudyError("--control truncated and --trained-length go together; give both or none")
    rows = _rows(dataset, tokenizer)
    if dataset.trained_length is None:
        return rows
    assert isinstance(dataset.wrapper, Wrapper), "`asked` has looked the name up"
    begin = len(tokenizer.begin)
    return controls.truncated(
        rows,
        before=dataset.wrapper.before,
        tokenizer=tokenizer,
        budget=tasks.prompt_budget(dataset.spec, dataset.trained_length, begin=begin),
    )


def _rows(dataset: Dataset, tokenizer: Tokenizer) -> Rows:
    if dataset.material == "nano" and dataset.wording == "ruler":
        raise StudyError("--wording ruler: RULER speaks English; leave it out, or name plain")
    if dataset.protocol == "released":
        if dataset.material != "english":
            raise StudyError("--protocol released replays English prompts; use --material english")
        if dataset.wording == "plain":
            raise StudyError(
                "--wording plain: protocol released replays RULER's prompts; leave it out, or set "
                "--protocol corrected"
            )
        return _released(dataset, tokenizer)
    if isinstance(dataset.spec, FileSpec):
        return _from_file(dataset, dataset.spec, tokenizer)
    return tasks.generate(
        dataset.spec,
        material=material(dataset),
        tokenizer=tokenizer,
        length=dataset.length,
        samples=dataset.samples,
        seed=dataset.seed,
        task=dataset.task,
        control=dataset.control,
    )


def _from_file(dataset: Dataset, spec: FileSpec, tokenizer: Tokenizer) -> Rows:
    assert isinstance(dataset.wrapper, Wrapper), "`asked` has looked the name up"
    from needlework.tasks import from_file

    return from_file.generate(
        spec,
        wrapper=dataset.wrapper,
        tokenizer=tokenizer,
        length=dataset.length,
        samples=dataset.samples,
        budget=tasks.prompt_budget(spec, dataset.length, begin=len(tokenizer.begin)),
    )


def _released(dataset: Dataset, tokenizer: Tokenizer) -> Rows:
    assert isinstance(dataset.wrapper, str), "the artifact's formats are named"
    from needlework.external import registry
    from needlework.tasks import released
    from needlework.tasks.released import prompts

    folder = registry.Resources(dataset.resources, registry.registry())
    return released.generate(
        dataset.task,
        length=dataset.length,
        samples=dataset.samples,
        seed=dataset.seed,
        tokenizer=tokenizer,
        prompts=prompts.read(folder.path("prompts")),
        wrapper=dataset.wrapper,
        resources=folder,
        questions=dataset.questions,
    )


def material(dataset: Dataset) -> Material:
    """The words, haystacks and questions of a dataset's language, in its prompt format.

    Raises:
        ResourceError: a file of them is not here, or damaged.
    """
    assert isinstance(dataset.wrapper, Wrapper), "`asked` has looked the name up"
    if dataset.material == "nano":
        from needlework.nano import language

        return replace(language.material(), wrapper=dataset.wrapper)
    from needlework.tasks import english

    made = english.material(
        dataset.resources, dataset.questions, wording=dataset.wording or "ruler"
    )
    return replace(made, wrapper=dataset.wrapper)
