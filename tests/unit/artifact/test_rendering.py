"""What a review renders again depends on what a study is about."""

import shutil
from pathlib import Path

import yaml
from pydantic_core import to_json

from needlework.artifact.rendering import Output, outputs
from needlework.cost.study import parts
from needlework.paper.outputs import OUTPUTS
from needlework.study import plan as plans
from tests.study_for_tests import estimates
from tests.unit.report.test_tables import cells_file

TEMPLATES = Path("reports/templates")


def unpacked(folder: Path, config: str, **changed: object) -> list[Output]:
    """The outputs of an artifact with a study of `config`, of which only cells are computed."""
    keys = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    plan = plans.resolve(keys | changed, Path("config"))
    for part, content in parts(plan).items():
        path = folder / f"artifact/study/plan/{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_json(content))
    published = folder / "artifact/inputs/resources/published"
    shutil.copytree("resources/published", published)
    (folder / "again").mkdir()
    cells_file(folder / "again", estimates(plan))
    return list(outputs(folder / "artifact", folder / "again", TEMPLATES, OUTPUTS))


def test_a_study_of_published_models_is_compared_again(tmp_path: Path) -> None:
    found = unpacked(tmp_path, "config/paper-corrected.yaml", models=["mamba2", "rwkv6"])
    beside = [each for each in found if "comparison" in each.command or "agreement" in each.command]
    assert len(beside) == 17 + 1
    for output in (beside[0], beside[-1]):
        output.make()
        assert all((tmp_path / "again" / name).stat().st_size > 0 for name in output.names)


def test_a_hazard_study_has_its_own_page_and_no_tables(tmp_path: Path) -> None:
    found = unpacked(tmp_path, "config/hazards.yaml")
    assert {name.partition("/")[0] for each in found for name in each.names} == {
        "explorer.html",
        "figures",
        "hazards.csv",
        "hazards.md",
    }
