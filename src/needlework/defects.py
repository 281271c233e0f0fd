"""The names of the published study's defects, and what each of them touches.

What those of a model do is told where it is done: `engine.choosing` and `models.attention`.
"""

from typing import Literal

LayerHazard = Literal["m2a-conv-state", "rg-window"]
"""Defects of a layer: mamba_ssm 2.0.0 to 2.3.2, transformers 4.41.2 to 5.3.0."""
Hazard = Literal["mamba-sampling", "no-begin-token", LayerHazard]
"""Those, tokens that were drawn where all other models were greedy, and prompts without the begin
token of the model's training: the pipeline of transformers left it out until 4.43, while models
that the pipeline refused, such as RecurrentGemma, got theirs."""
StudyHazard = Literal[Hazard, "uuid-numbers", "format-mix"]
"""Those, UUID tasks of the depth suite that ask for numbers, and depths whose mean over formats was
taken over the repeated paragraph alone."""
