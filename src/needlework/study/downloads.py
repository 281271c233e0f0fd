"""Everything that a study needs from outside, in the order in which a person waits for it: commits
and digests first, then files; what cannot be had is told at the end, after all the rest.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from needlework.errors import ResourceError
from needlework.external import locking, locks, snapshots
from needlework.external.fetching import Fetcher
from needlework.external.locks import Contents, Locked, Repository
from needlework.external.registry import DIRECTORY
from needlework.parsing import read_keys, unknown
from needlework.study import pins, plan
from needlework.study.catalogue import read_models

CONFIG = locks.PATH.parent


def get(names: Iterable[str], fetcher: Fetcher) -> None:
    """Fetch files by their names or paths in the registry, one line for each.

    Raises:
        ResourceError: what cannot be had, after all the rest.
    """
    missing: dict[str, str] = {}
    for name in names:
        with _noted(name, missing):
            for path in fetcher.fetch(name):
                click.echo(f"{name}: {path}")
    _tell(missing)


def fetch_study(configfile: Path, fetcher: Fetcher) -> None:
    """Lock what a study needs of the hub, then fetch all that it needs; a line for each.

    Raises:
        ResourceError: what cannot be had, after all the rest; or there is no room for it.
        StudyError: the study, the models or the lock are none.
    """
    keys = read_keys(configfile)
    wanted, missing = plan.resolve(keys, CONFIG).repositories(), dict[str, str]()
    for each in wanted:
        with _noted(each.hub, missing):
            known, new = locking.lock(each, locks.PATH, fetcher.puller)
            if new:
                click.echo(f"locked {_described(each, known.find(each.hub, each.revision))}")
            fetcher = replace(fetcher, lock=known)
    paths = plan.resolve(keys, CONFIG).external_files()
    names = [str(Path(path).relative_to(DIRECTORY)) for path in paths]
    names = [name for name in names if _hub(name) not in missing]
    _need_room(sum(_missing_bytes(fetcher, name) for name in names), fetcher.directory)
    for name in names:
        with _noted(name, missing):
            for path in fetcher.fetch(name):
                click.echo(f"{name}: {path}")
    _tell(missing)
    click.echo(f"{configfile}: all that it needs is here ({len(names)} files and repositories)")


def fetch_repository(hub: str, fetcher: Fetcher) -> Path:
    """The folder with the checkpoint of a hub id, locked and fetched together with its tokenizer.

    Raises:
        ResourceError: the hub does not give it, or there is no room for it.
    """
    kinds: tuple[snapshots.Kind, ...] = ("checkpoints", "tokenizers")
    for kind in kinds:
        wanted = Repository(kind, hub, None)
        known, new = locking.lock(wanted, locks.PATH, fetcher.puller)
        if new:
            click.echo(f"locked {_described(wanted, known.find(hub, None))}")
        fetcher = replace(fetcher, lock=known)
    entry = fetcher.lock.find(hub, None)
    assert entry is not None, "it has just been locked"
    found = [snapshots.Snapshot(kind, hub, entry.revision) for kind in kinds]
    missing = [each for each in found if not (fetcher.directory / each.manifest).is_file()]
    _need_room(sum(fetcher.missing_bytes(each.manifest) for each in missing), fetcher.directory)
    for each in missing:
        click.echo(f"{hub}: {fetcher.puller.manifest(each).parent}")
    return fetcher.directory / found[0].folder


def move(hub: str, fetcher: Fetcher) -> None:
    """Move a hub id in the lock to its last commit, and say what changed.

    Raises:
        ResourceError: no model has this hub id, all have a commit of their own, or the hub does not
            answer.
        StudyError: the models or the lock are none.
    """
    path = CONFIG / "models.yaml"
    catalogue = read_models(path)
    named = pins.repositories(catalogue.models, catalogue.tokenizers)
    uses = [each for each in named if each.hub == hub]
    if not uses:
        raise ResourceError(f"{path}: {unknown(hub, {each.hub for each in named})}")
    kinds = [each.kind for each in uses if each.revision is None]
    if not kinds:
        raise ResourceError(
            f"{path} gives {hub} a `revision` of its own ({uses[0].revision}), which wins over the "
            "lock; change that, or remove it"
        )
    old, new = locking.update(uses, locks.PATH, fetcher.puller)
    click.echo(f"{hub}: {old.revision if old else 'not locked'} -> {new.revision}")
    for kind in kinds:
        before: Contents = (old.files(kind) if old else None) or {}
        for line in locks.differences(before, new.files(kind) or {}):
            click.echo(f"  {kind}: {line}")


@contextmanager
def _noted(name: str, missing: dict[str, str]) -> Iterator[None]:
    """Go on where something cannot be had, and note why."""
    try:
        yield
    except ResourceError as error:
        missing.setdefault(name, str(error))


def _tell(missing: dict[str, str]) -> None:
    """Nothing, when everything is there.

    Raises:
        ResourceError: what is not, with its reason.
    """
    if len(missing) == 1:
        raise ResourceError(*missing.values())
    for name, reason in missing.items():
        click.echo(f"{name}: {reason}", err=True)
    if missing:
        raise ResourceError(
            f"{', '.join(missing)} could not be fetched, see above; the rest is there"
        )


def _hub(name: str) -> str | None:
    """The hub id of the repository whose manifest has this name."""
    snapshot = snapshots.at(name)
    return snapshot.hub if snapshot else None


def _described(wanted: Repository, entry: Locked | None) -> str:
    assert entry is not None
    contents = entry.files(wanted.kind) or {}
    size = sum(each.bytes for each in contents.values())
    return (
        f"{wanted.kind} {wanted.hub} at {entry.revision}: {len(contents)} files, "
        f"{size / 1e6:,.1f} MB"
    )


def _missing_bytes(fetcher: Fetcher, name: str) -> int:
    try:
        return fetcher.missing_bytes(name)
    except ResourceError:
        return 0


def _need_room(wanted: int, directory: Path) -> None:
    """Accept a disk with room for everything.

    Raises:
        ResourceError: it has not.
    """
    there = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if wanted > free:
        raise ResourceError(
            f"{directory} needs {wanted / 1e9:,.1f} GB more, and there are {free / 1e9:,.1f} GB "
            "free; make room, or let it be a link to where there is"
        )
