# What a reader sees. Every table is a target of its own, `snakemake table_2`, which computes what it
# shows and nothing else; the targets stand in targets.smk.
VERIFIED = expand(
    "<results>/verified/{model}.json", model=dict.fromkeys(map(PLAN.weights_of, PLAN.models))
)


rule table:
    input:
        scores=table_scores,
        definition="<results>/plan/tables/{table}.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        verified=VERIFIED,
        templates=[template("table.md.j2"), template("table.tex.j2")],
    output:
        *shown(
            multiext("<results>/tables/{table}", ".md", ".tex", ".csv"),
            caption="../../reports/captions/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        "<logs>/table/{table}.log",
    benchmark:
        "<benchmarks>/table/{table}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.tables"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
        verified=lambda wildcards, input: [f"--verified={path}" for path in input.verified],
        intervals=[],
    shell:
        "needlework table {input.definition:q} {params.stem:q} {input.scores:q} --grid {input.grid:q}"
        " --models {input.models:q} {params.verified:q} --templates {params.templates:q}"
        " {params.intervals:q} 2> {log:q}"


# The same tables with the interval of every number: `snakemake intervals`, or one file by its name.
# They lie beside the tables, in a folder of their own.
rule intervals:
    input:
        expand(
            "<results>/intervals/{table}.{kind}",
            table=SCORE_TABLES,
            kind=TABLE_KINDS,
        ),
    localrule: True


use rule table as table_with_intervals with:
    output:
        multiext("<results>/intervals/{table}", ".md", ".tex", ".csv"),
    log:
        "<logs>/intervals/{table}.log",
    benchmark:
        "<benchmarks>/intervals/{table}.tsv"
    params:
        intervals=["--intervals"],


# Beside each table the one that was published, where a study measures the models of the paper.
rule comparison:
    input:
        definition="<results>/plan/comparisons/{comparison}.json",
        cells="<results>/estimates.parquet",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        published=PUBLISHED,
        template=template("comparison.md.j2"),
    output:
        *shown(
            multiext("<results>/tables/{comparison}", ".md", ".csv"),
            caption="../../reports/captions/comparison.rst",
            category="Tables",
            labels={"table": "{comparison}, ours and published"},
        ),
    log:
        "<logs>/comparison/{comparison}.log",
    benchmark:
        "<benchmarks>/comparison/{comparison}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.paper.comparison_page"),
        folder=lambda wildcards, input: Path(input.published[0]).parent,
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework comparison {input.definition:q} {params.folder:q} {input.cells:q} {params.stem:q}"
        " --grid {input.grid:q} --models {input.models:q} --templates {params.templates:q} 2> {log:q}"


rule models_table:
    input:
        definition="<results>/plan/tables/{models_table}.json",
        models="<results>/plan/models.json",
        verified=VERIFIED,
        templates=[template("models.md.j2"), template("models.tex.j2")],
    output:
        *shown(
            multiext("<results>/tables/{models_table}", ".md", ".tex", ".csv"),
            caption="../../reports/captions/models.rst",
            category="Tables",
            labels={"table": "{models_table}"},
        ),
    log:
        "<logs>/table/{models_table}.log",
    benchmark:
        "<benchmarks>/table/{models_table}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.tables"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
        verified=lambda wildcards, input: [f"--verified={path}" for path in input.verified],
    shell:
        "needlework models {input.definition:q} {params.stem:q} --models {input.models:q} {params.verified:q}"
        " --templates {params.templates:q} 2> {log:q}"


rule explain:
    input:
        diagnosis="<results>/diagnosis.parquet",
        definition="<results>/plan/tables/{why_table}.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        templates=[template("listing.md.j2"), template("listing.tex.j2")],
    output:
        *shown(
            multiext("<results>/tables/{why_table}", ".md", ".tex", ".csv"),
            caption="../../reports/captions/explain.rst",
            category="Tables",
            labels={"table": "{why_table}"},
        ),
    log:
        "<logs>/table/{why_table}.log",
    benchmark:
        "<benchmarks>/table/{why_table}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.diagnoses"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
    shell:
        "needlework explain {input.definition:q} {params.stem:q} {input.diagnosis:q}"
        " --grid {input.grid:q} --models {input.models:q} --templates {params.templates:q} 2> {log:q}"


rule figure:
    input:
        scores=figure_scores,
        diagnosis=figure_diagnosis("<results>/diagnosis.parquet"),
        controls=figure_controls(CONTROLLED),
        definition="<results>/plan/figures/{figure}.json",
        study="<results>/plan/study.json",
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
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.figures"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        benchmarks=str(RESULTS / "benchmarks"),
        diagnosis=lambda wildcards, input: [f"--diagnosis={path}" for path in input.diagnosis],
        controls=lambda wildcards, input: controls_option(input.controls),
    shell:
        "needlework figure {input.definition:q} {params.stem:q} {input.scores:q} --study {input.study:q}"
        " --grid {input.grid:q} --models {input.models:q} --costs {input.costs:q}"
        " --benchmarks {params.benchmarks:q} {params.diagnosis:q} {params.controls:q} 2> {log:q}"


rule summary:
    input:
        scores="<results>/scores.parquet",
        diagnosis="<results>/diagnosis.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        shown="<results>/plan/shown.json",
        tables=expand("<results>/tables/{table}.md", table=TABLES),
        compared=expand("<results>/tables/{comparison}.md", comparison=SHOWN.comparisons),
        figures=expand("<results>/figures/{figure}.svg", figure=FIGURES),
        controls=CONTROLLED,
        template=template("report.md.j2"),
    output:
        "<results>/report.md",
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.summary"),
        folder=lambda wildcards, output: Path(output[0]).parent,
        controls=lambda wildcards, input: controls_option(input.controls),
    shell:
        "needlework report {params.folder:q} {input.scores:q} {input.diagnosis:q} --study {input.study:q}"
        " --grid {input.grid:q} --models {input.models:q} --shown {input.shown:q} --template {input.template:q}"
        " {params.controls:q} 2> {log:q}"


# The same numbers for programs.
rule results:
    input:
        MADE,
        scores="<results>/scores.parquet",
        cells="<results>/estimates.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
    output:
        "<results>/results.json",
    log:
        "<logs>/results.log",
    benchmark:
        "<benchmarks>/results.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.results"),
        predictions=RESULTS / "predictions",
    shell:
        "needlework results {input.scores:q} {input.cells:q} {output:q} --predictions {params.predictions:q}"
        " --study {input.study:q} --grid {input.grid:q} --models {input.models:q} 2> {log:q}"
