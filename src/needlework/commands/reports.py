"""Commands that write what a reader sees."""

from pathlib import Path

import click

from needlework.commands.options import (
    EXISTING,
    EXISTING_FOLDER,
    FILE,
    FOLDER,
    GRID,
    MODELS,
    PACKAGED,
    PACKAGED_FOLDER,
    SAMPLES,
)
from needlework.terminal import printable

SHOWN = click.option("--shown", type=EXISTING, required=True, help="What the study shows.")
CONTROLS = click.option(
    "--controls", type=EXISTING, help="Scores beside those of controls, of `compare-controls`."
)


@click.command()
@click.argument("published", type=EXISTING_FOLDER)
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@GRID
@MODELS
@SAMPLES
@click.option("--templates", type=PACKAGED_FOLDER, default="reports/templates", show_default=True)
def agreement(
    published: Path,
    cells: Path,
    output: Path,
    config: Path,
    grid: Path,
    models: Path,
    samples: int,
    templates: Path,
) -> None:
    """Set the CELLS of a study beside PUBLISHED tables of the same models.

    Writes OUTPUT.md and OUTPUT.csv, and the picture as OUTPUT.svg, .png, .pdf and .html.
    """
    from needlework.paper.agreement_page import write_agreement
    from needlework.parsing import parse, read
    from needlework.study.config import Study
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_agreement(
        published,
        cells,
        output,
        study=parse(Study, read(config), where=str(config)).study,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        samples=samples,
        templates=templates,
    )


@click.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--output", type=FILE, help="Also write OUTPUT.md, a page, and OUTPUT.csv.")
@SAMPLES
@click.option("--templates", type=PACKAGED_FOLDER, default="reports/templates", show_default=True)
def audit(folder: Path, output: Path | None, samples: int, templates: Path) -> None:
    """Find what the published tables in FOLDER cannot be, by their own numbers alone.

    FOLDER holds CSV files like those of resources/published: the columns table, model, label, then
    task and one column per length, or length (and format) and one column per needle depth, and
    perhaps average; a best number as **99.2**. Tasks and the number of references of an answer are
    those of RULER. One line is printed per finding, and per table of which something was not
    checked.
    """
    from needlework.paper import audit as auditing
    from needlework.paper.published import read_tables

    result = auditing.audit(read_tables(folder), samples=samples)
    for finding in result.findings:
        told = f"{finding.grade}: {finding.where}: {finding.printed}; {finding.explanation}"
        click.echo(printable(told))
    for line in result.unchecked:
        click.echo(printable(f"not checked: {line}"))
    click.echo(f"{len(result.findings)} findings in {sum(result.checked.values())} checks")
    if output is not None:
        from needlework.paper.audit_page import write_audit

        write_audit(result, output, samples=samples, templates=templates)


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("output", type=FILE)
@click.option(
    "--models",
    type=PACKAGED,
    default="config/models.yaml",
    show_default=True,
    help="What to say of every model: of a study, or of all.",
)
@SAMPLES
@click.option("--grid", type=EXISTING, help="The cells that the study of a score file asks for.")
@click.option("--study", "config", type=EXISTING, help="The keys of that study.")
@click.option(
    "--shown",
    type=EXISTING,
    help="What a study shows; without it tables are named as in config/tables/paper.yaml, and not "
    "linked to.",
)
@click.option("--explorer", help="The page that cells link to.")
@click.option("--templates", type=PACKAGED_FOLDER, default="reports/templates", show_default=True)
def claims(
    source: Path,
    output: Path,
    models: Path,
    samples: int,
    grid: Path | None,
    config: Path | None,
    shown: Path | None,
    explorer: str | None,
    templates: Path,
) -> None:
    """Put the paper's nine claims to the test; write OUTPUT.md and OUTPUT.csv.

    SOURCE is the score file of a study, or a folder of published tables. One line per claim is
    printed. In a study of likelihoods they are put to the test by these, too.
    """
    from needlework.paper import claims as testing
    from needlework.paper.claims_page import write_claims
    from needlework.paper.evidence import read_evidence, read_models
    from needlework.paper.second_witness import read_second_witness
    from needlework.parsing import parse, read
    from needlework.study.config import Study
    from needlework.study.grid import Grid
    from needlework.study.presentation import Shown
    from needlework.study.presets import claim_tables

    about = parse(Shown, read(shown), where=str(shown)) if shown else None
    asked = parse(Grid, read(grid), where=str(grid)) if grid else None
    of_study = parse(Study, read(config), where=str(config)) if config else None
    seed = of_study.seed if of_study else None
    evidence = read_evidence(source, samples=samples, grid=asked, seed=seed)
    about_models = read_models(models, evidence)
    second = read_second_witness(source, study=of_study, grid=asked) if of_study and asked else None
    results = testing.judge(evidence, about_models, second=second)
    for result in results:
        click.echo(f"{result.claim.id} {result.verdict or 'not measured'}: {result.claim.text}")
    inferred = samples if source.is_dir() else None
    write_claims(
        results,
        output,
        models=about_models,
        tables=about.claims if about else claim_tables(Path("config")),
        files={table.name for table in about.tables} if about and explorer else (),
        templates=templates,
        inferred=inferred,
        explorer=explorer,
    )


@click.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.argument("output", type=FILE)
@GRID
@MODELS
@SHOWN
@click.option(
    "--masked", is_flag=True, help="Dots for the letters of prompts, to pass the page on."
)
def explorer(
    folder: Path, output: Path, grid: Path, models: Path, shown: Path, masked: bool
) -> None:
    """Write the study in FOLDER as one HTML page in which every number leads to its samples.

    Reads FOLDER/scores.parquet, estimates.parquet, diagnosis.parquet, data and predictions. The
    page needs no server and no network.
    """
    from needlework.parsing import parse, read
    from needlework.report.explorer.page import write_explorer
    from needlework.study.grid import Grid
    from needlework.study.presentation import Shown
    from needlework.study.shown import ShownModel

    write_explorer(
        folder,
        output,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        shown=parse(Shown, read(shown), where=str(shown)),
        masked=masked,
    )


@click.command()
@click.argument("definition", type=EXISTING)
@click.argument("output", type=FILE)
@click.argument("scores", type=EXISTING, nargs=-1)
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@GRID
@MODELS
@click.option("--costs", type=EXISTING, help="What each cell was estimated to take.")
@click.option("--benchmarks", type=FOLDER, help="What each job took, as Snakemake measured it.")
@click.option("--diagnosis", type=EXISTING, help="What the answers are, for figures of failures.")
@CONTROLS
def figure(
    definition: Path,
    output: Path,
    scores: tuple[Path, ...],
    config: Path,
    grid: Path,
    models: Path,
    costs: Path | None,
    benchmarks: Path | None,
    diagnosis: Path | None,
    controls: Path | None,
) -> None:
    """Draw one figure of a study, from the score files of the cells that it shows.

    DEFINITION says what it shows (plan/figures/NAME.json). Writes OUTPUT.svg, .png, .pdf and
    .html, which shows values under the pointer, and what is drawn as OUTPUT.csv. Cells that are
    missing are left out and named.
    """
    from needlework.cost.study import PlannedCell
    from needlework.parsing import parse, read
    from needlework.report.controls import read_controlled
    from needlework.report.figures import write_figure
    from needlework.study.config import Study
    from needlework.study.definitions import FigureDefinition
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    shown = parse(tuple[ShownModel, ...], read(models), where=str(models))
    planned = parse(tuple[PlannedCell, ...], read(costs), where=str(costs)) if costs else ()
    write_figure(
        parse(FigureDefinition, read(definition), where=str(definition)),
        scores,
        output,
        study=parse(Study, read(config), where=str(config)).study,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=shown,
        planned=planned,
        benchmarks=benchmarks,
        diagnosis=diagnosis,
        controls=read_controlled(controls) if controls else (),
    )


@click.command()
@click.argument("scores", type=EXISTING)
@click.argument("cells", type=EXISTING)
@click.argument("output", type=FILE)
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@GRID
@MODELS
@CONTROLS
@click.option("--templates", type=PACKAGED_FOLDER, default="reports/templates", show_default=True)
def findings(
    scores: Path,
    cells: Path,
    output: Path,
    config: Path,
    grid: Path,
    models: Path,
    controls: Path | None,
    templates: Path,
) -> None:
    """Tell how far models read and which of two is better, as OUTPUT.md and two CSV files."""
    from needlework.parsing import parse, read
    from needlework.report.controls import read_controlled
    from needlework.report.findings import write_findings
    from needlework.study.config import Study
    from needlework.study.grid import Grid
    from needlework.study.shown import ShownModel

    write_findings(
        parse(Study, read(config), where=str(config)),
        output,
        scores=scores,
        cells=cells,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        templates=templates,
        controls=read_controlled(controls) if controls else (),
    )


@click.command()
@click.argument("folder", type=EXISTING_FOLDER)
@click.argument("scores", type=EXISTING)
@click.argument("diagnosis", type=EXISTING)
@click.option("--study", "config", type=EXISTING, required=True, help="The study's own keys.")
@GRID
@MODELS
@SHOWN
@CONTROLS
@click.option("--template", type=EXISTING, required=True)
def report(
    folder: Path,
    scores: Path,
    diagnosis: Path,
    config: Path,
    grid: Path,
    models: Path,
    shown: Path,
    controls: Path | None,
    template: Path,
) -> None:
    """Write FOLDER/report.md from SCORES, their DIAGNOSIS and the tables in FOLDER."""
    from needlework.parsing import parse, read
    from needlework.report.controls import read_controlled
    from needlework.report.summary import write_report
    from needlework.study.config import Study
    from needlework.study.grid import Grid
    from needlework.study.presentation import Shown
    from needlework.study.shown import ShownModel

    write_report(
        parse(Study, read(config), where=str(config)),
        parse(Shown, read(shown), where=str(shown)),
        folder,
        scores=scores,
        diagnosis=diagnosis,
        grid=parse(Grid, read(grid), where=str(grid)),
        models=parse(tuple[ShownModel, ...], read(models), where=str(models)),
        template=template,
        controls=read_controlled(controls) if controls else (),
    )


@click.command()
@click.argument("output", type=FILE)
def schema(output: Path) -> None:
    """Write the JSON schema of a study config, which editors use, to OUTPUT."""
    from needlework.files import write_text
    from needlework.study.config import schema as study_schema

    write_text(output, study_schema())
