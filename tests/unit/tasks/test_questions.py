"""Questions: what is read from SQuAD and HotpotQA files, and what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from needlework import tasks
from needlework.errors import BudgetError, ResourceError
from needlework.tasks import english, questions
from needlework.tasks.material import Question
from needlework.tasks.specs import QaSpec
from tests.tasks_for_tests import item

SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "gold",
                    "qas": [
                        {
                            "question": "q?",
                            "is_impossible": False,
                            "answers": [{"text": "go"}, {"text": "go"}, {"text": "gold"}],
                        },
                        {"question": "none?", "is_impossible": True, "answers": []},
                    ],
                },
                {"context": "near", "qas": []},
            ]
        },
        {"paragraphs": [{"context": "far", "qas": []}, {"context": "gold", "qas": []}]},
    ]
}
HOTPOT = [
    {
        "question": "q?",
        "answer": "a",
        "supporting_facts": [["One", 0], ["Two", 1]],
        "context": [["One", ["a.", " b."]], ["Near", ["c."]], ["Two", ["d."]]],
    }
]


def ask(source: str, content: object, folder: Path, index: int = 0) -> Question:
    path = folder / "questions.json"
    path.write_text(json.dumps(content))
    return questions.from_file(source, path)(english.material(folder, wording="plain"), item(index))


def test_squad_gives_each_answer_once(tmp_path: Path) -> None:
    asked = ask("squad", SQUAD, tmp_path)
    assert (asked.question, asked.answers, asked.gold) == ("q?", ("go", "gold"), ("gold",))


def test_misleading_paragraphs_come_before_others_and_none_twice(tmp_path: Path) -> None:
    asked = ask("squad", SQUAD, tmp_path)
    assert asked.others.first(10) == ["near", "far"]
    assert asked.most == 2


def test_hotpot_has_two_gold_documents_with_their_titles(tmp_path: Path) -> None:
    asked = ask("hotpotqa", HOTPOT, tmp_path)
    assert asked.gold == ("One\na. b.", "Two\nd.")
    assert asked.others.first(3) == ["Near\nc."]


def test_a_hotpot_question_without_its_documents_is_left_out(tmp_path: Path) -> None:
    lost = HOTPOT[0] | {"question": "lost?", "supporting_facts": [["Elsewhere", 0]]}
    asked = {ask("hotpotqa", [lost, *HOTPOT], tmp_path, index).question for index in range(4)}
    assert asked == {"q?"}


def test_questions_repeat_only_when_all_were_asked(tmp_path: Path) -> None:
    rows = [HOTPOT[0] | {"question": f"{each}?"} for each in range(5)]
    asked = [ask("hotpotqa", rows, tmp_path, index).question for index in range(5)]
    assert sorted(asked) == [f"{each}?" for each in range(5)]


@pytest.mark.parametrize("content", [{}, [], {"data": [3]}, "text"])
def test_a_file_of_another_kind_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"questions\.json "):
        ask("squad", content, tmp_path)


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"gone\.json"):
        questions.from_file("squad", tmp_path / "gone.json")(
            english.material(tmp_path, wording="plain"), item()
        )


def squad_of(*questions: dict[str, object], paragraphs: int = 6) -> dict[str, object]:
    """A file with these questions about its first paragraph."""
    texts = [{"context": f"Paragraph {each} speaks of bridges.", "qas": []} for each in range(5)]
    return {"data": [{"paragraphs": [texts[0] | {"qas": list(questions)}, *texts[1:paragraphs]]}]}


def asked_of(text: str, *answers: object, **more: object) -> dict[str, object]:
    return {"question": text, "answers": [{"text": each} for each in answers], **more}


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0"])
def test_a_blank_reference_is_none(blank: str, tmp_path: Path) -> None:
    """It stands in every answer, which would be right whatever it says."""
    found = questions.squad(_write(tmp_path, squad_of(asked_of("q?", "5 bridges", blank))))
    assert (found.entries[0].answers, found.left_out) == (("5 bridges",), 0)


@pytest.mark.parametrize(
    "broken",
    [
        asked_of("lost?", ""),
        asked_of("lost?", " ", "\n"),
        asked_of("lost?"),
        asked_of("lost?", 5),
        asked_of("lost?", None),
        asked_of("", "5"),
    ],
)
def test_questions_that_cannot_be_asked_are_left_out_and_counted(
    broken: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = squad_of(broken, asked_of("q?", "5"), asked_of("no?", is_impossible=True))
    found = {ask("squad", content, tmp_path, index).question for index in range(3)}
    assert found == {"q?"}
    assert "1 of 2 questions are left out" in caplog.text


def test_a_hotpot_question_without_an_answer_is_left_out(tmp_path: Path) -> None:
    rows = [HOTPOT[0] | {"question": "lost?", "answer": " "}, *HOTPOT]
    assert questions.hotpotqa(_write(tmp_path, rows)).left_out == 1


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(squad_of(asked_of("half \ud800?", "5"))),
        '{"data": [{"paragraphs": [{"context": 5, "qas": []}]}]}',
        '{"data": [{"paragraphs": [{"qas": []}]}]}',
        '{"data": 1' + "0" * 5000 + "}",
        "\x00",
        "<html>",
    ],
)
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    path.write_text(text)
    with pytest.raises(ResourceError, match=r"questions\.json") as caught:
        questions.from_file("squad", path)(english.material(tmp_path, wording="plain"), item())
    assert "\n" not in str(caught.value)


def _write(folder: Path, content: object) -> Path:
    path = folder / "questions.json"
    path.write_text(json.dumps(content))
    return path


def made(folder: Path, length: int, samples: int, tokens: list[int]) -> list[tuple[str, int]]:
    """Question and length of every sample of qa_1 over paragraphs of so many words."""
    paragraphs = [
        {
            "context": " ".join([f"word{number}"] * count),
            "qas": [asked_of(f"What is {number}?", f"word{number}")],
        }
        for number, count in enumerate(tokens)
    ]
    path = _write(folder, {"data": [{"paragraphs": paragraphs}]})
    samples_made = tasks.generate(
        QaSpec(generator="qa", source="squad", tokens_to_generate=8),
        material=replace(english.material(folder, path, wording="plain")),
        tokenizer=Words(),
        length=length,
        samples=samples,
        seed=3,
        task="qa_1",
    )
    asked = re.compile(r"What is (\d+)\?")
    return [(asked.findall(sample.input)[-1], sample.length) for sample, _ in samples_made]


class Words:
    """Counts words."""

    identity = "words"
    begin = ()
    end = frozenset[int]()
    vocabulary = 1
    blank = None
    cuts = None

    def encode(self, text: str) -> list[int]:
        return [0] * len(text.split())

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, tokens: object) -> str:
        return ""


def test_a_question_that_is_too_long_gives_way_to_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = made(tmp_path, 300, 6, [40, 40, 1400, 40, 40, 40])
    assert sorted({question for question, _ in found}) == ["0", "1", "3", "4", "5"]
    assert all(length <= 300 for _, length in found)
    assert "1 questions are left out" in caplog.text
    more = made(tmp_path, 300, 3, [40, 40, 1400, 40, 40, 40])
    assert more == found[:3]


def test_where_no_question_fits_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="and neither does any of 3 questions"):
        made(tmp_path, 300, 2, [1400, 1500, 1600])


def test_material_that_ends_before_the_length_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(tmp_path, 100, 2, [40, 40, 40, 40])
    assert not caplog.text
    longest = max(length for _, length in made(tmp_path, 8192, 2, [40, 40, 40, 40]))
    assert f"the material ends before, the longest prompt has {longest - 8} tokens" in caplog.text
