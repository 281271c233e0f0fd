"""Templates filled in: whatever a value holds is read as text of the page and as nothing else."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2

from needlework.errors import StudyError
from needlework.report.writing import Written, breakable, code, latex, markdown

PLAIN = ("{{", "}}", "{%", "%}", "{#", "#}")
TEX = ("<<", ">>", "<%", "%>", "<#", "#>")
"""How templates mark values, blocks and comments; LaTeX owns braces."""


def render(template: Path, **content: object) -> str:
    """A template filled in, every text in it escaped but what is `Written` already.

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
        finalize=_escaping(latex if is_tex else markdown),
    )
    environment.filters |= {
        "breakable": breakable,
        "code": code,
        "p_value": p_value,
        "percent": percent,
        "written": Written,
    }
    return environment


def _escaping(escape: Callable[[str], Written]) -> Callable[[object], object]:
    """What is done to the value of every expression of a template."""

    def written(value: object) -> object:
        return escape(value) if isinstance(value, str) and not isinstance(value, Written) else value

    return written


FLOOR, BELOW = 1e-8, "< 1e-8"
"""p-values up to this are printed as below it. No permutation test gives one below 1e-12, and
Holm's factors, which may be 10,000 here, make numbers of that limit that are no p-values."""


def p_value(found: float | None, *, digits: int = 3) -> str:
    """A p-value as it is printed; nothing where nothing was tested."""
    if found is None:
        return ""
    return f"{found:.{digits}g}" if found > FLOOR else BELOW


def percent(share: float) -> str:
    """A score in percent with two decimals, as the paper prints it."""
    return f"{100 * share:.2f}"
