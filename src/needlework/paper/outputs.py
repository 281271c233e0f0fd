"""The paper's pages and comparisons, which a review of an artifact renders again."""

from collections.abc import Iterator
from functools import partial

from needlework.artifact.comparing import EXPLORER
from needlework.artifact.rendering import Again, Output, PageOutput, PresetOutputs
from needlework.paper.agreement_page import write_agreement
from needlework.paper.audit import audit
from needlework.paper.audit_page import write_audit
from needlework.paper.claims import judge
from needlework.paper.claims_page import write_claims
from needlework.paper.comparison_page import write_comparison
from needlework.paper.evidence import read_evidence, read_models
from needlework.paper.published import read_tables
from needlework.paper.second_witness import read_second_witness
from needlework.report.charts import SUFFIXES
from needlework.study.definitions import TableDefinition
from needlework.study.paper import SAMPLES
from needlework.study.presentation import Page


def _tables(made: Again) -> Iterator[Output]:
    """Each table of the paper beside the published one, where the study has its models."""
    for name, table in made.shown().comparisons.items():
        stem = f"tables/{name}"
        yield Output(
            (f"{stem}.md", f"{stem}.csv"),
            f"needlework comparison study/plan/comparisons/{name}.json inputs/resources/published"
            " study/estimates.parquet",
            partial(_comparison, made, table, stem),
        )


def _pages(made: Again) -> dict[Page, PageOutput]:
    published, cells = "inputs/resources/published", "study/estimates.parquet"
    page = (".md", ".csv")
    return {
        "claims": PageOutput(page, "claims study/scores.parquet claims", partial(_claims, made)),
        "published_claims": PageOutput(
            page, f"claims {published} published_claims", partial(_published_claims, made)
        ),
        "audit": PageOutput(page, f"audit {published} --output audit", partial(_audit, made)),
        "agreement": PageOutput(
            (*page, *SUFFIXES),
            f"agreement {published} {cells} agreement",
            partial(_agreement, made),
        ),
    }


OUTPUTS = PresetOutputs(tables=_tables, pages=_pages)


def _comparison(made: Again, table: TableDefinition, stem: str) -> None:
    write_comparison(
        table,
        made.published,
        made.cells,
        made.again / stem,
        grid=made.grid(),
        models=made.models(),
        samples=SAMPLES,
        templates=made.templates,
    )


def _agreement(made: Again) -> None:
    write_agreement(
        made.published,
        made.cells,
        made.again / "agreement",
        study=made.study().study,
        grid=made.grid(),
        models=made.models(),
        samples=SAMPLES,
        templates=made.templates,
    )


def _claims(made: Again) -> None:
    study, grid = made.study(), made.grid()
    evidence = read_evidence(made.scores, samples=SAMPLES, grid=grid, seed=study.seed)
    second = read_second_witness(made.scores, study=study, grid=grid)
    models = read_models(made.path("models"), evidence)
    write_claims(
        judge(evidence, models, second=second),
        made.again / "claims",
        models=models,
        tables=made.shown().claims,
        files={table.name for table in made.shown().tables},
        templates=made.templates,
        inferred=None,
        explorer=EXPLORER,
    )


def _published_claims(made: Again) -> None:
    evidence = read_evidence(made.published, samples=SAMPLES)
    models = read_models(made.path("published_models"), evidence)
    write_claims(
        judge(evidence, models),
        made.again / "published_claims",
        models=models,
        tables=made.shown().claims,
        files=(),
        templates=made.templates,
        inferred=SAMPLES,
        explorer=None,
    )


def _audit(made: Again) -> None:
    result = audit(read_tables(made.published), samples=SAMPLES)
    write_audit(result, made.again / "audit", samples=SAMPLES, templates=made.templates)
