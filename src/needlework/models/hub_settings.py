"""What a model of transformers knows beside its weights."""

import re
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    # Its models take two seconds to import.
    from transformers import PreTrainedModel

TABLES = re.compile(r"(^|[._])(wpe|pos\w*emb\w*|embed_pos\w*|position_embed\w*)$")
"""What learned positions are called, as modules of transformers."""


def settings_of(module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor | None]]:
    """What a module knows beside its weights: numbers of its own, and tables."""
    numbers = {
        name: value for name, value in vars(module).items() if isinstance(value, int | float)
    }
    return numbers, dict(module._buffers)


def positions_of(model: "PreTrainedModel") -> int | None:
    """The longest sequence of a model that learned its positions one by one; None: no limit."""
    settings = model.config.get_text_config()
    told = getattr(settings, "max_position_embeddings", None) or getattr(
        settings, "n_positions", None
    )
    tables = [
        module.num_embeddings
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and TABLES.search(name)
    ]
    return min([*tables, told] if told else tables) if tables else None
