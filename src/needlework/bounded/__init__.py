"""Work on what strangers wrote, within limits of time and memory that are told where they end it.

Knows processes; does not know what is done in them. A process that a limit ends writes nothing:
what a stranger's program wants to be is never half of a file of ours.
"""

from needlework.bounded.apart import Apart
from needlework.bounded.going_on import go_on_in_child
from needlework.bounded.limits import FACTOR, MEGABYTE, LimitError, Limits
from needlework.bounded.once import in_child

__all__ = ["FACTOR", "MEGABYTE", "Apart", "LimitError", "Limits", "go_on_in_child", "in_child"]
