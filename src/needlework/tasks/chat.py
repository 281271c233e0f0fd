"""A tokenizer's own chat template as a prompt format: what it puts before and after a question.

Templates are programs of strangers, so they run in Jinja's sandbox, with one message of a user, the
start of an answer, and nothing that changes from day to day: to a template that asks for the date
it is always the same one.
"""

import json
import re
from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from needlework import bounded, installed
from needlework.door import opens
from needlework.errors import ResourceError
from needlework.gguf_header import is_gguf, read_header
from needlework.tasks.prompts import Wrapper
from needlework.tokenizers import gguf, hub
from needlework.tokenizers.sidecars import CONFIG, Sidecars

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_TEMPLATE, _TOKENS = "chat_template.jinja", "tokenizer.json"
_MORE = "additional_chat_templates"
"""A folder of further templates, each in a file by its name."""
TODAY = datetime(2024, 7, 26, tzinfo=UTC)
"""The date that templates are told; those of Llama 3 write it themselves where nobody tells one."""
_SWITCHES = frozenset({"enable_thinking", "thinking"})
"""What templates ask for before they let a model think (Qwen3, DeepSeek V3.1)."""
_THOUGHT = re.compile(r"(<think(?:ing)?>|<reasoning>|<thought>|\[THINK\])\s*$", re.IGNORECASE)
"""The start of a thought that is left open."""
_PROBES = (
    'Read "it\'s" <b>&amp;</b> {one} {{two}} {% three %} \\n\n\n  four  blanks,\ttabs, 漢字. Five?',
    "Which of the two is it?",
)
"""What must come through unchanged. No question begins or ends with a blank, so templates may strip
it."""
_LIMITS = bounded.Limits(seconds=10, megabytes=512)
"""Honest templates take a hundredth of a second."""


def wrapper(
    path_or_hub_id: str,
    *,
    revision: str | None,
    options: Mapping[str, object] = MappingProxyType({}),
    thinks: bool = False,
) -> Wrapper:
    """The format that the tokenizer in a folder or GGUF file, or of a hub id, gives to a question.

    Its `before` has the begin token, where the template writes one.

    Raises:
        ResourceError: there is no template, or it fails, or changes the question.
    """
    if is_gguf(path_or_hub_id):
        folder = Path(path_or_hub_id)
        sidecars = Sidecars(folder, gguf.sidecar_of(read_header(path_or_hub_id)))
    else:
        folder = _folder(path_or_hub_id, revision=revision)
        sidecars = Sidecars(folder)
    source = _source(folder, sidecars)
    values = {**sidecars.for_templates(), **options}

    def read() -> tuple[list[str], list[tuple[str, str]]]:
        variables = _variables(folder, source)
        if strange := sorted(options.keys() - variables):
            raise ResourceError(f"the chat template of {folder} asks for no {', '.join(strange)}")
        told = [_around(each, _render(folder, source, values, each), folder) for each in _PROBES]
        return sorted(variables), [(each.before, each.after) for each in told]

    # Even to ask a template for its variables evaluates what is constant in it.
    what = f"the chat template of {folder}"
    variables, around = bounded.in_child(read, what=what, limits=_LIMITS)
    found = {Wrapper(*each) for each in around}
    if len(found) > 1:
        raise ResourceError(
            f"the chat template of {folder} depends on the question, which must stand alone in it; "
            "name a fixed wrapper"
        )
    (only,) = found
    if not thinks:
        _refuse_thoughts(only, set(variables) - options.keys(), folder)
    return replace(only, thinks=thinks)


def _refuse_thoughts(around: Wrapper, unsaid: Set[str], folder: Path) -> None:
    """Accept a template that does not let the model think, as far as it shows.

    Raises:
        ResourceError: it starts a thought, or may start one as nobody said otherwise.
    """
    starts = _THOUGHT.search(around.after)
    switch = next(iter(sorted(unsaid & _SWITCHES)), None)
    if starts is None and switch is None:
        return
    told = f"starts a thought ({starts[1]})" if starts else f"lets the model think (`{switch}`)"
    way_out = f"`template_options: {{{switch}: false}}`, or " if switch else ""
    raise ResourceError(
        f"the chat template of {folder} {told}, which would take the place of answers; set "
        f'{way_out}`reasoning: {{end: "</think>", tokens: 2048}}` in the model\'s entry'
    )


def _folder(path_or_hub_id: str, *, revision: str | None) -> Path:
    path = installed.find(path_or_hub_id)
    if path.is_file():
        raise ResourceError(
            f"{path} is one file and has no chat template; name a folder with {_TOKENS} and "
            f"{CONFIG}, or a fixed wrapper"
        )
    folder = path if path.is_dir() else hub.download(path_or_hub_id, revision=revision)
    if not (folder / _TOKENS).is_file():
        raise ResourceError(
            f"{folder} has no {_TOKENS}, without which the special tokens of a chat template would "
            "be read as text; convert its tokenizer, or name a fixed wrapper"
        )
    return folder


def _source(folder: Path, sidecars: Sidecars) -> str:
    """The template: in files of its own or in the sidecar; alone, or as `default` among others."""
    files = [folder / _TEMPLATE, *sorted((folder / _MORE).glob("*.jinja"))]
    named = {_name(file): file for file in files if file.is_file()}
    found: object = {name: _read(file) for name, file in named.items()}
    found = found or sidecars.config.get("chat_template")
    if isinstance(found, list):
        found = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
    if isinstance(found, dict):
        if "default" not in found and found:
            raise ResourceError(
                f"{folder} has chat templates by the names {', '.join(map(str, found))}, and none "
                "is `default`; name a fixed wrapper"
            )
        found = found.get("default")
    if not isinstance(found, str):
        places = f"neither {_TEMPLATE} nor `chat_template` in {CONFIG}"
        if is_gguf(folder):
            places = "as its `tokenizer.chat_template` would be"
        raise ResourceError(f"{folder} has no chat template, {places}; name a fixed wrapper")
    return found


def _name(file: Path) -> str:
    """What a template in a file of its own is called."""
    return "default" if file.name == _TEMPLATE else file.stem


@opens("a chat template", "chat_template.jinja", error=ResourceError)
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _variables(folder: Path, source: str) -> Set[str]:
    """What a template may be told."""
    import jinja2
    from jinja2 import meta

    try:
        return meta.find_undeclared_variables(_environment().parse(source))
    except jinja2.TemplateError as error:
        raise _broken(folder, error) from error


def _broken(folder: Path, error: Exception) -> ResourceError:
    return ResourceError(
        f"the chat template of {folder} cannot be rendered ({error}); name a fixed wrapper"
    )


@opens("a folder with a chat template", "", error=ResourceError, way_out="name a fixed wrapper")
def _render(folder: Path, source: str, values: Mapping[str, object], question: str) -> str:
    """What `apply_chat_template` gives for a question, the date aside."""
    import jinja2

    try:
        return (
            _environment()
            .from_string(source)
            .render(
                messages=[{"role": "user", "content": question}],
                tools=None,
                documents=None,
                add_generation_prompt=True,
                **values,
            )
        )
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _broken(folder, error) from error


def _environment() -> "ImmutableSandboxedEnvironment":
    """Jinja as transformers sets it up: two block rules, loop controls, and words of its own."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`: marks what an assistant said, for training; shows what is inside."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: jinja2.parser.Parser) -> Any:  # noqa: ANN401 - a node
            next(parser.stream)
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_shown"), [], [], body)

        def _shown(self, caller: Any) -> Any:  # noqa: ANN401 - a macro and its text
            return caller()

    class Namespace(jinja2.utils.Namespace):
        """`namespace`, whose names do not begin with an underscore, as those of transformers."""

        def __init__(*given: Any, **named: Any) -> None:  # noqa: ANN401 - any
            for name in dict(*given[1:], **named):
                _refuse_hidden(name)
            jinja2.utils.Namespace.__init__(*given, **named)

        def __setitem__(self, name: str, value: object) -> None:
            _refuse_hidden(name)
            super().__setitem__(name, value)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = TODAY.strftime
    environment.globals["namespace"] = Namespace
    return environment


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The filter `tojson`, which does not escape for HTML as Jinja's own does."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(message: str) -> None:
    """`raise_exception`, by which a template says what it does not do."""
    import jinja2

    raise jinja2.TemplateError(message)


def _refuse_hidden(name: object) -> None:
    """Accept a name that a template may give to something of its own, as transformers does."""
    if isinstance(name, str) and name.startswith("_"):
        _refuse(f"a namespace cannot hold {name!r}, which begins with an underscore")


def _around(question: str, rendered: str, folder: Path) -> Wrapper:
    if rendered.count(question) != 1:
        raise ResourceError(
            f"the chat template of {folder} does not show the question once, word for word; name a "
            "fixed wrapper"
        )
    before, _, after = rendered.partition(question)
    return Wrapper(before, after)
