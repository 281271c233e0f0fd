"""Prompts from a file: which lines a length takes, how they are asked, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from needlework.errors import BudgetError, NeedleworkError, RecordError, ResourceError
from needlework.parsing import parse
from needlework.records import Sample
from needlework.tasks import from_file, generators
from needlework.tasks.from_file import generate
from needlework.tasks.prompts import Wrapper
from needlework.tasks.specs import FileSpec, Spec
from tests.tasks_for_tests import Row, item, nano_tokenizer


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of one's own start at the working directory."""
    monkeypatch.chdir(tmp_path)


def spec(**changed: Any) -> FileSpec:
    values = {"generator": "file", "path": "my.jsonl", "metric": "all", "tokens_to_generate": 4}
    made: FileSpec = parse(Spec, values | changed, where="tasks.yaml")  # type: ignore[arg-type]
    return made


def write(*lines: dict[str, Any] | str | bytes) -> None:
    """A file of these lines, records as JSON."""
    written = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
    content = [line.encode() if isinstance(line, str) else line for line in written]
    Path("my.jsonl").write_bytes(b"\n".join(content))


def line(number: int = 101, **more: Any) -> dict[str, Any]:
    return {"input": f"the magic number of anchor is {number} .", "outputs": [str(number)]} | more


def rows(
    *, length: int = 64, samples: int = 1, wrapper: Wrapper | None = None, **changed: Any
) -> list[Row]:
    return list(
        generate(
            spec(**changed),
            wrapper=wrapper or Wrapper(),
            tokenizer=nano_tokenizer(),
            length=length,
            samples=samples,
            budget=length - 5,
        )
    )


def refusal(kind: type[NeedleworkError] = RecordError, **asked: Any) -> str:
    with pytest.raises(kind) as caught:
        rows(**asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def numbers(**asked: Any) -> list[str]:
    return [sample.outputs[0] for sample, _ in rows(**asked)]


def test_a_line_becomes_a_sample() -> None:
    write(line())
    ((sample, detail),) = rows()
    asked = "the magic number of anchor is 101 ."
    assert sample == Sample(index=0, input=asked, outputs=("101",), length=8 + 4)
    assert (detail.prompt_tokens, detail.needles, detail.question_start) == (8, (), len(asked))


def test_the_prompt_format_goes_around_it_and_the_answer_begins_behind() -> None:
    write(line(answer_prefix="\nthe number is"))
    ((sample, detail),) = rows(wrapper=Wrapper("copy : ", " .\n"))
    assert sample.input == "copy : the magic number of anchor is 101 . .\nthe number is"
    assert sample.input[: detail.question_start].endswith("101 .")


def test_every_length_asks_lines_without_a_length_in_their_order() -> None:
    write(line(101), line(115), line(129))
    assert numbers(samples=2) == numbers(samples=2, length=128) == ["101", "115"]


def test_a_length_takes_the_lines_of_that_length() -> None:
    write(line(101, length=64), line(115, length=128), line(129, length=64))
    assert numbers(length=64, samples=2) == ["101", "129"]
    assert numbers(length=128) == ["115"]


def test_a_length_takes_what_ruler_made_for_it() -> None:
    """RULER writes the tokens that a prompt took, a little less than it was allowed."""
    write(line(101, length=60), line(115, length=121), line(129, length=64))
    assert numbers(length=64) == ["129"], "lines of exactly this length come before near ones"
    write(line(101, length=60), line(115, length=121), line(129, length=33))
    assert numbers(length=64, samples=2) == ["101", "129"]
    assert "has 0 lines for length 256" in refusal(length=256)


def test_lines_with_and_without_length_are_not_mixed() -> None:
    write(line(length=64), line())
    assert refusal().startswith("my.jsonl:2: has no `length`, but other lines have")


def test_an_entry_with_a_depth_takes_the_lines_of_that_depth() -> None:
    """So that tables by depth show them, as they show the tasks of the paper."""
    write(line(101, depth=0), line(115, depth=50), line(129, depth=50.0))
    assert numbers(samples=2, depth=50) == ["115", "129"]
    assert "has 0 lines for length 64 at depth 100" in refusal(depth=100)


def test_too_few_lines_are_refused() -> None:
    write(line())
    assert refusal(samples=2) == (
        "my.jsonl: has 1 lines for length 64, but the study asks for 2 samples; add lines, or "
        "lower `samples`"
    )


def test_a_prompt_that_does_not_fit_is_refused() -> None:
    write(line(), {"input": "the " * 70, "outputs": ["101"]})
    assert refusal(BudgetError, samples=2) == (
        "my.jsonl:2: the prompt takes 70 tokens, but length 64 leaves 59 for it; ask at a longer "
        "length, or take the line out"
    )


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("", "line: Invalid JSON"),
        ('{"input": "the", "outputs": ["a"]', "line: Invalid JSON"),
        ("[" * 100_000, "line: Invalid JSON"),
        (b'{"input": "\xff", "outputs": ["a"]}', "line: Invalid JSON"),
        ('{"input": "\\ud800", "outputs": ["a"]}', "line: Invalid JSON"),
        ("[1, 2]", "line: "),
        ("null", "line: "),
        ({"outputs": ["a"]}, "input: is missing"),
        ({"input": "the"}, "outputs: is missing"),
        ({"input": "the", "outputs": []}, "outputs: "),
        ({"input": "the", "outputs": "a"}, "outputs: "),
        ({"input": "the", "outputs": [7]}, "outputs.0: "),
        ({"input": "the", "outputs": [" "]}, "outputs.0: "),
        ({"input": "", "outputs": ["a"]}, "input: "),
        (line(depth=101), "depth: "),
        (line(depth="50"), "depth: "),
        (line(length=0), "length: "),
        ('{"input": "the", "outputs": ["a"], "length": ' + "9" * 5000 + "}", "line: Invalid JSON"),
        (line(answer="a"), "answer: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_broken_line_is_named(broken: dict[str, Any] | str | bytes, told: str) -> None:
    """Though nobody asks it: a file is sound or it is not."""
    write(line(), broken, line())
    assert refusal().startswith(f"my.jsonl:2: {told}")


@pytest.mark.parametrize("metric", ["exact", "f1"])
def test_a_reference_that_an_empty_answer_would_meet_is_refused(metric: str) -> None:
    write({"input": "the", "outputs": ["The."]})
    assert "my.jsonl:1: outputs: 'The.' has no word" in refusal(metric=metric)
    assert rows(metric="all")


def test_a_file_that_is_not_there_is_named() -> None:
    assert refusal(ResourceError).startswith("my.jsonl: No such file or directory; name")
    Path("my.jsonl").mkdir()
    assert refusal(ResourceError).startswith("my.jsonl: Is a directory; name")


@pytest.mark.parametrize("path", ["../my.jsonl", "/my.jsonl", "a/../my.jsonl", "my {x}.jsonl", ""])
def test_a_file_of_ones_own_lies_below_the_working_directory(path: str) -> None:
    with pytest.raises(NeedleworkError, match=r"path: a file of one's own lies below"):
        spec(path=path)


def test_a_file_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only places are kept of the lines that are read; one line is parsed twice, the chosen one."""
    write(*(line(101 + 14 * each) for each in range(10)))
    parsed: list[int] = []
    honest = from_file._parse

    def counted(text: bytes, path: Path, number: int, own: FileSpec) -> from_file.Line:
        parsed.append(number)
        return honest(text, path, number, own)

    monkeypatch.setattr(from_file, "_parse", counted)
    rows()
    assert parsed == [*range(1, 11), 1]


def test_prompts_of_a_file_cannot_be_planned() -> None:
    from needlework.nano import language

    with pytest.raises(NeedleworkError, match=r"my\.jsonl: prompts of a file are as long as they"):
        generators.plan(spec(), language.material(), item())
