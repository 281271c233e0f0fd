"""Errors that show only across several config files, each reported in one line.

Every check raises a StudyError that names the key, the value and the way out.
"""

from collections.abc import Mapping
from pathlib import Path

from needlework import installed
from needlework.errors import StudyError
from needlework.external.registry import DIRECTORY
from needlework.external.snapshots import is_hub_id
from needlework.gguf_header import SUFFIX
from needlework.parsing import unknown
from needlework.study.config import ModelEntry, Models, Study, SuiteTasks
from needlework.study.entries import TokenizerEntry
from needlework.study.inputs import registered
from needlework.tasks.specs import OWN, Spec

ROUNDED = Path("resources/rounded")
"""Where the workflow writes weights that it rounds."""


def check_own(study: Study, suites: SuiteTasks) -> None:
    """Tasks of one's own have their files; the artifact, which is replayed, had none of them."""
    tasks = {name: spec for specs in suites.values() for name, spec in specs.items()}
    if study.protocol == "released":
        _check_released(tasks)
    for name, spec in tasks.items():
        if isinstance(spec, OWN) and not Path(spec.path).is_file():
            raise StudyError(
                f"config/tasks.yaml: {study.material}.tasks.{name}: {spec.path} does not exist; a "
                "path starts at the working directory"
            )


def _check_released(tasks: Mapping[str, Spec]) -> None:
    """The artifact's tasks are found by name, whatever else an entry says."""
    from needlework.tasks.released import catalog

    for name, spec in tasks.items():
        own = f" ({spec.path})" if isinstance(spec, OWN) else ""
        if own or name not in catalog.TASKS:
            raise StudyError(
                f"study config: {name}{own} is no task of the published artifact, which protocol "
                "`released` replays; set protocol: corrected, or take it out"
            )


def check_models(study: Study, catalogue: Models, folder: Path) -> None:
    """Every model of a study is described."""
    for name in study.models:
        if name not in catalogue.models:
            raise StudyError(
                f"study config: models: {unknown(name, catalogue.models)}; "
                f"models are described in {folder / 'models.yaml'}"
            )


def check_likelihood(study: Study, models: Mapping[str, ModelEntry]) -> None:
    """Where likelihoods are asked for, every model can tell them, right behind the prompt."""
    for name, model in models.items() if study.likelihood else ():
        if model.backend == "server":
            raise StudyError(
                f"study config: likelihood: {name} is answered by a server, which tells no "
                "probability of a given text; take the model out, or remove likelihood"
            )
        if model.reasoning and study.protocol == "corrected":
            raise StudyError(
                f"study config: likelihood: {name} thinks before it answers, so no answer follows "
                "the prompt; take the model out, or remove likelihood"
            )


def check_labels(models: Mapping[str, ModelEntry], folder: Path) -> None:
    """Labels must differ: tables and figures identify models by them."""
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
    """What is no hub id is a path: one that exists, or one that the workflow makes."""
    sources = {
        f"models.{name}.checkpoint": each.checkpoint
        for name, each in models.items()
        if not each.revision and each.endpoint is None
    }
    sources |= {
        f"tokenizers.{name}.source": each.source
        for name, each in tokenizers.items()
        if not each.revision
    }
    for key, source in sources.items():
        known = installed.find(source).exists() or _is_fetched(source) or _is_rounded(source)
        if not known and not is_hub_id(source):
            home = (
                "write the home folder out in place of `~`" if source[:1] == "~" else "correct it"
            )
            raise StudyError(
                f"{folder / 'models.yaml'}: {key}: {source} does not exist, and is no hub id "
                f"(OWNER/NAME); {home}"
            )


def _is_rounded(source: str) -> bool:
    """Whether the workflow rounds a GGUF file of the registry to this one (`STEM-KIND.gguf`)."""
    path = Path(source)
    stem, dash, _ = path.stem.rpartition("-")
    if not (dash and path.suffix == SUFFIX and path.is_relative_to(ROUNDED)):
        return False
    original = path.with_name(f"{stem}{path.suffix}")
    return _is_fetched(str(DIRECTORY / "checkpoints" / original.relative_to(ROUNDED)))


def _is_fetched(source: str) -> bool:
    """Whether a path is that of a file of the registry, or of a folder of them."""
    path = Path(source)
    files = (file.path for resource in registered().resources.values() for file in resource.files)
    return any((DIRECTORY / file).is_relative_to(path) for file in files) and path.is_relative_to(
        DIRECTORY
    )
