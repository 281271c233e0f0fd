"""What is known of a server before its answers count: who it is, and how it agrees with itself.

Servers that batch may answer the same question otherwise when others are under way, so some samples
are asked twice, in another company.
"""

import asyncio
from collections.abc import Mapping, Sequence

from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.servers.client import Client, RefusedError
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import SENT, Asked, Question, Reader, forest_order
from needlework.engine.servers.service import Service
from needlework.engine.servers.session import Session, each_of
from needlework.engine.servers.weights import TRIAL_TOKENS
from needlework.errors import ServerError
from needlework.study.served import Server
from needlework.study.served_records import Repeats, Served, Trial

TRIALS = 3
TRIAL_CHARACTERS = 160
"""Of a short prompt, at most; it ends with a whole word."""


def record(
    name: str,
    server: Server,
    service: Service,
    reader: Reader,
    tasks: Mapping[str, Asked],
    *,
    purse: Purse,
    asking: Interruption,
) -> Served:
    """What a server says of itself and shows of itself, asked with samples of these tasks.

    Raises:
        ServerError: it cannot be asked, or reads something else than it is sent.
        StoppedError: somebody asked to stop.
    """
    questions = [question for _, _, question in reader.questions(tasks)]
    if not questions:
        raise ServerError(f"{name}: the first cell has no samples to ask the server with")
    chosen = _spread(questions, max(1, server.repeated))
    return asyncio.run(
        _asked(name, server, service.url(asking), service, reader, chosen, purse, asking)
    )


def _spread(questions: Sequence[Question], count: int) -> list[Question]:
    """So many questions, evenly spread over all tasks, none of them twice."""
    unlike = list({each.key: each for each in questions}.values())
    count = min(count, len(unlike))
    return [unlike[place * len(unlike) // count] for place in range(count)]


async def _asked(
    name: str,
    server: Server,
    url: str,
    service: Service,
    reader: Reader,
    chosen: Sequence[Question],
    purse: Purse,
    asking: Interruption,
) -> Served:
    async with Client(server, url, name=service.model, purse=purse, gone=service.died) as client:
        session = await Session.begin(client, url, server, reader)
        session.check_length(chosen)
        await session.ask(chosen[0])
        repeats = await _repeats(session, server, chosen, asking)
        trials = [await _trial(session, each) for each in _short(reader, chosen)]
    if asking.requested:
        raise StoppedError(f"{name} stopped while the server was asked; run it again")
    assert session.form is not None, "the first question found it"
    return Served(
        model=name,
        endpoint=server.endpoint or "serve",
        facts=session.facts,
        fingerprint=session.fingerprint,
        reads=session.form,
        counts=session.counts,
        sent=SENT,
        repeats=repeats,
        trials=tuple(trials),
    )


async def _repeats(
    session: Session, server: Server, chosen: Sequence[Question], asking: Interruption
) -> Repeats:
    """Every question twice: in the order of shared beginnings, then in the opposite one."""
    if not server.repeated:
        return Repeats(asked=0, different=0)
    found: dict[str, list[str]] = {each.key: [] for each in chosen}

    async def ask(question: Question) -> None:
        try:
            found[question.key].append((await session.ask(question)).text)
        except RefusedError as error:
            found[question.key].append(f"refused: {error}")

    ordered = forest_order(chosen)
    for each in (ordered, ordered[::-1]):
        await each_of(each, ask, at_a_time=server.concurrency, interruption=asking)
    different = sum(len(set(texts)) > 1 for texts in found.values())
    return Repeats(asked=len(chosen), different=different)


def _short(reader: Reader, chosen: Sequence[Question]) -> list[Question]:
    """The beginnings of some samples as questions; none where their tokens are not known here."""
    if not reader.exact:
        return []
    cut = (each.text[:TRIAL_CHARACTERS].rpartition(" ")[0] for each in chosen)
    texts = list(dict.fromkeys(text for text in cut if text))[:TRIALS]
    return reader.made(texts, TRIAL_TOKENS, [f"short prompt {n}" for n in range(len(texts))])


async def _trial(session: Session, question: Question) -> Trial:
    """What the server writes after a short prompt.

    Raises:
        ServerError: it refuses it.
    """
    try:
        reply = await session.ask(question)
    except RefusedError as error:
        raise ServerError(f"{question.name}: {error}") from error
    return Trial(tokens=question.tokens, text=reply.text)
