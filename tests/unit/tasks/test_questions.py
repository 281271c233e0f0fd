"""Questions: what is read from SQuAD and HotpotQA files, and what is refused."""

import json
from pathlib import Path

import pytest

from needlework.errors import ResourceError
from needlework.tasks import english, questions
from needlework.tasks.material import Question
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
    with pytest.raises(ResourceError, match=r"questions\.json: "):
        ask("squad", content, tmp_path)


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"gone\.json"):
        questions.from_file("squad", tmp_path / "gone.json")(
            english.material(tmp_path, wording="plain"), item()
        )
