"""Any causal language model of transformers behind our decoder's interface.

For architectures that we do not compute ourselves: slower, since every row is read by itself, but
the same cells, prompts and stop rules. Whether the library's cache may be kept is not believed but
tried: one that does not survive a cut or a fork is left out, and every token reads all again.
"""

# Shapes: B batch, T tokens, V vocabulary.
import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from needlework.errors import CheckpointError
from needlework.external import snapshots
from needlework.models.checkpoints import hub
from needlework.models.checkpoints.accounting import listed
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder
from needlework.models.state import DecoderState

if TYPE_CHECKING:
    # Its models take two seconds to import, which a cell of our own decoder need not wait for.
    from transformers import PreTrainedModel

PROBE = (7, 5, 1)
"""Tokens of the pieces in which the probe reads a sequence."""
PROBE_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest share of the logits' size by which a true cache may differ; 0.05 in half precision."""


@dataclass(frozen=True)
class Row:
    """One sequence: its tokens where no cache is kept, else the library's cache."""

    tokens: tuple[int, ...]
    cache: Any


@dataclass(frozen=True)
class HubState:
    """Rows in order; a row is a value, because its cache is copied before it is continued."""

    rows: tuple[Row, ...]

    def fork(self, copies: int) -> Self:
        """Each row `copies` times, copies of a row next to each other."""
        return type(self)(tuple(row for row in self.rows for _ in range(copies)))

    def select(self, rows: Tensor) -> Self:
        """The rows with these indices, in this order."""
        return type(self)(tuple(self.rows[index] for index in rows.tolist()))

    def after_prompt(self) -> Self:
        """The state from which answers start."""
        return self

    @classmethod
    def stack(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, one after the other."""
        return cls(tuple(row for state in states for row in state.rows))

    @property
    def bytes(self) -> int:
        """Not known: the caches are the library's."""
        return 0


class HubModel(Decoder):
    """A transformers model; `hidden` gives its logits, of which only the last ones are defined.

    `unused` are the tensors of its checkpoint that transformers has no place for.
    """

    def __init__(self, model: "PreTrainedModel", unused: Sequence[str] = ()) -> None:
        nn.Module.__init__(self)
        self.model = model
        self.unused = tuple(unused)
        embedding = cast(nn.Embedding, model.get_input_embeddings())
        self.embedding = embedding
        self.config = DecoderConfig(
            family=model.config.model_type,
            vocabulary=model.config.vocab_size,
            padded_vocabulary=embedding.num_embeddings,
            width=embedding.embedding_dim,
            layers=(),
        )
        parameters = inspect.signature(model.forward).parameters
        self.last_only = "logits_to_keep" in parameters
        self.cache_name = "cache_params" if "cache_params" in parameters else "past_key_values"
        self.keeps_cache = self._cache_is_exact()

    @property
    def reads_in_pieces(self) -> bool:
        """Whether the library's cache can be continued and forked; without it pieces cost more."""
        return self.keeps_cache

    def init_state(self, batch: int) -> DecoderState:
        """The state of `batch` sequences before any token."""
        return cast(DecoderState, HubState((Row((), None),) * batch))

    def hidden(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Logits of shape (B, T, V) in which every position shows those of the row's last token."""
        last_BV, state = self.read(tokens_BT, state, lengths_B)
        return last_BV[:, None].expand(-1, tokens_BT.shape[1], -1), state

    def read(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Logits of shape (B, V) after the last valid token of every row."""
        lengths = [tokens_BT.shape[1]] * len(tokens_BT) if lengths_B is None else lengths_B.tolist()
        logits, rows = [], []
        before = cast(HubState, state).rows
        for tokens_T, length, row in zip(tokens_BT, lengths, before, strict=True):
            last_V, row = self._read(tokens_T[:length], row)
            logits.append(last_V)
            rows.append(row)
        return torch.stack(logits), cast(DecoderState, HubState(tuple(rows)))

    def logits(self, h: Tensor) -> Tensor:
        """What `read` and `hidden` gave."""
        return h

    def logits_at(self, tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        """Logits of shape (P, V) after the tokens at P positions of one sequence, in one pass."""
        kept = {"logits_to_keep": positions_P} if self.last_only else {}
        logits_TV: Tensor = self.model(tokens_T[None], use_cache=False, **kept).logits[0]
        return logits_TV if self.last_only else logits_TV[positions_P]

    def _read(self, tokens_T: Tensor, row: Row) -> tuple[Tensor, Row]:
        if not len(tokens_T):
            return self.embedding.weight.new_zeros(self.config.padded_vocabulary), row
        if not self.keeps_cache:
            tokens = (*row.tokens, *tokens_T.tolist())
            everything_1T = torch.tensor([tokens], device=tokens_T.device)
            return self._call(everything_1T, use_cache=False).logits[0, -1], Row(tokens, None)
        given = {} if row.cache is None else {self.cache_name: copy.deepcopy(row.cache)}
        output = self._call(tokens_T[None], use_cache=True, **given)
        return output.logits[0, -1], Row((), getattr(output, self.cache_name))

    def _call(self, tokens_1T: Tensor, **arguments: Any) -> Any:  # noqa: ANN401 - the library's
        if self.last_only:
            arguments["logits_to_keep"] = 1
        return self.model(tokens_1T, **arguments)

    @torch.inference_mode()
    def _cache_is_exact(self) -> bool:
        """Whether pieces and forks give what one reading gives, tried on a short sequence."""
        self.keeps_cache = True
        device = self.embedding.weight.device
        count = sum(PROBE)
        tokens_T = torch.arange(1, count + 1, device=device) % self.config.vocabulary
        whole_V = self._call(tokens_T[None], use_cache=False).logits[0, -1]
        row, start = Row((), None), 0
        try:
            for piece in PROBE:
                self._read(tokens_T[start : start + 1], row)  # A fork that goes another way.
                last_V, row = self._read(tokens_T[start : start + piece], row)
                start += piece
        except (AttributeError, TypeError, ValueError, RuntimeError):
            return False  # No cache, or one that cannot be continued by several tokens.
        tolerance = PROBE_TOLERANCE.get(whole_V.dtype, 0.05) * float(whole_V.abs().max())
        return bool((last_V - whole_V).abs().max() <= tolerance)


def load_hub_model(
    path_or_hub_id: str,
    *,
    revision: str | None,
    device: str,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> HubModel:
    """A model of transformers: a folder, or a hub id with its revision.

    Raises:
        CheckpointError: a hub id without a full revision, a model that transformers cannot load
            (says what to change), or one with tensors missing, which it would draw at random.
    """
    hub.require_revision(path_or_hub_id, revision=revision)
    import transformers

    # What it would report is an error here, and told in one line.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            snapshots.find("checkpoints", path_or_hub_id, revision=revision) or path_or_hub_id,
            revision=revision,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        hint = "" if trust_remote_code else "; code of its own needs `trust_remote_code: true`"
        raise CheckpointError(
            f"transformers cannot load {path_or_hub_id}: {reason}{hint}"
        ) from error
    if found["missing_keys"]:
        raise CheckpointError(
            f"{path_or_hub_id} is not a whole {type(model).__name__}: missing: "
            f"{listed(sorted(found['missing_keys']))}; check config.json and fetch it again"
        )
    return HubModel(model.to(device).eval().requires_grad_(False), sorted(found["unexpected_keys"]))
