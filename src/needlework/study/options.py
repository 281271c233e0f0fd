"""Options of commands as rules write them."""

import shlex


def options(**values: object) -> str:
    """Command-line options with their values, quoted for the shell; None and False are left out."""
    words = []
    for name, value in values.items():
        if value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)
