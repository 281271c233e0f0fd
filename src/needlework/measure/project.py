"""A project of one's own: a folder in which Snakemake runs the packaged workflow.

Their contents are in resources/project.
"""

from collections.abc import Mapping
from pathlib import Path

from needlework import installed
from needlework.errors import StudyError
from needlework.files import write_text

TEMPLATES = "resources/project"
COPIED: Mapping[str, str] = {
    "config/cluster.yaml": "config/cluster.yaml",
    "profiles/default/config.yaml": "profiles/default/config.yaml",
    "slurm/config.yaml": "profiles/slurm/config.yaml",
}
"""Files of the package that a project has as well: where, and which."""
PAPER, OWN = "configfile: config/paper.yaml", "configfile: config/config.yaml"
"""The study of the profile for Slurm: the package's, and the project's."""
IGNORED = ".gitignore"
GENERATED = "results/\nlogs/\nbenchmarks/\n.snakemake/\nresources/external/\n"
"""What a run makes, for version control to leave out."""


def create(folder: Path) -> list[Path]:
    """The files of a new project, all written; in a folder that may hold others already.

    Raises:
        StudyError: one of them is there already; nothing is written.
    """
    contents = _contents()
    there = [name for name in contents if (folder / name).exists()]
    if there:
        raise StudyError(
            f"{folder / there[0]} exists already; name a folder without it, or go on in this one"
        )
    for name, text in contents.items():
        write_text(folder / name, text)
    return [folder / name for name in contents]


def _contents() -> dict[str, str]:
    """What stands in every file of a project, by its name."""
    root = installed.root()
    templates = root / TEMPLATES
    found = {
        path.relative_to(templates).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(templates.rglob("*"))
        if path.is_file()
    }
    found |= {name: (root / source).read_text(encoding="utf-8") for name, source in COPIED.items()}
    profile = found["slurm/config.yaml"]
    assert PAPER in profile, "the profile names the study that it runs"
    return found | {"slurm/config.yaml": profile.replace(PAPER, OWN), IGNORED: GENERATED}
