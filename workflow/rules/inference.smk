# One cell - a model on a suite at a length - is one job on one device. A killed job resumes from
# its journal, which lies beside the predictions and is no output: Snakemake never deletes it.
rule predict:
    input:
        datasets=cell_datasets,
        model=lambda wildcards: PLAN.model_files(wildcards.model),
        tasks="<results>/plan/{suite}.json",
    output:
        "<results>/predictions/{model}/{suite}/{length}.jsonl",
    log:
        "<logs>/predict/{model}/{suite}/{length}.log",
    benchmark:
        "<benchmarks>/predict/{model}/{suite}/{length}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        code=digest("needlework.engine.predict"),
        model=lambda wildcards: PLAN.predict_options(wildcards.model),
    shell:
        "needlework predict {output} {input.datasets} {params.model} --tasks {input.tasks}"
        " --threads {threads} --memory {resources.mem_mb} 2>&1 | tee {log}"
