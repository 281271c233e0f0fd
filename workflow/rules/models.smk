# The nano models are part of the repository. `snakemake train_nano` trains them anew beside it, by
# the recipe behind the shipped ones; a killed run continues from its last checkpoint.
NANO = ["griffin", "llama", "mamba2", "mamba2attn", "rwkv6", "transformerpp"]


rule train_nano:
    input:
        expand("results/nano-models/{architecture}/model.safetensors", architecture=NANO),
    localrule: True


rule train_nano_model:
    output:
        multiext(
            "results/nano-models/{architecture}/", "config.json", "model.safetensors", "card.md"
        ),
    log:
        "logs/nano-models/{architecture}.log",
    benchmark:
        "benchmarks/nano-models/{architecture}.tsv"
    wildcard_constraints:
        architecture="|".join(NANO),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=digest("needlework.training.training"),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "needlework train-nano {wildcards.architecture:q} {params.folder:q} 2>&1 | tee {log:q}"


# Before a checkpoint may answer, its tensors are accounted for, and its logits, read as a cell reads,
# compared with those of another library. A failure stops the cells of this model; the others go on.
rule verify_model:
    input:
        lambda wildcards: PLAN.checkpoint_files(wildcards.model),
    output:
        "<results>/verified/{model}.json",
    log:
        "<logs>/verify/{model}.log",
    benchmark:
        "<benchmarks>/verify/{model}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        **CLUSTER.words(),
        # In the dtype that answers, and as the other library holds it, in float32.
        mem_mb=lambda wildcards, attempt: CLUSTER.megabytes(
            2 * first_cost(wildcards.model).memory_mb, attempt
        ),
        runtime=lambda wildcards, attempt: CLUSTER.minutes(60, attempt),
    params:
        code=lambda wildcards: code_for(wildcards.model, "needlework.engine.verification"),
        model=lambda wildcards: shlex.split(PLAN.checkpoint_options(wildcards.model)),
    shell:
        "needlework verify-model {output:q} {params.model:q} --threads {threads:q} 2>&1 | tee {log:q}"
