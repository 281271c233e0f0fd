"""A figure as a person reads it: opened from disk without a network, values under the pointer."""

from pathlib import Path

import pytest

from needlework.report.figures import write_figure
from tests.browser_for_tests import Browser, chromium
from tests.study_for_tests import estimates, figure_of, small_plan
from tests.unit.report.test_tables import scores_file

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="needs a browser: apt-get install chromium"
)


def test_a_figure_shows_its_values_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    plan = small_plan()
    scores = scores_file(tmp_path, estimates(plan))
    write_figure(
        figure_of(plan, "depth_heatmap"),
        [scores],
        tmp_path / "depth_heatmap",
        study="small",
        grid=plan.grid(),
        models=plan.shown(),
    )
    with Browser(tmp_path / "profile") as browser:
        browser.open((tmp_path / "depth_heatmap.html").as_uri())
        browser.wait("document.querySelector('svg g.mark-rect path') !== null")
        place = browser.run(
            "(box => [box.x + box.width / 2, box.y + box.height / 2])"
            "(document.querySelector('svg g.mark-rect path').getBoundingClientRect())"
        )
        for shift in (0, 1):
            browser.call(
                "Input.dispatchMouseEvent", type="mouseMoved", x=place[0] + shift, y=place[1]
            )
        shown = browser.wait("document.querySelector('#vg-tooltip-element.visible')?.innerText")
        assert "95 % interval from" in shown
        assert "50.00" in shown
        assert browser.errors == []
        assert all(url.startswith(("file:", "data:")) for url in browser.requests)
        assert browser.run("document.querySelectorAll('.vega-actions').length") == 0
