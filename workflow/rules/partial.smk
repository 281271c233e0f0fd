# A study in which something failed: a run makes what can be made, `snakemake
# partial` then renders tables and figures from it. They lie in a folder of their own, name the cells that are
# missing, and show no mean over what is left. What is there is a parameter and no input: asking for
# what there is must not start a model again.
from needlework.cluster import available

SCORED = available.places(RESULTS, CELLS, weights_of=PLAN.weights_of)
CONTROLS_SCORED = available.places(
    RESULTS, [each.cell for each in PLAN.controls], weights_of=PLAN.weights_of
)
PARTLY_CONTROLLED = [f"{RESULTS}/partial/controls.json"] if PLAN.study.controls else []
PROVEN = [f"--verified={path}" for path in available.verified(RESULTS, PLAN.models)]


rule partial:
    input:
        expand(
            "<results>/partial/tables/{table}.{kind}",
            table=TABLES,
            kind=TABLE_KINDS,
        ),
        expand("<results>/partial/figures/{figure}.svg", figure=FIGURES),
        expand(
            "<results>/partial/{page}.md",
            page=[page for page in ("claims", "findings") if page in SHOWN.pages],
        ),
    localrule: True


use rule collect as partial_collect with:
    input:
        grid="<results>/plan/grid.json",
    output:
        scores="<results>/partial/scores.parquet",
        cells="<results>/partial/estimates.parquet",
    log:
        "<logs>/partial/collect.log",
    benchmark:
        "<benchmarks>/partial/collect.tsv"
    params:
        folder=RESULTS / "scores",
        cells=[f"--cell={place}" for place in SCORED],
        changes=available.changes(RESULTS, SCORED),


use rule diagnose as partial_diagnose with:
    input:
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        suites=expand("<results>/plan/suites/{suite}.json", suite=PLAN.tasks),
    output:
        "<results>/partial/diagnosis.parquet",
    log:
        "<logs>/partial/diagnose.log",
    benchmark:
        "<benchmarks>/partial/diagnose.tsv"
    params:
        cells=[f"--cell={place}" for place in SCORED],
        changes=available.changes(RESULTS, SCORED),


use rule explain as partial_explain with:
    input:
        diagnosis="<results>/partial/diagnosis.parquet",
        definition="<results>/plan/tables/{why_table}.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        templates=[template("listing.md.j2"), template("listing.tex.j2")],
    output:
        multiext("<results>/partial/tables/{why_table}", ".md", ".tex", ".csv"),
    log:
        "<logs>/partial/table/{why_table}.log",
    benchmark:
        "<benchmarks>/partial/table/{why_table}.tsv"


use rule table as partial_table with:
    input:
        scores="<results>/partial/scores.parquet",
        definition="<results>/plan/tables/{table}.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        templates=[template("table.md.j2"), template("table.tex.j2")],
    output:
        multiext("<results>/partial/tables/{table}", ".md", ".tex", ".csv"),
    log:
        "<logs>/partial/table/{table}.log",
    benchmark:
        "<benchmarks>/partial/table/{table}.tsv"
    params:
        verified=PROVEN,


use rule models_table as partial_models_table with:
    input:
        definition="<results>/plan/tables/{models_table}.json",
        models="<results>/plan/models.json",
        templates=[template("models.md.j2"), template("models.tex.j2")],
    output:
        multiext("<results>/partial/tables/{models_table}", ".md", ".tex", ".csv"),
    log:
        "<logs>/partial/table/{models_table}.log",
    benchmark:
        "<benchmarks>/partial/table/{models_table}.tsv"
    params:
        verified=PROVEN,


use rule figure as partial_figure with:
    input:
        scores="<results>/partial/scores.parquet",
        diagnosis=figure_diagnosis("<results>/partial/diagnosis.parquet"),
        controls=figure_controls(PARTLY_CONTROLLED),
        definition="<results>/plan/figures/{figure}.json",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        costs="<results>/plan/costs.json",
    output:
        multiext("<results>/partial/figures/{figure}", *FIGURE_KINDS, ".csv"),
    log:
        "<logs>/partial/figure/{figure}.log",
    benchmark:
        "<benchmarks>/partial/figure/{figure}.tsv"


use rule claims as partial_claims with:
    input:
        scores="<results>/partial/scores.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        shown="<results>/plan/shown.json",
        template=template("claims.md.j2"),
    output:
        "<results>/partial/claims.md",
        "<results>/partial/claims.csv",
    log:
        "<logs>/partial/claims.log",
    benchmark:
        "<benchmarks>/partial/claims.tsv"


use rule findings as partial_findings with:
    input:
        scores="<results>/partial/scores.parquet",
        cells="<results>/partial/estimates.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        controls=PARTLY_CONTROLLED,
        template=template("findings.md.j2"),
    output:
        "<results>/partial/findings.md",
        "<results>/partial/findings.pairs.csv",
        "<results>/partial/findings.bootstrap.csv",
    log:
        "<logs>/partial/findings.log",
    benchmark:
        "<benchmarks>/partial/findings.tsv"


if PLAN.study.controls:

    use rule compare_controls as partial_compare_controls with:
        input:
            scores="<results>/partial/scores.parquet",
            study="<results>/plan/study.json",
            cells="<results>/plan/controls.json",
            grid="<results>/plan/grid.json",
            models="<results>/plan/models.json",
        output:
            "<results>/partial/controls.json",
        log:
            "<logs>/partial/compare_controls.log",
        benchmark:
            "<benchmarks>/partial/compare_controls.tsv"
        params:
            scores=lambda wildcards, input: [
                input.scores,
                *(f"{RESULTS}/scores/{place}.parquet" for place in CONTROLS_SCORED),
            ],
            changes=available.changes(RESULTS, CONTROLS_SCORED),

    use rule control_table as partial_control_table with:
        input:
            compared="<results>/partial/controls.json",
            definition="<results>/plan/tables/{controls_table}.json",
            grid="<results>/plan/grid.json",
            models="<results>/plan/models.json",
            templates=[template("listing.md.j2"), template("listing.tex.j2")],
        output:
            multiext("<results>/partial/tables/{controls_table}", ".md", ".tex", ".csv"),
        log:
            "<logs>/partial/table/{controls_table}.log",
        benchmark:
            "<benchmarks>/partial/table/{controls_table}.tsv"
