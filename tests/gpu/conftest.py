"""fla is imported before any test, whose warnings are errors."""

import warnings
from importlib.util import find_spec


def import_quietly() -> None:
    """Import fla, which makes torch's compiler warn of itself and misses flash-attn aloud."""
    if find_spec("fla"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import fla.ops.hgrn
            import fla.ops.rwkv6  # noqa: F401


import_quietly()
