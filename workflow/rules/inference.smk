# One cell - a model on a suite at a length - is one job on one device. A killed job resumes from
# its journal beside the predictions, which is deliberately not declared as an output: Snakemake
# never deletes it.
rule predict:
    input:
        datasets=cell_datasets,
        model=lambda wildcards: PLAN.model_files(wildcards.model),
        tasks="<results>/plan/suites/{suite}.json",
        earlier=earlier,
        verified=lambda wildcards: f"<results>/verified/{PLAN.weights_of(wildcards.model)}.json",
    output:
        "<results>/predictions/{model}/{suite}/{length}.jsonl",
    log:
        "<logs>/predict/{model}/{suite}/{length}.log",
    benchmark:
        "<benchmarks>/predict/{model}/{suite}/{length}.tsv"
    conda:
        CPU
    threads: 1
    resources:
        **CLUSTER.words(),
        mem_mb=lambda wildcards, attempt: CLUSTER.megabytes(
            max(4000, cost(wildcards).memory_mb), attempt
        ),
        runtime=lambda wildcards, attempt: CLUSTER.minutes(
            -(-cost(wildcards).runtime_minutes // PLAN.study.shards), attempt
        ),
    params:
        code=lambda wildcards: code_for(wildcards.model, "needlework.engine.predict"),
        model=lambda wildcards: [
            *shlex.split(PLAN.predict_options(wildcards.model)),
            *only_tasks(wildcards),
        ],
        metrics=lambda wildcards: PLAN.metrics(wildcards.suite),
    # Where Slurm sends its SIGTERM to every process of a job, only the command itself may handle it.
    shell:
        "trap : TERM; "
        "needlework predict {output:q} {input.datasets:q} {params.model:q} --tasks {input.tasks:q}"
        " --threads {threads:q} --memory $(({resources.mem_mb:q} / 2)) 2>&1"
        " | (trap '' TERM; tee {log:q})"


# Some tasks of a cell, for somebody who asks for tables that show them and for nothing else. The
# journal lies where the whole cell finds it.
use rule predict as predict_part with:
    input:
        datasets=part_datasets,
        model=lambda wildcards: PLAN.model_files(wildcards.model),
        tasks="<results>/plan/suites/{suite}.json",
        verified=lambda wildcards: f"{RESULTS}/verified/{PLAN.weights_of(wildcards.model)}.json",
    output:
        "<results>/shards/{model}/{suite}/{length}/{tables}.jsonl",
    log:
        "<logs>/predict_part/{model}/{suite}/{length}/{tables}.log",
    benchmark:
        "<benchmarks>/predict_part/{model}/{suite}/{length}/{tables}.tsv"
    params:
        code=lambda wildcards: code_for(wildcards.model, "needlework.engine.predict"),
        model=lambda wildcards: [
            *shlex.split(PLAN.predict_options(wildcards.model)),
            *(f"--task={task}" for task in part_tasks(wildcards)),
        ],


# With `shards: 4` in the study a cell is four jobs. Each reads the accounts of the whole cell, and
# takes over what the cell's journals hold, however it was split before.
if PLAN.study.shards > 1:

    ruleorder: merge > predict

    use rule predict as predict_shard with:
        output:
            "<results>/shards/{model}/{suite}/{length}/{shard}of{shards}.jsonl",
        log:
            "<logs>/predict_shard/{model}/{suite}/{length}/{shard}of{shards}.log",
        benchmark:
            "<benchmarks>/predict_shard/{model}/{suite}/{length}/{shard}of{shards}.tsv"
        params:
            code=lambda wildcards: code_for(wildcards.model, "needlework.engine.predict"),
            model=lambda wildcards: [
                *shlex.split(PLAN.predict_options(wildcards.model)),
                *only_tasks(wildcards),
                f"--shard={wildcards.shard}/{wildcards.shards}",
            ],

    rule merge:
        input:
            parts=expand(
                "<results>/shards/{{model}}/{{suite}}/{{length}}/{shard}of{shards}.jsonl",
                shard=range(1, PLAN.study.shards + 1),
                shards=PLAN.study.shards,
            ),
            tasks="<results>/plan/suites/{suite}.json",
        output:
            "<results>/predictions/{model}/{suite}/{length}.jsonl",
        log:
            "<logs>/merge/{model}/{suite}/{length}.log",
        benchmark:
            "<benchmarks>/merge/{model}/{suite}/{length}.tsv"
        localrule: True
        conda:
            CPU
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            code=digest("needlework.scores.shards"),
            only=only_tasks,
        shell:
            "needlework merge {output:q} {input.parts:q} --tasks {input.tasks:q} {params.only:q}"
            " 2> {log:q}"
