"""Errors in a user's input: one line names the value, the limit and the way out.

The command line prints these without a traceback and exits with code 2. Any other exception is a
bug in needlework and is shown with its traceback.
"""


class NeedleworkError(ValueError):
    """A mistake a user can mend; the message says how."""


class StudyError(NeedleworkError):
    """A configuration that does not describe a study."""


class BudgetError(NeedleworkError):
    """A prompt that cannot be fitted into the context length that was asked for."""


class ResourceError(NeedleworkError):
    """An external file that is absent, unverified or not what it claims to be."""


class RecordError(NeedleworkError):
    """A dataset, prediction or score file with an invalid line."""


class CheckpointError(NeedleworkError):
    """A checkpoint that is not the model it claims to be."""


class EngineError(NeedleworkError):
    """A cell that cannot be computed as it was asked for."""


class OutOfRoomError(NeedleworkError):
    """A disk that is full, or a quota that is reached."""


class NoLocksError(NeedleworkError):
    """A file system on which processes cannot take turns."""


class ForwardError(NeedleworkError):
    """A model of somebody else that fails on what it is asked to read."""


class ServerError(NeedleworkError):
    """A server that cannot be reached, or does not give what it was asked for."""


class ArtifactError(NeedleworkError):
    """An artifact that is not one, or that would harm the machine it is unpacked on."""


class LimitError(NeedleworkError):
    """Something of a stranger's that takes more time or memory than it may have."""
