"""The commands that say what a study will cost, and how far it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlework.commands.options import FILE, PACKAGED

if TYPE_CHECKING:
    from needlework.cost.study import PlannedCell
    from needlework.proving.rates import MeasuredMachine
    from needlework.study.grid import Cell
    from needlework.study.plan import Plan

    Needs = Mapping[Cell, set[str]]


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--configfile", type=PACKAGED, default="config/config.yaml", show_default=True)
@click.option(
    "--device",
    type=click.Choice(["a100-80gb", "h100-80gb", "h200", "cpu"]),
    help="Cost all cells for this device. By default an A100 with 80 GB for models in half "
    "precision and one CPU core for models in float32.",
)
@click.option("--exact", is_flag=True, help="Count tokens in the datasets that exist already.")
@click.option(
    "--measured",
    type=click.Path(exists=True, path_type=Path),
    help="What was measured. A file, the prove.json of `needlework prove`: compute with the rates "
    "of its machine. A folder with the benchmark files of jobs that have run, as "
    "results/nano/benchmarks: also set the estimates beside them.",
)
@click.option("--json", "document", type=FILE, help="Also write everything to this file.")
def plan(
    targets: tuple[str, ...],
    configfile: Path,
    device: str | None,
    exact: bool,
    measured: Path | None,
    document: Path | None,
) -> None:
    """Say what a study will cost before it runs: tokens, FLOPs, memory and hours of every cell, and
    whether compute or bandwidth bounds it.

    With TARGETS, tables by the names that `snakemake` takes, what these cost alone.

    Nothing is fetched and nothing computed; what is assumed is said below the table. The same
    numbers, with a safety factor, are what a cluster is asked for.

    \b
    needlework plan --configfile config/paper.yaml
    needlework plan table_2 table_6 --configfile config/paper.yaml
    needlework plan --configfile config/paper.yaml --device h200 --json cost.json
    needlework plan --measured results/prove/prove.json --configfile config/paper.yaml
    needlework plan --measured results/nano/benchmarks
    """
    from pydantic_core import to_json

    from needlework.cost import listing, served, study
    from needlework.files import write_text
    from needlework.parsing import read_keys
    from needlework.study.plan import resolve

    the_plan = resolve(read_keys(configfile), Path("config"))
    machine = _machine(measured, device, the_plan)
    needs = the_plan.needs(the_plan.tables_of(targets)) if targets else the_plan.needs()
    cells, said = _estimated(the_plan, needs, device, machine, exact=exact)
    unknown = study.undescribed(the_plan)
    disk = study.disk_bytes(the_plan, cells)
    _show(the_plan, cells, said=said, unknown=unknown, disk=disk)
    asked = served.served_costs(the_plan, needs=needs)
    for line in served.lines(the_plan, asked) if asked else ():
        click.echo(line)
    if measured is not None and measured.is_dir():
        _compare(cells, measured)
    if document is not None:
        name = the_plan.study.study
        found = listing.document(name, cells, said=said, undescribed=unknown, disk=disk)
        told = to_json(found | ({"served": asked} if asked else {}), indent=2).decode()
        write_text(document, f"{told}\n")


@click.command()
@click.option("--configfile", type=PACKAGED, default="config/config.yaml", show_default=True)
@click.option("--cells", is_flag=True, help="Say it of every cell, one line each.")
def status(configfile: Path, cells: bool) -> None:
    """Say what of a study is done, running, failed and why, from its files alone.

    Also while a run or a cluster works on it: nothing is started and no scheduler is asked.
    """
    from needlework.cluster import status
    from needlework.parsing import read_keys
    from needlework.study.plan import resolve

    found = status.read(resolve(read_keys(configfile), Path("config")), Path())
    for each in found if cells else ():
        click.echo(f"{each.state:8}{'/'.join(map(str, each.cell))}{each.why and f': {each.why}'}")
    for line in status.lines(found):
        click.echo(line)


def _machine(
    measured: Path | None, device: str | None, the_plan: "Plan"
) -> "MeasuredMachine | None":
    """The machine of a proof; None where none was named."""
    from needlework.errors import StudyError
    from needlework.proving.rates import read_machine

    if measured is None or measured.is_dir():
        return None
    machine = read_machine(measured, the_plan)
    if device not in (None, machine.device.name):
        raise StudyError(
            f"{measured} was measured on {machine.device.name}, not {device}; drop one"
        )
    return machine


def _estimated(
    the_plan: "Plan",
    needs: "Needs",
    device: str | None,
    machine: "MeasuredMachine | None",
    *,
    exact: bool,
) -> "tuple[list[PlannedCell], list[str]]":
    """The cells of a study with their costs, and what these rest on."""
    from needlework.cost import listing, study
    from needlework.cost.devices import DEVICES

    chosen = machine.device if machine else study.named_device(device)
    rates = machine.rates if machine else None
    counted = None
    if exact:
        from needlework.cost.exact import count

        counted = count(the_plan, Path("results", the_plan.study.study))
    cells = study.planned(the_plan, device=chosen, rates=rates, counted=counted, needs=needs)
    said = listing.assumptions(
        [name for name in DEVICES if any(cell.device == name for cell in cells)],
        calibrated=machine.notes if machine else (),
        counted=len(counted or {}),
        cells=len(cells),
    )
    return cells, said


def _show(
    the_plan: "Plan",
    cells: "list[PlannedCell]",
    *,
    said: list[str],
    unknown: list[str],
    disk: int,
) -> None:
    from needlework.cost import listing
    from needlework.cost.estimate import UNKNOWN

    for line in listing.lines(cells):
        click.echo(line)
    study = the_plan.study
    click.echo(
        f"\n{study.study}: {len(cells)} cells, {study.samples} samples a task, "
        f"{listing.spent(cells)}; {disk / 1e9:.1f} GB of weights and datasets on disk"
    )
    for name in unknown:
        click.echo(
            f"{name}: no estimate, its config.json is not here (`needlework doctor`); its jobs ask "
            f"for {UNKNOWN.runtime_minutes} min, {UNKNOWN.memory_mb} MB and "
            f"{UNKNOWN.gpu_memory_mb} MB of a GPU"
        )
    for sentence in said:
        click.echo(f"- {sentence}")


def _compare(cells: "list[PlannedCell]", folder: Path) -> None:
    """Estimates beside the jobs that have run."""
    from needlework.cost import listing
    from needlework.cost.measured import read_job

    found = [(cell, job) for cell in cells if (job := read_job(folder, cell)) is not None]
    click.echo("")
    for line in listing.measured_lines(found):
        click.echo(line)
