"""The names of the published study's defects that change how a model answers.

What each does is told where it is done: `engine.choosing` and `models.attention`.
"""

from typing import Literal

LayerHazard = Literal["m2a-conv-state", "rg-window"]
"""Defects of a layer: mamba_ssm 2.0.0 to 2.3.2, transformers 4.41.2 to 5.3.0."""
Hazard = Literal["mamba-sampling", LayerHazard]
"""Those, and tokens that were drawn where all other models were greedy."""
