"""One decoder, a mixer per module, exact state; and the checkpoint loaders.

Configurations are data: code that only counts imports `models.config`, which does not import torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needlework.models.checkpoints import load as load
else:

    def __getattr__(name: str) -> object:
        """`load`, imported at its first use."""
        if name != "load":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from needlework.models.checkpoints import load

        return load


__all__ = ["load"]
