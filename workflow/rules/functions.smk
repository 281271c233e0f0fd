# What several rules ask.
from pathlib import Path


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
        task=PLAN.suite_tasks(wildcards.suite),
    )


def first_cost(model):
    """The cost of a model's first cell, of whose memory the weights are the larger part."""
    return PLAN.cell_cost(*next(cell for cell in CELLS if cell.model == model))


def shown(files, *, labels, **about):
    """Files of the same content for Snakemake's report, where their kinds tell them apart."""
    flagged = []
    for file in files:
        named = labels | {"file": Path(file).suffix[1:]}
        flagged.append(report(file, labels=named, **about))
    return flagged


def everything(wildcards):
    """What a plain `snakemake` makes: what the study is about."""
    return (rules.hazards_all if PLAN.study.hazards else rules.table_all).input
