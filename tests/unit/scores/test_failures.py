"""What wrong answers are, against labels given by hand; rules and labels come from one author."""

from typing import NamedTuple

import pytest

from needlework.records import PlacedDetail, Sample, Span
from needlework.scores import failures
from needlework.scores.failures import (
    KINDS,
    LONGEST_NEAR,
    MOST,
    VALUES,
    Kind,
    Prompt,
    edits,
    graded,
    is_near,
    prompt_of,
    repeats,
    wrong_kind,
)

NUMBERS = Prompt(
    question="tell me which number belongs to wandering-age.",
    others="to hard-hat belongs 7311490.",
    hay="snow is cold. 1969 was a year. to hard-hat belongs 7311490. rain is wet.",
)
CODES = Prompt(
    question="what is the magic code ? the magic code of rocket",
    others="the magic code of candle s4 b2 b6 .",
    hay="and shadow carriage . the magic code of candle s4 b2 b6 . wander herring .",
)
VARIABLES = Prompt(
    question="name each variable that holds 12345",
    others="var qwert = 54321",
    hay="snow is cold. var qwert = 54321 the rain is wet. nasa built it.",
)
PLACES = Prompt(
    question="what is the home ? the home of bruno",
    others="",
    hay="note : the home of miriam berlin . the work of miriam tailor . wonder under trouble .",
)


class Labelled(NamedTuple):
    """An answer with its label."""

    pred: str
    reference: str
    prompt: Prompt
    kind: Kind


LABELLED = (
    Labelled(" 7311490.", "4829013", NUMBERS, "another needle"),
    Labelled("It is 1969.", "4829013", NUMBERS, "elsewhere"),
    Labelled(" 4829113", "4829013", NUMBERS, "near miss"),
    Labelled(" 482901", "4829013", NUMBERS, "near miss"),
    Labelled(" 48", "4829013", NUMBERS, "near miss"),
    Labelled(" 9", "4829013", NUMBERS, "no value"),
    Labelled(" 5550123. The grass", "4829013", NUMBERS, "invented"),
    Labelled(" 5550123 5550123 5550123 5550123", "4829013", NUMBERS, "repetition"),
    Labelled(" snow is cold.", "4829013", NUMBERS, "no value"),
    Labelled(" blue blue blue blue blue", "4829013", NUMBERS, "repetition"),
    Labelled(" The text does not mention one.", "4829013", NUMBERS, "refusal or empty"),
    Labelled(" I'm sorry, but I cannot help.", "4829013", NUMBERS, "refusal or empty"),
    Labelled(" I cannot say, perhaps 7311490", "4829013", NUMBERS, "another needle"),
    Labelled("", "4829013", NUMBERS, "refusal or empty"),
    Labelled(" \n\t ", "4829013", NUMBERS, "refusal or empty"),
    Labelled(
        " 9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6e",
        "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        NUMBERS,
        "near miss",
    ),
    Labelled(
        " 00000000-3b7d-1111-2222-333333333333",
        "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        NUMBERS,
        "invented",
    ),
    Labelled(" s4 b2 b6 .", "g6 q8 s2", CODES, "another needle"),
    Labelled(" g6 q8 s4 .", "g6 q8 s2", CODES, "near miss"),
    Labelled(" g6 jigsaw narrow", "g6 q8 s2", CODES, "near miss"),
    Labelled(" t6 t6 v2 .", "g6 q8 s2", CODES, "invented"),
    Labelled(" .", "g6 q8 s2", CODES, "no value"),
    Labelled(" herring .", "g6 q8 s2", CODES, "no value"),
    Labelled(" . copy beyond . copy beyond . copy beyond .", "g6 q8 s2", CODES, "repetition"),
    Labelled(" QWERT", "ASDFG", VARIABLES, "another needle"),
    Labelled(" NASA", "ASDFG", VARIABLES, "elsewhere"),
    Labelled(" ASDFH", "ASDFG", VARIABLES, "near miss"),
    Labelled(" ZXCVB", "ASDFG", VARIABLES, "invented"),
    Labelled(" the sky is blue", "ASDFG", VARIABLES, "no value"),
    Labelled(" berlin .", "geneva", PLACES, "elsewhere"),
    Labelled(" genova .", "geneva", PLACES, "near miss"),
    Labelled(" zagreb .", "geneva", PLACES, "invented"),
    Labelled(" . the home of miriam berlin .", "geneva", PLACES, "no value"),
    Labelled(" the home of bruno .", "geneva", PLACES, "no value"),
)


@pytest.mark.parametrize("case", LABELLED, ids=lambda case: f"{case.pred.strip()[:20]}")
def test_a_wrong_answer_is_what_a_reader_calls_it(case: Labelled) -> None:
    assert wrong_kind(case.pred, (case.reference,), case.prompt) == case.kind


def test_every_kind_of_wrong_answer_has_a_label() -> None:
    assert {case.kind for case in LABELLED} == set(KINDS) - {"right", "partly right"}
    assert set(VALUES) < set(KINDS)


def test_scores_alone_tell_right_from_partly_right() -> None:
    assert [graded(score) for score in (1.0, 0.25, 0.0, None)] == [
        "right",
        "partly right",
        None,
        None,
    ]


def test_the_prompt_is_parted_by_its_needles() -> None:
    """A letter that changes its length in lower case (\u0130) moves no needle."""
    text = "\u0130 hay ANSWER is 7 more hay OTHER is 8 rest? what"
    detail = PlacedDetail(
        index=0,
        prompt_tokens=9,
        depths=(10.0, 60.0),
        needles=(Span(start=6, end=17), Span(start=27, end=37)),
        answers=(True, False),
        question_start=43,
        needle_tokens=(Span(start=1, end=2), Span(start=3, end=4)),
        question_token=5,
    )
    sample = Sample(index=0, input=text, outputs=("7",), length=10)
    found = prompt_of(sample, detail, hay_is_needles=False)
    assert found.others == "other is 8"
    assert "answer" not in found.hay
    assert "other is 8" in found.hay
    assert found.question == " what"
    assert prompt_of(sample, detail, hay_is_needles=True).others == found.hay


def test_needles_that_overlap_are_each_character_once() -> None:
    """Details of a stranger's say what they like; hay would grow with the square of needles."""
    text, count = "ab cd ef gh? what", 500
    detail = PlacedDetail(
        index=0,
        prompt_tokens=9,
        depths=(0.0,) * 2 * count,
        needles=(Span(start=3, end=11),) * count + (Span(start=6, end=99),) * count,
        answers=(True,) * count + (False,) * count,
        question_start=11,
        needle_tokens=(Span(start=1, end=2),) * 2 * count,
        question_token=5,
    )
    found = prompt_of(
        Sample(index=0, input=text, outputs=("7",), length=10), detail, hay_is_needles=False
    )
    assert found == ("? what", "ef gh", "ab \n")


def test_of_an_answer_that_never_ends_few_values_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every value is compared with every reference, letter by letter."""
    compared: list[tuple[str, str]] = []
    monkeypatch.setattr(failures, "edits", lambda *pair: compared.append(pair) or 99)
    values = [str(10**8 + each // 2) for each in range(1000)]
    references = [str(2 * 10**8 + each) for each in range(500)]
    assert wrong_kind(" ".join(values), references, Prompt("", "", "")) == "invented"
    assert len(compared) == len(set(compared)) == MOST**2


def test_only_what_breaks_off_is_near_a_long_reference() -> None:
    long = "7" * LONGEST_NEAR
    assert is_near(f"{long[:-1]}1", long)
    assert not is_near(f"{long}1", f"{long}7")
    assert is_near(long, f"{long}7")


def slow_edits(first: str, second: str) -> int:
    """Levenshtein's definition."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        slow_edits(first[1:], second) + 1,
        slow_edits(first, second[1:]) + 1,
        slow_edits(first[1:], second[1:]) + (first[0] != second[0]),
    )


@pytest.mark.parametrize(
    ("first", "second"), [("", ""), ("", "ab"), ("kit", "sit"), ("4829", "8294"), ("abcd", "bce")]
)
def test_edits_follow_the_definition(first: str, second: str) -> None:
    assert edits(first, second) == slow_edits(first, second)


def test_near_is_one_character_in_four() -> None:
    assert is_near("1234567", "1234568")
    assert not is_near("1234567", "1234588")
    assert not is_near("123", "124")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a a a", True),
        ("a b a b a b", True),
        ("x y a b a b a b", True),
        ("a a b", False),
        ("a b c d e a a a", False),
        ("", False),
    ],
)
def test_repetition_is_thrice_in_a_row_over_half_of_it(text: str, says: bool) -> None:
    assert repeats(text) is says
