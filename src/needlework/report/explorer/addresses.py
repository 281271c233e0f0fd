"""Where in the explorer something opens: the cells, or the samples, that a number rests on."""

from collections.abc import Sequence, Set

from needlework.report.layout import Source
from needlework.study.grid import AskedSuite, Grid

SAMPLES = "show=samples"
"""The filter that opens the samples of cells in place of the cells."""


def address(model: str, sources: Sequence[Source], grid: Grid) -> str:
    """Model, suite, length and task as far as one of each is meant; the rest are filters."""
    suite = sources[0].suite
    lengths = list(dict.fromkeys(str(source.length) for source in sources))
    tasks = list(dict.fromkeys(source.task for source in sources))
    parts, filters = [model, suite], []
    if len(lengths) == 1:
        parts += lengths
    elif len(lengths) < len(grid.suites[suite].lengths):
        filters.append(f"lengths={','.join(lengths)}")
    if len(tasks) == len(lengths) == 1:
        parts += tasks
    else:
        filters += _filter(set(tasks), tasks, grid.suites[suite])
    return "/".join(parts) + (f"?{'&'.join(filters)}" if filters else "")


def samples(model: str, sources: Sequence[Source], grid: Grid, *filters: str) -> str:
    """The address of the samples of these cells that pass the filters, each written NAME=VALUE."""
    cells = address(model, sources, grid)
    return cells + ("&" if "?" in cells else "?") + "&".join([SAMPLES, *filters])


def _filter(wanted: Set[str], tasks: Sequence[str], suite: AskedSuite) -> list[str]:
    """What chooses these tasks among those of the suite, in the fewest words."""
    if wanted == set(suite.names()):
        return []
    if len(tasks) == 1:
        return [f"task={tasks[0]}"]
    for name in ("depth", "format"):
        for value in dict.fromkeys(getattr(task, name) for task in suite.tasks):
            same = {task.name for task in suite.tasks if getattr(task, name) == value}
            if value is not None and wanted == same:
                return [f"{name}={value}"]
    return [f"tasks={','.join(tasks)}"]
