# Predictions become one scored row a sample, and all rows of a study one estimate a cell.
rule score:
    input:
        predictions="<results>/predictions/{model}/{suite}/{length}.jsonl",
        tasks="<results>/plan/suites/{suite}.json",
    output:
        "<results>/scores/{model}/{suite}/{length}.parquet",
    log:
        "<logs>/score/{model}/{suite}/{length}.log",
    benchmark:
        "<benchmarks>/score/{model}/{suite}/{length}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.scores.cells"),
        samples=PLAN.study.samples,
        only=only_tasks,
    shell:
        "needlework score {input.predictions:q} {output:q} --model {wildcards.model:q}"
        " --suite {wildcards.suite:q} --length {wildcards.length:q} --samples {params.samples:q}"
        " --tasks {input.tasks:q} {params.only:q} 2> {log:q}"


use rule score as score_part with:
    input:
        predictions="<results>/shards/{model}/{suite}/{length}/{tables}.jsonl",
        tasks="<results>/plan/suites/{suite}.json",
    output:
        "<results>/shards/{model}/{suite}/{length}/{tables}.parquet",
    log:
        "<logs>/score_part/{model}/{suite}/{length}/{tables}.log",
    benchmark:
        "<benchmarks>/score_part/{model}/{suite}/{length}/{tables}.tsv"
    params:
        only=lambda wildcards: [f"--task={task}" for task in part_tasks(wildcards)],


rule collect:
    input:
        scores=expand(
            "<results>/scores/{cell.model}/{cell.suite}/{cell.length}.parquet",
            cell=CELLS,
        ),
        grid="<results>/plan/grid.json",
    output:
        scores="<results>/scores.parquet",
        cells="<results>/estimates.parquet",
    log:
        "<logs>/collect.log",
    benchmark:
        "<benchmarks>/collect.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=digest("needlework.scores.cells"),
        folder=lambda wildcards, output: Path(output.scores).with_suffix(""),
        cells=[],
    shell:
        "needlework collect {params.folder:q} {output.scores:q} {output.cells:q} --grid {input.grid:q}"
        " {params.cells:q} 2> {log:q}"


# What every answer is, and how far before the question its needle lies: joined from what is there.
rule diagnose:
    input:
        MADE,
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        suites=expand("<results>/plan/suites/{suite}.json", suite=PLAN.tasks),
    output:
        "<results>/diagnosis.parquet",
    log:
        "<logs>/diagnose.log",
    benchmark:
        "<benchmarks>/diagnose.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=digest("needlework.scores.diagnoses"),
        study=RESULTS,
        cells=[],
    shell:
        "needlework diagnose {params.study:q} {output:q} {params.cells:q} 2> {log:q}"
