"""A figure as one HTML page that shows values under the pointer, runs nothing but what draws it,
and asks no network for anything.
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from functools import cache
from typing import Any

import vl_convert

from needlework.report.writing import json_in_html

START = (
    'vegaEmbed("#vega-chart",JSON.parse(document.getElementById("chart").textContent),'
    '{renderer:"svg",actions:false,ast:true}).catch(console.error);'
)
"""`ast`: expressions are interpreted, so the page needs no right to make code from text."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
</head>
<body>
<div id="vega-chart"></div>
<script type="application/json" id="chart">{chart}</script>
<script>{script}</script>
</body>
</html>
"""


def page(chart: Mapping[str, Any], *, title: str, version: str) -> str:
    """The page of a chart in the given version of Vega-Lite; equal charts give equal pages."""
    script = _script(version)
    return PAGE.format(
        policy=policy(script, styles="'unsafe-inline'"),
        title=html.escape(title),
        chart=json_in_html(chart),
        script=script,
    )


def policy(script: str, *, styles: str) -> str:
    """A content security policy under which a page runs this script alone and reaches nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src {styles}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _script(version: str) -> str:
    """Vega with all it needs, and what draws the chart of this page."""
    script: str = vl_convert.javascript_bundle(START, version)
    return script
