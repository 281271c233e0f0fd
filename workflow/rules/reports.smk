# What a reader sees. Every table is a target of its own: `snakemake table_2`.
SCORE_TABLES = [name for name in TABLES if name != f"{MODELS_TABLE:02}"]
COMPARED = SCORE_TABLES if OF_PAPER and set(PLAN.models) & set(PAPER_MODELS) else []
VERIFIED = expand(
    "<results>/verified/{model}.json", model=dict.fromkeys(map(PLAN.weights_of, PLAN.models))
)


for number in TABLES:

    rule:
        name:
            f"table_{number.lstrip('0')}"
        input:
            expand(f"<results>/tables/table_{number}.{{kind}}", kind=TABLE_KINDS),
            lambda wildcards: MADE,
        localrule: True


rule table:
    input:
        cells="<results>/cells.parquet",
        scores="<results>/scores.parquet",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        study="<results>/plan/study.json",
        verified=VERIFIED,
        templates=[template("table.md.j2"), template("table.tex.j2")],
    output:
        *shown(
            multiext("<results>/tables/table_{number}", ".md", ".tex", ".csv"),
            caption="../../reports/captions/table.rst",
            category="Tables",
            labels={"table": "{number}"},
        ),
    log:
        "<logs>/table/{number}.log",
    benchmark:
        "<benchmarks>/table/{number}.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.tables"),
        number=lambda wildcards: wildcards.number.lstrip("0"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
        verified=lambda wildcards, input: [f"--verified {path}" for path in input.verified],
        intervals="",
    shell:
        "needlework table {params.number} {input.cells} {input.scores} {params.stem}"
        " --grid {input.grid} --models {input.models} {params.verified} --study {input.study}"
        " --templates {params.templates} {params.intervals} 2> {log}"


# The same tables with the interval of every number: `snakemake intervals`, or one file by its name.
# They lie beside the tables, in a folder of their own.
rule intervals:
    input:
        expand(
            "<results>/intervals/table_{number}.{kind}",
            number=SCORE_TABLES,
            kind=TABLE_KINDS,
        ),
    localrule: True


use rule table as table_with_intervals with:
    output:
        multiext("<results>/intervals/table_{number}", ".md", ".tex", ".csv"),
    log:
        "<logs>/intervals/{number}.log",
    benchmark:
        "<benchmarks>/intervals/{number}.tsv"
    params:
        intervals="--intervals",


# Beside each table the one that was published, where a study measures the models of the paper.
rule comparison:
    input:
        cells="<results>/cells.parquet",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        published=PUBLISHED,
        template=template("comparison.md.j2"),
    output:
        *shown(
            multiext("<results>/tables/comparison_{number}", ".md", ".csv"),
            caption="../../reports/captions/comparison.rst",
            category="Tables",
            labels={"table": "{number}, ours and published"},
        ),
    log:
        "<logs>/comparison/{number}.log",
    benchmark:
        "<benchmarks>/comparison/{number}.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.comparison"),
        number=lambda wildcards: wildcards.number.lstrip("0"),
        folder=lambda wildcards, input: Path(input.published[0]).parent,
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework comparison {params.number} {params.folder} {input.cells} {params.stem}"
        " --grid {input.grid} --models {input.models} --templates {params.templates} 2> {log}"


rule models_table:
    input:
        models="<results>/plan/models.json",
        verified=VERIFIED,
        templates=[template("models.md.j2"), template("models.tex.j2")],
    output:
        *shown(
            multiext("<results>/tables/table_05", ".md", ".tex", ".csv"),
            caption="../../reports/captions/models.rst",
            category="Tables",
            labels={"table": "05"},
        ),
    log:
        "<logs>/table/05.log",
    benchmark:
        "<benchmarks>/table/05.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.tables"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
        verified=lambda wildcards, input: [f"--verified {path}" for path in input.verified],
    shell:
        "needlework models {params.stem} --models {input.models} {params.verified}"
        " --templates {params.templates} 2> {log}"


rule figure:
    input:
        cells="<results>/cells.parquet",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        costs="<results>/plan/costs.json",
    output:
        *shown(
            multiext("<results>/figures/{figure}", *FIGURE_KINDS, ".csv"),
            caption="../../reports/captions/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/figure/{figure}.log",
    benchmark:
        "<benchmarks>/figure/{figure}.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.figures"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        benchmarks=f"benchmarks/{PLAN.study.study}",
    shell:
        "needlework figure {wildcards.figure} {input.cells} {params.stem} --grid {input.grid}"
        " --models {input.models} --costs {input.costs} --benchmarks {params.benchmarks} 2> {log}"


rule summary:
    input:
        scores="<results>/scores.parquet",
        study="<results>/plan/study.json",
        tables=expand("<results>/tables/table_{number}.md", number=TABLES),
        compared=expand("<results>/tables/comparison_{number}.md", number=COMPARED),
        figures=expand("<results>/figures/{figure}.svg", figure=FIGURES),
        template=template("report.md.j2"),
    output:
        "<results>/report.md",
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.summary"),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "needlework report {params.folder} {input.scores} --study {input.study}"
        " --template {input.template} 2> {log}"
