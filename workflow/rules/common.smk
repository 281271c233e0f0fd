# The only place that reads `config`: it becomes a PLAN, and rules receive the slice they need.
import os
import re
import sys
from pathlib import Path

from pydantic_core import to_json

from needlework import cluster, plan, progress
from needlework.errors import NeedleworkError
from needlework.paper import MODELS as PAPER_MODELS, MODELS_TABLE, NUMBERS
from needlework.report.explorer.page import fingerprint
from needlework.sources import digest

# A study given with --configfile stands alone: it is never mixed with the default one.
if "study" not in config:

    configfile: "config/config.yaml"


CONFIGFILE = os.path.relpath(next(reversed(workflow.configfiles), "FILE"))

try:
    PLAN = plan.resolve(config, Path("config"))
    CLUSTER = cluster.read_cluster(Path("config/cluster.yaml"))
    PLAN.lock.refuse_unlocked(PLAN.repositories(), study=CONFIGFILE)
except NeedleworkError as error:
    print(f"needlework: {error}", file=sys.stderr)
    sys.exit(2)

RESULTS, LOGS = Path("results", PLAN.study.study), Path("logs", PLAN.study.study)
CELLS = PLAN.grid().cells()
RUN = progress.Run(RESULTS, Path("logs"))
PARTS = {part: to_json(content).decode() for part, content in PLAN.parts().items()}
OF_PAPER = PLAN.study.tables == "paper"
TABLES = [f"{number:02}" for number in NUMBERS] if OF_PAPER else list(PLAN.study.tables)
FIGURES = ["cost", "depth_heatmap", "format_bars", "length_curve", "retention_curve"]
FIGURES = FIGURES if OF_PAPER else list(PLAN.study.figures)
TABLE_KINDS = ["md", "tex", "csv"]
FIGURE_KINDS = [".svg", ".png", ".pdf", ".html"]
PAGES = ["audit", "claims", "published_claims", "findings"] if OF_PAPER else []
PAGES += ["agreement"] if OF_PAPER and set(PLAN.models) & set(PAPER_MODELS) else []
PUBLISHED = [f"resources/published/{name}.csv" for name in ("ruler", "depth", "format")]


pathvars:
    results=str(RESULTS),
    logs=str(LOGS),
    benchmarks=f"benchmarks/{PLAN.study.study}",


wildcard_constraints:
    model="|".join(map(re.escape, PLAN.models)),
    suite="|".join(map(re.escape, PLAN.tasks)),
    length="[0-9]+",
    prompts="|".join({re.escape(PLAN.prompts(model)) for model in PLAN.models}),
    task="|".join(PLAN.all_tasks),
    part="|".join(PARTS),
    number="|".join(name for name in TABLES if name != f"{MODELS_TABLE:02}"),
    figure="|".join(FIGURES) or "none",


# Jobs find `needlework` beside the Snakemake that started them, unless their environment has one.
# Only `external` reaches for the network: nodes that compute may have none.
shell.prefix(
    f'set -euo pipefail; export PATH="$PATH:{Path(sys.executable).parent}" HF_HUB_OFFLINE=1; '
)


# Everything between the config and the tables. Targets name it, because Snakemake takes a missing
# file between others for unneeded: after a failed job, which loses its old output, it would say
# "nothing to be done" and leave stale tables.
MADE = expand("<results>/{file}", file=PLAN.made())
