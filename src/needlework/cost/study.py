"""The cost of every cell of a study.

The formulas are in `estimate` and `formulas`.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Annotated, Any

from pydantic import Field

from needlework.cost.architectures import Weights, architecture
from needlework.cost.devices import DEVICES, Device, DeviceName, Rates, assumed, home
from needlework.cost.estimate import (
    WEIGHT_BYTES,
    Bound,
    CellCost,
    Estimate,
    of_work,
    reserved,
)
from needlework.cost.formulas import Decoder, costs
from needlework.cost.work import Work, expected
from needlework.parsing import Closed, Line
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

    model: Line
    suite: Line
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
    reading_hours: Hours
    writing_hours: Hours
    starting_hours: Hours
    """To import, tokenize and load the weights, and for what a GPU needs at first."""
    bound: Bound
    """What most of the hours are spent on."""
    bound_share: float | None = Field(ge=0, allow_inf_nan=False)
    """The share of the device's peak that is assumed or was measured there; None where no peak is
    known, or neither compute nor bandwidth is the bound."""
    hours_at_peak: Hours | None
    """Of reading and writing at the peaks of compute and bandwidth; None where one is unknown."""

    @property
    def read_tokens(self) -> int:
        """Prompt tokens that are computed."""
        return self.prompt_tokens - self.shared_tokens


def planned(
    plan: Plan,
    *,
    device: Device | None = None,
    rates: Mapping[str, Rates] | None = None,
    counted: Mapping[Cell, list[Work]] | None = None,
    needs: Mapping[Cell, Set[Name]] | None = None,
) -> list[PlannedCell]:
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
        speed = (rates or {}).get(cell.model) or assumed(on, spec, entry.dtype)
        specs = {name: each for name, each in plan.tasks_of(cell).items() if name in tasks}
        known = dict(zip(plan.tasks_of(cell), (counted or {}).get(cell, ()), strict=False))
        work = [known[name] for name in specs if name in known] or expected(
            specs.values(),
            samples=plan.study.samples,
            length=plan.read_length(cell),
            sharing=plan.shares(cell) and not spec.one_shot,
        )
        decoder, work = costs(spec), list(work)
        cost = of_work(decoder, work, dtype=entry.dtype, device=on, rates=speed)
        at_peak = _at_peak(decoder, work, on, entry.dtype)
        found.append(_shown(cell, on, entry.dtype, cost, speed, at_peak))
    return found


def _at_peak(decoder: Decoder, work: list[Work], device: Device, dtype: str) -> Estimate | None:
    """The cost where every product runs at the peak and all memory is read at full bandwidth."""
    if not (device.peak(dtype) and device.bandwidth):
        return None
    rates = Rates(device.peak(dtype), device.bandwidth)
    return of_work(decoder, work, dtype=dtype, device=device, rates=rates)


def _shown(
    cell: Cell, device: Device, dtype: str, cost: Estimate, speed: Rates, at_peak: Estimate | None
) -> PlannedCell:
    known = cost._asdict()
    return PlannedCell(
        **cell._asdict(),
        **{name: known[name] for name in known.keys() & PlannedCell.model_fields.keys()},
        device=device.name,
        memory_mb=round(cost.memory / MEGABYTE),
        hours=cost.seconds / 3600,
        reading_hours=cost.reading / 3600,
        writing_hours=cost.writing.seconds / 3600,
        starting_hours=cost.starting / 3600,
        bound=cost.bound,
        bound_share=_share(cost.bound, speed, device, dtype),
        hours_at_peak=at_peak and (at_peak.reading + at_peak.writing.seconds) / 3600,
    )


def _share(bound: Bound, speed: Rates, device: Device, dtype: str) -> float | None:
    """How much of the device's peak a bound is taken to reach."""
    peaks = {
        "compute": (speed.flops, device.peak(dtype)),
        "bandwidth": (speed.bandwidth, device.bandwidth),
    }
    reached, peak = peaks.get(bound, (0.0, 0.0))
    return reached / peak if peak else None


def parts(plan: Plan) -> dict[str, Any]:
    """What commands read as files, by the name of the file: the plan, and what its cells cost."""
    return {**plan.parts(), "costs": planned(plan)}


def cell_cost(plan: Plan, cell: Cell, tasks: Collection[Name] | None = None) -> CellCost:
    """What a cell, or some tasks of it, ask a scheduler for, safety factors included."""
    specs = plan.tasks_of(cell)
    chosen = tuple(spec for task, spec in specs.items() if tasks is None or task in tasks)
    weights = Weights.of(plan.models[cell.model])
    return reserved(
        weights,
        chosen,
        samples=plan.study.samples,
        length=plan.read_length(cell),
        sharing=plan.shares(cell),
    )


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
