"""Puts into the wheel what a checkout has beside the package; src/needlework/installed.py finds it.

Everything else that there is to say of the package stands in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MATERIAL = (
    "Snakefile",
    "workflow",
    "config",
    "profiles",
    "envs",
    "reports/captions",
    "reports/templates",
    "resources/nano",
    "resources/project",
    "resources/published",
    "resources/registry.yaml",
)
"""MANIFEST.in names the same for the source distribution, and the weights of `seeds.yaml`."""
IGNORED = shutil.ignore_patterns("__pycache__", ".*.lock", "seeds.yaml")
"""`seeds.yaml` asks for twelve more trainings, 26 MB: one runs it in a checkout."""


class BuildWithMaterial(build_py):
    """Builds the package, and beside its modules the folder `project`."""

    def run(self) -> None:
        """Copy what is listed; an editable installation finds it in its checkout."""
        super().run()
        if self.editable_mode:
            return
        inside = Path(self.build_lib, "needlework", "project")
        shutil.rmtree(inside, ignore_errors=True)
        for name in MATERIAL:
            source, target = Path(name), inside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=IGNORED)
            else:
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithMaterial})
