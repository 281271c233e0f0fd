"""The rules that ask a server: files and what a run is called; not how a server is reached.

A cell of a model behind an endpoint is a job of its own. Where a job starts the server, one job
answers all cells of its model (`serve`), and each cell's file is finished by itself.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from needlework import files
from needlework.engine.interruption import Interruption, StoppedError, on_sigterm
from needlework.engine.progress import cells_done
from needlework.engine.samples import read_samples
from needlework.engine.servers.cell import Setting, predict_cell
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import SENT, Asked, Reader
from needlework.engine.servers.record import record
from needlework.engine.servers.service import Service, StartError, service
from needlework.engine.servers.weights import folder_of, named
from needlework.errors import ServerError
from needlework.files import write_records, write_text
from needlework.scores.shards import Shard, is_part, sibling_journals
from needlework.study.served import ServedCell, Server
from needlework.tasks.specs import Spec

log = logging.getLogger(__name__)

PLACE = "served"
"""The folder, below that of a study, of what is known of servers."""
LOOK_SECONDS = 0.5
"""Between two looks at whether another job is done with a server."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model on a server with its tokenizer, as models.yaml names them."""

    server: Server
    tokenizer: str
    tokenizer_revision: str | None
    protocol: str
    begin_token: bool = True
    """Whether prompts get the tokenizer's begin token; chat templates write their own."""

    def reader(self) -> Reader:
        """What makes its questions."""
        return Reader(
            self.server,
            tokenizer=self.tokenizer,
            revision=self.tokenizer_revision,
            begins=self.begin_token,
            weights=named(self.server),
        )

    def service(self, log_file: Path) -> Service:
        """Where it is asked."""
        checkpoint = str(folder_of(self.server) or self.server.checkpoint)
        return service(self.server, checkpoint=checkpoint, log_file=log_file)

    def others(self, tokenizer: str) -> dict[str, str]:
        """What every prediction says of what made it."""
        server = self.server
        return {
            "protocol": self.protocol,
            "decoding": "greedy",
            "checkpoint": server.checkpoint,
            "revision": server.revision or "as served",
            "backend": "server",
            "endpoint": server.endpoint or f"serve: {server.serve}",
            "api": server.api,
            "sent": SENT,
            "tokenizer": tokenizer,
        }


@dataclass(frozen=True)
class _Job:
    """What the cells of one job have in common."""

    model: Model
    running: Service
    reader: Reader
    purse: Purse
    interruption: Interruption

    def answer(
        self, output: Path, asked: Mapping[str, Asked], name: str, shard: Shard | None
    ) -> None:
        """Write the predictions of one cell."""
        if self.interruption.requested:
            raise StoppedError(f"{name} was not begun; run it again to continue")
        setting = Setting(
            name=name,
            others=self.model.others(self.reader.tokenizer.identity),
            shard=shard,
            siblings=sibling_journals(output),
            interruption=self.interruption,
        )
        predictions = predict_cell(
            self.model.server,
            self.running,
            self.reader,
            asked,
            purse=self.purse,
            journal=output.with_name(f"{output.name}.journal"),
            setting=setting,
        )
        write_records(output, predictions)
        if not is_part(output) and (done := cells_done(output)):
            log.info(done)


def predict(
    output: Path,
    datasets: Sequence[Path],
    *,
    model: Model,
    tasks: Mapping[str, Spec],
    shard: Shard | None,
    server_log: Path | None,
) -> None:
    """Write the predictions of one cell, or of a shard of it; datasets are named `{task}.jsonl`.

    The journal beside it stays: what it holds is not asked again.

    Raises:
        EngineError: the datasets are not those of the tasks.
        ServerError: the server cannot be asked, or not any more; what is answered is kept.
        StoppedError: SIGTERM came; finished samples are in the journal.
    """
    _talk()
    asked = _read(datasets, tasks)
    place = output.parts[-4 if is_part(output) else -3 : -1]
    beside = _study(output) / PLACE
    name = place[0].partition("+")[0] if place else output.stem
    log_file = server_log or output.with_name(f".{output.name}.server.log")
    with on_sigterm() as interruption, model.service(log_file) as running:
        purse = Purse(model.server, beside / f".{name}.spent")
        job = _Job(model, running, model.reader(), purse, interruption)
        alone = _turn(beside / f".{name}.lock", interruption)
        with alone if model.server.endpoint else nullcontext():
            job.answer(output, asked, "/".join([*place, output.stem]), shard)


def serve(output: Path, cells: Sequence[ServedCell], *, model: Model, server_log: Path) -> None:
    """Write what is known of a served model as `output`, and its cells where a job serves them.

    `output` is `served/{model}.json` below the folder of a study. Behind an endpoint the first cell
    is asked a few samples, twice; a server of this job answers all cells, whose files lie in
    `served/{model}/{suite}/{length}.jsonl`. A cell that fails does not stop the others.

    Raises:
        ServerError: a cell failed, named with its reason; the others are answered.
        StoppedError: SIGTERM came; finished samples are in the journals.
    """
    _talk()
    reader = model.reader()
    name = output.stem.partition("+")[0]
    purse = Purse(model.server, output.with_name(f".{name}.spent"))
    with on_sigterm() as interruption, model.service(server_log) as running:
        job = _Job(model, running, reader, purse, interruption)
        first = _read(cells[0].datasets, cells[0].tasks)
        alone = _turn(output.with_name(f".{name}.lock"), interruption)
        with alone if model.server.endpoint else nullcontext():
            if model.server.serve:
                _all(job, output, cells)
            found = record(
                output.stem, model.server, running, reader, first, purse=purse, asking=interruption
            )
    write_text(output, found.model_dump_json(indent=1) + "\n")


def _all(job: _Job, output: Path, cells: Sequence[ServedCell]) -> None:
    """Answer cell after cell; one that fails does not stop the others.

    Raises:
        ServerError: some failed.
        StartError: the server cannot be started, for none of them.
    """
    failed: list[str] = []
    for cell in cells:
        name = f"{output.stem}/{cell.suite}/{cell.length}"
        file = output.with_suffix("") / cell.suite / f"{cell.length}.jsonl"
        try:
            job.answer(file, _read(cell.datasets, cell.tasks), name, None)
        except StartError:
            raise
        except ServerError as error:
            log.warning("%s: %s", name, error)
            failed.append(f"{name}: {error}")
    if failed:
        raise ServerError("; ".join(failed))


@contextmanager
def _turn(path: Path, interruption: Interruption) -> Iterator[None]:
    """Wait until no other job of this study asks the same model: together they would ask more
    questions at a time than its entry allows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        while not interruption.requested:
            try:
                files.lock(lock.fileno(), path, waits=False)
                break
            except BlockingIOError:
                time.sleep(LOOK_SECONDS)
        yield


def _talk() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # They would tell every request, at which address and with which headers.
    for library in ("httpx2", "httpcore2", "openai"):
        logging.getLogger(library).setLevel(logging.ERROR)


def _study(output: Path) -> Path:
    """The folder of the study that a cell is of; of a file by itself, the one that it is in."""
    above = 4 if is_part(output) else 3
    return output.parents[above] if len(output.parents) > above else output.parent


def _read(paths: Sequence[Path], tasks: Mapping[str, Spec]) -> dict[str, Asked]:
    """Every task's samples, in the order of `tasks`."""
    return {
        task: Asked(samples, tasks[task].tokens_to_generate)
        for task, samples in read_samples(paths, tasks).items()
    }
