"""Which code of this package serves one model: a digest that leaves other architectures out.

The table of mixers is read as syntax, so that a workflow does not import torch.
"""

from needlework import sources
from needlework.cost.architectures import Weights, architecture
from needlework.study.config import ModelEntry

DECODER, MIXERS = "needlework.models.decoder", "MIXERS"
SPECS = "needlework.tasks.specs"
"""The record of every generator. What a job takes of them are parameters, which it carries."""


def digest_for(entry: ModelEntry, *modules: str) -> str:
    """A digest of modules and what they import, without the mixers that the model does not have
    and without how parameters of tasks are read.

    Of a model that nothing here describes, all mixers count; of one that transformers computes,
    none.
    """
    mixers = sources.rows(DECODER, MIXERS)
    spec = architecture(Weights.of(entry))
    if entry.backend == "transformers":
        own = set()
    elif spec is None:
        own = set(mixers.values())
    else:
        own = {mixers[f"config.{type(layer).__name__}"] for layer in spec.layers}
    return sources.digest(*modules, without={*mixers.values(), SPECS} - own)
