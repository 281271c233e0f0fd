"""A tokenizer's own chat template as a prompt format: what it puts before and after a question.

Knows where templates are kept and how transformers renders them (`apply_chat_template`); does not
know what is asked. Templates are programs of strangers, so they run in Jinja's sandbox, with one
message of a user, the start of an answer, and nothing that changes from day to day.
"""

import json
from pathlib import Path
from typing import Any

from needlework import bounded
from needlework.errors import ResourceError
from needlework.tasks.prompts import Wrapper
from needlework.tokenizers import hub

_TEMPLATE, _SIDECAR, _TOKENS = "chat_template.jinja", "tokenizer_config.json", "tokenizer.json"
_PROBES = (
    'Read "it\'s" <b>&amp;</b> {one} {{two}} {% three %} \\n\n\n  four  blanks,\ttabs, 漢字. Five?',
    "Which of the two is it?",
)
"""What must come through unchanged. No question begins or ends with a blank, so templates may strip
it."""
_LIMITS = bounded.Limits(seconds=10, megabytes=512)
"""Honest templates take a hundredth of a second."""


def wrapper(path_or_hub_id: str, *, revision: str | None) -> Wrapper:
    """The format that the tokenizer in a folder, or of a hub repository, gives to a question.

    Its `before` has the begin token, where the template writes one.

    Raises:
        ResourceError: there is no template, or it fails, or changes the question.
    """
    folder = _folder(path_or_hub_id, revision=revision)
    config = hub.read_sidecar(folder / _SIDECAR)
    source = _source(folder, config)

    def around() -> list[tuple[str, str]]:
        told = (_around(each, _render(source, config, each, folder), folder) for each in _PROBES)
        return [(each.before, each.after) for each in told]

    what = f"the chat template of {folder}"
    found = {Wrapper(*each) for each in bounded.in_child(around, what=what, limits=_LIMITS)}
    if len(found) > 1:
        raise ResourceError(
            f"the chat template of {folder} depends on the question, which must stand alone in it; "
            "name a fixed wrapper"
        )
    return found.pop()


def _folder(path_or_hub_id: str, *, revision: str | None) -> Path:
    path = Path(path_or_hub_id)
    if path.is_file():
        raise ResourceError(
            f"{path} is one file and has no chat template; name a folder with {_TOKENS} and "
            f"{_SIDECAR}, or a fixed wrapper"
        )
    folder = path if path.is_dir() else hub.download(path_or_hub_id, revision=revision)
    if not (folder / _TOKENS).is_file():
        raise ResourceError(
            f"{folder} has no {_TOKENS}, without which the special tokens of a chat template would "
            "be read as text; convert its tokenizer, or name a fixed wrapper"
        )
    return folder


def _source(folder: Path, config: dict[str, Any]) -> str:
    """The template: a file of its own, or in the sidecar, alone or as `default` among others."""
    if (folder / _TEMPLATE).is_file():
        return (folder / _TEMPLATE).read_text(encoding="utf-8")
    found = config.get("chat_template")
    if isinstance(found, list):
        found = {each["name"]: each["template"] for each in found}.get("default")
    if not isinstance(found, str):
        raise ResourceError(
            f"{folder} has no chat template, neither {_TEMPLATE} nor `chat_template` in "
            f"{_SIDECAR}; name a fixed wrapper"
        )
    return found


def _render(source: str, config: dict[str, Any], question: str, folder: Path) -> str:
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    special = {
        name: token["content"] if isinstance(token, dict) else token
        for name, token in config.items()
        if name.endswith("_token") and isinstance(token, str | dict)
    }
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = refuse
    messages = [{"role": "user", "content": question}]
    try:
        return environment.from_string(source).render(
            messages=messages, add_generation_prompt=True, **special
        )
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ResourceError(
            f"the chat template of {folder} cannot be rendered ({error}); name a fixed wrapper"
        ) from error


def _around(question: str, rendered: str, folder: Path) -> Wrapper:
    if rendered.count(question) != 1:
        raise ResourceError(
            f"the chat template of {folder} does not show the question once, word for word; name a "
            "fixed wrapper"
        )
    before, _, after = rendered.partition(question)
    return Wrapper(before, after)
