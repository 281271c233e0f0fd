"""The cost of every cell of a study.

The formulas are in `estimate` and `formulas`.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Annotated, Any

from pydantic import Field

from needlework.cost.architectures import Weights, architecture
from needlework.cost.devices import DEVICES, Device, DeviceName, Rates, assumed, home
from needlework.cost.estimate import WEIGHT_BYTES, Bound, CellCost, Estimate, of_work, reserved
from needlework.cost.formulas import costs
from needlework.cost.work import Work, expected
from needlework.parsing import Closed
from needlework.study.definitions import Name
from needlework.study.grid import Cell
from needlework.study.plan import Plan

MEGABYTE = 1e6
TEXT_BYTES = 5.0
"""Of dataset files for each prompt token: 4.3 of released English prompts of 4,096 tokens with the
GPT-NeoX tokenizer, 5.7 of nano ones of 2,048."""
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PlannedCell(Closed):
    """The estimated cost of one cell on one device."""

    model: str
    suite: str
    length: Count
    device: DeviceName
    prompts: Count
    prompt_tokens: Count
    """Of all prompts."""
    shared_tokens: Count
    """Of those, how many need not be read again."""
    answer_tokens: Count
    """At most."""
    flops: float = Field(ge=0, allow_inf_nan=False)
    rows: Count
    """Answers written together."""
    memory_mb: Count
    """Peak on the device, in 10^6 bytes."""
    hours: Hours

    @property
    def read_tokens(self) -> int:
        """Prompt tokens that are computed."""
        return self.prompt_tokens - self.shared_tokens


class TimedCell(PlannedCell):
    """The same, with where its hours go and what they wait for."""

    reading_hours: Hours
    writing_hours: Hours
    starting_hours: Hours
    writing_bound: Bound
    fastest_reading_hours: Hours
    """At the whole peak of the device; 0 where its maker states none."""
    fastest_writing_hours: Hours
    """At its whole peak and bandwidth; 0 likewise."""

    @property
    def fastest_hours(self) -> float:
        """All of it at that, its start as assumed; 0 where its maker states neither."""
        fastest = self.fastest_reading_hours + self.fastest_writing_hours
        return fastest and fastest + self.starting_hours

    @property
    def planned(self) -> PlannedCell:
        """What a plan keeps of it."""
        return PlannedCell.model_validate(self.model_dump(include=set(PlannedCell.model_fields)))


def planned(
    plan: Plan,
    *,
    device: Device | None = None,
    rates: Mapping[str, Rates] | None = None,
    counted: Mapping[Cell, list[Work]] | None = None,
    needs: Mapping[Cell, Set[Name]] | None = None,
) -> list[TimedCell]:
    """The cells of a study, those of models that nothing describes left out.

    Each on its home device when `device` is None; `rates` are measured ones by model, `counted` the
    work of cells whose datasets were counted. `needs` chooses cells, and some tasks of each.
    """
    found = []
    for cell, tasks in (plan.needs() if needs is None else needs).items():
        entry = plan.models[cell.model]
        spec = architecture(Weights.of(entry))
        if spec is None or entry.backend == "server":
            continue  # What servers cost is told apart, in tokens (`cost.served`).
        on = device or home(entry.dtype)
        speed = (rates or {}).get(cell.model) or assumed(on, spec.family, entry.dtype)
        specs = {name: each for name, each in plan.tasks[cell.suite].items() if name in tasks}
        known = dict(zip(plan.tasks[cell.suite], (counted or {}).get(cell, ()), strict=False))
        work = [known[name] for name in specs if name in known] or expected(
            specs.values(),
            samples=plan.study.samples,
            length=cell.length,
            sharing=not spec.one_shot,
        )
        cost = of_work(costs(spec), list(work), dtype=entry.dtype, device=on, rates=speed)
        found.append(_shown(cell, on, cost))
    return found


def _shown(cell: Cell, device: Device, cost: Estimate) -> TimedCell:
    known = cost._asdict()
    timed = ("reading", "writing", "starting", "fastest_reading", "fastest_writing")
    return TimedCell(
        **cell._asdict(),
        **{name: known[name] for name in known.keys() & TimedCell.model_fields.keys()},
        **{f"{name}_hours": known[name] / 3600 for name in timed},
        device=device.name,
        memory_mb=round(cost.memory / MEGABYTE),
        hours=cost.seconds / 3600,
    )


def parts(plan: Plan) -> dict[str, Any]:
    """What commands read as files, by the name of the file: the plan, and what its cells cost."""
    return {**plan.parts(), "costs": [cell.planned for cell in planned(plan)]}


def cell_cost(plan: Plan, cell: Cell, tasks: Collection[Name] | None = None) -> CellCost:
    """What a cell, or some tasks of it, ask a scheduler for, safety factors included."""
    specs = plan.tasks[cell.suite]
    chosen = tuple(spec for task, spec in specs.items() if tasks is None or task in tasks)
    weights = Weights.of(plan.models[cell.model])
    return reserved(weights, chosen, samples=plan.study.samples, length=cell.length)


def undescribed(plan: Plan) -> list[str]:
    """The models whose cost cannot be estimated."""
    return [
        name
        for name, entry in plan.models.items()
        if entry.backend != "server" and not architecture(Weights.of(entry))
    ]


def disk_bytes(plan: Plan, cells: Iterable[PlannedCell]) -> int:
    """Checkpoints once, in the dtype they are used in, and the text of all datasets."""
    # Weights behind an endpoint lie where the server is.
    entries = {Weights.of(entry) for entry in plan.models.values() if entry.endpoint is None}
    described = {each: architecture(each) for each in entries}
    weights = {
        each.checkpoint: costs(spec).parameters * WEIGHT_BYTES[each.dtype]
        for each, spec in described.items()
        if spec is not None
    }
    texts = {(plan.prompts(cell.model), cell.suite, cell.length): cell for cell in cells}
    tokens = sum(cell.prompt_tokens for cell in texts.values())
    return sum(weights.values()) + round(TEXT_BYTES * tokens)


def named_device(name: str | None) -> Device | None:
    """A device of the table; None for each model's own."""
    return None if name is None else next(each for each in DEVICES.values() if each.name == name)
