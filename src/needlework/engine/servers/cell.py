"""One cell answered by a server: the datasets of a suite at one length in, predictions out.

What the journal holds is not asked again, whoever ran the server then; a failure is not written and
gets another chance.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.journal import Journal, Line, read_lines
from needlework.engine.progress import Progress, shown
from needlework.engine.servers.client import Client, RefusedError
from needlework.engine.servers.purse import Purse
from needlework.engine.servers.questions import Asked, Question, Reader, forest_order
from needlework.engine.servers.replies import Reply
from needlework.engine.servers.service import Service, StartError
from needlework.engine.servers.session import Session, each_of
from needlework.errors import ServerError
from needlework.records import LIBRARIES, Prediction, Sample, StopReason
from needlework.scores.shards import Shard
from needlework.study.served import Server

log = logging.getLogger(__name__)

KEEPER_SECONDS = 3.0
"""For the keeper of a server to see that it has ended, and to end itself."""
STARTS = 2
"""Of a server that ends while a cell is asked."""


class Answered(Line):
    """One finished answer of a server."""

    text: str
    reasoning: str | None
    stop_reason: StopReason
    prompt_tokens: int | None
    cached_tokens: int | None
    written_tokens: int | None
    libraries: str
    """What the server said of itself."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything about a run that does not change what is predicted for a sample."""

    name: str = "cell"
    """How progress lines call the cell."""
    others: dict[str, str] = field(default_factory=dict)
    """Written into every prediction, beside what the server says of itself."""
    shard: Shard | None = None
    """The part of the cell that is answered; all of it when None."""
    siblings: Sequence[Path] = ()
    """Journals of other runs of this cell, whose answers are taken over."""
    interruption: Interruption = field(default_factory=Interruption)


class _Row(NamedTuple):
    task: str
    sample: Sample
    question: Question


class _Work(NamedTuple):
    """What answering needs, and what it has found."""

    server: Server
    service: Service
    reader: Reader
    purse: Purse
    setting: Setting
    entries: dict[str, Answered]
    failures: dict[str, str]
    journal: Journal


def predict_cell(
    server: Server,
    service: Service,
    reader: Reader,
    tasks: Mapping[str, Asked],
    *,
    purse: Purse,
    journal: Path,
    setting: Setting | None = None,
) -> list[Prediction]:
    """One prediction for every sample, ordered by task as given and by index.

    Raises:
        ServerError: the server cannot be asked, or not any more; what is answered is kept.
        StoppedError: somebody asked to stop; what is finished is in the journal.
    """
    setting = setting or Setting()
    rows = [_Row(*each) for each in reader.questions(tasks)]
    rows = [row for row in rows if not setting.shard or setting.shard.holds(row.sample.index)]
    with Journal(journal) as lines:
        entries = _known([*setting.siblings, journal])
        work = _Work(server, service, reader, purse, setting, entries, {}, lines)
        _answer_missing(rows, work)
    found = [_prediction(row, work) for row in rows]
    log.info("%s: %s", setting.name, _cost(found, server))
    if short := sum(_is_cut(row, entries) for row in rows):
        log.warning(
            "%s: %d of %d answers were cut before they had as many tokens as the task allows; the "
            "server may have less context than prompt and answer need",
            setting.name,
            short,
            len(rows),
        )
    return found


def _known(journals: Sequence[Path]) -> dict[str, Answered]:
    """Every answer in these journals; the last one of a key counts."""
    found = (read_lines(path, Answered, lambda _: True) for path in journals)
    return {key: entry for entries in found for key, entry in entries.items()}


def _answer_missing(rows: Sequence[_Row], work: _Work) -> None:
    """Ask what is not known, once where two samples are the same question."""
    wanted = {row.question.key: row.question for row in rows}
    total = {key: sum(row.question.key == key for row in rows) for key in wanted} if rows else {}
    missing = [each for key, each in wanted.items() if key not in work.entries]
    if not missing:
        return
    progress = Progress(
        name=work.setting.name,
        samples=len(rows),
        done=sum(total[key] for key in wanted if key in work.entries),
        tokens=sum(len(each.tokens) for each in missing),
        shared=0.0,
    )
    with shown(progress):
        _with_restart(forest_order(missing), work, progress, total)
    if work.setting.interruption.requested and progress.done < progress.samples:
        raise StoppedError(
            f"{work.setting.name} stopped at {progress.done} of {progress.samples} samples; "
            "run it again to continue"
        )


def _with_restart(
    missing: Sequence[Question], work: _Work, progress: Progress, total: Mapping[str, int]
) -> None:
    """Ask all that is missing; a server of ours that ends is started once more."""
    for start in range(1, STARTS + 1):
        done = work.entries.keys() | work.failures.keys()
        left = [each for each in missing if each.key not in done]
        try:
            url = work.service.url(work.setting.interruption)
            asyncio.run(_ask_all(left, url, work, progress, total))
            return
        except StartError:
            raise
        except ServerError as error:
            if work.setting.interruption.requested:
                return  # A job that ends takes its server along.
            # A connection breaks before the keeper has seen why.
            if not work.service.died(within=KEEPER_SECONDS):
                raise
            words = work.service.last_words()
            if start == STARTS:
                raise ServerError(
                    f"{work.setting.name}: the server ended {STARTS} times; its last words: {words}"
                ) from error
            log.warning("the server ended and is started again; its last words: %s", words)


async def _ask_all(
    missing: Sequence[Question],
    url: str,
    work: _Work,
    progress: Progress,
    total: Mapping[str, int],
) -> None:
    service = work.service
    async with Client(
        work.server, url, name=service.model, purse=work.purse, gone=service.died
    ) as client:
        session = await Session.begin(client, url, work.server, work.reader)
        session.check_length(missing)

        async def ask(question: Question) -> None:
            written = 0
            try:
                entry = _entry(question, await session.ask(question), session)
            except RefusedError as error:
                work.failures[question.key] = str(error)
            else:
                written = entry.written_tokens or 0
                work.journal.append([entry])
                work.entries[question.key] = entry
            progress.finish(total[question.key], read=len(question.tokens), written=written)

        many = work.server.concurrency
        asking = work.setting.interruption
        # The first one alone finds out how the server is to be asked, and where the server does not
        # say how much it takes, whether it takes the longest.
        first = missing[0] if session.facts.longest else max(missing, key=_room)
        others = [each for each in missing if each is not first]
        await each_of([first], ask, at_a_time=1, interruption=asking)
        await each_of(others, ask, at_a_time=many, interruption=asking)


def _room(question: Question) -> int:
    """Tokens that a question and its answer take."""
    return len(question.tokens) + question.limit


def _entry(question: Question, reply: Reply, session: Session) -> Answered:
    """A reply as the journal keeps it.

    Raises:
        RefusedError: the server broke it off.
    """
    if reply.end == "refused":
        raise RefusedError(200, "the answer was broken off, by a filter or an error")
    libraries = f"{session.facts.told(reply.fingerprint)}, prompts as {session.form}"
    return Answered(
        key=question.key,
        text=reply.text,
        reasoning=reply.reasoning,
        stop_reason=reply.end,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        written_tokens=reply.written_tokens,
        libraries=libraries,
    )


def _prediction(row: _Row, work: _Work) -> Prediction:
    entry = work.entries.get(row.question.key)
    prompt_tokens = len(row.question.tokens)
    if entry is None:
        error = work.failures[row.question.key]
        told = {LIBRARIES: work.server.name}
        written, cached, reason = 0, 0, "failed"
    else:
        error, told, reason = None, {LIBRARIES: entry.libraries}, entry.stop_reason
        prompt_tokens = entry.prompt_tokens or prompt_tokens
        written, cached = entry.written_tokens or 0, entry.cached_tokens or 0
    return Prediction.model_validate(
        {
            "task": row.task,
            "index": row.sample.index,
            "pred": "" if entry is None else entry.text,
            "outputs": row.sample.outputs,
            "stop_reason": reason,
            "error": error,
            "prompt_tokens": prompt_tokens,
            "shared_tokens": min(cached, prompt_tokens),
            "generated_tokens": written,
            "others": work.setting.others | told,
            "reasoning": None if entry is None else entry.reasoning,
        }
    )


def _is_cut(row: _Row, entries: Mapping[str, Answered]) -> bool:
    """Whether an answer ended at a limit that is not ours."""
    entry = entries.get(row.question.key)
    if entry is None or entry.stop_reason != "limit" or entry.written_tokens is None:
        return False
    return entry.written_tokens < row.question.limit


def _cost(found: Sequence[Prediction], server: Server) -> str:
    """What a cell cost in tokens, and in money where prices are known."""
    read = sum(each.prompt_tokens for each in found if each.error is None)
    cached = sum(each.shared_tokens for each in found if each.error is None)
    written = sum(each.generated_tokens for each in found)
    line = f"{read:,} tokens in, {cached:,} of them from the server's cache, {written:,} out"
    if server.prices is None:
        return line
    return f"{line}, at a cost of {server.prices.of(read=read, written=written, cached=cached):.6g}"
