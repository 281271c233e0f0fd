"""Mistakes that only several config files together show, each told in one line.

Knows the files of `config/`; does not know what is made of them. Every check raises a StudyError
that names the key, the value and the way out.
"""

from collections.abc import Mapping
from pathlib import Path

from needlework.errors import StudyError
from needlework.study import ModelEntry, TokenizerEntry

RESOURCES = Path("resources")


def check_labels(models: Mapping[str, ModelEntry], folder: Path) -> None:
    """Tables and figures tell models apart by their labels."""
    names: dict[str, str] = {}
    for name, model in models.items():
        other = names.setdefault(model.label, name)
        if other != name:
            raise StudyError(
                f"{folder / 'models.yaml'}: {other} and {name} have the same label "
                f"`{model.label}`; change one"
            )


def check_sources(
    models: Mapping[str, ModelEntry], tokenizers: Mapping[str, TokenizerEntry], folder: Path
) -> None:
    """What has no revision is a path: one that exists, or one that the workflow makes."""
    sources = {
        f"models.{name}.checkpoint": each.checkpoint
        for name, each in models.items()
        if not each.revision
    }
    sources |= {
        f"tokenizers.{name}.source": each.source
        for name, each in tokenizers.items()
        if not each.revision
    }
    for key, source in sources.items():
        if not Path(source).exists() and Path(source).parts[:1] != RESOURCES.parts:
            raise StudyError(
                f"{folder / 'models.yaml'}: {key}: {source} does not exist; if it is a hub id, add "
                "its `revision`, the 40 digits of a commit"
            )
