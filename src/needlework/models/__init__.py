"""One decoder, four mixers, exact state; and the checkpoints it can load."""

from needlework.models.checkpoints import load

__all__ = ["load"]
