"""A gated MLP: looks at one token at a time, so its state is empty."""

# Shapes: B batch, T tokens, D width, F hidden width.
from torch import Tensor, nn

from needlework.models import config
from needlework.models.mixer import Mixer
from needlework.models.pointwise import gated
from needlework.models.state import EmptyState


class MLP(Mixer[EmptyState]):
    """activation(gate(x)) * up(x), projected back; rows of `project_in` are [up, gate]."""

    def __init__(self, width: int, spec: config.MLP) -> None:
        super().__init__()
        self.activation = spec.activation
        self.project_in = nn.Linear(width, 2 * spec.hidden, bias=spec.bias)
        self.project_out = nn.Linear(spec.hidden, width, bias=spec.bias)

    def init_state(self, batch: int) -> EmptyState:
        """Nothing to remember."""
        del batch
        return EmptyState()

    def forward(
        self, x_BTD: Tensor, state: EmptyState, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, EmptyState]:
        """Transform every token for itself."""
        del lengths_B
        up_BTF, gate_BTF = self.project_in(x_BTD).chunk(2, dim=-1)
        return self.project_out(gated(gate_BTF, up_BTF, self.activation)), state
