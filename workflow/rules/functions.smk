# Helpers shared by several rule files.
from functools import cache
from pathlib import Path

from needlework.cluster import model_code
from needlework import sources
from needlework.cost.study import cell_cost
from needlework.study import parts
from needlework.study.definitions import DIAGNOSED
from needlework.study.grid import Cell

# The environment of every rule. Snakemake fills in braces, those of the folder's name among them.
ENVIRONMENT_FILE = Path(workflow.snakefile).absolute().parents[2] / "envs/cpu.yaml"
CPU = str(ENVIRONMENT_FILE).replace("{", "{{").replace("}", "}}")


def template(name):
    """A template of the reports, from here or, where this workflow is a module, from its source."""
    path = f"reports/templates/{name}"
    return path if Path(path).exists() else workflow.source_path(f"../../{path}")


def cell_datasets(wildcards):
    """The datasets that a model answers in one cell."""
    return expand(
        "<results>/data/{prompts}/{length}/{task}.jsonl",
        prompts=PLAN.prompts(wildcards.model),
        length=wildcards.length,
        task=PLAN.tasks_of(cell_of(wildcards)),
    )


def part_tasks(wildcards):
    """The tasks of a cell that the tables of a part show."""
    return parts.named(PLAN, cell_of(wildcards), wildcards.tables).tasks


def part_datasets(wildcards):
    """The datasets that a model answers for some tables alone."""
    return expand(
        "<results>/data/{prompts}/{length}/{task}.jsonl",
        prompts=PLAN.prompts(wildcards.model),
        length=wildcards.length,
        task=part_tasks(wildcards),
    )


def only_tasks(wildcards):
    """The options that name the tasks of a control, where the others of its suite have none."""
    asked = PLAN.tasks_of(cell_of(wildcards))
    is_whole = len(asked) == len(PLAN.tasks[wildcards.suite])
    return [] if is_whole else [f"--task={task}" for task in asked]


def earlier(wildcards):
    """Answers of other suites to some of the same samples, which a cell takes over."""
    return [
        ancient(f"{RESULTS}/predictions/{cell.model}/{cell.suite}/{cell.length}.jsonl")
        for cell in PLAN.earlier(cell_of(wildcards))
    ]


def cell_of(wildcards):
    """The cell that a file belongs to."""
    return Cell(wildcards.model, wildcards.suite, int(wildcards.length))


# Parameters are asked for when a job is planned: a start does not wait for the digests of others.
code_of = cache(sources.digest)


def digest(*modules):
    """What rules carry of our code: a digest of modules and of all that they import."""
    return lambda wildcards: code_of(*modules)


@cache
def code_for(model, module):
    """What rules about a model carry in place of a digest: the mixers of others do not count."""
    return model_code.digest_for(PLAN.models[model], module)


def first_cost(model):
    """The cost of a model's first cell, of whose memory the weights are the larger part."""
    return cell_cost(PLAN, next(cell for cell in CELLS if cell.model == model))


def lone_tables():
    """The tables that are asked for, where nothing else is."""
    known = {target: table.name for table in SHOWN.tables for target in table.targets}
    for table in SHOWN.tables:
        for folder in ("tables", "intervals"):
            known |= {f"{RESULTS}/{folder}/{table.name}.{kind}": table.name for kind in TABLE_KINDS}
    asked = [known.get(target) for target in workflow.dag_settings.targets]
    return asked if all(asked) else []


@cache
def table_parts(table):
    """Where the answers behind a table are: cells, or parts of those that nobody asks for whole."""
    there = lambda file: (RESULTS / file).exists()
    return parts.parts(PLAN, table, lone_tables(), exists=there)


def table_scores(wildcards):
    """The scores that a table shows."""
    return [f"{RESULTS}/{part.scores}" for part in table_parts(wildcards.table)]


def figure_scores(wildcards):
    """The scores that a figure shows."""
    wanted = parts.whole(PLAN, list(PLAN.needs([wildcards.figure])))
    return [f"{RESULTS}/{part.scores}" for part in wanted]


def figure_diagnosis(file):
    """What the answers are, for a figure of it; `file` has it."""
    kinds = {figure.name: figure.kind for figure in SHOWN.figures}
    return lambda wildcards: [file] if kinds[wildcards.figure] in DIAGNOSED else []


CONTROL_TABLES = SHOWN.named("controls", "control_margins")
TABLES = SCORE_TABLES + MODEL_TABLES + WHY_TABLES + CONTROL_TABLES
# What the study's controls score, for what shows it: nothing where it asks for none.
CONTROLLED = [f"{RESULTS}/controls.json"] if PLAN.study.controls else []


def figure_controls(files):
    """What marks the length curve; `files` have it."""
    kinds = {figure.name: figure.kind for figure in SHOWN.figures}
    return lambda wildcards: files if kinds[wildcards.figure] == "length_curve" else []


def controls_option(files):
    """The option that names what controls score, where there is a file of it."""
    return [f"--controls={path}" for path in files]


# Everything between the config and what is asked for. Targets name it, because Snakemake takes a
# missing file between others for unneeded: after a failed job, which loses its old output, it would
# say "nothing to be done" and leave stale tables.
def made(wanted):
    """Every file between the config and the scores of these parts."""
    return [f"{RESULTS}/{file}" for file in dict.fromkeys(parts.made(PLAN, wanted))]


MADE = [*made(parts.whole(PLAN, PLAN.cells())), f"{RESULTS}/estimates.parquet"]


def shown(files, *, labels, **about):
    """Files of the same content for Snakemake's report, where their kinds tell them apart."""
    flagged = []
    for file in files:
        named = labels | {"file": Path(file).suffix[1:]}
        flagged.append(report(file, labels=named, **about))
    return flagged


def page_files():
    """The pages of a study; that of hazards has a rule of its own."""
    kinds = {"explorer": "html", "results": "json", "controls": "json"}
    return [
        f"{RESULTS}/{page}.{kinds.get(page, 'md')}" for page in SHOWN.pages if page != "hazards"
    ]


def everything(wildcards):
    """What a plain `snakemake` makes: what the study is about."""
    return (rules.hazards_all if PLAN.study.hazards else rules.table_all).input
