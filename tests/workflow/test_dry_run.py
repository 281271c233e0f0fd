"""What would run: everything at first, nothing again, and after a change what depends on it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import edit, give_weights, planned, run_snakemake

PAGES = {
    "agreement",
    "audit",
    "claims",
    "explorer",
    "findings",
    "published_claims",
    "results",
    "summary",
}
"""Rules that only show what others made, and take a moment; which of them runs is not counted."""
SHOWN = {"table": 17, "explain": 2, "figure": 8}
"""What shows scores, or labels."""
REPORTS = {"collect": 1, "diagnose": 1} | SHOWN
"""What follows from any score."""


def change_revision(project: Path) -> None:
    edit(project / "config/models.yaml", "checkpoint: resources/nano/llama", "checkpoint: llama2")
    (project / "resources/nano/llama").rename(project / "llama2")


def change_label(project: Path) -> None:
    edit(project / "config/models.yaml", "label: Llama", "label: Llama (GQA)")


def change_task(project: Path) -> None:
    edit(project / "config/tasks.yaml", "haystack: needle, tok", "haystack: needle, keys: 2, tok")


def change_samples(project: Path) -> None:
    edit(project / "config/config.yaml", "samples: 50", "samples: 60")


def change_template(project: Path) -> None:
    edit(project / "reports/templates/table.md.j2", "Underlined:", "With a line:")


def change_scoring(project: Path) -> None:
    edit(project / "src/needlework/scores/cells.py", "without a prediction", "with no prediction")


def change_drawing(project: Path) -> None:
    edit(project / "src/needlework/report/needles.py", "size=14", "size=15")


def add_model(project: Path) -> None:
    edit(project / "config/config.yaml", "- nano-llama", "- nano-llama\n- nano-rwkv6")
    give_weights(project, "nano-rwkv6")


CHANGES: list[tuple[Callable[[Path], None], dict[str, int]]] = [
    (
        change_revision,
        {"plan": 1, "verify_model": 1, "predict": 4, "score": 4, "models_table": 1} | REPORTS,
    ),
    (change_label, {"plan": 1, "models_table": 1, "diagnose": 1} | SHOWN),
    (
        # Tables 2 to 4, and two figures, show the other suite.
        change_task,
        {"plan": 1, "dataset": 2, "predict": 4, "score": 4} | REPORTS | {"table": 14, "figure": 5},
    ),
    (change_samples, {"plan": 2, "dataset": 68, "predict": 8, "score": 8} | REPORTS),
    (change_template, {"table": 17}),
    (change_scoring, {"score": 8, "models_table": 1} | REPORTS),
    (change_drawing, {"figure": 8}),
    (
        add_model,
        {"plan": 4, "verify_model": 1, "predict": 4, "score": 4, "models_table": 1} | REPORTS,
    ),
]


def counted(project: Path, *words: str) -> dict[str, int]:
    """Jobs by rule that a dry run would start, the pages aside."""
    return {rule: jobs for rule, jobs in planned(project, *words).items() if rule not in PAGES}


def test_a_fresh_clone_plans_every_job(made: Path) -> None:
    """One dataset per task and length, one cell per model, suite and length."""
    assert counted(made, "--forceall") == {
        "plan": 36,
        "dataset": 2 * 13 + 2 * 21,
        "verify_model": 2,
        "predict": 8,
        "score": 8,
        "models_table": 1,
        **REPORTS,
    }


LONE: dict[str, dict[str, int]] = {
    "table_1": {"dataset": 26, "predict": 4, "score": 4, "table": 1},
    "table_2": {"dataset": 21, "predict": 2, "score": 2, "table": 1},
    "table_4": {"dataset": 18, "predict_part": 4, "score_part": 4, "table": 1},
    "table_5": {"models_table": 1},
    "table_6": {"dataset": 2, "predict_part": 4, "score_part": 4, "table": 1},
    "table_06": {"dataset": 2, "predict_part": 4, "score_part": 4, "table": 1},
    "results/nano/tables/table_06.md": {
        "dataset": 2,
        "predict_part": 4,
        "score_part": 4,
        "table": 1,
    },
}


@pytest.mark.parametrize("target", LONE)
def test_a_lone_table_computes_what_it_shows(project: Path, target: str) -> None:
    shutil.rmtree(project / "results")
    jobs = planned(project, target)
    shared = {"verify_model", "plan", target}
    assert {rule: count for rule, count in jobs.items() if rule not in shared} == LONE[target]
    assert jobs["verify_model"] == 2


def test_a_table_of_a_finished_study_is_there(made: Path) -> None:
    assert planned(made, "table_6") == {}


def test_a_target_that_a_rule_has_is_refused(project: Path) -> None:
    keys = yaml.safe_load((project / "config/config.yaml").read_text(encoding="utf-8"))
    keys["tables"] = [{"name": "score", "suite": "ruler"}]
    (project / "config/config.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    done = run_snakemake(project, "-n")
    assert done.returncode == 2
    assert "tables: score is the name of a rule; choose another" in done.stderr


def test_a_second_run_has_nothing_to_do(made: Path) -> None:
    assert planned(made) == {}


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[c.__name__ for c, _ in CHANGES])
def test_a_change_reruns_what_depends_on_it(
    project: Path, change: Callable[[Path], None], expected: dict[str, int]
) -> None:
    change(project)
    assert counted(project) == expected
