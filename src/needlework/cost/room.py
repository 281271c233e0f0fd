"""How much memory a cell takes beside its weights, and how many rows fit: the engine's own rule.

Rows that are answered, or kept to be read on from, have a slot each, made once. Everything else
comes and goes: what a forward call over prompts needs, or one that writes a token in every row.
"""

from typing import NamedTuple

from needlework.cost.formulas import Decoder

CALL_TOKENS: dict[str, int] = {"cpu": 2048, "cuda": 32768}
"""Tokens of one forward call: enough to keep the device busy, few enough to fit its caches."""
CHUNK: dict[str, int] = {"cpu": 128, "cuda": 32768}
"""Tokens of one sequence in one call; on a CPU many short pieces are faster than one long one."""
LEAST_TOKENS = 16
"""A forward call is not cut smaller than this."""
ALONE_TOKENS = 256
"""Tokens of one call where a contested row is computed once more by itself."""
MOST_ROWS: dict[str, int] = {"cpu": 64, "cuda": 256}
"""Rows written together; on a CPU a nano model gains nothing from more."""
MOST_STATES = 64
GROUP = 4
"""Of the rows written together, one in this many is read at a time, and branches kept."""
COPIES = 4
"""Tokens that may be copied for each token of a call, where rows stand beside a prefix."""
LEAST_BESIDE = 4
"""Rows that fit with all of their keys, below which none is answered beside a prefix."""
SHARE_OF_FREE: dict[str, float] = {"cpu": 0.5, "cuda": 0.8}
"""Of the memory that is free at the start, what may be used by default.

Main memory belongs to others as well; a GPU is a job's own, but for the gaps its allocator leaves.
"""
UNSEEN = 4
"""Tokens that a row writes, on CUDA, before the host looks at them."""
MOST_RECORDED = 16
"""Recorded blocks of steps that are kept, each for other numbers of rows and columns."""
RECORDED_BYTES = 256 << 20
"""What those take beside memory for numbers, and matrix products recorded with them: assumed, as
not yet run on a GPU. A recorded kernel has a node of about one kilobyte."""
FIXED_COLUMNS = 256
"""Keys that recorded steps look at come in whole blocks of so many."""
MASK_BYTES = 5
"""An attention mask has a byte, and inside the call a number, for every query and key."""
MASKED_PAIRS = 1 << 24
"""Queries times keys of one mask at most, `models.attending`; queries beyond come in blocks."""
LOGIT_BYTES = 8
"""Of each row of the head: as it is computed, and in float32 for the choice."""


class Prefix(NamedTuple):
    """Tokens before all rows of a batch, in memory once."""

    tokens: int
    stored: int
    """Of the longest prefix that is read in the same place."""


class Room(NamedTuple):
    """How much is in memory at a time."""

    slots: int
    """Rows that fit, of both kinds."""
    rows: int
    """Rows that are answered together at most."""
    states: int
    """Branches that are kept at most."""
    tokens: int
    """Of one forward call."""


class Cell(NamedTuple):
    """Rows of one cell, and what they are computed with."""

    decoder: Decoder
    width: int
    """Bytes of a weight."""
    longest: int
    """Tokens of the longest prompt and the longest answer together, those of a prefix included."""
    answer: int
    """Of those, how many are written."""
    contested: bool
    """Whether a row is computed once more, beside all others, where rounding could decide."""
    prefix: Prefix = Prefix(0, 0)

    @property
    def prefix_bytes(self) -> int:
        """What the row takes in which prefixes are read."""
        stored = self.prefix.stored
        return self.decoder.row_bytes(stored, self.width) if stored else 0

    @property
    def slot_bytes(self) -> int:
        """One row's slot. A window's holds what it sees of a prompt, and an answer."""
        return self.decoder.fixed_bytes(self.width) + self.width * sum(
            layer.key_elements * self._columns(layer.window) for layer in self.decoder.layers
        )

    def reading_bytes(self, tokens: int, rows: int) -> int:
        """A forward call of so many tokens of prompts in so many rows.

        States that do not grow are there twice, before and after the call; so are the keys behind a
        window, which are read beside the slots. A layer looks at a copy of the prefix for each row.
        """
        decoder, width = self.decoder, self.width
        windows = sum(
            layer.key_elements * (tokens + rows * 2 * layer.window)
            for layer in decoder.layers
            if layer.window is not None
        )
        pairs = tokens * decoder.most_keys(self.longest)
        pairs = pairs if decoder.spec.one_shot else min(pairs, MASKED_PAIRS)
        states = 2 * (rows * decoder.fixed_bytes(width) + windows * width)
        widest = max((each.key_elements for each in decoder.layers), default=0)
        joined = rows * self.longest * widest * width if self.prefix.tokens else 0
        return tokens * decoder.call_bytes(width) + states + joined + MASK_BYTES * pairs

    def writing_bytes(self, rows: int, kind: str) -> int:
        """A forward call of a token in every row, to its logits.

        States that do not grow are computed anew, but for those in float32 on CUDA, where kernels
        overwrite them.
        """
        decoder, width = self.decoder, self.width
        anew, keys = decoder.fixed_bytes(width), decoder.most_keys(self.longest)
        if kind == "cuda":
            anew -= decoder.wide_bytes
        logits = LOGIT_BYTES * decoder.spec.padded_vocabulary
        each = 2 * anew + decoder.call_bytes(width) + logits
        pairs = rows * fixed_columns(keys) if kind == "cuda" else min(rows * keys, MASKED_PAIRS)
        return rows * each + MASK_BYTES * pairs

    def recorded_bytes(self, rows: int, kind: str) -> int:
        """What recorded steps hold on to, beside every call, where they are recorded."""
        return RECORDED_BYTES + self.writing_bytes(rows, kind) if kind == "cuda" else 0

    @property
    def alone_bytes(self) -> int:
        """What a contested row takes beside all others; 0 where none is contested."""
        if not self.contested:
            return 0
        tokens = self.longest if self.decoder.spec.one_shot else min(ALONE_TOKENS, self.longest)
        whole = self._replace(prefix=Prefix(0, 0))
        return whole.slot_bytes + whole.reading_bytes(tokens, 1)

    @property
    def least_bytes(self) -> int:
        """What one row takes under the smallest limits."""
        tokens = self.longest if self.decoder.spec.one_shot else min(LEAST_TOKENS, self.longest)
        reading = self.reading_bytes(tokens, 1)
        # A prompt is read while it is the only one there; a choice is contested when it is written.
        return self.slot_bytes + max(reading, self.alone_bytes)

    def peak_bytes(self, room: Room, slots: int, kind: str) -> int:
        """All slots that are made, with the larger of the two kinds of calls."""
        prefix = self.prefix.tokens
        own = self.longest - prefix - (self.answer if prefix else 0)
        rows = min(slots, call_rows(room.rows, room.tokens, own, kind))
        if prefix:
            rows = min(rows, copied_rows(room.tokens, prefix))
        tokens = min(room.tokens, rows * self.longest)
        reading = self.reading_bytes(tokens, rows)
        written = min(slots, room.rows)
        writing = self.writing_bytes(written, kind) + self.alone_bytes
        recorded = self.recorded_bytes(written, kind)
        return self.prefix_bytes + slots * self.slot_bytes + max(reading, writing) + recorded

    def _columns(self, window: int | None) -> int:
        columns, answer = self.longest + UNSEEN, self.answer + UNSEEN
        if window is not None:
            return min(columns, window + answer)
        return columns - self.prefix.tokens


def call_rows(rows: int, tokens: int, longest: int, kind: str) -> int:
    """Prompts that are read in one call of so many tokens where `rows` are answered together.

    A branch's continuations may be short, so it is as many as the engine ever reads at once.
    """
    return max(1, rows // GROUP, min(rows, tokens // max(1, min(longest, CHUNK[kind]))))


def copied_rows(tokens: int, prefix: int) -> int:
    """Rows of a call of so many tokens that may have a copy of a prefix each."""
    return max(1, COPIES * tokens // prefix)


def room_for(cell: Cell, budget: int, kind: str) -> Room:
    """What fits into so many bytes beside the weights.

    Calls are as long as they may be where that leaves one slot, and shorter where not. Kept
    branches have slots of their own while there are enough, and else the places of answers.
    """
    tokens = CALL_TOKENS[kind]
    if cell.decoder.spec.one_shot:
        tokens = max(tokens, cell.longest)
    while True:
        slots = _slots(cell, budget, tokens, kind)
        if slots or tokens < 2 * LEAST_TOKENS or cell.decoder.spec.one_shot:
            break
        tokens //= 2
    slots = max(1, slots)
    rows = min(MOST_ROWS[kind], slots)
    states = min(MOST_STATES, max(slots // GROUP, int(slots > 1)))
    return Room(slots, rows, states, tokens)


def _slots(cell: Cell, budget: int, tokens: int, kind: str) -> int:
    """How many slots fit beside calls of so many tokens; at most as many as are ever used."""
    most = MOST_ROWS[kind] + MOST_STATES
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        room = Room(middle, min(middle, MOST_ROWS[kind]), 0, tokens)
        if cell.peak_bytes(room, middle, kind) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def fixed_rows(rows: int) -> int:
    """Rows of the recorded steps that serve so many: a power of two, or three quarters of one."""
    power = 1 << max(0, rows - 1).bit_length()
    return power * 3 // 4 if power > 2 and rows <= power * 3 // 4 else power


def fixed_columns(columns: int) -> int:
    """Columns of the recorded steps that look at so many."""
    return -(-columns // FIXED_COLUMNS) * FIXED_COLUMNS
