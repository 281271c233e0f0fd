"""The rates of a study's models on a machine that `needlework prove` has measured.

No torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from needlework.cost.devices import DEVICES, Device, Rates
from needlework.errors import StudyError
from needlework.proving.records import Facts, Proof, read_proof
from needlework.study.config import ModelEntry
from needlework.study.plan import Plan


class MeasuredMachine(NamedTuple):
    """A device and what was measured on it."""

    device: Device
    rates: Mapping[str, Rates]
    """By model of the study; those that are missing were not measured."""
    notes: tuple[str, ...]
    """What the rates rest on, one sentence each."""


def read_machine(path: Path, plan: Plan) -> MeasuredMachine:
    """The machine of a `prove.json`.

    Raises:
        RecordError: the file is damaged or something else.
        StudyError: its GPU is not in the table of devices, or it measured no model of the study.
    """
    proof = read_proof(path)
    facts = proof.facts
    rates = {}
    for model, entry in plan.models.items():
        if (found := _rates(proof, entry)) is not None:
            rates[model] = found
    if not rates:
        measured = ", ".join(name for speed in proof.speeds for name in speed.checkpoints)
        raise StudyError(
            f"{path} measured {measured or 'no model'}, and none of this study's models in their "
            "dtype; run `needlework prove` on the machine that will run the study"
        )
    notes = [f"measured on {facts.name} (torch {facts.torch}): {len(rates)} models, {path}"]
    notes += [f"measured: {model} {_shown(each)}" for model, each in rates.items()]
    notes += [f"not measured, so assumed: {model}" for model in plan.models if model not in rates]
    return MeasuredMachine(_device(facts, path), rates, tuple(notes))


def _rates(proof: Proof, entry: ModelEntry) -> Rates | None:
    for speed in proof.speeds:
        if entry.checkpoint in speed.checkpoints and entry.dtype == speed.dtype:
            found = speed.rates
            return None if found is None else Rates(found.flops, found.bandwidth, found.step)
    return None


def _device(facts: Facts, path: Path) -> Device:
    """The entry of the table that is this machine's device."""
    if facts.device == "cpu":
        return DEVICES["cpu"]
    title = facts.name.lower()
    for device in DEVICES.values():
        if device.kind == "cuda" and device.name.partition("-")[0] in title:
            return device
    raise StudyError(
        f"{path}: the GPU that was measured ({facts.name}) is not in the table of devices; add its "
        "figures to src/needlework/cost/devices.py"
    )


def _shown(rates: Rates) -> str:
    return (
        f"reads at {rates.flops / 1e9:.3g} GFLOP/s, writes at {rates.bandwidth / 1e9:.3g} GB/s "
        f"with {1000 * rates.step:.2g} ms a step"
    )
