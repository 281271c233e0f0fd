"""The keys of a study as its file has them, where a workflow has read the file by other rules."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from needlework.parsing import read_keys


def asked(
    config: Mapping[str, Any], files: Sequence[str | Path], overrides: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The keys in these files, later ones over earlier ones, and what `--config` sets over them.

    Snakemake reads numbers as YAML 1.1 does: of `042` it makes 34, of `yes` true. So its `config`
    is read again from the files, unless it is that of a module, which comes from elsewhere.

    Raises:
        StudyError: a file is not what its name says, or says a key twice.
    """
    strict: dict[str, Any] = {}
    lax: dict[str, Any] = {}
    for path in dict.fromkeys(map(Path, files)):
        merge(strict, read_keys(path))
        merge(lax, yaml.safe_load(path.read_text(encoding="utf-8")))
    merge(strict, overrides)
    merge(lax, overrides)
    return strict if files and lax == config else config


def merge(into: dict[str, Any], keys: Mapping[str, Any]) -> None:
    """Set keys as Snakemake does: those that hold keys themselves are merged."""
    for key, value in keys.items():
        if isinstance(value, Mapping):
            within = into.get(key)
            into[key] = dict(within) if isinstance(within, Mapping) else {}
            merge(into[key], value)
        else:
            into[key] = value
