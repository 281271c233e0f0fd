# The nano models are part of the repository. `snakemake train_nano` trains them anew beside it, by
# the recipe behind the shipped ones; a killed run continues from its last checkpoint.
from needlework.nano.architectures import LAYERS as NANO


rule train_nano:
    input:
        expand("results/nano-models/{architecture}/model.safetensors", architecture=NANO),
    localrule: True


# Two more training runs of each, which differ in their seed alone: an entry of models.yaml names the
# one it repeats (`another_run_of`). Hours of CPU time.
rule train_seeds:
    input:
        expand(
            "results/nano-models/{architecture}-seed{seed}/model.safetensors",
            architecture=NANO,
            seed=[1, 2],
        ),
    localrule: True


rule train_nano_model:
    output:
        multiext(
            "results/nano-models/{architecture}{run}/",
            "config.json",
            "model.safetensors",
            "card.md",
        ),
    log:
        "logs/nano-models/{architecture}{run}.log",
    benchmark:
        "logs/nano-models/{architecture}{run}.tsv"
    wildcard_constraints:
        architecture="|".join(NANO),
        run=r"|-seed[1-9]",
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=digest("needlework.training.training"),
        folder=lambda wildcards, output: Path(output[0]).parent,
        seed=lambda wildcards: wildcards.run.removeprefix("-seed") or "0",
    shell:
        "needlework train-nano {wildcards.architecture:q} {params.folder:q} --seed {params.seed:q}"
        " 2>&1 | tee {log:q}"


# Weights of a fetched GGUF file, rounded to fewer bits: config/quantised.yaml asks what that costs.
rule round_weights:
    input:
        "resources/external/checkpoints/{stem}.gguf",
    output:
        protected("resources/rounded/{stem}-{kind}.gguf"),
    log:
        "logs/rounded/{stem}-{kind}.log",
    benchmark:
        "logs/rounded/{stem}-{kind}.tsv"
    wildcard_constraints:
        kind="F32|F16|BF16|Q4_0|Q4_1|Q5_0|Q5_1|Q8_0",
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=digest("needlework.models.checkpoints.gguf_rounding"),
    shell:
        "needlework round-weights {input:q} {output:q} --to {wildcards.kind:q} 2> {log:q}"


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
        CPU
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
