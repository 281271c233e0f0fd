"""The command line: one subcommand per workflow rule, which parses paths and calls one function.

Knows how a user's mistake is shown (one line, exit code 2); heavy imports live inside the commands,
so that a job which only counts does not wait for torch.
"""

import sys
from pathlib import Path
from typing import Literal

import click

from needlework.errors import NeedleworkError

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

EXIT_MISTAKE = 2
EXIT_STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: stopped from outside; the same command continues."""
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="needlework")
def cli() -> None:
    """Measure how far a language model really reads.

    The workflow calls these commands; each makes one kind of file from others and can be run by
    hand. `make study` (or `snakemake`) runs them all, `snakemake table_2` what one table needs.

    A mistake in the input is told in one line, with exit code 2, and leaves no half-written file.
    """


@cli.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--output", type=FILE, help="Also write OUTPUT.md, a page, and OUTPUT.csv.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=250,
    show_default=True,
    help="Samples behind each score, as the publication states them.",
)
@click.option("--templates", type=FOLDER, default="reports/templates", show_default=True)
def audit(folder: Path, output: Path | None, samples: int, templates: Path) -> None:
    """Find what the published tables in FOLDER cannot be, by their own numbers alone.

    FOLDER holds CSV files like those of resources/published. One line per finding is printed.
    """
    from needlework import audit as auditing
    from needlework.published import read_tables

    result = auditing.audit(read_tables(folder), samples=samples)
    for finding in result.findings:
        click.echo(f"{finding.grade}: {finding.where}: {finding.printed}; {finding.explanation}")
    click.echo(f"{len(result.findings)} findings in {sum(result.checked.values())} checks")
    if output is not None:
        from needlework.report.audit import write_audit

        write_audit(result, output, samples=samples, templates=templates)


@cli.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("output", type=FILE)
@click.option(
    "--models",
    type=EXISTING,
    default="config/models.yaml",
    show_default=True,
    help="What to say of every model: of a study, or of all.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=250,
    show_default=True,
    help="Samples behind each published score.",
)
@click.option("--explorer", help="The page that cells link to.")
@click.option("--templates", type=FOLDER, default="reports/templates", show_default=True)
def claims(
    source: Path, output: Path, models: Path, samples: int, explorer: str | None, templates: Path
) -> None:
    """Put the paper's nine claims to the test; write OUTPUT.md and OUTPUT.csv.

    SOURCE is the cells file of a study, or a folder of published tables. One line per claim is
    printed.
    """
    from needlework import claims as testing
    from needlework.evidence import read_evidence, read_models
    from needlework.report.claims import write_claims

    evidence = read_evidence(source, samples=samples)
    results = testing.judge(evidence, read_models(models, evidence))
    for result in results:
        click.echo(f"{result.claim.id} {result.verdict or 'not measured'}: {result.claim.text}")
    inferred = samples if source.is_dir() else None
    write_claims(results, output, templates=templates, inferred=inferred, explorer=explorer)


@cli.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.argument("scores", type=FILE)
@click.argument("cells", type=FILE)
@click.option("--grid", type=EXISTING, required=True, help="Models, suites and lengths.")
def collect(folder: Path, scores: Path, cells: Path, grid: Path) -> None:
    """Gather every score file of a study.

    Reads FOLDER/MODEL/SUITE/LENGTH.parquet for every cell of the grid; writes all rows to SCORES
    and one estimate per model, task, length, depth and format to CELLS.
    """
    from needlework import cells as cell_files
    from needlework.parsing import parse, read
    from needlework.study import Grid

    wanted = parse(Grid, read(grid), where=str(grid)).cells()
    cell_files.collect(wanted, folder, scores=scores, estimates=cells)


@cli.command()
@click.option("--task", required=True, help="A name from --tasks, e.g. niah_single_2.")
@click.option(
    "--length", type=click.IntRange(min=1), required=True, help="Tokens, answer included."
)
@click.option("--tokenizer", required=True, help="A folder, a file or a hub id.")
@click.option("--revision", help="The commit of a hub id.")
@click.option("--wrapper", default="base", show_default=True, help="The model's prompt format.")
@click.option(
    "--protocol",
    type=click.Choice(["released", "corrected"]),
    default="corrected",
    show_default=True,
    help="Prompts as the artifact made them, or mended.",
)
@click.option(
    "--material", type=click.Choice(["english", "nano"]), default="english", show_default=True
)
@click.option("--samples", type=click.IntRange(min=1), required=True)
@click.option("--seed", type=click.IntRange(min=0), required=True)
@click.option("--output", type=FILE, required=True, help="TASK.jsonl; its details lie beside it.")
@click.option("--tasks", type=FILE, default="config/tasks.yaml", show_default=True)
@click.option("--parameters", help="The task's parameters as JSON, in place of --tasks.")
@click.option("--resources", type=FOLDER, default="resources/external", show_default=True)
@click.option("--questions", type=FILE, help="The SQuAD v2 or HotpotQA file of a qa task.")
def dataset(
    task: str,
    length: int,
    tokenizer: str,
    revision: str | None,
    wrapper: str,
    protocol: Literal["released", "corrected"],
    material: Literal["english", "nano"],
    samples: int,
    seed: int,
    output: Path,
    tasks: Path,
    parameters: str | None,
    resources: Path,
    questions: Path | None,
) -> None:
    """Make the samples of one task at one length, for one tokenizer and prompt format."""
    from needlework import terminal, tokenizers
    from needlework.tasks import datasets

    wanted = datasets.Dataset(
        task=task,
        spec=datasets.find_spec(
            task,
            protocol=protocol,
            parameters=parameters,
            tasks_file=tasks,
            material=material,
        ),
        length=length,
        samples=samples,
        seed=seed,
        protocol=protocol,
        material=material,
        wrapper=wrapper,
        resources=resources,
        questions=questions,
    )
    loaded = tokenizers.load(tokenizer, revision=revision)
    watch = terminal.bar(f"{task} at {length}", total=samples)
    datasets.write(wanted, output, tokenizer=loaded, watch=watch)


@cli.command()
@click.option("--models", type=EXISTING, default="config/models.yaml", show_default=True)
def doctor(models: Path) -> None:
    """Show what this machine can do: device, kernels, versions, longest context of every model."""
    from needlework.engine.doctor import examine
    from needlework.parsing import parse, read
    from needlework.study import Models

    for line in examine(parse(Models, read(models), where=str(models)).models):
        click.echo(line)


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--directory", type=FOLDER, default="resources/external", show_default=True)
@click.option("--offline", is_flag=True, help="Use what is there and the mirror, no network.")
@click.option(
    "--accept", multiple=True, metavar="NAME", help="Accept the terms of a resource (Gemma)."
)
def fetch(names: tuple[str, ...], directory: Path, offline: bool, accept: tuple[str, ...]) -> None:
    """Get external files, verified: all without terms of their own, or those of NAMES.

    Names stand in resources/registry.yaml. Files come from the folder that NEEDLEWORK_MIRROR names
    where it has them, otherwise from the network; what broke off is resumed.
    """
    from needlework import fetching, resources

    registry = resources.registry()
    fetcher = fetching.Fetcher(
        registry=registry,
        directory=directory,
        mirror=fetching.mirror_from_environment(),
        offline=offline,
        accepted=frozenset(accept),
    )
    for name in names or registry.free():
        for path in fetcher.fetch(name):
            click.echo(f"{name}: {path}")


@cli.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.argument("output", type=FILE)
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
def explorer(folder: Path, output: Path, models: Path) -> None:
    """Write the study in FOLDER as one HTML page in which every number leads to its samples.

    Reads FOLDER/scores.parquet, cells.parquet, data and predictions. The page needs no server and
    no network.
    """
    from needlework.parsing import parse, read
    from needlework.report.explorer.page import write_explorer
    from needlework.study import ShownModel

    shown = parse(tuple[ShownModel, ...], read(models), where=str(models))
    write_explorer(folder, output, models=shown)


@cli.command()
@click.argument("kind")
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
def figure(kind: str, cells: Path, output: Path, models: Path) -> None:
    """Draw a figure (depth_heatmap or length_curve) as OUTPUT.svg and OUTPUT.png."""
    from needlework.parsing import parse, read
    from needlework.report.figures import write_figure
    from needlework.study import ShownModel

    shown = parse(tuple[ShownModel, ...], read(models), where=str(models))
    write_figure(kind, cells, output, models=shown)


@cli.command()
@click.argument("output", type=FILE)
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def models(output: Path, models: Path, templates: Path) -> None:
    """Write Table 5, the models and their weights, as OUTPUT.md, OUTPUT.tex and OUTPUT.csv."""
    from needlework.parsing import parse, read
    from needlework.report.tables import write_models
    from needlework.study import ShownModel

    shown = parse(tuple[ShownModel, ...], read(models), where=str(models))
    write_models(output, models=shown, templates=templates)


@cli.command()
@click.argument("output", type=FILE)
@click.argument("datasets", type=EXISTING, nargs=-1, required=True)
@click.option("--checkpoint", required=True, help="A folder, an RWKV .pth file or a hub id.")
@click.option("--revision", help="The commit of a hub id.")
@click.option("--tokenizer", required=True, help="A folder, a file or a hub id.")
@click.option("--tokenizer-revision", help="The commit of a hub id.")
@click.option("--tasks", type=EXISTING, required=True, help="The suite's tasks, by name.")
@click.option(
    "--protocol",
    type=click.Choice(["released", "corrected"]),
    default="corrected",
    show_default=True,
    help="Decoding as the artifact did it, or greedy for all.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
)
@click.option("--device", help="cpu or cuda; a GPU where there is one by default.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--memory", type=click.IntRange(min=1), help="Megabytes; half of what is free.")
def predict(
    output: Path,
    datasets: tuple[Path, ...],
    checkpoint: str,
    revision: str | None,
    tokenizer: str,
    tokenizer_revision: str | None,
    tasks: Path,
    protocol: Literal["released", "corrected"],
    dtype: Literal["float32", "bfloat16", "float16"],
    device: str | None,
    threads: int,
    memory: int | None,
) -> None:
    """Answer the DATASETS of one cell, each named TASK.jsonl; OUTPUT holds one line per sample.

    OUTPUT.journal keeps every finished sample: a killed run continues where it was, and asking for
    more samples computes only the new ones. After SIGTERM the exit code is 75: run it again.
    """
    from needlework.engine import predict as rule
    from needlework.engine.interruption import StoppedError
    from needlework.parsing import parse, read
    from needlework.tasks.specs import Spec

    model = rule.Model(
        checkpoint=checkpoint,
        revision=revision,
        tokenizer=tokenizer,
        tokenizer_revision=tokenizer_revision,
        dtype=dtype,
    )
    machine = rule.Machine(device=device, threads=threads, memory=memory)
    specs = parse(dict[str, Spec], read(tasks), where=str(tasks))
    try:
        rule.predict(output, datasets, model=model, tasks=specs, protocol=protocol, machine=machine)
    except StoppedError as stopped:
        click.echo(f"needlework: {stopped}", err=True)
        raise click.exceptions.Exit(EXIT_STOPPED) from stopped


@cli.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.argument("scores", type=EXISTING)
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@click.option("--template", type=EXISTING, required=True)
def report(folder: Path, scores: Path, config: Path, template: Path) -> None:
    """Write FOLDER/report.md from SCORES and the tables in FOLDER."""
    from needlework.parsing import parse, read
    from needlework.report.summary import write_report
    from needlework.study import Study

    study = parse(Study, read(config), where=str(config))
    write_report(study, folder, scores=scores, template=template)


@cli.command()
@click.argument("output", type=FILE)
def schema(output: Path) -> None:
    """Write the JSON schema of a study config, which editors use, to OUTPUT."""
    from needlework.files import write_text
    from needlework.study import schema as study_schema

    write_text(output, study_schema())


@cli.command()
@click.argument("predictions", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--model", required=True)
@click.option("--suite", type=click.Choice(["ruler", "depth"]), required=True)
@click.option("--length", type=int, required=True)
@click.option("--samples", type=int, required=True, help="Samples of every task.")
@click.option("--tasks", type=EXISTING, required=True, help="The suite's tasks, by name.")
def score(
    predictions: Path,
    output: Path,
    model: str,
    suite: Literal["ruler", "depth"],
    length: int,
    samples: int,
    tasks: Path,
) -> None:
    """Score the PREDICTIONS of one cell; OUTPUT holds one row per sample."""
    from needlework.cells import score_cell
    from needlework.parsing import parse, read
    from needlework.study import Cell
    from needlework.tasks.specs import Spec

    specs = parse(dict[str, Spec], read(tasks), where=str(tasks))
    cell = Cell(model, suite, length)
    score_cell(predictions, output, cell=cell, tasks=specs, samples=samples)


@cli.command()
@click.argument("number", type=int)
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--models", type=EXISTING, required=True, help="What to say of every model.")
@click.option("--templates", type=EXISTING_FOLDER, required=True)
def table(number: int, cells: Path, output: Path, models: Path, templates: Path) -> None:
    """Write table NUMBER of the paper as OUTPUT.md, OUTPUT.tex and OUTPUT.csv."""
    from needlework.parsing import parse, read
    from needlework.report.tables import write_table
    from needlework.study import ShownModel

    shown = parse(tuple[ShownModel, ...], read(models), where=str(models))
    write_table(number, cells, output, models=shown, templates=templates)


@cli.command("train-nano")
@click.argument("architecture")
@click.argument("folder", type=FOLDER)
@click.option("--tasks", type=EXISTING, default="config/tasks.yaml", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def train_nano(architecture: str, folder: Path, tasks: Path, seed: int) -> None:
    """Train a nano model of one ARCHITECTURE into FOLDER, by the recipe behind the shipped ones.

    An interrupted run continues from its last checkpoint. On one machine the same seed gives the
    same bytes; FOLDER/card.md holds the digest.
    """
    from needlework.nano.training import train_from_tasks

    train_from_tasks(architecture, tasks, folder, seed=seed)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    try:
        status = cli.main(prog_name="needlework", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.format_message())
        status = EXIT_MISTAKE
    except click.ClickException as error:
        status = _mistake(error.format_message())
    except NeedleworkError as error:
        status = _mistake(str(error))
    except OSError as error:
        status = _mistake(": ".join(map(str, filter(None, [error.filename, error.strerror]))))
    except (click.Abort, KeyboardInterrupt):
        status = EXIT_INTERRUPTED
    sys.exit(status)


def _mistake(message: str) -> int:
    click.echo("needlework: " + " ".join(message.split()), err=True)
    return EXIT_MISTAKE
