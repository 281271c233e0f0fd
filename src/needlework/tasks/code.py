"""Which modules decide the samples of a task: the frame, its material and its own generator.

Knows which module each choice leads to; does not know what is in them.
"""

from functools import cache

from needlework.sources import closure, digest_of
from needlework.tasks.specs import FUNCTION, Spec, generator

FRAME = "needlework.tasks.datasets"
RELEASED = "needlework.released"
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
    """A digest of the sources that decide the samples of a task, and of no other generator."""
    return _digest(generator(spec), protocol, material)


@cache
def _digest(kind: str, protocol: str, material: str) -> str:
    return digest_of(deciding(kind, protocol=protocol, material=material))
