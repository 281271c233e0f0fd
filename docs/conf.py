"""The site: every page of the repository, read where it stands (`make docs`)."""

project = "needlework"
extensions = ["myst_parser"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "config/README.md",
    "docs/*.md",
    "reports/**.md",
]
html_theme = "furo"
html_title = "needlework"
myst_heading_anchors = 4
# Tables and comparisons are reached from the report and not listed; `cmd …` blocks are plain text.
suppress_warnings = ["toc.not_included"]
