"""One cell: the datasets of a suite at one length, answered by one model.

Knows samples, predictions and the journal; does not know how prompts are read or where files lie.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np

from needlework.engine import identity
from needlework.engine.compared import Text, texts_of, told
from needlework.engine.decode import NOT_FINITE
from needlework.engine.interruption import Interruption, StoppedError
from needlework.engine.journal import Entry, Journal, read_entries
from needlework.engine.likelihood import Likelihoods
from needlework.engine.memory import free_bytes, limits_for
from needlework.engine.progress import Progress, shown
from needlework.engine.refusing import check_vocabulary, impossible
from needlework.engine.running import Engine, Question
from needlework.engine.schedule import ALONE, Limits
from needlework.engine.stopping import Decoding, Pieces, StopRule
from needlework.errors import EngineError
from needlework.models.decoder import Decoder
from needlework.records import CONFIGURATIONS, LIBRARIES, Prediction, Sample
from needlework.scores.shards import Shard
from needlework.tasks.metrics import Metric
from needlework.tokenizers import Tokenizer
from needlework.tokenizers.prefixes import (
    Reading,
    Segment,
    Tokens,
    computed_tokens,
    plan_forest,
    plan_separately,
)
from needlework.tokenizers.repeated import Repeated


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The samples of one task and how they are answered."""

    samples: Sequence[Sample]
    tokens_to_generate: int
    metric: Metric
    distractors: Mapping[int, Sequence[str]] | None = None
    """By the index of a sample, wrong values whose likelihoods are told beside those of its
    references; None where nobody asks for likelihoods."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything about a run that does not change what is predicted for a sample."""

    name: str = "cell"
    """How progress lines call the cell."""
    others: dict[str, str] = field(default_factory=dict)
    """Written into every prediction, beside the versions of what computed it."""
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

    What the journal holds under the same key (`engine.identity`) is not computed again; `revision`
    is what names the weights there. The result does not depend on the journal, on limits or on the
    order in which answers finish.

    Raises:
        EngineError: the tokenizer and the model do not belong together, the longest prompt, or none
            at all, fits into memory, or another process works on the same journal.
        StoppedError: somebody asked to stop; what is finished is in the journal.
    """
    setting = setting or Setting()
    decoding = decoding or Decoding()
    whole = _rows(decoder, tokenizer, datasets, revision, decoding)
    rows = [row for row in whole if not setting.shard or setting.shard.holds(row.sample.index)]
    pieces = Pieces(tokenizer)
    spec, device = decoder.config, decoder.embedding.weight.device
    vocabulary = spec.padded_vocabulary if decoding.padded_rows else spec.vocabulary
    memory = setting.memory or (None if setting.limits else free_bytes(device))
    engine = Engine(decoder, pieces, decoding, vocabulary, share=setting.share, memory=memory)
    with Journal(journal) as lines:
        own = lines.entries(vocabulary=vocabulary)
        entries = {**_taken_over(setting.siblings, vocabulary), **own}
        failures = _answer_missing(engine, rows, entries, lines, setting)
    # A failed sample has no entry to say what computed it.
    others = setting.others | {"backend": identity.backend_of(decoder)}
    if tuned := identity.configurations_of(decoder):
        others[CONFIGURATIONS] = tuned
    setting = replace(setting, others={**others, LIBRARIES: identity.libraries_of(decoder)})
    return [
        _prediction(row, entries.get(row.key), row.error or failures.get(row.key), pieces, setting)
        for row in rows
    ]


def _taken_over(journals: Sequence[Path], vocabulary: int) -> dict[str, Entry]:
    """Every entry of all these journals."""
    found = (read_entries(path, vocabulary=vocabulary) for path in journals)
    return {key: entry for entries in found for key, entry in entries.items()}


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
    texts: Sequence[Text]
    """Those whose likelihoods behind the prompt are asked for."""


def _rows(
    decoder: Decoder,
    tokenizer: Tokenizer,
    datasets: Mapping[str, Dataset],
    revision: str,
    decoding: Decoding,
) -> list[_Row]:
    """Every sample of the cell with its tokens, its key and its share of the work."""
    repeated = Repeated(tokenizer)
    asked = [
        (task, dataset, sample, tokens)
        for task, dataset in datasets.items()
        for sample, tokens in _tokenized(dataset, repeated)
    ]
    prompts = [tokens for *_, tokens in asked]
    texts = [texts_of(sample, data.distractors, tokenizer) for _, data, sample, _ in asked]
    check_vocabulary(chain(prompts, _tokens(texts)), tokenizer, decoder)
    thoughts = decoding.reasoning.tokens if decoding.reasoning else 0
    limits = [
        max([thoughts + dataset.tokens_to_generate, *(len(each.tokens) for each in compared)])
        for (_, dataset, *_), compared in zip(asked, texts, strict=True)
    ]
    errors = [
        impossible(tokens, limit, decoder) for tokens, limit in zip(prompts, limits, strict=True)
    ]
    possible = [tokens for tokens, error in zip(prompts, errors, strict=True) if error is None]
    decoder.prepare(possible, max(limits, default=0))
    charged = _charged(prompts, errors, share=decoder.reads_in_pieces)
    reader = identity.reader_of(decoder, tokenizer, decoding, weights=revision)
    end = tokenizer.end if decoding.end_tokens else frozenset()
    rows = []
    for number, (task, dataset, sample, tokens) in enumerate(asked):
        question = _question(task, dataset, sample, tokens, decoding, end)
        tokens_of = [each.tokens for each in texts[number]]
        key = identity.key(reader, tokens, question.rule, question.address, tokens_of)
        accounts = charged[number], errors[number]
        rows.append(_Row(number, task, sample, question, key, *accounts, texts[number]))
    return rows


def _tokens(texts: Sequence[Sequence[Text]]) -> Iterator[Tokens]:
    """The tokens of every text of every sample."""
    return (np.array(each.tokens, dtype=np.int32) for compared in texts for each in compared)


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
        reasoning=decoding.reasoning,
    )
    return Question(tokens, rule, (task, sample.index) if decoding.kind == "sample" else ())


def _tokenized(dataset: Dataset, tokenizer: Repeated) -> list[tuple[Sample, Tokens]]:
    """The samples in the order of their index, as the model reads them."""
    samples = sorted(dataset.samples, key=lambda sample: sample.index)
    encoded = tokenizer.encode([sample.input for sample in samples])
    return list(zip(samples, encoded, strict=True))


def _charged(prompts: Sequence[Tokens], errors: Sequence[str | None], *, share: bool) -> list[int]:
    """Tokens every prompt pays for when the whole cell shares its prefixes; failed ones none."""
    asked = [number for number, error in enumerate(errors) if error is None]
    plan = plan_forest if share else plan_separately
    computed = computed_tokens(plan([prompts[number] for number in asked]), len(asked))
    charged = dict(zip(asked, computed, strict=True))
    return [charged.get(number, 0) for number in range(len(prompts))]


def _answer_missing(
    engine: Engine, rows: list[_Row], entries: dict[str, Entry], journal: Journal, setting: Setting
) -> dict[str, str]:
    """Compute what `entries` lacks, add it there and to the journal; why some failed, by key.

    Rows of one key have one answer, which is computed for the first of them.
    """
    missing = _by_key(row for row in rows if row.error is None and row.key not in entries)
    questions = [group[0].question for group in missing]
    limits = _limits(engine, questions, setting)
    forest = engine.forest([each.tokens for each in questions], limits)
    reading = Reading(forest)
    likelihoods = _likelihoods(engine, missing)
    if likelihoods is not None:
        engine = replace(engine, see=likelihoods.see)
    progress = _progress(setting.name, rows, sum(map(len, missing)), forest)
    libraries = identity.libraries_of(engine.decoder)
    failures: dict[str, str] = {}
    too_large = []
    with shown(progress):
        for finished in engine.answer(questions, limits, setting.interruption):
            group = missing[finished.prompt]
            key, tokens = group[0].key, finished.tokens
            nats = likelihoods.found.get(finished.prompt) if likelihoods else None
            if finished.error is not None:
                failures[key] = finished.error
                too_large += [finished.error] if finished.does_not_fit else []
            elif group[0].texts and nats is None:
                failures[key] = NOT_FINITE
            else:
                reason = finished.stop_reason
                entry = Entry(
                    key=key,
                    tokens=tokens,
                    stop_reason=reason,
                    libraries=libraries,
                    likelihood=nats,
                )
                journal.append([entry])
                entries[key] = entry
            progress.finish(len(group), read=reading.finish(finished.prompt), written=len(tokens))
    if progress.done < progress.samples:
        raise StoppedError(
            f"{setting.name} stopped at {progress.done} of {progress.samples} samples; "
            "run it again to continue"
        )
    _refuse_where_nothing_fits(rows, entries, too_large)
    return failures


def _likelihoods(engine: Engine, missing: Sequence[Sequence[_Row]]) -> Likelihoods | None:
    """What finds the likelihoods that the missing answers lack; None where none is asked for."""
    texts = [[each.tokens for each in group[0].texts] for group in missing]
    if not any(texts):
        return None
    prompts = [group[0].question.tokens for group in missing]
    return Likelihoods(engine.decoder, engine.vocabulary, prompts, texts)


def _refuse_where_nothing_fits(
    rows: Sequence[_Row], entries: Mapping[str, Entry], too_large: Sequence[str]
) -> None:
    """Accept a cell of which something was answered, or in which memory decided nothing.

    Else its score would be zero, and say nothing of the model.

    Raises:
        EngineError: the memory is too small for every prompt that the model could be asked.
    """
    asked = [row for row in rows if row.error is None]
    if too_large and not any(row.key in entries for row in asked):
        raise EngineError(f"none of {len(asked)} samples is answered: {too_large[0]}")


def _by_key(rows: Iterable[_Row]) -> list[list[_Row]]:
    """Rows that are the same question, in the order of the first of each."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.key, []).append(row)
    return list(groups.values())


def _limits(engine: Engine, questions: Sequence[Question], setting: Setting) -> Limits:
    """How much of these questions may be in memory at a time.

    Raises:
        EngineError: not even the longest of them alone.
    """
    if not questions:
        return ALONE
    longest = max(len(each.tokens) + each.rule.most for each in questions)
    answer = max(each.rule.most for each in questions)
    slot = max(len(each.tokens) for each in questions) + answer
    return setting.limits or limits_for(
        engine.decoder, longest, answer=answer, slot=slot, memory=setting.memory
    )


def _progress(name: str, rows: Sequence[_Row], missing: int, forest: Sequence[Segment]) -> Progress:
    total = sum(len(row.question.tokens) for row in rows if row.error is None)
    charged = sum(row.charged for row in rows)
    return Progress(
        name=name,
        samples=len(rows),
        done=len(rows) - missing,
        tokens=sum(segment.length for segment in forest),
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
        pred=pieces.answer(tokens, row.question.rule.reasoning),
        outputs=row.sample.outputs,
        stop_reason="failed" if entry is None else entry.stop_reason,
        error=error if entry is None else None,
        prompt_tokens=prompt_tokens,
        shared_tokens=0 if row.error else prompt_tokens - row.charged,
        generated_tokens=len(tokens),
        others=setting.others | ({} if entry is None else {LIBRARIES: entry.libraries}),
        likelihood=told(row.texts, None if entry is None else entry.likelihood),
    )
