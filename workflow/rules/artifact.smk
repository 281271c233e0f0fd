# The study as one file that anyone can check: `snakemake artifact`, then `needlework review`.
SOURCES = installed.inputs() + PLAN.own_files()
SOURCES += [CONFIGFILE] if Path(CONFIGFILE).is_file() and not CONFIGFILE.startswith("..") else []


rule artifact:
    input:
        everything,
        sources=SOURCES,
        published=PUBLISHED,
    output:
        "<results>/artifact.zip",
    log:
        "<logs>/artifact.log",
    benchmark:
        "<benchmarks>/artifact.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        code=digest("needlework.artifact.bundle"),
        folder=RESULTS,
    shell:
        "needlework artifact {params.folder:q} {output:q} {input.sources:q} {input.published:q}"
        " 2> {log:q}"
