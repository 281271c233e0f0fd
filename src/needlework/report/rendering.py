"""Templates: how numbers, LaTeX characters and variables are written."""

import re
from functools import cache
from pathlib import Path

import jinja2

from needlework.errors import StudyError

LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
"""How characters that LaTeX reads as commands are written."""

PLAIN = ("{{", "}}", "{%", "%}", "{#", "#}")
TEX = ("<<", ">>", "<%", "%>", "<#", "#>")
"""How templates mark values, blocks and comments; LaTeX owns braces."""


def render(template: Path, **content: object) -> str:
    """A template filled in.

    Raises:
        StudyError: the template does not exist or names something unknown.
    """
    environment = _environment(template.parent.resolve(), template.name.endswith(".tex.j2"))
    try:
        return environment.get_template(template.name).render(**content)
    except jinja2.TemplateError as error:
        raise StudyError(f"template {template}: {error}") from error


@cache
def _environment(folder: Path, is_tex: bool) -> jinja2.Environment:
    """How templates of a folder are read; each compiled once per change of its file."""
    left, right, begin, end, remark, remark_end = TEX if is_tex else PLAIN
    environment = jinja2.Environment(
        variable_start_string=left,
        variable_end_string=right,
        block_start_string=begin,
        block_end_string=end,
        comment_start_string=remark,
        comment_end_string=remark_end,
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "latex": latex, "breakable": breakable}
    return environment


def percent(share: float) -> str:
    """A score in percent with two decimals, as the paper prints it."""
    return f"{100 * share:.2f}"


def latex(text: str) -> str:
    """Text that LaTeX prints as it is; a number and its percent sign stay on one line."""
    printed = "".join(LATEX.get(character, character) for character in text)
    return re.sub(r"(?<=\d) (?=\\%)", "~", printed)


def breakable(text: str) -> str:
    """A path or name for LaTeX that may be broken after its separators."""
    return re.sub(r"([/-]|\\_)", r"\1\\allowbreak{}", latex(text))
