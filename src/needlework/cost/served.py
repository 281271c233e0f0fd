"""What the cells of served models cost: tokens and, where prices are known, money.

It is an upper bound: no cache of the server is counted on, and every answer is as long as its task
allows.
"""

from collections.abc import Iterator, Mapping, Sequence, Set

from needlework.cost.study import cell_cost
from needlework.cost.work import expected
from needlework.parsing import Closed
from needlework.study.definitions import Name
from needlework.study.grid import Cell
from needlework.study.plan import Plan
from needlework.study.serving import cells_of
from needlework.study.shown import RunName

SHORT_PROMPTS = 3
"""By which what a server has loaded is compared with the weights."""


class ServedCost(Closed):
    """The most that one cell of a served model can cost."""

    model: str
    suite: str
    length: int
    questions: int
    prompt_tokens: int
    answer_tokens: int
    money: float | None
    """In the currency of the entry's prices; None where it has none."""


def served_costs(plan: Plan, *, needs: Mapping[Cell, Set[Name]] | None = None) -> list[ServedCost]:
    """The cells of models that a server answers for; `needs` chooses cells, and tasks of each."""
    found = []
    for cell, tasks in (plan.needs() if needs is None else needs).items():
        entry = plan.models[cell.model]
        if entry.backend != "server":
            continue
        specs = [spec for name, spec in plan.tasks[cell.suite].items() if name in tasks]
        samples = plan.study.samples
        length = plan.read_length(cell)
        work = list(expected(specs, samples=samples, length=length, sharing=False))
        read, written = sum(each.asked for each in work), sum(each.written for each in work)
        prices = entry.prices
        found.append(
            ServedCost(
                **cell._asdict(),
                questions=sum(each.samples for each in work),
                prompt_tokens=read,
                answer_tokens=written,
                money=None if prices is None else prices.of(read=read, written=written),
            )
        )
    return found


def first_questions(plan: Plan, run: RunName) -> ServedCost:
    """The most that is asked beside the cells: of the first one some samples twice and the
    beginnings of three, and of every cell a prompt that shows whether token ids are taken.
    """
    entry, cells = plan.models[run], cells_of(plan, run)
    suite, length = cells[0].suite, cells[0].length
    specs = plan.tasks[suite].values()
    twice = min(entry.repeated, plan.study.samples * len(specs))
    questions = 1 + 2 * twice + SHORT_PROMPTS
    ids = [each.length for each in (cells[0], *plan.cells()) if each.model == run]
    ids = ids if entry.api == "completions" else []
    read = questions * length + sum(ids)
    written = questions * max(spec.tokens_to_generate for spec in specs) + len(ids)
    prices = entry.prices
    return ServedCost(
        model=run,
        suite=suite,
        length=length,
        questions=questions + len(ids),
        prompt_tokens=read,
        answer_tokens=written,
        money=None if prices is None else prices.of(read=read, written=written),
    )


def lines(plan: Plan, costs: Sequence[ServedCost]) -> Iterator[str]:
    """The cells as people read them, a sum for every model, and what a budget says to it."""
    row = "{:<22}  {:<12}  {:>6}  {:>9}  {:>13}  {:>12}  {:>12}"
    yield row.format("on a server", "suite", "length", "questions", "tokens in", "out", "money")
    for model in dict.fromkeys(each.model for each in costs):
        own = [each for each in costs if each.model == model]
        for each in own:
            yield row.format(each.model, each.suite, each.length, *_numbers([each]))
        own.append(first_questions(plan, model))
        yield row.format(model, "asked twice", "", *_numbers(own[-1:]))
        yield row.format(model, "all", "", *_numbers(own))
        entry = plan.models[model]
        most = sum(each.money or 0 for each in own)
        if entry.budget is not None:
            verdict = "is enough" if most <= entry.budget else "may stop it before its end"
            yield f"{model}: at most {most:.4g}; the budget of {entry.budget:g} {verdict}"
    yield "- tokens of servers: at most, nothing from their caches"


def _numbers(costs: Sequence[ServedCost]) -> list[str]:
    known = all(each.money is not None for each in costs)
    return [
        f"{sum(each.questions for each in costs):,}",
        f"{sum(each.prompt_tokens for each in costs):,}",
        f"{sum(each.answer_tokens for each in costs):,}",
        f"{sum(each.money or 0 for each in costs):.4g}" if known else "no prices",
    ]


def minutes(plan: Plan, run: RunName) -> int:
    """What the job of a server that it starts asks a scheduler for, all its cells together."""
    return sum(cell_cost(plan, cell).runtime_minutes for cell in cells_of(plan, run))


def megabytes(plan: Plan, run: RunName) -> int:
    """The main memory of that job."""
    return max(cell_cost(plan, cell).memory_mb for cell in cells_of(plan, run))
