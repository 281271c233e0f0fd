"""A checkpoint's tensors against the places of a decoder: every one accounted for, on both sides.

The whole renaming is written out before a byte is read, and what is left over is an error with
names in it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from needlework.errors import CheckpointError
from needlework.models.decoder import Decoder

_SHOWN = 5
"""Names of a kind that an error lists before it counts the rest."""


@dataclass(frozen=True)
class Place:
    """Where a tensor of the checkpoint goes: a parameter of ours, or some of its rows."""

    name: str
    rows: tuple[int, int] | None = None
    """Half-open range along the first axis; the whole parameter when None."""
    leading: int = 0
    """Axes of size 1 that the checkpoint has in front of ours."""
    alias: bool = False
    """A second copy of a tied weight: it is compared with the first one instead of stored."""
    optional: bool = False
    """Some checkpoints leave it out."""
    paired: int | None = None
    """Heads whose rows the checkpoint has pair by pair, as they are rotated, and ours by halves."""

    def view(self, parameter: Tensor) -> Tensor:
        """The part of the parameter that the tensor fills, in the checkpoint's shape."""
        part = parameter if self.rows is None else parameter[slice(*self.rows)]
        if self.leading and self.rows is not None:
            part = part.flatten(0, 1) if part.ndim > 1 else part
        return part.view((1,) * self.leading + tuple(part.shape))

    def turned(self, tensor: Tensor) -> Tensor:
        """The tensor with its rows in our order."""
        if self.paired is None:
            return tensor
        pairs = tensor.view(self.paired, -1, 2, *tensor.shape[1:])
        return pairs.transpose(1, 2).reshape(tensor.shape)


Places = Mapping[str, Place]
"""Every name a checkpoint may have, with its place."""


NOTHING = re.compile(r"(^|\.)rotary_emb\.(inv_freq|cos_cached|sin_cached)$")
"""Tables beside the weights that follow from the configuration; older files have them."""


def carries_nothing(name: str) -> bool:
    """Whether a tensor may lie in a checkpoint without saying anything of the model."""
    return NOTHING.search(name) is not None


def settled(places: Places, shapes: Mapping[str, tuple[int, ...]]) -> Places:
    """The places for the tensors that are there: a tied weight may be written under either name."""
    found = dict(places)
    for name, place in places.items():
        firsts = [first for first, each in places.items() if each.name == place.name]
        firsts.remove(name)
        if place.alias and name in shapes and shapes.keys().isdisjoint(firsts):
            for first in firsts:
                del found[first]
            found[name] = replace(place, alias=False, optional=False)
    return found


def account(
    places: Places, shapes: Mapping[str, tuple[int, ...]], decoder: Decoder, *, where: str
) -> None:
    """Check names and shapes of a whole checkpoint against its decoder, before anything is copied.

    Raises:
        CheckpointError: tensors too many, too few or of another shape; names them.
    """
    required = {name for name, place in places.items() if not place.optional}
    unexpected = sorted(shapes.keys() - places.keys())
    missing = sorted(required - shapes.keys())
    parameters = dict(decoder.named_parameters())
    misshapen = []
    for name in shapes.keys() & places.keys():
        expected = tuple(places[name].view(parameters[places[name].name]).shape)
        if expected != shapes[name]:
            misshapen.append(f"{name} {shapes[name]} instead of {expected}")
    problems = [
        f"{kind}: {listed(names)}"
        for kind, names in (
            ("unexpected", unexpected),
            ("missing", missing),
            ("misshapen", sorted(misshapen)),
        )
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{where} is not a {decoder.config.family} checkpoint of its configuration: "
            f"{'; '.join(problems)}; check config.json and the revision"
        )


def unfilled(places: Places, decoder: Decoder) -> None:
    """Refuse a name table that leaves a row of a parameter without a tensor: our own mistake."""
    filled = {name: 0 for name, _ in decoder.named_parameters()}
    parameters = dict(decoder.named_parameters())
    for place in places.values():
        if not place.alias:
            filled[place.name] += place.view(parameters[place.name]).numel()
    holes = [name for name, count in filled.items() if count != parameters[name].numel()]
    assert not holes, f"the name table of {decoder.config.family} does not fill {holes}"


def place_tensor(name: str, tensor: Tensor, place: Place, parameters: Mapping[str, Tensor]) -> None:
    """Copy one tensor to where it belongs, in the parameter's dtype and on its device.

    Raises:
        CheckpointError: it holds no fractions, or a second copy of a tied weight differs from the
            first.
    """
    if not tensor.is_floating_point():
        raise CheckpointError(
            f"{name} is {str(tensor.dtype).removeprefix('torch.')}, which are no weights but "
            "numbers that stand for some; use a checkpoint that is not quantised"
        )
    target, tensor = place.view(parameters[place.name]), place.turned(tensor)
    if not place.alias:
        target.copy_(tensor)
    elif not torch.equal(target, tensor.to(target)):
        raise CheckpointError(
            f"{name} differs from the embedding although the configuration ties them; "
            "check tie_word_embeddings in config.json"
        )


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
