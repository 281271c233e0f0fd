# What the numbers are worth: an audit of the published tables, and the paper's claims put to the
# test with its own numbers and with those of this study.
rule audit:
    input:
        published=PUBLISHED,
        template=template("audit.md.j2"),
    output:
        report(
            "<results>/audit.md",
            caption="../../reports/captions/audit.rst",
            category="Judgements",
        ),
        "<results>/audit.csv",
    log:
        "<logs>/audit.log",
    benchmark:
        "<benchmarks>/audit.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.paper.audit_page", "needlework.paper.published"),
        folder=lambda wildcards, input: Path(input.published[0]).parent,
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework audit {params.folder:q} --output {params.stem:q}"
        " --templates {params.templates:q} > {log:q} 2>&1"


rule claims:
    input:
        scores="<results>/scores.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        shown="<results>/plan/shown.json",
        template=template("claims.md.j2"),
    output:
        report(
            "<results>/claims.md",
            caption="../../reports/captions/claims.rst",
            category="Judgements",
        ),
        "<results>/claims.csv",
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.paper.claims_page", "needlework.paper.second_witness"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework claims {input.scores:q} {params.stem:q} --grid {input.grid:q} --models {input.models:q}"
        " --study {input.study:q} --shown {input.shown:q} --explorer explorer.html --templates {params.templates:q} > {log:q} 2>&1"


rule published_claims:
    input:
        published=PUBLISHED,
        models="<results>/plan/published_models.json",
        shown="<results>/plan/shown.json",
        template=template("claims.md.j2"),
    output:
        report(
            "<results>/published_claims.md",
            caption="../../reports/captions/published_claims.rst",
            category="Judgements",
        ),
        "<results>/published_claims.csv",
    log:
        "<logs>/published_claims.log",
    benchmark:
        "<benchmarks>/published_claims.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.paper.claims_page", "needlework.paper.published"),
        folder=lambda wildcards, input: Path(input.published[0]).parent,
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework claims {params.folder:q} {params.stem:q} --models {input.models:q}"
        " --shown {input.shown:q} --templates {params.templates:q} > {log:q} 2>&1"


# Findings: effective length, retention, paired comparisons, and what this sample size can detect.
rule findings:
    input:
        scores="<results>/scores.parquet",
        cells="<results>/estimates.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        controls=CONTROLLED,
        template=template("findings.md.j2"),
    output:
        report(
            "<results>/findings.md",
            caption="../../reports/captions/findings.rst",
            category="Judgements",
        ),
        "<results>/findings.pairs.csv",
        "<results>/findings.bootstrap.csv",
    log:
        "<logs>/findings.log",
    benchmark:
        "<benchmarks>/findings.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=digest("needlework.report.findings"),
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
        controls=lambda wildcards, input: controls_option(input.controls),
    shell:
        "needlework findings {input.scores:q} {input.cells:q} {params.stem:q} --study {input.study:q}"
        " --grid {input.grid:q} --models {input.models:q} --templates {params.templates:q}"
        " {params.controls:q} 2> {log:q}"


# One HTML page in which every number leads to its samples. The digest of the code covers Python
# alone; the page's own sources have one beside it.
rule explorer:
    input:
        MADE,
        diagnosis="<results>/diagnosis.parquet",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        shown="<results>/plan/shown.json",
    output:
        report(
            "<results>/explorer.html",
            caption="../../reports/captions/explorer.rst",
            category="Judgements",
        ),
    log:
        "<logs>/explorer.log",
    benchmark:
        "<benchmarks>/explorer.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=digest("needlework.report.explorer.page"),
        page=fingerprint(),
        folder=RESULTS,
    shell:
        "needlework explorer {params.folder:q} {output:q} --grid {input.grid:q}"
        " --models {input.models:q} --shown {input.shown:q} 2> {log:q}"


# Ours against published, where a study measures the models of the paper.
rule agreement:
    input:
        cells="<results>/estimates.parquet",
        study="<results>/plan/study.json",
        grid="<results>/plan/grid.json",
        models="<results>/plan/models.json",
        published=PUBLISHED,
        template=template("agreement.md.j2"),
    output:
        report(
            multiext("<results>/agreement", ".md", ".csv", *FIGURE_KINDS),
            caption="../../reports/captions/agreement.rst",
            category="Judgements",
        ),
    log:
        "<logs>/agreement.log",
    benchmark:
        "<benchmarks>/agreement.tsv"
    localrule: True
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("needlework.paper.agreement_page"),
        folder=lambda wildcards, input: Path(input.published[0]).parent,
        stem=lambda wildcards, output: Path(output[0]).with_suffix(""),
        templates=lambda wildcards, input: Path(input.template).parent,
    shell:
        "needlework agreement {params.folder:q} {input.cells:q} {params.stem:q}"
        " --study {input.study:q} --grid {input.grid:q} --models {input.models:q}"
        " --templates {params.templates:q} 2> {log:q}"


# What each published defect costs, for studies that are about nothing else.
if PLAN.study.hazards:

    include: "hazards.smk"


# What controls score, for studies that ask for them.
if PLAN.study.controls:

    include: "controls.smk"
