"""What an answer depends on, in one place: the key of the journal holds this, and only this.

Two answers with equal keys are the same answer. So what is part of a key must change the answer, or
everything would be computed again for nothing, and what changes an answer must be part of it, or a
stale one would be served. `docs/answers.md` tells both as a table.

The chat template and the begin token are in the prompt's ids, and defects that are switched on in
those, in the configuration or in the decoding. Not here: how much is in memory at a time, on which
device, and whether a prefix was shared. For our own decoder the versions of torch and of the kernel
packages are written beside each answer instead (`libraries`): they may move a number in its last
digits, and a cell that holds answers of two versions is marked.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field

from needlework import sources
from needlework.engine.stopping import Decoding, StopRule
from needlework.files import sha256
from needlework.models import checkpoints, kernels
from needlework.models.checkpoints import hub, reading
from needlework.models.decoder import MIXERS, Decoder
from needlework.models.hub_model import HubModel
from needlework.models.layer import Operation
from needlework.parsing import Closed
from needlework.tokenizers import Tokenizer
from needlework.tokenizers.prefixes import Tokens

ENGINE = "needlework.engine.running"
"""The module from which everything that decides an answer is imported."""
LIKELIHOOD = "needlework.engine.likelihood"
"""The module from which everything else that decides a likelihood is imported."""
LOADER = "needlework.models.checkpoints"
BESIDE = frozenset(
    {
        # What it decides stands in the key itself.
        "needlework.models.config",
        "needlework.models.kernels",
        "needlework.models.layer",
        "needlework.tokenizers",
        # How much is in memory at a time.
        "needlework.cost.formulas",
        "needlework.cost.room",
        # Where files are, and how limits, mistakes, records and interruptions are told.
        "needlework.bounded",
        "needlework.bounded.apart",
        "needlework.bounded.going_on",
        "needlework.bounded.limits",
        "needlework.bounded.once",
        "needlework.door",
        "needlework.engine.interruption",
        "needlework.engine.memory",
        "needlework.errors",
        "needlework.files",
        "needlework.models.checkpoints.hub",
        "needlework.parsing",
        "needlework.records",
        "needlework.external.registry",
        "needlework.external.snapshots",
        # How texts reach a tokenizer, and may be cut while a dataset is made.
        "needlework.tokenizers.apart",
        "needlework.tokenizers.cuts",
    }
)
"""Modules that decide no answer, although the engine imports them."""
ON_CUDA = frozenset(
    {
        "needlework.models.cuda",
        "needlework.models.fused",
        "needlework.models.fused_attention",
        "needlework.models.fused_recurrent",
    }
)
"""Modules that decide answers where kernels compute, and load nothing."""


class Reader(Closed):
    """Who answers, and how: what all prompts of a cell have in common."""

    weights: str
    """The commit of a repository, or the digests of files: weights, and code that comes along."""
    configuration: str
    """A digest of the decoder's configuration, switched-on defects included."""
    dtype: str
    kernels: str
    """What computes the operations of this decoder that torch does not compute."""
    backend: str
    """Who computes the model; of transformers, whether its cache is used and its version."""
    code: str
    """A digest of our code that decides this decoder's answers."""
    tokenizer: str
    """A digest of what turns tokens into text, by which an answer is found to be decided."""
    decoding: Decoding
    """The generation settings."""


class Identity(Closed):
    """What decides an answer, the prompt's ids aside."""

    reader: Reader
    limit: int
    """Most tokens of the answer."""
    end: tuple[int, ...]
    """Tokens that end it, in ascending order."""
    outputs: tuple[str, ...]
    """The references; with `metric` they decide when the score can no longer change."""
    metric: str
    address: tuple[str | int, ...]
    """Where its random stream is found, should it be drawn; empty for a greedy answer."""
    likelihood: str | None = Field(None, exclude_if=lambda value: value is None)
    """A digest of the texts whose likelihoods are asked for, and of our code that tells them."""


def key(
    reader: Reader,
    tokens: Tokens,
    rule: StopRule,
    address: tuple[str | int, ...],
    texts: Sequence[Sequence[int]] = (),
) -> str:
    """The digest under which the answer to a prompt is found in a journal.

    `texts` are those whose likelihoods behind the prompt are asked for, as tokens.
    """
    identity = Identity(
        reader=reader,
        limit=rule.limit,
        end=tuple(sorted(rule.end)),
        outputs=rule.outputs,
        metric=rule.metric,
        address=address,
        likelihood=_likelihood(texts) if texts else None,
    )
    digest = hashlib.sha256(identity.model_dump_json().encode())
    digest.update(b"\n")
    digest.update(np.asarray(tokens).astype("<u4").tobytes())
    return digest.hexdigest()


def _likelihood(texts: Sequence[Sequence[int]]) -> str:
    """What decides the likelihoods of these texts, the answer's key aside."""
    return _digest([_likelihood_code(), *(f"{' '.join(map(str, text))}\n" for text in texts)])


@cache
def _likelihood_code() -> str:
    return sources.digest(LIKELIHOOD, without=BESIDE | sources.closure(ENGINE))


def reader_of(
    decoder: Decoder, tokenizer: Tokenizer, decoding: Decoding, *, weights: str
) -> Reader:
    """The common part of the keys of a cell; `weights` says which weights the decoder holds."""
    return Reader(
        weights=weights,
        configuration=_configuration(decoder),
        dtype=str(decoder.embedding.weight.dtype),
        kernels=kernels_of(decoder),
        backend=_backend(decoder),
        code=code_of(decoder, type(tokenizer).__module__),
        # Its name says where the file lies, which decides nothing.
        tokenizer=tokenizer.identity.rpartition("@")[2],
        decoding=decoding,
    )


class Files(NamedTuple):
    """The SHA-256 of what answers are computed from in a checkpoint that is no repository."""

    weights: tuple[str, ...]
    configuration: tuple[str, ...]
    code: tuple[str, ...]
    """Of the Python files beside the weights, where they are run."""

    @property
    def fingerprint(self) -> str:
        """What records call these weights, in place of a commit."""
        return _digest([*self.weights, *self.configuration])


def files_of(checkpoint: str, *, remote_code: bool) -> Files:
    """The digests of a local checkpoint.

    Raises:
        CheckpointError: it is not here.
    """
    source = hub.find(checkpoint, revision=None)
    code = sorted(source.glob("*.py")) if remote_code else []
    groups = (reading.shards(source), list(source.glob("config.json")), code)
    return Files(*(tuple(map(sha256, group)) for group in groups))


def weights_of(checkpoint: str, named: Files | str, *, backend: str) -> str:
    """What names the weights of a checkpoint in keys, and what of our code loads them.

    Of files (`named`) their digests, of a hub id its commit. What our own loaders read of a
    configuration is seen in the decoder; transformers reads it, and code beside it, by itself.

    Raises:
        CheckpointError: the checkpoint is not here.
    """
    if backend == "transformers":
        return named if isinstance(named, str) else _digest(chain(*named))
    commit, weights = (named, named) if isinstance(named, str) else (None, _digest(named.weights))
    family = checkpoints.family_module(hub.find(checkpoint, revision=commit))
    others = checkpoints.family_modules() - sources.closure(family)
    loader = sources.digest(LOADER, family, without=BESIDE | ON_CUDA | others | _mixer_modules())
    return f"{weights}+{loader}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def code_of(decoder: Decoder, tokenizer: str) -> str:
    """A digest of our code that decides a decoder's answers: engine, its mixers, the tokenizer's.

    Comments and docstrings are no code; the mixers that the decoder does not have do not count, and
    neither do calls of kernels where torch computes everything. `tokenizer` is its module.
    """
    own = {MIXERS[type(layer)].__module__ for layer in decoder.config.layers}
    without = BESIDE | (_mixer_modules() - own)
    if kernels_of(decoder) == kernels.TORCH:
        without |= ON_CUDA
    roots = [ENGINE]
    roots += ["needlework.models.hub_model"] if isinstance(decoder, HubModel) else []
    roots += [tokenizer] if tokenizer.partition(".")[0] == sources.PACKAGE else []
    return sources.digest(*roots, without=without)


def _mixer_modules() -> set[str]:
    return {mixer.__module__ for mixer in MIXERS.values()}


def _configuration(decoder: Decoder) -> str:
    """A digest of the configuration and of what follows from it for how prompts are read."""
    spec = decoder.config
    last = spec.last_memory if spec.layers else None
    return _digest([spec.model_dump_json(), f"{last} {decoder.reads_in_pieces}"])


def _backend(decoder: Decoder) -> str:
    told = backend_of(decoder)
    return f"{told} {libraries_of(decoder)}" if isinstance(decoder, HubModel) else told


def backend_of(decoder: Decoder) -> str:
    """Who computes the model, and whether prompts may share prefixes there."""
    if not isinstance(decoder, HubModel):
        return "needlework"
    if decoder.reads_in_pieces:
        return "transformers"
    part = "" if decoder.cuts == "nowhere" else "partly "
    cache = "" if decoder.keeps_cache else f", {part}without cache"
    return f"transformers, prompts in one piece{cache}"


def kernels_of(decoder: Decoder) -> str:
    """What computes the operations of the decoder that torch does not; else that torch is all."""
    special = [f"{name}={package}" for name, package in _special(decoder).items()]
    return ",".join(special) or kernels.TORCH


def libraries_of(decoder: Decoder) -> str:
    """The versions of what computes: torch, and transformers or the packages of kernels in use."""
    found = [f"torch {torch.__version__}"]
    if isinstance(decoder, HubModel):
        import transformers

        found.append(f"transformers {transformers.__version__}")
    packages = sorted(set(_special(decoder).values()))
    return ", ".join([*found, *(f"{name} {_version(name)}" for name in packages)])


def configurations_of(decoder: Decoder) -> str:
    """What Triton has chosen for tuned kernels, so far in this process; nothing on a CPU.

    Jobs of one kind of GPU keep what one of them has chosen (`engine.compiled`).
    """
    if not kernels.accelerated(decoder.embedding.weight.device):
        return ""
    return "; ".join(f"{name}: {chosen}" for name, chosen in kernels.configurations().items())


def _special(decoder: Decoder) -> dict[Operation, str]:
    weight = decoder.embedding.weight
    own = {name for layer in decoder.config.layers for name in layer.operations}
    chosen = kernels.choices(weight.device, weight.dtype)
    return {
        name: package
        for name, package in chosen.items()
        if name in own and package != kernels.TORCH
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"
