# Samples belong to a tokenizer and a wrapper: models that share both answer the same questions.
rule dataset:
    input:
        lambda wildcards: PLAN.dataset_files(wildcards.prompts, wildcards.task),
    output:
        samples="<results>/data/{prompts}/{length}/{task}.jsonl",
        details="<results>/data/{prompts}/{length}/{task}.details.jsonl",
    log:
        "<logs>/dataset/{prompts}/{length}/{task}.log",
    benchmark:
        "<benchmarks>/dataset/{prompts}/{length}/{task}.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=lambda wildcards: PLAN.dataset_code(wildcards.task),
        request=lambda wildcards: shlex.split(
            PLAN.dataset_options(wildcards.prompts, wildcards.task)
        ),
    shell:
        "needlework dataset --output {output.samples:q} --task {wildcards.task:q}"
        " --length {wildcards.length:q} {params.request:q} 2> {log:q}"
