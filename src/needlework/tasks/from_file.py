"""Prompts of one's own, read from a file: a line each, in the fields that RULER writes.

The file is read line by line and never held, for a line may be a book.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, JsonValue, StringConstraints, ValidationError

from needlework.door import opens
from needlework.errors import BudgetError, RecordError, ResourceError
from needlework.parsing import Closed
from needlework.records import Reference, Sample, SampleDetail
from needlework.tasks.fitting import Counter
from needlework.tasks.metrics import plain_words
from needlework.tasks.prompts import Wrapper
from needlework.tasks.specs import FileSpec
from needlework.tokenizers import Tokenizer

Text = Annotated[str, StringConstraints(min_length=1)]


class Line(Closed):
    """A prompt with the answers that count."""

    input: Text
    outputs: tuple[Reference, ...] = Field(min_length=1)
    answer_prefix: str = ""
    """The start of the answer, behind what the prompt format puts after the question."""
    depth: float | None = Field(None, ge=0, le=100)
    """Where the needle lies, in percent of the haystack."""
    length: int | None = Field(None, ge=1)
    """The context length that it was made for, or the tokens of prompt and answer."""
    index: JsonValue = None
    length_w_model_temp: JsonValue = None
    token_position_answer: JsonValue = None
    others: JsonValue = None
    """RULER writes these four, and nothing here depends on them."""


class _Place(NamedTuple):
    """Where a line is, and what decides whether it is chosen."""

    number: int
    offset: int
    depth: float | None
    length: int | None


def generate(
    spec: FileSpec,
    *,
    wrapper: Wrapper,
    tokenizer: Tokenizer,
    length: int,
    samples: int,
    budget: int,
) -> Iterator[tuple[Sample, SampleDetail]]:
    """Yield the first `samples` lines that belong to a length, in the order of the file.

    Every line is asked at every length where lines have no `length`. Where they have, it is that of
    the line or, where no line has it, at most that and more than half of it, as in RULER's files,
    which tell how long a prompt became.

    Raises:
        BudgetError: a prompt takes more than `budget` tokens.
        RecordError: a line is broken, has no references, or too few lines belong to the length.
        ResourceError: the file cannot be read.
    """
    counter = Counter(tokenizer)
    lines = chosen_lines(Path(spec.path), spec, length=length, samples=samples)
    for index, (number, line) in enumerate(lines):
        text = _wrapped(line, wrapper)
        tokens = counter(text)
        if tokens > budget:
            raise BudgetError(
                f"{spec.path}:{number}: the prompt takes {tokens} tokens, but length {length} "
                f"leaves {budget} for it; ask at a longer length, or take the line out"
            )
        taken = tokens + spec.tokens_to_generate
        yield (
            Sample(index=index, input=text, outputs=line.outputs, length=taken),
            # Where the needles of such a prompt lie is not known.
            SampleDetail(
                index=index,
                prompt_tokens=tokens,
                depths=(),
                needles=(),
                answers=(),
                question_start=len(wrapper.before) + len(line.input),
            ),
        )


@opens("a dataset", "dataset.jsonl", error=RecordError, way_out="correct it")
def chosen_lines(
    path: Path, spec: FileSpec, *, length: int, samples: int
) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a dataset with their numbers, from the file of the task at `path`.

    Raises:
        RecordError: a line is broken, has no references, or too few lines belong to the length.
        ResourceError: the file cannot be read.
    """
    chosen = _chosen(spec, list(_places(path, spec)), length=length, samples=samples)
    with path.open("rb") as file:
        for place in chosen:
            file.seek(place.offset)
            yield place.number, _parse(file.readline(), path, place.number, spec)


def _wrapped(line: Line, wrapper: Wrapper) -> str:
    """The prompt as a model reads it; a wrapper and the start of the answer share a line break."""
    starts = line.answer_prefix.startswith("\n")
    after = wrapper.after.removesuffix("\n") if starts else wrapper.after
    if wrapper.thinks:
        return wrapper.before + line.input + line.answer_prefix.rstrip() + wrapper.after
    return wrapper.before + line.input + after + line.answer_prefix


def _places(path: Path, spec: FileSpec) -> Iterator[_Place]:
    """Every line, checked.

    Raises:
        RecordError: a line is broken.
        ResourceError: the file cannot be read.
    """
    try:
        opened = path.open("rb")
    except OSError as error:
        raise ResourceError(
            f"{path}: {error.strerror}; name a file that can be read, from the working directory"
        ) from error
    offset = 0
    with opened as file:
        for number, text in enumerate(file, start=1):
            line = _parse(text, path, number, spec)
            yield _Place(number, offset, line.depth, line.length)
            offset += len(text)


def _parse(text: bytes, path: Path, number: int, spec: FileSpec) -> Line:
    try:
        line = Line.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "line"
        told = "is missing" if first["type"] == "missing" else first["msg"]
        raise RecordError(f"{path}:{number}: {place}: {told}; correct the line") from error
    for reference in line.outputs:
        if spec.metric in ("exact", "f1") and not plain_words(reference):
            raise RecordError(
                f"{path}:{number}: outputs: {reference!r} has no word that metric {spec.metric} "
                "compares; correct the line, or choose metric all or any"
            )
    return line


def _chosen(
    spec: FileSpec, places: Sequence[_Place], *, length: int, samples: int
) -> Sequence[_Place]:
    """The lines of a dataset.

    Raises:
        RecordError: some lines have a length and others none, or too few belong here.
    """
    without = next((each.number for each in places if each.length is None), None)
    if without and any(each.length for each in places):
        raise RecordError(
            f"{spec.path}:{without}: has no `length`, but other lines have; give it to all or none"
        )
    deep = [each for each in places if spec.depth is None or each.depth == spec.depth]
    equal = [each for each in deep if each.length in (None, length)]
    filled = [each for each in deep if each.length and length / 2 < each.length <= length]
    found = equal or filled
    if len(found) < samples:
        at = "" if spec.depth is None else f" at depth {spec.depth}"
        raise RecordError(
            f"{spec.path}: has {len(found)} lines for length {length}{at}, but the study asks for "
            f"{samples} samples; add lines, or lower `samples`"
        )
    return found[:samples]
