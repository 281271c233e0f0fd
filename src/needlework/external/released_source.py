"""The artifact's prompt texts, read from its Python source without running it.

The texts are taken from five files; the result is `ruler/prompts.json`, byte for byte.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from needlework.door import opens
from needlework.errors import ResourceError

REPOSITORY = "jhuang265/RULER"
COMMIT = "d573689711893ae804232e95ec45940a57883387"
_FOLDER = "scripts/data"
FILES = (
    "synthetic/constants.py",
    "template.py",
    "synthetic/niah.py",
    "synthetic/variable_tracking.py",
    "synthetic/qa.py",
)
DOCUMENT = "Document {i}:\n{document}"
"""How a document of a qa prompt begins; the only text that this package knows itself."""


def prompts(sources: Mapping[str, str]) -> str:
    """The prompts in the artifact's files, given as texts by file name.

    Raises:
        ResourceError: a text does not stand where it should.
    """
    constants, template, niah, tracking, qa = (
        _constants(name.rpartition("/")[2], sources) for name in FILES
    )
    noise = _one(niah, "haystack")
    if f"{noise}\n" != _one(tracking, "noise") or _one(qa, "DOCUMENT_PROMPT") != DOCUMENT:
        raise ResourceError("the artifact's source has another noise or document text; fetch again")
    content = {
        "source": {
            "repository": REPOSITORY,
            "commit": COMMIT,
            "files": [f"{_FOLDER}/{name}" for name in FILES],
            "licence": "Apache-2.0",
        },
        "tasks": _one(constants, "TASKS"),
        "wrappers": _one(template, "Templates"),
        "needle": _one(niah, "needle"),
        "noise": noise,
    }
    return json.dumps(content, indent=1)


@opens("the artifact's source", error=ResourceError)
def _constants(name: str, sources: Mapping[str, str]) -> dict[str, list[Any]]:
    """Every name that a file sets to a literal, with all the literals it is set to."""
    tree = ast.parse(sources[name])
    found: dict[str, list[Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            found.setdefault(node.targets[0].id, []).append(value)
    return found


def _one(constants: Mapping[str, list[Any]], name: str) -> Any:  # noqa: ANN401 - a literal
    values = constants.get(name, [])
    if len(values) != 1:
        raise ResourceError(f"the artifact's source sets {name} {len(values)} times, not once")
    return values[0]
