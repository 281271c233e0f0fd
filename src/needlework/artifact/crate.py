"""An artifact's description for machines: RO-Crate 1.1 with the Workflow Run profile.

The vocabulary is that of https://w3id.org/ro/wfrun/workflow/0.5. No file is read here.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

CRATE_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
WORKFLOW = "inputs/workflow/Snakefile"
RUN = "#run"
README = "README.md"
AUTHORS = "#authors"
KINDS = {
    "": "text/plain",
    ".cfg": "text/plain",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".smk": "text/plain",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}

Entity = dict[str, Any]


def crate(
    study: str,
    names: Sequence[str],
    digests: Mapping[str, str],
    *,
    sizes: Mapping[str, int],
    date: str,
    version: str,
) -> Entity:
    """The content of `ro-crate-metadata.json` for files of these names."""
    files = [_file(name, digests.get(name), sizes.get(name), version) for name in names]
    graph = [_descriptor(), _root(study, names, date), *files, *_context(study, names, date)]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def readme(study: str, version: str) -> str:
    """What a person reads first: what this is, and how to check it."""
    return f"""# needlework study {study}

Everything behind the tables: config and workflow (`inputs/`), datasets, predictions, scores,
tables, figures and claims (`study/`), packages and what predicted each cell (`environment.json`),
the SHA-256 of every file (`manifest.json`), and a description for machines
(`ro-crate-metadata.json`: RO-Crate 1.1, Workflow Run profile 0.5).

To check that the tables follow from the predictions, without GPU or network, in a checkout of
needlework {version} (`pip install .`, or `make .venv/ready` there):

    needlework review artifact.zip

Start with `study/report.md`, or open `study/explorer.html` in a browser: every number there leads
to its samples.
"""


def _descriptor() -> Entity:
    return {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": [{"@id": CRATE_SPECIFICATION}, {"@id": PROFILES[-1]}],
        "about": {"@id": "./"},
    }


def _root(study: str, names: Sequence[str], date: str) -> Entity:
    main = {"mainEntity": {"@id": WORKFLOW}} if WORKFLOW in names else {}
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"needlework study {study}",
        "description": "Datasets, predictions, scores, tables and claims of a study of how far "
        "language models read, with the digest of every file.",
        "datePublished": date,
        "license": {"@id": LICENCE},
        "conformsTo": [{"@id": profile} for profile in PROFILES],
        "hasPart": [{"@id": name} for name in names],
        "mentions": {"@id": RUN},
        **main,
    }


def _file(name: str, digest: str | None, size: int | None, version: str) -> Entity:
    entity: Entity = {"@id": name, "@type": "File", "name": PurePosixPath(name).name}
    if name == WORKFLOW:
        entity["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
        entity["programmingLanguage"] = {"@id": SNAKEMAKE}
        entity["conformsTo"] = {"@id": WORKFLOW_PROFILE}
        entity["author"] = {"@id": AUTHORS}
        entity["license"] = {"@id": LICENCE}
        entity["version"] = version
    if name == README:
        entity["about"] = {"@id": "./"}
    return (
        entity
        | {"encodingFormat": KINDS.get(PurePosixPath(name).suffix, "application/octet-stream")}
        | ({"sha256": digest} if digest else {})
        | ({"contentSize": str(size)} if size is not None else {})
    )


def _context(study: str, names: Sequence[str], date: str) -> Iterator[Entity]:
    """The run itself, and what the crate refers to."""
    inputs, results = (
        [{"@id": name} for name in names if name.startswith(f"{folder}/")]
        for folder in ("inputs", "study")
    )
    yield {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"Run of study {study}",
        "description": "Snakemake made the results from the inputs; environment.json names the "
        "packages and what predicted each cell.",
        "instrument": {"@id": WORKFLOW},
        "object": inputs,
        "result": results,
        "endTime": date,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    yield {
        "@id": SNAKEMAKE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
        "url": {"@id": "https://snakemake.readthedocs.io"},
    }
    yield {
        "@id": WORKFLOW_PROFILE,
        "@type": "CreativeWork",
        "name": "Bioschemas ComputationalWorkflow",
        "version": "1.0-RELEASE",
    }
    # As CITATION.cff has it; who ran the study is written nowhere, so the run names nobody.
    yield {"@id": AUTHORS, "@type": "Organization", "name": "The needlework authors"}
    yield {"@id": LICENCE, "@type": "CreativeWork", "name": "Apache License 2.0"}
    for profile in PROFILES:
        *_, name, version = profile.split("/")
        yield {"@id": profile, "@type": "CreativeWork", "name": name, "version": version}
