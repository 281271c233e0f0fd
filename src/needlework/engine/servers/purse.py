"""What the answers of a model may cost in a study: money that is set aside before it is spent.

What was set aside by a job that was killed counts as spent: its questions were under way.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needlework import files
from needlework.engine.servers.replies import Reply
from needlework.errors import ServerError
from needlework.study.served import Server


class Purse:
    """The budget of a model; without one everything is paid for."""

    def __init__(self, server: Server, ledger: Path) -> None:
        self._server = server
        self._ledger = ledger

    def set_aside(self, *, read: int, written: int) -> float:
        """The most that a question can cost, taken from the budget.

        Raises:
            ServerError: the budget does not hold it; nothing is taken then.
        """
        prices, budget = self._server.prices, self._server.budget
        if prices is None or budget is None:
            return 0.0
        most = prices.of(read=read, written=written)
        with self._spent() as spent:
            if spent[0] + most > budget:
                raise ServerError(
                    f"the budget of {budget:g} for {self._server.name} would be passed: "
                    f"{spent[0]:.6g} is spent, the next question may cost {most:.3g}; raise "
                    "`budget`, or ask for fewer samples. What is answered is kept"
                )
            spent[0] += most
        return most

    def settle(self, aside: float, reply: Reply, *, read: int, limit: int) -> None:
        """Give back what an answer did not cost of what was set aside for it."""
        prices = self._server.prices
        if not aside or prices is None:
            return
        written = limit if reply.written_tokens is None else reply.written_tokens
        counted = read if reply.prompt_tokens is None else reply.prompt_tokens
        cost = prices.of(read=counted, written=written, cached=reply.cached_tokens or 0)
        with self._spent() as spent:
            spent[0] += cost - aside

    def give_back(self, aside: float) -> None:
        """Give back what was set aside for a question that the server refused."""
        if aside:
            with self._spent() as spent:
                spent[0] -= aside

    @contextmanager
    def _spent(self) -> Iterator[list[float]]:
        """The sum so far, which may be changed; jobs take turns."""
        self._ledger.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._ledger, os.O_RDWR | os.O_CREAT, 0o666), "r+") as file:
            files.lock(file.fileno(), self._ledger, waits=True)
            spent = [float(file.read() or 0)]
            before = spent[0]
            yield spent
            if spent[0] != before:
                file.seek(0)
                file.truncate()
                file.write(f"{max(0.0, spent[0])!r}\n")
