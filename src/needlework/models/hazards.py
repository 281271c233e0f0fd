"""Defects of published libraries as switches of a decoder's configuration, all off by default.

Here a defect is assigned to layers; what it does there is in the layers themselves.
"""

from collections.abc import Collection, Mapping

from needlework.defects import LayerHazard
from needlework.errors import CheckpointError
from needlework.models.config import Attention, DecoderConfig, MixerConfig

SWITCHES: Mapping[LayerHazard, str] = {
    "m2a-conv-state": "convolved_tail",
    "rg-window": "shifted_window",
}
"""mamba_ssm 2.0.0 to 2.3.2 (H2) and transformers 4.41.2 to 5.3.0 (H3), with the setting of ours."""

_NEEDS = {"m2a-conv-state": "convolution", "rg-window": "window"}


def with_hazards(spec: DecoderConfig, hazards: Collection[LayerHazard]) -> DecoderConfig:
    """The same decoder with these defects.

    Raises:
        CheckpointError: no layer of the decoder could have the defect.
    """
    for hazard in hazards:
        layers = tuple(_defective(layer, hazard) for layer in spec.layers)
        if layers == spec.layers:
            raise CheckpointError(
                f"hazard {hazard} needs attention with a {_NEEDS[hazard]}, which {spec.family} "
                "does not have; remove it from the model's hazards"
            )
        spec = spec.model_copy(update={"layers": layers})
    return spec


def _defective(layer: MixerConfig, hazard: LayerHazard) -> MixerConfig:
    if not isinstance(layer, Attention) or getattr(layer, _NEEDS[hazard]) is None:
        return layer
    return layer.model_copy(update={SWITCHES[hazard]: True})
