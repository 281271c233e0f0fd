"""What a cluster does to a cell: every fault loses nothing, says one clear thing, or both."""

import ctypes
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from needlework import files
from needlework.engine.cell import Setting, predict_cell
from needlework.engine.interruption import Interruption, StoppedError, on_sigterm
from needlework.engine.journal import Journal
from needlework.engine.memory import longest_that_fits
from needlework.engine.schedule import Limits
from needlework.engine.stopping import Decoding
from needlework.errors import EngineError
from needlework.files import write_records
from needlework.models.decoder import Decoder
from needlework.models.slots import DecoderSlots
from needlework.records import Prediction
from tests.engine_for_tests import (
    LIMIT,
    ROOMY,
    TINY,
    VOCABULARY,
    NumberTokenizer,
    Watched,
    dataset,
    in_child,
    run_cell,
    sample,
    shared_cell,
    watched,
)
from tests.models_for_tests import family

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REMOUNT, MS_REC, MS_PRIVATE = 32, 16384, 1 << 18
"""Of linux/sched.h and linux/mount.h."""
CELL = shared_cell(samples=4)
SAMPLES = sum(len(data.samples) for data in CELL.values())


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[Prediction]:
    """The cell without any fault."""
    return run_cell(family("mamba2"), CELL, tmp_path_factory.mktemp("reference") / "journal")


def after(count: int, action: Callable[[], None]) -> Callable[[Tensor], None]:
    """Act once, in the forward call after `count` others."""
    calls = [0]

    def before(tokens_BT: Tensor) -> None:
        calls[0] += 1
        if calls[0] == count + 1:
            action()

    return before


def decoding_after(steps: int, action: Callable[[], None]) -> Callable[[Tensor], None]:
    """Act once, in the forward call of one token a row that comes after `steps` others."""
    act = after(steps, action)
    return lambda tokens_BT: act(tokens_BT) if tokens_BT.shape[1] == 1 else None


def reading_after(calls: int, action: Callable[[], None]) -> Callable[[Tensor], None]:
    """Act once, in the forward call over several tokens a row that comes after `calls` others."""
    act = after(calls, action)
    return lambda tokens_BT: act(tokens_BT) if tokens_BT.shape[1] > 1 else None


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def mount_memory(folder: Path, *, size: int, again: bool = False) -> None:
    """Mount a tmpfs of so many bytes, seen by this process alone; or give it another size."""
    system = ctypes.CDLL(None, use_errno=True)
    if not again:
        folder.mkdir()
        inside = CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWNS | CLONE_NEWUSER
        assert system.unshare(inside) == 0, os.strerror(ctypes.get_errno())
        # Mounts made here shall not appear outside.
        assert system.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    options = f"size={size}".encode()
    flags = MS_REMOUNT if again else 0
    status = system.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options)
    assert status == 0, os.strerror(ctypes.get_errno())


def done(journal: Path) -> int:
    with Journal(journal) as lines:
        return len(lines.entries(vocabulary=VOCABULARY))


# Kills.


@pytest.mark.parametrize(
    "moment", [reading_after(30, kill), decoding_after(9, kill)], ids=["read", "write"]
)
def test_a_killed_cell_continues_to_the_same_predictions(
    moment: Callable[[Tensor], None], reference: list[Prediction], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    status = in_child(lambda: run_cell(watched(moment), CELL, journal, limits=TINY))
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert 0 < done(journal) < SAMPLES
    assert run_cell(family("mamba2"), CELL, journal, limits=TINY) == reference


def test_a_killed_cell_computes_only_what_it_had_not_finished(tmp_path: Path) -> None:
    journal, calls = tmp_path / "journal", [0]

    def count(tokens_BT: Tensor) -> None:
        calls[0] += 1

    in_child(lambda: run_cell(watched(decoding_after(20, kill)), CELL, journal, limits=TINY))
    run_cell(watched(count), CELL, journal, limits=TINY)
    again, calls[0] = calls[0], 0
    run_cell(watched(count), CELL, tmp_path / "fresh", limits=TINY)
    assert again < calls[0]


def test_a_kill_while_the_predictions_are_written_leaves_no_file(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, journal = tmp_path / "predictions.jsonl", tmp_path / "journal"

    def write() -> None:
        predictions = run_cell(family("mamba2"), CELL, journal)
        monkeypatch.setattr(Path, "replace", lambda *_: kill())
        write_records(output, predictions)

    assert os.WTERMSIG(in_child(write)) == signal.SIGKILL
    assert not output.exists()
    calls: list[int] = []
    decoder = watched(lambda tokens_BT: calls.append(1))
    assert run_cell(decoder, CELL, journal) == reference
    assert not calls


def test_the_file_does_not_depend_on_interruptions(
    reference: list[Prediction], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    for calls in (3, 9, 14):
        in_child(
            lambda calls=calls: run_cell(watched(after(calls, kill)), CELL, journal, limits=TINY)
        )
    write_records(tmp_path / "resumed", run_cell(family("mamba2"), CELL, journal, limits=ROOMY))
    write_records(tmp_path / "straight", reference)
    assert files.sha256(tmp_path / "resumed") == files.sha256(tmp_path / "straight")


# SIGTERM.


def stopped_by(decoder: Watched, journal: Path, interruption: Interruption) -> str:
    with pytest.raises(StoppedError) as stopped:
        predict_cell(
            decoder,
            NumberTokenizer(),
            CELL,
            revision="first",
            journal=journal,
            setting=Setting(name="m/s/1", limits=TINY, interruption=interruption),
        )
    return str(stopped.value)


def test_sigterm_finishes_the_rows_in_flight_and_begins_no_new_ones(
    reference: list[Prediction], tmp_path: Path
) -> None:
    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    shapes: list[tuple[int, ...]] = []

    def before(tokens_BT: Tensor) -> None:
        shapes.append(tuple(tokens_BT.shape))
        if len(shapes) == 12:
            terminate()

    with on_sigterm() as interruption:
        said = stopped_by(watched(before), tmp_path / "journal", interruption)
    count = done(tmp_path / "journal")
    assert said == f"m/s/1 stopped at {count} of {SAMPLES} samples; run it again to continue"
    assert 0 < count < SAMPLES
    assert all(tokens == 1 for _, tokens in shapes[12:])
    assert run_cell(family("mamba2"), CELL, tmp_path / "journal") == reference


def test_rows_that_outlast_the_grace_are_left(tmp_path: Path) -> None:
    interruption = Interruption(grace=0)
    calls: list[int] = []

    def before(tokens_BT: Tensor) -> None:
        calls.append(1)
        if len(calls) == 12:
            interruption.request()

    stopped_by(watched(before), tmp_path / "journal", interruption)
    assert len(calls) <= 13  # The step that was due.


def test_the_handler_of_sigterm_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with on_sigterm():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


# Memory.


def refusing(most: int, *, error: Exception) -> Callable[[Tensor], None]:
    """A device with room for calls of `most` tokens."""

    def before(tokens_BT: Tensor) -> None:
        if tokens_BT.numel() > most:
            raise error

    return before


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
@pytest.mark.parametrize("most", [200, 16])
def test_running_out_of_memory_halves_the_batch_and_continues(
    most: int, error: Exception, reference: list[Prediction], tmp_path: Path
) -> None:
    decoder = watched(refusing(most, error=error))
    assert run_cell(decoder, CELL, tmp_path / "journal", limits=ROOMY) == reference


def test_running_out_of_memory_while_writing_halves_the_batch_too(
    reference: list[Prediction], tmp_path: Path
) -> None:
    def before(tokens_BT: Tensor) -> None:
        if tokens_BT.shape[1] == 1 and len(tokens_BT) > 3:
            raise MemoryError

    assert run_cell(watched(before), CELL, tmp_path / "journal", limits=ROOMY) == reference


def test_each_halving_is_told_in_one_line(
    reference: list[Prediction], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A card with less memory than planned: half of the slots, and half of each call."""
    decoder = watched(refusing(200, error=MemoryError()))
    limits = Limits(tokens=512, chunk=256, rows=8, states=4)
    assert run_cell(decoder, CELL, tmp_path / "journal", limits=limits) == reference
    told = [record.getMessage() for record in caplog.records if "slots" in record.getMessage()]
    assert told[0] == (
        "memory ran out after 0 tokens of a row, with 12 slots and calls of 512 tokens; "
        "unfinished answers begin again with 6 and 256"
    )
    assert len(told) == 2


def test_slots_that_cannot_be_made_are_halved(
    reference: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, made = Decoder.slots, []

    def slots(self: Decoder, rows: int, *sizes: int) -> DecoderSlots:
        made.append(rows)
        if rows > 3:
            raise MemoryError
        return honest(self, rows, *sizes)

    monkeypatch.setattr(Decoder, "slots", slots)
    assert run_cell(family("mamba2"), CELL, tmp_path / "journal", limits=ROOMY) == reference
    assert made[0] > 3 >= made[-1] > 1


def test_a_slot_that_cannot_be_made_fails_the_row_with_what_would_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = {"task": dataset([sample(0, [5] * 100), sample(1, [6] * 40)])}
    honest = Decoder.slots

    def slots(self: Decoder, rows: int, columns: int, *sizes: int) -> DecoderSlots:
        if rows * columns > 80:
            raise MemoryError
        return honest(self, rows, columns, *sizes)

    monkeypatch.setattr(Decoder, "slots", slots)
    long, short = run_cell(family("llama"), cell, tmp_path / "journal", limits=ROOMY)
    assert short.stop_reason != "failed"
    assert long.error == (
        f"prompt and answer of {101 + LIMIT} tokens do not fit into memory, 50 do; "
        "choose a shorter length or give more memory"
    )


def test_a_prompt_whose_numbers_are_none_spoils_no_other(tmp_path: Path) -> None:
    """The short prompt comes into the slot of the one that failed, beside a longer one."""
    decoder = family("llama", dtype=torch.float32)
    decoder.embedding.weight[12] = torch.nan
    asked = [sample(0, [5] * 50), sample(1, [12] * 40), sample(2, [6, 7, 8])]
    cell = {"task": dataset(asked)}
    two = Limits(tokens=256, chunk=64, rows=2, states=1)
    found = run_cell(decoder, cell, tmp_path / "journal", limits=two)
    alone = [
        run_cell(decoder, {"task": dataset([each])}, tmp_path / str(each.index))[0]
        for each in asked[::2]
    ]
    assert {each.generated_tokens for each in alone} == {LIMIT}, "both are written together"
    assert found[1].error == "the model's logits are not finite numbers"
    assert [each.pred for each in found[::2]] == [each.pred for each in alone]
    assert [each.stop_reason for each in found[::2]] == [each.stop_reason for each in alone]


def test_other_errors_are_not_taken_for_memory(tmp_path: Path) -> None:
    """A bug taken for a full memory would be retried at every size, then blamed on the user."""
    decoder = watched(refusing(0, error=RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_cell(decoder, CELL, tmp_path / "journal")


def test_a_row_that_does_not_fit_fails_with_the_length_that_would(tmp_path: Path) -> None:
    """Token 39 stands for the one too many, behind 80 others; shorter prompts are answered."""
    cell = {
        "task": dataset([sample(0, [5] * 80 + [39] * 20), sample(1, [6] * 40), sample(2, [5] * 20)])
    }

    def before(tokens_BT: Tensor) -> None:
        if (tokens_BT == 39).any():
            raise MemoryError

    predictions = run_cell(watched(before), cell, tmp_path / "journal", limits=ROOMY)
    assert [each.stop_reason == "failed" for each in predictions] == [True, False, False]
    assert predictions[0].error == (
        f"prompt and answer of {101 + LIMIT} tokens do not fit into memory, 80 do; "
        "choose a shorter length or give more memory"
    )


def test_what_does_not_fit_today_is_tried_again_tomorrow(tmp_path: Path) -> None:
    """On a larger machine the same journal must not repeat the failure."""
    cell = {"task": dataset([sample(0, [5] * 30)])}
    broken = watched(refusing(0, error=MemoryError()))
    with pytest.raises(EngineError, match="none of 1 samples is answered: prompt and answer of "):
        run_cell(broken, cell, tmp_path / "journal")
    assert run_cell(family("mamba2"), cell, tmp_path / "journal")[0].stop_reason != "failed"


def test_a_cell_of_which_nothing_fits_is_no_score_of_zero(tmp_path: Path) -> None:
    """It says nothing of the model; what fitted before, on a larger machine, does."""
    cell = {"task": dataset([sample(0, [5] * 30), sample(1, [6] * 50)])}
    first = {"task": dataset([sample(0, [5] * 30)])}
    none = watched(refusing(0, error=MemoryError()))
    with pytest.raises(EngineError, match=r"none of 2 .* tokens do not fit into memory, 0 do;"):
        run_cell(none, cell, tmp_path / "journal")
    run_cell(family("mamba2"), first, tmp_path / "journal")
    found = run_cell(none, cell, tmp_path / "journal")
    assert [each.stop_reason == "failed" for each in found] == [False, True]


def test_a_real_allocator_that_refuses_is_survived(tmp_path: Path) -> None:
    """The address space ends 40 MB above what is used; a call of 200,000 tokens needs more."""
    draws = np.random.default_rng(0)
    prompts = draws.integers(3, 30, (16, 2500)).tolist()
    cell = {"task": dataset([sample(index, each) for index, each in enumerate(prompts)], limit=2)}
    small = run_cell(family("mamba2"), cell, tmp_path / "reference")

    def starve() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (40 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        huge = type(ROOMY)(tokens=200_000, chunk=200_000, rows=64, states=64)
        assert run_cell(family("mamba2"), cell, tmp_path / "journal", limits=huge) == small

    assert in_child(starve) == 0


# Numbers, prompts and journals that are not what they should be.


def test_logits_that_are_no_numbers_fail_their_row_alone(
    reference: list[Prediction], tmp_path: Path
) -> None:
    decoder = family("transformerpp")
    honest = run_cell(decoder, CELL, tmp_path / "honest")
    with torch.no_grad():
        decoder.embedding.weight[21] = float("nan")
    broken = run_cell(decoder, CELL, tmp_path / "broken", revision="second")
    read = {
        (task, each.index): "21" in each.input.split()
        for task, data in CELL.items()
        for each in data.samples
    }
    for before, now in zip(honest, broken, strict=True):
        if read[now.task, now.index]:
            assert (now.stop_reason, now.pred) == ("failed", "")
            assert now.error == "the model's logits are not finite numbers"
        elif "21" not in before.pred.split():
            assert now == before
    assert {each.stop_reason for each in broken} > {"failed"}


def test_an_infinite_logit_is_no_answer(tmp_path: Path) -> None:
    decoder = family("mamba2")
    decoder.head.weight = torch.nn.Parameter(decoder.head.weight.clone(), requires_grad=False)
    with torch.no_grad():
        decoder.head.weight[5] = float("-inf")
    predictions = run_cell(decoder, CELL, tmp_path / "journal")
    assert {each.stop_reason for each in predictions} == {"failed"}


def limited(positions: int) -> Decoder:
    plain = family("mamba2")
    decoder = Decoder(plain.config.model_copy(update={"positions": positions})).double()
    decoder.load_state_dict(plain.state_dict())
    return decoder.eval().requires_grad_(False)


def test_a_prompt_longer_than_the_model_accepts_fails_with_both_numbers(tmp_path: Path) -> None:
    cell = {"task": dataset([sample(0, [5] * 20), sample(1, [5] * 21)])}
    predictions = run_cell(limited(21 + LIMIT), cell, tmp_path / "journal")
    assert predictions[0].stop_reason != "failed"
    assert predictions[1].error == (
        "prompt and answer of 31 tokens exceed the 30 positions of the model; "
        "choose a shorter length"
    )


def test_a_prompt_without_tokens_fails(tmp_path: Path) -> None:
    class Bare(NumberTokenizer):
        begin = ()

    cell = {"task": dataset([sample(0, []), sample(1, [5])])}
    predictions = predict_cell(
        family("mamba2"), Bare(), cell, revision="first", journal=tmp_path / "journal"
    )
    assert predictions[0].error == "the prompt has no tokens"
    assert predictions[1].stop_reason != "failed"


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    cell = {"task": dataset([sample(0, [5, 40])])}
    with pytest.raises(EngineError, match="produced id 40, outside the model's vocabulary of 40"):
        run_cell(family("mamba2"), cell, tmp_path / "journal")


def test_lines_of_another_model_do_no_harm(reference: list[Prediction], tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    run_cell(family("rwkv6"), CELL, journal, revision="other")
    assert run_cell(family("mamba2"), CELL, journal) == reference
    assert done(journal) == 2 * SAMPLES - 2  # The repeated prompt of each is one line.


def test_a_torn_journal_costs_one_answer(reference: list[Prediction], tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    run_cell(family("mamba2"), CELL, journal)
    os.truncate(journal, journal.stat().st_size - 9)
    calls: list[int] = []
    assert run_cell(watched(lambda tokens_BT: calls.append(len(tokens_BT))), CELL, journal) == (
        reference
    )
    assert set(calls) == {1}


def test_a_damaged_journal_costs_the_answers_that_are_damaged(
    reference: list[Prediction], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A line with one token changed was served as an answer."""
    journal = tmp_path / "journal"
    run_cell(family("mamba2"), CELL, journal)
    lines = journal.read_text().splitlines(keepends=True)
    row = json.loads(lines[3])
    lines[3] = json.dumps(row | {"tokens": [5, *row["tokens"][1:]]}) + "\n"
    journal.write_text("".join([*lines, "hello\n"]))
    assert run_cell(family("mamba2"), CELL, journal) == reference
    assert f"2 of {len(lines) + 1} lines are damaged" in caplog.text
    assert len(journal.read_text().splitlines()) == len(lines) + 2


def test_two_processes_on_one_cell_do_not_mix(reference: list[Prediction], tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def intrude() -> None:
        with pytest.raises(EngineError, match="another process works on this cell"):
            run_cell(family("mamba2"), CELL, journal)

    statuses: list[int] = []
    decoder = watched(after(5, lambda: statuses.append(in_child(intrude))))
    assert run_cell(decoder, CELL, journal) == reference
    assert statuses == [0]


def test_a_full_disk_keeps_what_is_finished(reference: list[Prediction], tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
        with pytest.raises(EngineError, match="make room and run again"):
            run_cell(family("mamba2"), CELL, journal, limits=TINY)

    assert in_child(fill) == 0
    assert 0 < done(journal) < SAMPLES
    assert run_cell(family("mamba2"), CELL, journal) == reference


def test_a_disk_that_is_really_full_is_survived_when_room_is_made(tmp_path: Path) -> None:
    """A disk of one page in a mount namespace of its own; once it is larger, the work goes on."""
    journal, cell = tmp_path / "disk" / "journal", shared_cell(samples=12)
    straight = run_cell(family("mamba2"), cell, tmp_path / "straight")
    steps: list[int] = []

    def fill() -> None:
        mount_memory(journal.parent, size=4096)
        with pytest.raises(EngineError, match="No space left on device; make room and run again"):
            run_cell(family("mamba2"), cell, journal)
        assert 0 < done(journal) < len(straight)
        mount_memory(journal.parent, size=1 << 20, again=True)
        assert run_cell(family("mamba2"), cell, journal) == straight
        run_cell(watched(lambda tokens_BT: steps.append(1)), cell, journal)
        assert not steps

    assert in_child(fill) == 0


def test_a_full_disk_leaves_no_part_of_a_prediction_file(
    reference: list[Prediction], tmp_path: Path
) -> None:
    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
        with pytest.raises(OSError, match="too large"):
            write_records(tmp_path / "predictions.jsonl", reference)

    assert in_child(fill) == 0
    assert list(tmp_path.iterdir()) == []


# A cell that is too long for its memory.


def asked_with(memory: int, length: int, journal: Path) -> list[Prediction]:
    """Two prompts of one beginning, the longer of `length` tokens with begin token and answer."""
    book = [3 + number % 30 for number in range(length - LIMIT - 1)]
    cell = {"task": dataset([sample(0, book), sample(1, [*book[:-3], 7])])}
    decoder = family("transformerpp", dtype=torch.float32)
    setting = Setting(memory=memory)
    return predict_cell(
        decoder, NumberTokenizer(), cell, revision="first", journal=journal, setting=setting
    )


def test_a_cell_runs_at_the_longest_that_fits_and_is_refused_above(tmp_path: Path) -> None:
    """Before anything is read, in one line that says which length would do."""
    memory = 1 << 20
    fits = longest_that_fits(family("transformerpp", dtype=torch.float32), memory)
    assert 200 < fits < 2000
    found = asked_with(memory, fits, tmp_path / "fits")
    assert {each.stop_reason for each in found} <= {"end", "limit", "decided"}
    assert found == asked_with(1 << 30, fits, tmp_path / "roomy")
    with pytest.raises(EngineError, match=rf"^{fits + 1} tokens .* up to {fits} fit: choose"):
        asked_with(memory, fits + 1, tmp_path / "refused")
    assert (tmp_path / "refused").read_bytes() == b""


def test_what_is_finished_needs_no_memory(tmp_path: Path) -> None:
    """A cell that was answered on a larger machine is written down on a small one."""
    found = asked_with(1 << 30, 2000, tmp_path / "journal")
    assert asked_with(1 << 10, 2000, tmp_path / "journal") == found


# Equal prompts.


def test_equal_prompts_are_answered_once_and_written_for_all(
    reference: list[Prediction], tmp_path: Path
) -> None:
    """Two depths of a short haystack may be one place: 10 of 105 prompts of a nano cell."""
    rows: list[int] = []
    decoder = watched(lambda tokens_BT: rows.append(len(tokens_BT)))
    single = {"task": dataset([sample(0, [5] * 30)])}
    many = {"task": dataset([sample(index, [5] * 30) for index in range(4)])}
    run_cell(decoder, single, tmp_path / "single")
    once, rows[:] = list(rows), []
    found = run_cell(decoder, many, tmp_path / "many")
    assert rows == once
    assert len((tmp_path / "many").read_text().splitlines()) == 1
    assert len({each.pred for each in found}) == 1
    assert [each.shared_tokens for each in found] == [0, 31, 31, 31]
    assert done(tmp_path / "many") == 1


def test_equal_prompts_with_other_references_are_asked_each(tmp_path: Path) -> None:
    """An answer that is decided for one may go on for the other."""
    cell = {"task": dataset([sample(0, [5] * 30, ("7",)), sample(1, [5] * 30, ("no number",))])}
    run_cell(family("mamba2"), cell, tmp_path / "journal")
    assert done(tmp_path / "journal") == 2


def test_equal_prompts_draw_answers_of_their_own(tmp_path: Path) -> None:
    cell = {"task": dataset([sample(index, [5] * 30) for index in range(4)])}
    found = run_cell(family("mamba2"), cell, tmp_path / "journal", decoding=Decoding(kind="sample"))
    assert len({each.pred for each in found}) > 1


def test_equal_prompts_fail_together(tmp_path: Path) -> None:
    cell = {"task": dataset([sample(index, [5] * 30) for index in range(2)])}
    decoder = family("mamba2")
    with torch.no_grad():
        decoder.embedding.weight[5] = float("nan")
    found = run_cell(decoder, cell, tmp_path / "journal")
    assert [each.stop_reason for each in found] == ["failed"] * 2
    assert found[0].error == found[1].error == "the model's logits are not finite numbers"


def test_a_failed_sample_is_charged_nothing_and_shares_nothing(tmp_path: Path) -> None:
    """One that cannot be asked at all, in a forest with one that can."""
    book = [3 + number % 30 for number in range(80)]
    cell = {"task": dataset([sample(0, book), sample(1, [*book, *book]), sample(2, book)])}
    found = run_cell(limited(81 + LIMIT), cell, tmp_path / "journal")
    assert [each.stop_reason == "failed" for each in found] == [False, True, False]
    assert [each.shared_tokens for each in found] == [0, 0, 81]


def test_what_was_finished_before_memory_ran_out_is_not_asked_again(
    reference: list[Prediction], tmp_path: Path
) -> None:
    """Each answer is one line, whatever had to begin again."""

    def full() -> None:
        raise MemoryError

    decoder = watched(decoding_after(12, full))
    assert run_cell(decoder, CELL, tmp_path / "journal", limits=TINY) == reference
    keys = [json.loads(line)["key"] for line in (tmp_path / "journal").read_text().splitlines()]
    assert len(keys) == len(set(keys)) == SAMPLES - 1  # Two prompts are one.
