"""RULER's own prompts as a wording of the English material.

Here the parts of a fetched template are chosen and corrected; the texts themselves are never part
of this package. Every line of a prompt has the form that NVIDIA/RULER gives it today (c3f5e3b);
`docs/prompts.md` lists what differs from the artifact, and why.
"""

from types import MappingProxyType

from needlework.errors import ResourceError
from needlework.external.registry import Resources
from needlework.external.released_source import DOCUMENT
from needlework.tasks.prompts import Frame, Wording
from needlework.tasks.released import prompts
from needlework.tasks.released.prompts import SINGULAR, Prompts, TaskPrompt, around_context

_MISSPELT = ("assgined", "assigned")
"""In the answer prefix of variable tracking; NVIDIA/RULER has mended it since."""
_COMMON_WORDS = "10"
"""How many common words the template says there are, whatever the task's parameters."""


def wording_and_noise(folder: Resources) -> tuple[Wording, tuple[str, ...]]:
    """RULER's words from the prompts in a folder, and its repeated paragraph, one line of it.

    Raises:
        ResourceError: the prompts are not there, or another version.
    """
    try:
        path = folder.path("prompts")
    except ResourceError as error:
        raise ResourceError(
            f"{error} (from NEEDLEWORK_MIRROR or the network), or ask in our own words: "
            "`wording: plain`"
        ) from error
    texts = prompts.read(path)
    return wording(texts), (texts.noise,)


def wording(texts: Prompts) -> Wording:
    """The fetched texts as the generators of the corrected protocol say them."""
    tasks = texts.tasks
    needles, tracking = tasks["niah"], tasks["variable_tracking"]
    return Wording(
        nouns=MappingProxyType({kind: (kind[:-1], kind) for kind in ("words", "numbers", "uuids")}),
        comma=", ",
        last_comma=", and ",
        needle=texts.needle.replace("{type_needle_v}", "{nouns}"),
        hay_separator=" ",
        line_separator="\n",
        one_needle=_frame(needles, *SINGULAR, ("{type_needle_v}", "{noun}")),
        many_needles=_frame(needles, ("{type_needle_v}", "{nouns}")),
        assignment="VAR {name} = {source}",
        passing="VAR {name} = VAR {source} ",
        tracking=_frame(tracking, _MISSPELT, ("{query}", "{value}"), ("{num_v}", "{count}")),
        numbered="{number}. {word}",
        named="{number}. {word}",
        common=_frame(
            tasks["common_words_extraction"], (_COMMON_WORDS, "{count}"), between=" ", gap="\n"
        ),
        filler="...",
        frequent=_frame(tasks["freq_words_extraction"]),
        document=DOCUMENT.format(i="{number}", document="{text}"),
        document_separator="\n\n",
        documents=_frame(tasks["qa"], ("{query}", "{question}")),
        shows_example=True,
    )


def _frame(
    texts: TaskPrompt, *replaced: tuple[str, str], between: str = " ", gap: str = "\n\n"
) -> Frame:
    """The words around a haystack, with our names for what is filled in."""
    template, prefix = texts.template, texts.answer_prefix
    for old, new in replaced:
        template, prefix = template.replace(old, new), prefix.replace(old, new)
    head, question = around_context(template)
    return Frame(head=head, question=question, prefix=prefix, between=between, end="", gap=gap)
