# A study with `hazards` asks one thing: what does each published defect cost? Its models are variants
# (`model+defect`), so cells are made as ever; the tables of the paper are not its subject.
rule hazards_all:
    default_target: True
    input:
        multiext("<results>/hazards", ".md", ".csv"),
        multiext("<results>/figures/hazard_forest", *FIGURE_KINDS),
        "<results>/explorer.html",
        MADE,
    localrule: True


rule hazards:
    input:
        scores="<results>/scores.parquet",
        study="<results>/plan/study.json",
        hazards="<results>/plan/hazards.json",
        template=template("hazards.md.j2"),
    output:
        report(
            "<results>/hazards.md",
            caption="../../reports/captions/hazards.rst",
            category="Judgements",
        ),
        table="<results>/hazards.csv",
        figure=report(
            multiext("<results>/figures/hazard_forest", *FIGURE_KINDS),
            caption="../../reports/captions/hazard_forest.rst",
            category="Figures",
        ),
    log:
        "<logs>/hazards.log",
    benchmark:
        "<benchmarks>/hazards.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=digest("needlework.hazards.page"),
        folder=lambda wildcards, output: Path(output[0]).parent,
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework hazards {input.scores:q} {params.folder:q} --study {input.study:q}"
        " --hazards {input.hazards:q} --templates {params.templates:q} 2> {log:q}"
