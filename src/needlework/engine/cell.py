"""One cell: the datasets of a suite at one length, answered by one model.

Knows samples, predictions and the journal; does not know how prompts are read or where files lie.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.journal import Entry, Journal, entry_key, read_entries
from needlework.engine.memory import limits_for
from needlework.engine.prefixes import Tokens, computed_tokens, plan_forest, plan_separately
from needlework.engine.progress import Progress, shown
from needlework.engine.running import Engine, Question
from needlework.engine.schedule import Limits
from needlework.engine.stopping import Decoding, Pieces, StopRule
from needlework.errors import EngineError
from needlework.models.decoder import Decoder
from needlework.records import Prediction, Sample
from needlework.scoring import Metric
from needlework.shards import Shard
from needlework.tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The samples of one task and how they are answered."""

    samples: Sequence[Sample]
    tokens_to_generate: int
    metric: Metric


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything about a run that does not change what is predicted for a sample."""

    name: str = "cell"
    """How progress lines call the cell."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Written into every prediction."""
    limits: Limits | None = None
    """How much may be in memory at a time; from `memory` when None."""
    memory: int | None = None
    """Bytes the cell may use; half of what is free when None."""
    share: bool = True
    shard: Shard | None = None
    """The part of the cell that is answered; all of it when None. The accounts are the cell's."""
    siblings: Sequence[Path] = ()
    """Journals of other runs of this cell, whose answers are taken over."""
    interruption: Interruption = field(default_factory=Interruption)


class Reader(BaseModel):
    """Who answers, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revision: str
    config: str
    """A digest of the decoder's configuration, switched-on hazards included."""
    dtype: str
    tokenizer: str
    decoding: Decoding


class Identity(BaseModel):
    """What decides an answer, the prompt's tokens aside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reader: Reader
    limit: int
    outputs: tuple[str, ...]
    metric: Metric
    address: tuple[str | int, ...]


def predict_cell(
    decoder: Decoder,
    tokenizer: Tokenizer,
    datasets: Mapping[str, Dataset],
    *,
    revision: str,
    journal: Path,
    decoding: Decoding | None = None,
    setting: Setting | None = None,
) -> list[Prediction]:
    """One prediction for every sample, ordered by task as given and by index.

    What the journal holds under the same revision, prompt and decoding is not computed again. The
    result does not depend on the journal, on limits or on the order in which answers finish.

    Raises:
        EngineError: the tokenizer and the model do not belong together, or another process works on
            the same journal.
        RecordError: the journal has a broken line that no killed process leaves behind.
        StoppedError: somebody asked to stop; what is finished is in the journal.
    """
    setting = setting or Setting()
    decoding = decoding or Decoding()
    whole = _rows(decoder, tokenizer, datasets, revision, decoding)
    rows = [row for row in whole if not setting.shard or setting.shard.holds(row.sample.index)]
    pieces = Pieces(tokenizer)
    vocabulary = (
        decoder.config.padded_vocabulary if decoding.padded_rows else decoder.config.vocabulary
    )
    engine = Engine(decoder, pieces, decoding, vocabulary, share=setting.share)
    with Journal(journal) as lines:
        entries = {**_taken_over(setting.siblings), **lines.entries()}
        failures = _answer_missing(engine, rows, entries, lines, setting)
    return [
        _prediction(
            row, entries.get(row.key), row.error or failures.get(row.number), pieces, setting
        )
        for row in rows
    ]


def _taken_over(journals: Sequence[Path]) -> dict[str, Entry]:
    """Every entry of all these journals."""
    return {key: entry for path in journals for key, entry in read_entries(path).items()}


@dataclass(frozen=True, slots=True)
class _Row:
    """One sample on its way to a prediction."""

    number: int
    task: str
    sample: Sample
    question: Question
    key: str
    charged: int
    """Prompt tokens that the cell's accounts charge to this sample."""
    error: str | None
    """Why the model cannot be asked."""


def _rows(
    decoder: Decoder,
    tokenizer: Tokenizer,
    datasets: Mapping[str, Dataset],
    revision: str,
    decoding: Decoding,
) -> list[_Row]:
    """Every sample of the cell with its tokens, its key and its share of the work."""
    asked = [
        (task, dataset, sample, tokens)
        for task, dataset in datasets.items()
        for sample, tokens in _tokenized(dataset, tokenizer)
    ]
    prompts = [tokens for *_, tokens in asked]
    _check_vocabulary(prompts, tokenizer, decoder)
    limits = [dataset.tokens_to_generate for _, dataset, *_ in asked]
    errors = [
        _impossible(tokens, limit, decoder) for tokens, limit in zip(prompts, limits, strict=True)
    ]
    charged = _charged(prompts, errors, share=decoder.reads_in_pieces)
    reader = Reader(
        revision=revision,
        config=hashlib.sha256(decoder.config.model_dump_json().encode()).hexdigest(),
        dtype=str(decoder.embedding.weight.dtype),
        tokenizer=tokenizer.identity,
        decoding=decoding,
    )
    end = tokenizer.end if decoding.end_tokens else frozenset()
    rows = []
    for number, (task, dataset, sample, tokens) in enumerate(asked):
        question = _question(task, dataset, sample, tokens, decoding, end)
        key = _key(reader, question)
        rows.append(_Row(number, task, sample, question, key, charged[number], errors[number]))
    return rows


def _question(
    task: str,
    dataset: Dataset,
    sample: Sample,
    tokens: Tokens,
    decoding: Decoding,
    end: frozenset[int],
) -> Question:
    rule = StopRule(
        limit=dataset.tokens_to_generate,
        outputs=sample.outputs,
        metric=dataset.metric,
        decided=decoding.decided,
        end=end,
    )
    return Question(tokens, rule, (task, sample.index) if decoding.kind == "sample" else ())


def _key(reader: Reader, question: Question) -> str:
    rule = question.rule
    identity = Identity(
        reader=reader,
        limit=rule.limit,
        outputs=rule.outputs,
        metric=rule.metric,
        address=question.address,
    )
    return entry_key(identity, question.tokens)


def _tokenized(dataset: Dataset, tokenizer: Tokenizer) -> list[tuple[Sample, Tokens]]:
    """The samples in the order of their index, as the model reads them."""
    samples = sorted(dataset.samples, key=lambda sample: sample.index)
    encoded = tokenizer.encode_batch([sample.input for sample in samples])
    return [
        (sample, np.array([*tokenizer.begin, *tokens], dtype=np.int32))
        for sample, tokens in zip(samples, encoded, strict=True)
    ]


def _check_vocabulary(prompts: Sequence[Tokens], tokenizer: Tokenizer, decoder: Decoder) -> None:
    largest = max((int(tokens.max()) for tokens in prompts if len(tokens)), default=0)
    known = decoder.config.vocabulary
    if largest >= known:
        raise EngineError(
            f"tokenizer {tokenizer.identity} made token {largest}, but the model knows {known}; "
            "name the tokenizer that belongs to the checkpoint"
        )


def _impossible(tokens: Tokens, limit: int, decoder: Decoder) -> str | None:
    """Why this prompt cannot be answered, whatever the memory."""
    positions = decoder.config.positions
    if not len(tokens):
        return "the prompt has no tokens"
    if positions is not None and len(tokens) + limit > positions:
        return (
            f"prompt and answer of {len(tokens) + limit} tokens exceed the {positions} positions "
            "of the model; choose a shorter length"
        )
    return None


def _charged(prompts: Sequence[Tokens], errors: Sequence[str | None], *, share: bool) -> list[int]:
    """Tokens every prompt pays for when the whole cell shares its prefixes; failed ones none."""
    asked = [number for number, error in enumerate(errors) if error is None]
    plan = plan_forest if share else plan_separately
    computed = computed_tokens(plan([prompts[number] for number in asked]), len(asked))
    charged = dict(zip(asked, computed, strict=True))
    return [charged.get(number, 0) for number in range(len(prompts))]


def _answer_missing(
    engine: Engine, rows: list[_Row], entries: dict[str, Entry], journal: Journal, setting: Setting
) -> dict[int, str]:
    """Compute what `entries` lacks, add it there and to the journal; why some failed, by number."""
    missing = [row for row in rows if row.error is None and row.key not in entries]
    progress = _progress(setting.name, rows, missing)
    questions = [row.question for row in missing]
    longest = max((len(each.tokens) + each.rule.limit for each in questions), default=1)
    limits = setting.limits or limits_for(engine.decoder, longest, memory=setting.memory)
    failures = {}
    with shown(progress):
        for finished in engine.answer(questions, limits, setting.interruption):
            row = missing[finished.prompt]
            if finished.error is not None:
                failures[row.number] = finished.error
            else:
                entry = Entry(key=row.key, tokens=finished.tokens, stop_reason=finished.stop_reason)
                journal.append([entry])
                entries[row.key] = entry
            progress.finish(read=row.charged, written=len(finished.tokens))
    if progress.done < progress.samples:
        raise StoppedError(
            f"{setting.name} stopped at {progress.done} of {progress.samples} samples; "
            "run it again to continue"
        )
    return failures


def _progress(name: str, rows: Sequence[_Row], missing: Sequence[_Row]) -> Progress:
    total = sum(len(row.question.tokens) for row in rows if row.error is None)
    charged = sum(row.charged for row in rows)
    return Progress(
        name=name,
        samples=len(rows),
        done=len(rows) - len(missing),
        tokens=sum(row.charged for row in missing),
        shared=1 - charged / total if total else 0.0,
    )


def _prediction(
    row: _Row, entry: Entry | None, error: str | None, pieces: Pieces, setting: Setting
) -> Prediction:
    tokens = () if entry is None else entry.tokens
    prompt_tokens = len(row.question.tokens)
    return Prediction(
        task=row.task,
        index=row.sample.index,
        pred=pieces.text(list(tokens)),
        outputs=row.sample.outputs,
        stop_reason="failed" if entry is None else entry.stop_reason,
        error=error if entry is None else None,
        prompt_tokens=prompt_tokens,
        shared_tokens=0 if row.error else prompt_tokens - row.charged,
        generated_tokens=len(tokens),
        others=dict(setting.others),
    )
