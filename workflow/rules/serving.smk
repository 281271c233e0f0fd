# Models that a server answers for. Behind an endpoint a cell is a job that needs a network and no GPU,
# so it runs where Snakemake runs. Where an entry has `serve`, one job starts the server and answers all
# cells of its model; each cell's file is finished by itself and then taken over.
from needlework.cost import served
from needlework.study import serving

REMOTE, STARTED = serving.remote(PLAN), serving.started(PLAN)


if REMOTE + STARTED:

    localrules:
        verify_served,

    ruleorder: verify_served > verify_model

    rule served:
        input:
            datasets=lambda wildcards: [
                str(path)
                for cell in serving.cells_of(PLAN, wildcards.model)
                for path in serving.datasets_of(PLAN, cell)
            ],
            model=lambda wildcards: PLAN.model_files(wildcards.model),
            cells="<results>/plan/served/{model}.json",
        output:
            "<results>/served/{model}.json",
        log:
            "<logs>/served/{model}.log",
            server="<logs>/served/{model}.server.txt",
        benchmark:
            "<benchmarks>/served/{model}.tsv"
        wildcard_constraints:
            model=either(STARTED),
        conda:
            CPU
        threads: 1
        resources:
            **{name: word for name, word in CLUSTER.words().items() if name != "gpu"},
            gpu=lambda wildcards: serving.gpus(PLAN, wildcards.model, CLUSTER.gpus),
            mem_mb=lambda wildcards, attempt: CLUSTER.megabytes(
                served.megabytes(PLAN, wildcards.model), attempt
            ),
            runtime=lambda wildcards, attempt: CLUSTER.minutes(
                served.minutes(PLAN, wildcards.model), attempt
            ),
        params:
            code=digest("needlework.engine.servers.predict"),
            model=lambda wildcards: shlex.split(PLAN.predict_options(wildcards.model)),
        shell:
            "trap : TERM; "
            "needlework served {output:q} --cells {input.cells:q} {params.model:q}"
            " --server-log {log.server:q} 2>&1 | (trap '' TERM; tee {log[0]:q})"

    use rule served as served_elsewhere with:
        wildcard_constraints:
            model=either(REMOTE),

    use rule verify_model as verify_served with:
        input:
            served="<results>/served/{model}.json",
            model=lambda wildcards: PLAN.checkpoint_files(wildcards.model),
        wildcard_constraints:
            model=either(REMOTE + STARTED),
        params:
            code=digest("needlework.engine.servers.weights"),
            model=lambda wildcards, input: [
                *shlex.split(serving.verify_options(PLAN, wildcards.model)),
                f"--served={input.served}",
            ],


if REMOTE:

    localrules:
        served_elsewhere,
        ask_server,
        ask_part,

    ruleorder: ask_server > predict
    ruleorder: ask_part > predict_part

    use rule predict_part as ask_part with:
        wildcard_constraints:
            model=either(REMOTE),
        params:
            code=digest("needlework.engine.servers.predict"),
            model=lambda wildcards: [
                *shlex.split(PLAN.predict_options(wildcards.model)),
                *(f"--task={task}" for task in part_tasks(wildcards)),
            ],

    use rule predict as ask_server with:
        wildcard_constraints:
            model=either(REMOTE),
        params:
            code=digest("needlework.engine.servers.predict"),
            model=lambda wildcards: [
                *shlex.split(PLAN.predict_options(wildcards.model)),
                *only_tasks(wildcards),
            ],


if STARTED:

    ruleorder: take_served > predict

    rule take_served:
        input:
            served="<results>/served/{model}.json",
            verified=lambda wildcards: f"<results>/verified/{PLAN.weights_of(wildcards.model)}.json",
        output:
            "<results>/predictions/{model}/{suite}/{length}.jsonl",
        log:
            "<logs>/take_served/{model}/{suite}/{length}.log",
        benchmark:
            "<benchmarks>/take_served/{model}/{suite}/{length}.tsv"
        wildcard_constraints:
            model=either(STARTED),
        localrule: True
        conda:
            CPU
        threads: 1
        resources:
            mem_mb=100,
            runtime=1,
        params:
            answered=f"{RESULTS}/served/{{model}}/{{suite}}/{{length}}.jsonl",
        shell:
            "cp {params.answered:q} {output:q} 2> {log:q}"


if PLAN.study.shards > 1 and REMOTE:

    ruleorder: merge > ask_server


if PLAN.study.shards > 1 and STARTED:

    ruleorder: take_served > merge
