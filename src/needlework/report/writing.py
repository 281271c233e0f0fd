"""How any text is written into Markdown, LaTeX and HTML so that it is read as that text.

The only place that escapes: templates pass every value through here (`rendering`), pages every
JSON.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
"""How characters that LaTeX reads as commands are written."""
_ENTITY = re.compile(r"&(?=#|\w+;)")
_TAG = re.compile(r"<(?=[A-Za-z/!?]|$)")
_MARKUP = re.compile(
    r"[|*`]|\\(?=[!-/:-@\[-`{-~]|$)|~(?=~)|\](?=[(\[:])|(?<![^\W_])_(?=\S)|(?<=\S)_(?![^\W_])"
    r"|:(?=//)|(?<=\bwww)\.(?=\w)"
)
"""What Markdown reads as more than the character: an underscore within a word is none, and an
address that stands alone becomes a link.
"""
_TICKS = re.compile("`+")


class Written(str):
    """Text in the language of its page already: what `render` leaves as it is."""

    __slots__ = ()


def markdown(text: str) -> Written:
    """Text that Markdown shows as it is, in a cell of a table or in a line."""
    line = _TAG.sub("&lt;", _ENTITY.sub("&amp;", one_line(text)))
    return Written(_MARKUP.sub(r"\\\g<0>", line))


def code(text: str) -> Written:
    """Text as a span of code that Markdown shows as it is, also in a cell of a table."""
    line = one_line(text).replace("|", r"\|")
    fence = "`" * (max((len(each) for each in _TICKS.findall(line)), default=0) + 1)
    gap = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return Written(f"{fence}{gap}{line}{gap}{fence}")


def latex(text: str) -> Written:
    """Text that LaTeX prints as it is; a number and its percent sign stay on one line."""
    printed = "".join(LATEX.get(character, character) for character in one_line(text))
    return Written(re.sub(r"(?<=\d) (?=\\%)", "~", printed))


def breakable(text: str) -> Written:
    """A path or name for LaTeX that may be broken after its separators."""
    return Written(re.sub(r"([/-]|\\_)", r"\1\\allowbreak{}", latex(text)))


def json_in_html(content: Mapping[str, Any]) -> str:
    """JSON for a script element, which no text within can end; scripts read the same values."""
    told = json.dumps(content, separators=(",", ":"))
    return told.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def one_line(text: str) -> str:
    """The text with every run of line ends and other controls as one blank."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
