"""Which modules decide the samples of a task: the frame, its material and its own generator."""

from functools import cache
from pathlib import Path

from needlework.sources import closure, digest_of, imported
from needlework.tasks.specs import FUNCTION, OwnSpec, Spec, generator

FRAME = "needlework.study.datasets"
RELEASED = "needlework.tasks.released"
TABLES = frozenset({"needlework.tasks.generators", "needlework.tasks.specs"})
"""What has a line for every generator. Every parameter of a task, defaults included, is among those
of the rule that makes its dataset, so that how they are read decides nothing more."""
GENERATORS = {
    "niah": "needlework.tasks.niah",
    "variable_tracking": "needlework.tasks.variable_tracking",
    "common_words": "needlework.tasks.common_words",
    "frequent_words": "needlework.tasks.frequent_words",
    "qa": "needlework.tasks.qa",
    "file": "needlework.tasks.from_file",
    FUNCTION: "needlework.tasks.own",
}
MATERIALS = {"english": "needlework.tasks.english", "nano": "needlework.nano.language"}


def deciding(kind: str, *, protocol: str, material: str) -> frozenset[str]:
    """The modules that decide the samples of a kind of task: all that frame, material and generator
    import, but for what is there for other generators alone."""
    own = closure(RELEASED if protocol == "released" else GENERATORS[kind], without=TABLES)
    others = {RELEASED, *GENERATORS.values(), *MATERIALS.values()} - own - {MATERIALS[material]}
    return frozenset(own | closure(FRAME, MATERIALS[material], without=TABLES | others))


def dataset_code(spec: Spec, *, protocol: str, material: str) -> str:
    """A digest of the sources that decide the samples of a task, and of no other generator.

    A file of one's own is no part of it, but a file that datasets are made from; what it imports of
    this package is.
    """
    own = spec.path if isinstance(spec, OwnSpec) else None
    return _digest(generator(spec), protocol, material, own)


@cache
def _digest(kind: str, protocol: str, material: str, own: str | None) -> str:
    borrowed = _borrowed(Path(own)) if own else set()
    return digest_of(deciding(kind, protocol=protocol, material=material) | borrowed)


def _borrowed(path: Path) -> set[str]:
    """What a file of one's own takes from this package; nothing where it cannot be run, which is
    told where it is."""
    try:
        return closure(*imported(path.read_bytes()), without=TABLES)
    except (ModuleNotFoundError, OSError, SyntaxError, ValueError):
        return set()
