# The only place that reads `config`: it becomes a PLAN, and rules receive the slice they need.
import os
import re
import shlex
import sys
from pathlib import Path

from pydantic_core import to_json

from needlework import installed
from needlework.cluster import progress, slurm
from needlework.cost import study as cost
from needlework.errors import NeedleworkError
from needlework.report.explorer.sources import fingerprint
from needlework.sources import digest
from needlework.study import file, paper, plan

# A study given with --configfile stands alone; where none is, --config changes the default one.
if not workflow.configfiles and config.keys() <= workflow.config_settings.config.keys():

    configfile: str(installed.find("config/config.yaml"))


CONFIGFILE = os.path.relpath(next(reversed(workflow.configfiles), "FILE"))

try:
    # Read again from the file: what Snakemake made of it has lost what was written.
    asked = file.asked(config, workflow.configfiles, workflow.config_settings.config)
    PLAN = plan.resolve(asked, Path("config"))
    CLUSTER = slurm.read_cluster(Path("config/cluster.yaml"))
    PLAN.lock.refuse_unlocked(PLAN.repositories(), study=CONFIGFILE)
except NeedleworkError as error:
    print(f"needlework: {error}", file=sys.stderr)
    sys.exit(2)

RESULTS, LOGS = Path("results", PLAN.study.study), Path("logs", PLAN.study.study)
CELLS = PLAN.grid().cells()
for line in PLAN.shows.left_out:
    print(f"needlework: study config: {line}", file=sys.stderr)
RUN = progress.watched(RESULTS, Path("logs"), workflow)
PARTS = {part: to_json(content).decode() for part, content in cost.parts(PLAN).items()}
SHOWN = PLAN.shows  # What the study shows: the rules, the review and the explorer go by it.
SCORE_TABLES, MODEL_TABLES = SHOWN.named("score"), SHOWN.named("models")
WHY_TABLES = SHOWN.named("failures", "distance", "likelihood")
FIGURES = [figure.name for figure in SHOWN.figures]
TABLE_KINDS, FIGURE_KINDS = ["md", "tex", "csv"], [".svg", ".png", ".pdf", ".html"]
PUBLISHED = [str(installed.find(f"resources/published/{name}.csv")) for name in paper.SCORES]


def either(names):
    """A pattern for one of these names; for nothing at all where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


pathvars:
    results=str(RESULTS),
    logs=str(LOGS),
    benchmarks=str(RESULTS / "benchmarks"),


wildcard_constraints:
    model="|".join(map(re.escape, PLAN.models)),
    suite="|".join(map(re.escape, PLAN.tasks)),
    length="[0-9]+",
    prompts="|".join({re.escape(PLAN.prompts(model)) for model in PLAN.models}),
    task="|".join(PLAN.all_tasks),
    tables="[a-z][a-z0-9_+]*",
    part="|".join(map(re.escape, PARTS)),
    table=either(SCORE_TABLES),
    models_table=either(MODEL_TABLES),
    why_table=either(WHY_TABLES),
    comparison=either(SHOWN.comparisons),
    figure=either(FIGURES),


# Jobs find `needlework` beside the Snakemake that started them, unless their environment has one.
# Only `external` reaches for the network: nodes that compute may have none.
PROGRAMS = shlex.quote(str(Path(sys.executable).parent)).replace("{", "{{").replace("}", "}}")
shell.prefix(f'set -euo pipefail; export PATH="$PATH":{PROGRAMS} HF_HUB_OFFLINE=1; ')
