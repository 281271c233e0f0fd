"""English haystacks: a book cut into sentences, and a short paragraph to repeat."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from needlework.door import opens, read_json
from needlework.errors import ResourceError
from needlework.tasks.released import sentences as punkt_sentences

NOISE = (
    "The kettle is on the stove.",
    "Rain falls on the roof.",
    "Somebody hums a tune.",
    "The clock ticks in the hall.",
    "The cat is asleep.",
)
"""A paragraph in which nothing happens, in our own words; that of `wording: plain`."""

_LETTERS_PER_TOKEN = 8
_SPARE_LETTERS = 4000


class _Essay(BaseModel):
    """The essay file."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


@opens("the essays, an object with `text`", "essays.json", error=ResourceError)
def read_essay(path: Path) -> str:
    """The text of an essay file, a JSON object with the field `text`.

    Raises:
        ResourceError: the file is absent or has another form.
    """
    if not path.is_file():
        raise ResourceError(f"{path}: the essays are not there; fetch them with `needlework fetch`")
    return _Essay.model_validate(read_json(path, error=ResourceError, kind=dict)).text


@cache
def essay_sentences(essay: Path, punkt: Path, tokens: int) -> Sequence[str]:
    """The first sentences of the essays, more than `tokens` tokens of any usual tokenizer.

    Line breaks count as blanks. Past its last sentence the book starts again. `punkt` is the folder
    with Punkt's tables.

    Raises:
        ResourceError: the essays or the tables are absent.
    """
    letters = tokens * _LETTERS_PER_TOKEN + _SPARE_LETTERS
    text = read_essay(essay)
    book = " ".join(text[: 2 * letters].split())
    part = book[:letters]
    spans = punkt_sentences.read(punkt).spans(part.strip())
    sentences = [part[start:end] for start, end in spans]
    if len(part) < len(book):
        return sentences[:-1]
    return sentences * (letters // len(part) + 1)
