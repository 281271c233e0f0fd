"""A budget that answers count against which were paid for and never arrived."""

from pathlib import Path

import pytest

from needlework.errors import ServerError
from tests import servers_for_tests as faults
from tests.asking_for_tests import ask, echoing, model, tasks
from tests.servers_for_tests import Fault, Loopback, serving

PRICES = {"input": 100_000.0, "output": 1_000_000.0}
"""5 tokens in for 0.5, each token out for 1: a question is at most 4.5 and costs 1.5."""
ANSWERED = 1.5 * 3
"""Whether token ids are taken, and two questions."""


def spent(folder: Path, server: Loopback) -> float:
    with serving(server):
        keys = {"prices": PRICES, "budget": 100.0, "timeout": 1.0}
        ask(folder, model(server.url, **keys), tasks(1))
    return float((folder / ".spent").read_text())


@pytest.mark.parametrize(
    "fault",
    [faults.stall, faults.cut_off, faults.web_page, faults.no_json, faults.status(504)],
    ids=["stall", "truncated body", "HTML", "invalid JSON", "504"],
)
def test_what_may_have_been_answered_counts_as_spent(fault: Fault, tmp_path: Path) -> None:
    assert spent(tmp_path, echoing(faults=[None, fault])) == ANSWERED + 4.5


@pytest.mark.parametrize("fault", [faults.status(429), faults.status(500)], ids=["429", "500"])
def test_what_was_turned_away_costs_nothing(fault: Fault, tmp_path: Path) -> None:
    assert spent(tmp_path, echoing(faults=[None, fault])) == ANSWERED


def test_lost_answers_do_not_pass_a_budget(tmp_path: Path) -> None:
    """A proxy that cuts every answer had the same question paid for again and again."""
    server = echoing(faults=[None] + [faults.cut_off] * 99)
    with serving(server), pytest.raises(ServerError, match=r"budget of 12 .* raise `budget`"):
        ask(tmp_path, model(server.url, prices=PRICES, budget=12.0), tasks(1))
    # 1.5 for the first, and two that were lost.
    assert len(server.asked) == 3
    assert float((tmp_path / ".spent").read_text()) == 1.5 + 2 * 4.5
