# A study with `controls` sets every score beside that of a truncated copy, of needles without haystack, of
# hay without needles. Controls are runs of their own (`model+control`), so their cells are made as ever.
CONTROL_SCORES = [f"{RESULTS}/scores/{each.cell.place}.parquet" for each in PLAN.controls]


rule compare_controls:
    input:
        scores=["<results>/scores.parquet", *CONTROL_SCORES],
        study="<results>/plan/study.json",
        cells="<results>/plan/controls.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
    output:
        "<results>/controls.json",
    log:
        "<logs>/compare_controls.log",
    benchmark:
        "<benchmarks>/compare_controls.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=digest("needlework.report.controls"),
        scores=lambda wildcards, input: input.scores,
    shell:
        "needlework compare-controls {params.scores:q} --output {output:q} --study {input.study:q}"
        " --cells {input.cells:q} --grid {input.grid:q} --models {input.models:q} 2> {log:q}"


rule control_table:
    input:
        compared="<results>/controls.json",
        definition="<results>/plan/tables/{controls_table}.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        templates=[template("listing.md.j2"), template("listing.tex.j2")],
    output:
        *shown(
            multiext("<results>/tables/{controls_table}", ".md", ".tex", ".csv"),
            caption="../../reports/captions/controls.rst",
            category="Tables",
            labels={"table": "{controls_table}"},
        ),
    log:
        "<logs>/table/{controls_table}.log",
    benchmark:
        "<benchmarks>/table/{controls_table}.tsv"
    wildcard_constraints:
        controls_table=either(CONTROL_TABLES),
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.report.controls"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.templates[0]).parent,
    shell:
        "needlework controls {input.definition:q} {params.stem:q} {input.compared:q}"
        " --grid {input.grid:q} --models {input.models:q} --templates {params.templates:q} 2> {log:q}"
