"""Commands about models on a server, and what others do with such a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlework.commands.options import EXISTING, FILE, PROTOCOL, stopping
from needlework.errors import StudyError

if TYPE_CHECKING:
    from needlework.engine.servers.predict import Model
    from needlework.scores.shards import Shard
    from needlework.study.served import Server
    from needlework.tasks.specs import Spec


@click.command()
@click.argument("output", type=FILE)
@click.option("--cells", type=EXISTING, required=True, help="Cells with their datasets and tasks.")
@click.option("--server", required=True, help="The keys of the entry about its server, as JSON.")
@click.option("--checkpoint", required=True, help="What the server has loaded.")
@click.option("--revision", help="The commit of a hub id.")
@click.option("--tokenizer", required=True, help="A folder, a file or a hub id.")
@click.option("--tokenizer-revision", help="The commit of a hub id.")
@click.option("--begin-token/--no-begin-token", default=True, help="As `predict` has it.")
@click.option("--dtype", hidden=True)
@click.option("--backend", hidden=True)
@PROTOCOL
@click.option("--server-log", type=FILE, required=True, help="Where a started server's log goes.")
def served(output: Path, cells: Path, server_log: Path, **model: Any) -> None:  # noqa: ANN401
    """Ask a server who it is; OUTPUT says that, and how it answers a few samples asked twice.

    Where the entry has `serve`, the command that starts a server, this one starts it on a free port
    of 127.0.0.1, answers all CELLS into OUTPUT's folder, and ends it. docs/servers.md tells more.
    """
    from needlework.engine.servers import predict as rule
    from needlework.parsing import parse, read
    from needlework.study.served import ServedCell

    asked = parse(list[ServedCell], read(cells), where=str(cells))
    with stopping():
        rule.serve(output, asked, model=served_model(model), server_log=server_log)


def predict_served(
    output: Path,
    datasets: tuple[Path, ...],
    *,
    model: Mapping[str, Any],
    tasks: "dict[str, Spec]",
    shard: "Shard | None",
    server_log: Path | None,
) -> None:
    """What `predict` does with --backend server."""
    from needlework.engine.servers import predict as rule

    if model["hazards"]:
        raise StudyError("--hazard cannot be switched on in a server; leave it out")
    with stopping():
        rule.predict(
            output,
            datasets,
            model=served_model(model),
            tasks=tasks,
            shard=shard,
            server_log=server_log,
        )


def served_model(options: Mapping[str, Any]) -> "Model":
    """The model that options of the command line describe."""
    from needlework.engine.servers.predict import Model

    return Model(
        server=server_of(options),
        tokenizer=options["tokenizer"],
        tokenizer_revision=options["tokenizer_revision"],
        begin_token=options["begin_token"],
        protocol=options["protocol"],
    )


def server_of(options: Mapping[str, Any]) -> "Server":
    """The server that options of the command line describe.

    Raises:
        StudyError: --server is missing, or is not JSON of its keys.
    """
    from needlework.parsing import parse_json
    from needlework.study.served import Server, ServerKeys, problem

    if not options["server"]:
        raise StudyError('--backend server needs --server \'{"endpoint": "http://.../v1"}\'')
    keys = parse_json(ServerKeys, options["server"], where="--server")
    if wrong := problem(keys, backend="server", given=set()):
        raise StudyError(f"--server: {wrong}")
    return Server(
        **keys.model_dump(), checkpoint=options["checkpoint"], revision=options["revision"]
    )
