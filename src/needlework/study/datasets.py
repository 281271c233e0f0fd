"""A dataset as two files: samples in RULER's fields, and details of each sample beside them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from needlework import files, tasks
from needlework.errors import StudyError
from needlework.parsing import parse_json, unknown
from needlework.records import Sample, SampleDetail
from needlework.tasks.material import Material
from needlework.tasks.prompts import CHAT, WRAPPERS, WordingName, Wrapper
from needlework.tasks.specs import FileSpec, Spec
from needlework.tokenizers import Tokenizer

MaterialName = Literal["english", "nano"]
Protocol = Literal["released", "corrected"]
Rows = Iterator[tuple[Sample, SampleDetail]]
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


def details_path(output: Path) -> Path:
    """Where the details of a dataset file lie."""
    return output.with_name(f"{output.stem}.details.jsonl")


def find_wrapper(
    wrapper: str,
    protocol: Protocol,
    *,
    tokenizer: str,
    revision: str | None,
    template_options: str | None = None,
    thinks: bool = False,
) -> str | Wrapper:
    """The prompt format of a name, which may stand for the chat template of a tokenizer.

    That is told `template_options`, an object of JSON. Where the model `thinks` first, answers are
    begun in the request.

    Raises:
        ResourceError: the tokenizer has no chat template that can be used.
        StudyError: no format has that name.
    """
    if protocol == "released" and wrapper != CHAT:
        return wrapper
    if protocol == "released":
        raise StudyError(
            f"--wrapper {CHAT}: the artifact used fixed formats only; name one of them, or set "
            "--protocol corrected"
        )
    if wrapper == CHAT:
        from needlework.tasks import chat

        told = {}
        if template_options:
            told = parse_json(dict[str, object], template_options, where="--template-options")
        return chat.wrapper(tokenizer, revision=revision, options=told, thinks=thinks)
    if wrapper not in WRAPPERS:
        raise StudyError(f"--wrapper: {unknown(wrapper, [*WRAPPERS, CHAT])}")
    return replace(WRAPPERS[wrapper], thinks=thinks)


def write(dataset: Dataset, output: Path, tokenizer: Tokenizer, *, watch: Watch) -> None:
    """Write the samples to `output` and their details beside it, both whole or not at all.

    `watch` sees the samples pass, to show progress.

    Raises:
        NeedleworkError: the dataset cannot be made as asked for.
    """
    rows = _rows(dataset, tokenizer)
    with (
        files.atomic(output) as sample_path,
        files.atomic(details_path(output)) as detail_path,
        sample_path.open("w", encoding="ascii") as samples,
        detail_path.open("w", encoding="ascii") as details,
    ):
        for sample, detail in watch(rows):
            samples.write(files.json_line(sample.model_dump(mode="json")))
            details.write(files.json_line(detail.model_dump(mode="json")))


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
    )


def _from_file(dataset: Dataset, spec: FileSpec, tokenizer: Tokenizer) -> Rows:
    assert isinstance(dataset.wrapper, Wrapper), "names are looked up by find_wrapper"
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
    assert isinstance(dataset.wrapper, Wrapper), "names are looked up by find_wrapper"
    if dataset.material == "nano":
        from needlework.nano import language

        return replace(language.material(), wrapper=dataset.wrapper)
    from needlework.tasks import english

    made = english.material(
        dataset.resources, dataset.questions, wording=dataset.wording or "ruler"
    )
    return replace(made, wrapper=dataset.wrapper)
