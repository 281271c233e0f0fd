# What a reader sees. Every table is a target of its own: `snakemake table_2`.
for number in TABLES:

    rule:
        name:
            f"table_{number}"
        input:
            expand(f"<results>/tables/table_{number:02}.{{kind}}", kind=TABLE_KINDS),
            MADE,
        localrule: True


rule table:
    input:
        cells="<results>/cells.parquet",
        models="<results>/plan/models.json",
        templates=[template("table.md.j2"), template("table.tex.j2")],
    output:
        report(
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
        number=lambda wildcards: int(wildcards.number),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
    shell:
        "needlework table {params.number} {input.cells} {params.stem}"
        " --models {input.models} --templates {params.templates} 2> {log}"


rule models_table:
    input:
        models="<results>/plan/models.json",
        templates=[template("models.md.j2"), template("models.tex.j2")],
    output:
        report(
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
    shell:
        "needlework models {params.stem} --models {input.models}"
        " --templates {params.templates} 2> {log}"


rule figure:
    input:
        cells="<results>/cells.parquet",
        models="<results>/plan/models.json",
    output:
        report(
            multiext("<results>/figures/{figure}", ".svg", ".png"),
            caption="../../reports/captions/figure.rst",
            category="Figures",
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
    shell:
        "needlework figure {wildcards.figure} {input.cells} {params.stem}"
        " --models {input.models} 2> {log}"


rule summary:
    input:
        scores="<results>/scores.parquet",
        study="<results>/plan/study.json",
        tables=expand("<results>/tables/table_{number:02}.md", number=TABLES),
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
