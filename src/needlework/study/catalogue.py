"""Every task there is and the lists of them, as `config/tasks.yaml` has them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from needlework.errors import StudyError
from needlework.parsing import Closed, parse, parse_json, read_added, unknown
from needlework.study.config import Entries, Models
from needlework.study.definitions import Name
from needlework.tasks.specs import Spec

MaterialName = Literal["english", "nano"]


class MaterialTasks(Closed):
    """The tasks of one material, and lists of their names."""

    tasks: dict[Name, Spec] = Field(description="What is asked, by name.")
    lists: dict[Name, tuple[Name, ...]] = Field(
        {}, description="Names of tasks, and of other lists, that a suite asks for by one name."
    )

    @model_validator(mode="after")
    def _resolvable(self) -> "MaterialTasks":
        done: set[str] = set()
        for name in self.lists:
            if name in self.tasks:
                raise ValueError(f"lists.{name}: this is the name of a task; choose another")
            for _ in self._named(name, (), f"lists.{name}", done):
                pass
        return self

    def chosen(self, suite: str, asked: Sequence[str] | None, *, where: str) -> dict[Name, Spec]:
        """The tasks of a suite by name, each once, in the order in which they are first named.

        `asked` are names of tasks and lists; None, of a suite without `tasks`, is the list of the
        suite's own name. `where` says which key of which file asks.

        Raises:
            StudyError: a name is unknown, or nothing is named.
        """
        if asked is None and suite not in self.lists:
            raise StudyError(
                f"{where} is missing, and config/tasks.yaml has no list `{suite}` to take in its "
                f"place (it has {', '.join(self.lists) or 'none'}); name tasks or lists"
            )
        if asked is not None and not asked:
            raise StudyError(f"{where} is empty; name a task or a list, or leave it out")
        try:
            done: set[str] = set()
            wanted = asked or (suite,)
            names = [task for name in wanted for task in self._named(name, (), where, done)]
        except ValueError as error:
            raise StudyError(str(error)) from error
        return {name: self.tasks[name] for name in names}

    def _named(
        self, name: str, within: tuple[str, ...], where: str, done: set[str]
    ) -> Iterator[str]:
        """The tasks behind a name that stands in `where`, inside of the lists `within`.

        Lists that are `done` are passed over: lists of lists could name a task a billion times.

        Raises:
            ValueError: it is neither task nor list, or a list is empty or contains itself.
        """
        if name in self.tasks:
            yield name
            return
        if name not in self.lists:
            raise ValueError(f"{where}: {unknown(name, [*self.tasks, *self.lists])}")
        if name in within:
            raise ValueError(
                f"{where}: contains itself ({' > '.join([*within, name])}); take one of them out"
            )
        if not self.lists[name]:
            raise ValueError(f"lists.{name} is empty; name a task, or remove the list")
        if name in done:
            return
        for member in self.lists[name]:
            yield from self._named(member, (*within, name), f"lists.{name}", done)
        done.add(name)


class Tasks(Closed):
    """The parsed form of config/tasks.yaml: the tasks of each material."""

    nano: MaterialTasks
    english: MaterialTasks


def read_models(path: Path, entries: Entries | None = None) -> Models:
    """The models of a `models.yaml` and the packaged ones, with the entries of one study.

    Raises:
        StudyError: one line per mistake in it.
    """
    found = parse(Models, read_added(path, depth=2), where=str(path))
    if entries is None:
        return found
    # Only the keys that somebody wrote: some may not stand where they mean nothing, even as null.
    described, added = (each.model_dump(exclude_unset=True) for each in (found, entries))
    joined = {kind: {**each, **added.get(kind, {})} for kind, each in described.items()}
    return parse(Models, joined, where="study config: entries")


def read_tasks(path: Path) -> Tasks:
    """The tasks of a `tasks.yaml` and the packaged ones.

    Raises:
        StudyError: one line per mistake in it.
    """
    return parse(Tasks, read_added(path, depth=3), where=str(path))


def find_spec(
    task: str,
    *,
    protocol: Literal["released", "corrected"] = "corrected",
    parameters: str | None,
    tasks_file: Path,
    material: MaterialName,
) -> Spec:
    """The parameters of a task: the artifact's, or given as JSON, or looked up by name.

    Raises:
        StudyError: the parameters are not a task's, or no task has that name.
    """
    if protocol == "released":
        from needlework.tasks.released import catalog

        return catalog.find(task).spec
    if parameters is not None:
        spec: Spec = parse_json(Spec, parameters, where="--parameters")  # type: ignore[arg-type]
        return spec
    known: MaterialTasks = getattr(read_tasks(tasks_file), material)
    if task not in known.tasks:
        raise StudyError(f"--task: {unknown(task, known.tasks)}; {tasks_file} lists them all")
    return known.tasks[task]
