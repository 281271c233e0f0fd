# What comes from outside: fetched once, verified, never changed. `needlework fetch --configfile FILE`
# locks and gets all that a study needs, so that jobs can run where there is no network; `snakemake
# fetch` gets what is locked. Of a repository the manifest is asked for, written when all is there: an
# output would be deleted before a job is tried again, what was downloaded of a checkpoint must not be.
rule fetch:
    input:
        PLAN.external_files(),
    localrule: True


rule external:
    output:
        protected("resources/external/{path}"),
    log:
        "logs/external/{path}.log",
    benchmark:
        "logs/external/{path}.tsv"
    wildcard_constraints:
        path=r"(?!.*\.\.)[\w.+@-]+(/[\w.+@-]+)*",
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    shell:
        "HF_HUB_OFFLINE=0 needlework fetch {wildcards.path:q} 2> {log:q}"


# The parts of the study that commands read as files. A part is written again when it changes, and
# what depends on it runs again only if its bytes did (Snakemake compares the sums of small files).
rule plan:
    output:
        "<results>/plan/{part}.json",
    log:
        "<logs>/plan/{part}.log",
    benchmark:
        "<benchmarks>/plan/{part}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=100,
        runtime=1,
    params:
        content=lambda wildcards: PARTS[wildcards.part],
    shell:
        "printf '%s\\n' {params.content:q} > {output:q} 2> {log:q}"
