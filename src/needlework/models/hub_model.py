"""Any causal language model of transformers behind our decoder's interface.

For architectures that we do not compute ourselves: slower, since every row is read by itself, but
the same cells, prompts and stop rules. Whether the library's cache may be kept is not believed but
tried, at the lengths that are asked for: rotary angles may depend on the length, switch at one, or
code of strangers may forget. What is not seen to continue exactly reads every prompt in one piece;
what does not even survive the tokens of an answer reads all again for each of them. Where that
changes what is rounded, in half precision, it is settled for each prompt by its length alone.
"""

# Shapes: B batch, T tokens, V vocabulary.
import copy
import inspect
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from needlework.door import hushed, read_settings, strangers, told
from needlework.errors import CheckpointError, ForwardError
from needlework.external import snapshots
from needlework.gguf_header import is_gguf, read_header
from needlework.models.allocation import is_out_of_memory
from needlework.models.checkpoints import hub
from needlework.models.checkpoints.accounting import listed
from needlework.models.config import DecoderConfig
from needlework.models.decoder import Decoder, one_by_one
from needlework.models.hub_cuts import cuts_after, cuts_inside, lengths_around
from needlework.models.hub_settings import positions_of, settings_of
from needlework.models.hub_state import HubSlots, HubState, Row
from needlework.models.slots import DecoderSlots
from needlework.models.state import DecoderState

if TYPE_CHECKING:
    # Its models take two seconds to import, which a cell of our own decoder need not wait for.
    from transformers import PreTrainedModel

CACHES = ("past_key_values", "cache_params", "cache")
"""What the library calls a cache: of attention, of recurrent models, of those since 5.24."""
Cuts = Literal["anywhere", "after the prompt", "nowhere"]
"""Where a sequence may be cut and continued from the library's cache."""
PROBE = 12
"""Tokens of the prompt that is tried before anybody says what will be asked."""
EXACT = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Largest share of the logits' size by which a true cache may differ: a tenth of what is contested
(`engine.choosing.CLOSE`), ten times what rounding does. In half precision every cut shows."""
ROUNDED = 0.05
"""The same share in half precision, where a cache is continued by answers alone."""


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
        rows, width = embedding.weight.shape
        self.config = DecoderConfig(
            family=model.config.model_type,
            # Models of several kinds of input describe that of text in a part of their own.
            vocabulary=min(rows, getattr(model.config.get_text_config(), "vocab_size", rows)),
            padded_vocabulary=rows,
            width=width,
            layers=(),
            positions=positions_of(model),
        )
        parameters = inspect.signature(model.forward).parameters
        self.last_only = "logits_to_keep" in parameters
        named = (name for name in CACHES if name in parameters)
        self.cache_name = next(named, CACHES[0])
        self._fresh = [settings_of(module) for module in model.modules()]
        self.one_pass = True
        """Whether logits inside of a sequence are those of a sequence that ends there."""
        self.cuts: Cuts = "nowhere"
        self._continued: dict[int, bool] = {}
        """In half precision: whether answers continue prompts of this length."""
        probe = np.arange(1, PROBE + 1, dtype=np.int32) % self.config.vocabulary
        self.prepare([probe.astype(np.int32)], 1)

    @property
    def keeps_cache(self) -> bool:
        """Whether all answers are continued from the library's cache."""
        return self.cuts != "nowhere" and all(self._continued.values())

    @property
    def steps_in_place(self) -> bool:
        """Not: the library keeps what it remembers wherever it likes."""
        return False

    @property
    def reads_in_pieces(self) -> bool:
        """Whether prompts may be cut and their beginnings shared."""
        return self.cuts == "anywhere"

    @torch.inference_mode()
    def prepare(self, prompts: Sequence[npt.NDArray[np.int32]], written: int) -> None:
        """Try how prompts like these may be read, with answers of up to `written` tokens.

        The shortest and the longest of them are read in pieces, answers included. A change on the
        way from one to the other, such as another rotary angle, is seen in the longest. In half
        precision, where an answer may depend on the choice, other prompts may not decide it: what
        is read is drawn, over a fixed range around each length, or else at that length alone.
        """
        self._continued, self.cuts = {}, "nowhere"
        if not prompts:
            return
        if (exact := EXACT.get(self.embedding.weight.dtype)) is not None:
            self.cuts = self._cuts(prompts, written, exact)
            return
        tried: dict[tuple[int, int], bool] = {}
        for length in sorted(set(map(len, prompts))):
            for lengths in (lengths_around(length), (length, length)):
                if lengths not in tried:
                    tried[lengths] = self._continue_all(*lengths, written)
                self._continued[length] = tried[lengths]
                if tried[lengths]:
                    break
        tokens = self._drawn(length + written)
        self.one_pass = self._agrees(tokens, cuts_inside(len(tokens)), ROUNDED)
        self.cuts = "after the prompt" if any(self._continued.values()) else "nowhere"

    def _drawn(self, length: int) -> npt.NDArray[np.int32]:
        """So many tokens, fewer where positions end; the same ones whenever they are asked for."""
        length = min(length, self.config.positions or length)
        drawn = np.random.default_rng(0).integers(self.config.vocabulary, size=length)
        return drawn.astype(np.int32)

    def _continue_all(self, first: int, last: int, written: int) -> bool:
        """Whether answers continue prompts of all these lengths, as far as drawn ones show."""
        tokens = self._drawn(last + written)
        return self._agrees(tokens, cuts_after(first, len(tokens)), ROUNDED)

    def _cuts(self, prompts: Sequence[npt.NDArray[np.int32]], written: int, allowed: float) -> Cuts:
        most, least = max(prompts, key=len), min(map(len, prompts))
        # What an answer will say is not known; the prompt says something that is like it.
        tokens = np.resize(most, len(most) + written)
        self.one_pass = all(
            self._agrees(tokens[:length], cuts_inside(length), allowed)
            for length in sorted({least + written, len(tokens)})
        )
        if self.one_pass:
            return "anywhere"
        after = cuts_after(least, len(tokens))
        return "after the prompt" if self._agrees(tokens, after, allowed) else "nowhere"

    def _agrees(self, tokens: npt.NDArray[np.int32], cuts: Sequence[int], allowed: float) -> bool:
        """Whether pieces between these places, and forks, give what one reading gives."""
        tokens_T = torch.from_numpy(tokens.astype(np.int64)).to(self.embedding.weight.device)
        places = sorted({0, len(tokens), *(cut for cut in cuts if 0 < cut < len(tokens))})
        row = Row((), None)
        try:
            whole_V = self._call(tokens_T[None], use_cache=False).logits[0, -1]
            for start, end in pairwise(places):
                self._continue(tokens_T[start : start + 1], row)  # A fork that goes another way.
                last_V, row = self._continue(tokens_T[start:end], row)
        except ForwardError:
            return False  # No cache, or one that cannot be continued by several tokens.
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return bool((last_V - whole_V).abs().max() <= allowed * whole_V.abs().max())

    def init_state(self, batch: int) -> DecoderState:
        """The state of `batch` sequences before any token."""
        return cast(DecoderState, HubState((Row((), None),) * batch))

    def slots(self, rows: int, columns: int, answer: int, begun: int = 0) -> DecoderSlots:  # noqa: ARG002
        """Storage for so many rows, whose caches the library makes by itself."""
        return cast(DecoderSlots, HubSlots(rows))

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

    def following(
        self, tokens_BT: Tensor, state: DecoderState, lengths_B: Tensor | None = None
    ) -> Tensor:
        """Logits of shape (B, T, V) after each of these tokens, which are read one by one."""
        return one_by_one(self, tokens_BT, state, lengths_B)

    def logits(self, h: Tensor) -> Tensor:
        """What `read` and `hidden` gave."""
        return h

    def logits_at(self, tokens_T: Tensor, positions_P: Tensor) -> Tensor:
        """Logits of shape (P, V) after the tokens at P positions of one sequence, in one pass.

        Where what comes later changes them, each is that of the sequence which ends there.
        """
        if not self.one_pass:
            ends = [int(position) + 1 for position in positions_P]
            alone = [self._call(tokens_T[None, :end], use_cache=False).logits for end in ends]
            return torch.stack([logits_1TV[0, -1] for logits_1TV in alone])
        kept = {"logits_to_keep": positions_P} if self.last_only else {}
        self._forget()
        logits_TV: Tensor = self.model(tokens_T[None], use_cache=False, **kept).logits[0]
        return logits_TV if self.last_only else logits_TV[positions_P]

    def _read(self, tokens_T: Tensor, row: Row) -> tuple[Tensor, Row]:
        if not len(tokens_T):
            return self.embedding.weight.new_zeros(self.config.padded_vocabulary), row
        if row.cache is not None or (not row.tokens and self._continues(len(tokens_T))):
            return self._continue(tokens_T, row)
        tokens = (*row.tokens, *tokens_T.tolist())
        everything_1T = torch.tensor([tokens], device=tokens_T.device)
        return self._call(everything_1T, use_cache=False).logits[0, -1], Row(tokens, None)

    def _continues(self, length: int) -> bool:
        """Whether a sequence that begins with so many tokens keeps its cache."""
        if self.embedding.weight.dtype in EXACT:
            return self.cuts != "nowhere"
        return self._continued.get(length, False)

    def _continue(self, tokens_T: Tensor, row: Row) -> tuple[Tensor, Row]:
        """Logits of shape (V,) after tokens that the library's cache is continued by."""
        given = {} if row.cache is None else {self.cache_name: copy.deepcopy(row.cache)}
        output = self._call(tokens_T[None], use_cache=True, **given)
        cache = getattr(output, self.cache_name, None)
        if cache is None:
            raise ForwardError(
                f"{type(self.model).__name__} of transformers gives no cache that another call "
                "could continue; choose another version of transformers"
            )
        return output.logits[0, -1], Row((), cache)

    def _call(self, tokens_1T: Tensor, **arguments: Any) -> Any:  # noqa: ANN401 - the library's
        self._forget()
        if self.last_only:
            arguments["logits_to_keep"] = 1
        with strangers(lambda cause: self._failure(cause, tokens_1T.shape[1])):
            try:
                return self.model(tokens_1T, **arguments)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                out_of_memory = error
        # Whoever reads knows what to do about it.
        raise out_of_memory

    def _failure(self, cause: Exception, tokens: int) -> ForwardError:
        return ForwardError(
            f"{type(self.model).__name__} of transformers fails on {tokens} tokens "
            f"({told(cause)}); choose another length, or check config.json"
        )

    def _forget(self) -> None:
        """Make the library's modules what they were: some keep angles of the longest text so far.

        An answer would depend on what was asked before it.
        """
        for module, (values, buffers) in zip(self.model.modules(), self._fresh, strict=True):
            module.__dict__.update(values)
            module._buffers.update(buffers)


def load_hub_model(
    path_or_hub_id: str,
    *,
    revision: str | None,
    device: str,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> HubModel:
    """A model of transformers: a folder, a GGUF file, or a hub id with its revision.

    Raises:
        CheckpointError: a hub id without a full revision, a model that transformers cannot load
            (says what to change), or one with tensors missing, which it would draw at random.
    """
    hub.require_revision(path_or_hub_id, revision=revision)
    import transformers

    # What it would report is an error here, and told in one line.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    refused = partial(_refused, path_or_hub_id, trusted=trust_remote_code)
    with hushed(), strangers(refused):
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            **_source(path_or_hub_id, revision),
            revision=revision,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    if found["missing_keys"]:
        raise CheckpointError(
            f"{path_or_hub_id} is not a whole {type(model).__name__}: missing: "
            f"{listed(sorted(found['missing_keys']))}; check config.json and fetch it again"
        )
    return HubModel(model.to(device).eval().requires_grad_(False), sorted(found["unexpected_keys"]))


def _source(path_or_hub_id: str, revision: str | None) -> dict[str, str]:
    """Where transformers finds a model: a folder or hub id, and of a GGUF file its name in it."""
    found = snapshots.find("checkpoints", path_or_hub_id, revision=revision) or path_or_hub_id
    if not is_gguf(found):
        if (settings := Path(found) / "config.json").is_file():
            read_settings(settings, error=CheckpointError)
        return {"pretrained_model_name_or_path": str(found)}
    path = read_header(found).path
    return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}


def _refused(name: str, cause: Exception, *, trusted: bool) -> CheckpointError:
    has_code = not trusted and not is_gguf(name)
    hint = "; code of its own needs `trust_remote_code: true`" if has_code else ""
    return CheckpointError(f"transformers cannot load {name}: {told(cause)}{hint}")
