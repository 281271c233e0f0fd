"""Folding: nothing is lost without being counted, and needles and question always stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlework.errors import RecordError
from needlework.records import PlacedDetail, Sample, Span
from needlework.report.explorer.folding import MOST_NEEDLES, QUESTION, fold, mask


def made(text: str, needles: list[tuple[int, int]], end: int) -> tuple[Sample, PlacedDetail]:
    detail = PlacedDetail(
        index=0,
        prompt_tokens=9,
        depths=tuple(50.0 for _ in needles),
        needles=tuple(Span(start=start, end=stop) for start, stop in needles),
        answers=tuple(True for _ in needles),
        question_start=end,
        needle_tokens=tuple(Span(start=10 * start, end=10 * stop) for start, stop in needles),
        question_token=10 * end,
    )
    return Sample(index=0, input=text, outputs=("7",), length=10), detail


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 4000))
def test_kept_and_counted_characters_add_up(before: int, after: int, question: int) -> None:
    """Hay, needle and question of any size: the pieces tile the prompt."""
    text = "h" * before + "NEEDLE" + "y" * after + "q" * question
    pieces = fold(*made(text, [(before, before + 6)], before + 6 + after))
    kept = sum(len(piece[1]) for piece in pieces if isinstance(piece[1], str))
    folded = sum(piece[1] for piece in pieces if isinstance(piece[1], int))
    assert kept + folded == len(text)
    assert [piece[1] for piece in pieces if piece[0] == "needle"] == ["NEEDLE"]


def test_a_needle_knows_its_place() -> None:
    pieces = fold(*made("hay NEEDLE hay? q", [(4, 10)], 16))
    assert pieces == [
        ("hay", "hay "),
        ("needle", "NEEDLE", 50.0, 40, 1),
        ("hay", " hay? "),
        ("question", "q"),
    ]


@given(st.integers(60, 700), st.integers(60, 700))
def test_a_cut_falls_between_words(before: int, after: int) -> None:
    """Stretches once ended in `kitchen barre`; every word that is shown is a whole one."""
    hay = "kitchen barrel salt "
    start = before * len(hay)
    text = hay * before + "NEEDLE " + hay * after
    pieces = fold(*made(text, [(start, start + 6)], len(text)))
    assert sum(piece[0] == "fold" for piece in pieces) == 2
    shown = {word for kind, content, *_ in pieces if kind == "hay" for word in str(content).split()}
    assert shown <= set(hay.split())


@pytest.mark.parametrize(
    ("hay", "often"),
    [("salt, salted salt. basalt (salt)", 4), ("pepper", 1), ("salted", 1), ("? q: salt", 1)],
)
def test_a_needle_knows_how_often_the_haystack_holds_it(hay: str, often: int) -> None:
    """Words count where they stand alone, in the haystack and not in the question."""
    text = f"salt {hay}"
    end = text.find("?") if "?" in text else len(text)
    pieces = fold(*made(text, [(0, 4)], end))
    assert pieces[0] == ("needle", "salt", 50.0, 0, often)


def test_a_long_question_is_folded_in_its_middle() -> None:
    pieces = fold(*made("q" * 9000, [], 0))
    assert [piece[0] for piece in pieces] == ["question", "fold", "question"]
    assert pieces[1][1] == 9000 - QUESTION


def test_answers_come_first_where_there_are_too_many_needles() -> None:
    text = "n " * 40
    sample, detail = made(text, [(2 * k, 2 * k + 1) for k in range(20)], len(text))
    answers = tuple(k >= 18 for k in range(20))
    pieces = fold(sample, detail.model_copy(update={"answers": answers}))
    kinds = [piece[0] for piece in pieces if piece[0] in ("needle", "other")]
    assert len(kinds) == MOST_NEEDLES
    assert kinds[-2:] == ["needle", "needle"]


def test_details_of_another_prompt_are_named() -> None:
    with pytest.raises(RecordError, match="refer to 99 characters"):
        fold(*made("short", [], 99))


def test_a_masked_prompt_keeps_its_shape_and_its_references() -> None:
    pieces = fold(*made("A hay of VALUE-77, said Bob? value-77", [(9, 17)], 27))
    hidden = mask(pieces, ["value-77"])
    assert [piece[0] for piece in hidden] == [piece[0] for piece in pieces]
    text = "".join(str(piece[1]) for piece in hidden)
    assert text.replace("\u00b7", "x") == "x xxx xx VALUE-77, xxxx xxx? value-77"
