# A study in which something failed: a run makes what can be made, `snakemake
# partial` then renders the tables from it. They lie in a folder of their own, name the cells that are
# missing, and show no mean over what is left. What is there is a parameter and no input: asking for
# what there is must not start a model again.
from needlework import available

SCORED = available.places(RESULTS, CELLS)
PROVEN = [f"--verified {path}" for path in available.verified(RESULTS, PLAN.models)]


rule partial:
    input:
        expand(
            "<results>/partial/tables/table_{number:02}.{kind}",
            number=TABLES,
            kind=TABLE_KINDS,
        ),
        "<results>/partial/claims.md",
        "<results>/partial/findings.md",
    localrule: True


use rule collect as partial_collect with:
    input:
        grid="<results>/plan/grid.json",
    output:
        scores="<results>/partial/scores.parquet",
        cells="<results>/partial/cells.parquet",
    log:
        "<logs>/partial/collect.log",
    benchmark:
        "<benchmarks>/partial/collect.tsv"
    params:
        folder=RESULTS / "scores",
        cells=[f"--cell {place}" for place in SCORED],
        changes=available.changes(RESULTS, SCORED),


use rule table as partial_table with:
    input:
        cells="<results>/partial/cells.parquet",
        scores="<results>/partial/scores.parquet",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        templates=[template("table.md.j2"), template("table.tex.j2")],
    output:
        multiext("<results>/partial/tables/table_{number}", ".md", ".tex", ".csv"),
    log:
        "<logs>/partial/table/{number}.log",
    benchmark:
        "<benchmarks>/partial/table/{number}.tsv"
    params:
        verified=PROVEN,


use rule models_table as partial_models_table with:
    input:
        models="<results>/plan/models.json",
        templates=[template("models.md.j2"), template("models.tex.j2")],
    output:
        multiext("<results>/partial/tables/table_05", ".md", ".tex", ".csv"),
    log:
        "<logs>/partial/table/05.log",
    benchmark:
        "<benchmarks>/partial/table/05.tsv"
    params:
        verified=PROVEN,


use rule claims as partial_claims with:
    input:
        cells="<results>/partial/cells.parquet",
        models="<results>/plan/models.json",
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
        cells="<results>/partial/cells.parquet",
        study="<results>/plan/study.json",
        models="<results>/plan/models.json",
        template=template("findings.md.j2"),
    output:
        "<results>/partial/findings.md",
        "<results>/partial/findings.pairs.csv",
        "<results>/partial/findings.bootstrap.csv",
    log:
        "<logs>/partial/findings.log",
    benchmark:
        "<benchmarks>/partial/findings.tsv"
