# What is particular to a run on a cluster; config/cluster.yaml, profiles/slurm and docs/cluster.md.
import sys
from pathlib import Path

from needlework.cluster import slurm, forwarding
from needlework.errors import NeedleworkError

# A job on a cluster is a Snakemake of its own, the only one that Slurm tells of a coming end.
if workflow.remote_exec and workflow.local_exec:
    forwarding.pass_on_sigterm()


def cost(wildcards):
    """What a cell, or the part of it that some tables show, needs by its estimate."""
    tasks = part_tasks(wildcards) if "tables" in wildcards.keys() else None
    return cell_cost(PLAN, cell_of(wildcards), tasks)


def refuse_cluster(jobs):
    """End a run before its first job where compute nodes, without network, could not finish it."""
    if workflow.local_exec:
        return
    missing = [file for job in jobs if job.rule.name == "external" for file in job.output]
    try:
        slurm.check_queue(Path.cwd())
        if not all(workflow.is_local(job.rule) for job in jobs):
            slurm.check_fetched(missing)
    except NeedleworkError as error:
        print(f"needlework: {error}", file=sys.stderr)
        sys.exit(2)
