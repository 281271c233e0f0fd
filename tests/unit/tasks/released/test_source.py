"""The artifact's prompts, read from Python source that is never run."""

import json
from pathlib import Path

import pytest

from needlework.errors import ResourceError
from needlework.external import released_source

NOISE = "Nothing happens. Nobody comes."
SOURCES = {
    "constants.py": "TASKS = {'niah': {'tokens_to_generate': 8, 'template': '{context}', "
    "'answer_prefix': ' is'}}",
    "template.py": "Templates = {'base': '{task_template}'}",
    "niah.py": f'import os\nos.remove("x")\nneedle = "{{key}} is {{value}}."\n'
    f'if 1:\n    haystack = "{NOISE}"\nelse:\n    haystack = needle',
    "variable_tracking.py": f'def f():\n    noise = "{NOISE}\\n"\n    return noise.split()',
    "qa.py": 'DOCUMENT_PROMPT = "Document {i}:\\n{document}"',
}


def test_texts_are_found_where_they_stand() -> None:
    found = json.loads(released_source.prompts(SOURCES))
    assert found["noise"] == NOISE
    assert found["needle"] == "{key} is {value}."
    assert found["tasks"]["niah"]["tokens_to_generate"] == 8
    assert found["source"]["commit"] == released_source.COMMIT


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_source_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ResourceError, match="artifact"):
        released_source.prompts(SOURCES | {name: "pass"})


def test_source_that_is_no_python_is_refused() -> None:
    with pytest.raises(ResourceError, match="fetch it again"):
        released_source.prompts(SOURCES | {"qa.py": "404: Not Found"})


def test_what_is_parsed_is_what_the_mirror_holds(shared: Path) -> None:
    """Byte for byte, so that one digest covers the mirror and the network."""
    text = (shared / "mirror/ruler/prompts.json").read_text(encoding="utf-8")
    content = json.loads(text)
    sources = SOURCES | {
        "constants.py": f"TASKS = {content['tasks']!r}",
        "template.py": f"Templates = {content['wrappers']!r}",
        "niah.py": f"needle = {content['needle']!r}\nhaystack = {content['noise']!r}",
        "variable_tracking.py": f"noise = {content['noise'] + chr(10)!r}",
    }
    assert released_source.prompts(sources) == text
