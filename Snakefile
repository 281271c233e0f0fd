# All of the workflow is in workflow/; this file lets `snakemake` run from the repository root.
include: "workflow/Snakefile"


rule all:
    default_target: True
    input:
        everything,
    localrule: True
