"""Installed: what a review needs is found in a checkout, and an installation has all of it."""

import tomllib
from pathlib import Path

import pytest

from needlework import installed


@pytest.mark.parametrize("name", ["reports/templates", "resources/published", "config/tables"])
def test_every_file_of_the_folder_is_installed(name: str) -> None:
    project = tomllib.loads((installed.CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    (pattern,) = project["tool"]["setuptools"]["data-files"][f"share/needlework/{name}"]
    found = sorted(installed.CHECKOUT.glob(pattern))
    assert found == sorted(path for path in installed.folder(name).iterdir() if path.is_file())


def test_without_a_checkout_the_installation_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "CHECKOUT", tmp_path / "no checkout")
    monkeypatch.setattr(installed, "INSTALLED", tmp_path)
    (tmp_path / "reports/templates").mkdir(parents=True)
    assert installed.folder("reports/templates") == tmp_path / "reports/templates"
