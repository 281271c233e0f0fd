"""Steps of a batch over slots that stay where they are: recorded once, then replayed as a whole.

On CUDA the host takes longer to launch the kernels of a step than the device takes to run those of
a small batch. So what a block of steps launches, the choice of tokens included, is recorded in a
CUDA graph, one for each number of rows and of columns. A block is then three calls: a copy tells
the device what is read and how far each row is, a replay, and a copy back of what was chosen.

Not yet run on a GPU.
"""

# Shapes: R rows, D width, V vocabulary rows of the head, K numbers that the host tells of each row.
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol
from weakref import WeakSet

import torch
from torch import Tensor

from needlework.cost.room import MOST_RECORDED, fixed_columns, fixed_rows
from needlework.engine.choosing import Chooser
from needlework.engine.memory import errors_behind, out_of_memory_among
from needlework.engine.slots import Slots
from needlework.models.decoder import Decoder

log = logging.getLogger(__name__)

Run = Callable[[], None]
Choice = tuple[int, bool]
"""A token, and whether the logits it was chosen by were finite."""


class Recorder(Protocol):
    """What can repeat work on the device without the host's part in it."""

    def record(self, run: Run) -> Run:
        """What does again all that `run` does on the device, where nothing is done meanwhile.

        Raises:
            RuntimeError: it cannot be recorded.
        """


class CudaGraphs:
    """Graphs in one piece of memory, in which none leaves anything that is read afterwards."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, run: Run) -> Run:
        """See `Recorder`."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            run()
        return graph.replay


_FINITE, _SOUND = 1, 2
"""Of what is told of a row: whether its logits are finite, and what the head has read."""
_refused: WeakSet[Decoder] = WeakSet()
"""Decoders of which a step could not be recorded."""


def recorder_for(decoder: Decoder) -> Recorder | None:
    """What records the steps of a decoder; None on a CPU, and where a library keeps the states."""
    on_cuda = decoder.embedding.weight.device.type == "cuda"
    return CudaGraphs() if on_cuda and decoder.steps_in_place else None


class Written(NamedTuple):
    """What a block of steps has written."""

    choices: list[list[Choice]]
    """Of each step, in the order of the rows that were asked for."""
    spoiled: set[int]
    """Slots that now hold what is no number, whoever has them."""


class Writer(NamedTuple):
    """Who writes where, and how."""

    decoder: Decoder
    choose: Chooser
    slots: Slots
    vocabulary: int
    """Rows of the head that can be chosen."""
    unseen: int
    """Steps of a block, unless each choice has to be looked at."""


class Steps:
    """Blocks of steps in the first slots."""

    def __init__(self, writer: Writer, recorder: Recorder) -> None:
        self.writer = writer
        self.recorder = recorder
        self.blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()
        """By rows and columns; the one that was used last stands at the end."""

    def rows(self, used: int) -> int:
        """Rows that are computed where so many slots are in use; the others are free."""
        return max(used, min(fixed_rows(used), self.writer.slots.places))

    def write(self, tokens: Sequence[int], prompts: Mapping[int, int]) -> Written:
        """Write on in the slots that have a prompt; `tokens` has what is read in each in use.

        All others read token 0, as the first of a sequence and over and over: they never outgrow
        their slots.
        """
        rows, storage = self.rows(len(tokens)), self.writer.slots.storage
        counts = list(storage.counts(rows).values())
        longest = [each.columns[row] for each in counts for row in prompts]
        columns = fixed_columns(max(longest) + self.writer.unseen) if longest else 0
        block = self._block(rows, columns)
        kinds = [numbers for each in counts for numbers in each]
        told_KR = [[each[row] if row in prompts else 0 for row in range(rows)] for each in kinds]
        read_R = [tokens[row] if row in prompts else 0 for row in range(rows)]
        block.given.copy_(torch.cat([torch.tensor([read_R, *told_KR]), self._drawn(rows, prompts)]))
        self._run(block)
        told: list[list[list[int]]] = block.told.tolist()
        storage.advance(rows, list(prompts), len(told))
        spoiled = {row for step in told for row, each in enumerate(step) if not each[_SOUND]}
        if block.logits_RV is not None:
            places = torch.tensor(list(prompts), device=block.given.device)
            chosen = self.writer.choose(block.logits_RV[places], list(prompts.values()))
            finite = [bool(told[0][row][_FINITE]) for row in prompts]
            return Written([list(zip(chosen, finite, strict=True))], spoiled)
        return Written([self._choices(step, prompts) for step in told], spoiled)

    def _block(self, rows: int, columns: int) -> "_Block":
        """The block of so many rows and columns; made where it is not among the last ones used."""
        block = self.blocks.pop((rows, columns), None) or _Block(self.writer, rows, columns)
        while len(self.blocks) >= MOST_RECORDED:
            self.blocks.popitem(last=False)
        self.blocks[rows, columns] = block
        return block

    def _drawn(self, rows: int, prompts: Mapping[int, int]) -> Tensor:
        """What the next tokens are drawn by, as the bits of whole numbers."""
        drawn = torch.zeros(self.writer.unseen, rows, dtype=torch.float64)
        places = list(prompts)
        for step in range(len(drawn)):
            draws = self.writer.choose.draws(list(prompts.values()))
            drawn[step, places] = torch.tensor(draws, dtype=torch.float64)
        return drawn.view(torch.long)

    def _run(self, block: "_Block") -> None:
        """Launch everything, and from the second time on replay it, which the first has readied."""
        if block.readied and block.replay is None and self.writer.decoder not in _refused:
            block.replay = self._recorded(block)
        (block.replay or block.run)()
        block.readied = True

    def _recorded(self, block: "_Block") -> Run | None:
        """The replay of a block; None, and never again for this decoder, where there is none.

        Raises:
            RuntimeError: memory ran out, as by any call; fewer rows may fit.
        """
        try:
            return self.recorder.record(block.run)
        except RuntimeError as error:
            # To end a recording that ran out of memory is an error of its own.
            reasons = errors_behind(error)
            full = out_of_memory_among(reasons)
            if full is not None and block.rows > 1:
                raise full from error
            _refused.add(self.writer.decoder)
            said = " ".join(str(reasons[-1]).split())
            log.warning("steps are not recorded, every kernel is launched by itself: %s", said)
            return None

    def _choices(self, step: Sequence[Sequence[int]], prompts: Mapping[int, int]) -> list[Choice]:
        """What the rows that were asked for have chosen in one step."""
        choices = []
        for row, prompt in prompts.items():
            token, finite, _, contested = step[row]
            if contested and finite:
                token = self.writer.choose.again(prompt, self.writer.vocabulary)
            choices.append((token, bool(finite)))
        return choices


class _Block:
    """Steps over so many rows and columns, with all that the host tells and is told."""

    def __init__(self, writer: Writer, rows: int, columns: int) -> None:
        self.writer, self.rows, self.columns = writer, rows, columns
        device = writer.decoder.embedding.weight.device
        kinds = list(writer.slots.storage.counts(rows))
        numbers = 1 + 2 * len(kinds) + writer.unseen
        self.given = torch.zeros(numbers, rows, dtype=torch.long, device=device)
        """What every row reads, how far it is, twice for each kind of layer, and draws."""
        self.ends = {
            kind: (self.given[1 + 2 * index], self.given[2 + 2 * index])
            for index, kind in enumerate(kinds)
        }
        self.draws = self.given[-writer.unseen :].view(torch.float64)
        self.told = torch.zeros(0, dtype=torch.long, device=device)
        """For each step and row the token, whether its logits and what the head has read are
        finite, and whether the choice is contested."""
        self.logits_RV: Tensor | None = None
        """Where the host has to choose by them."""
        self.readied = False
        """Whether it has run, so that whatever is made or tuned once is there."""
        self.replay: Run | None = None

    def run(self) -> None:
        """Read, write and choose; the same launches with the same memory, whenever it is called."""
        decoder, choose, slots, vocabulary, unseen = self.writer
        state = slots.storage.fixed(self.rows, self.columns, self.ends)
        read_R, told = self.given[0], list[Tensor]()
        for step in range(unseen):
            hidden_RD, state = decoder.write(read_R[:, None], state)
            logits_RV, finite_R = scored(decoder, hidden_RD, vocabulary)
            sound_R = hidden_RD.isfinite().all(dim=1)
            picked = choose.picked(logits_RV, self.draws[step])
            if picked is None:
                self.logits_RV = _kept(logits_RV, self.logits_RV)
                nothing_R = torch.zeros_like(read_R)
                told.append(torch.stack([nothing_R, finite_R, sound_R, nothing_R], dim=1))
                break
            read_R, contested_R = picked
            last_R = torch.zeros_like(finite_R) if contested_R is None else contested_R
            told.append(torch.stack([read_R, finite_R, sound_R, last_R], dim=1))
            if contested_R is not None:
                break
        slots.storage.put(0, state)
        self.told = _kept(torch.stack(told), self.told if self.readied else None)


def scored(decoder: Decoder, hidden_RD: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Logits of the rows of the head that can be chosen; and whether all of a row's are finite."""
    logits_RV = decoder.logits(hidden_RD)[:, :vocabulary]
    low_R, high_R = logits_RV.aminmax(dim=-1)
    return logits_RV, low_R.isfinite() & high_R.isfinite()


def _kept(found: Tensor, place: Tensor | None) -> Tensor:
    """A copy outside of what is recorded, in the place of the one before if there is one."""
    if place is None:
        return found.clone()
    place.copy_(found)
    return place
