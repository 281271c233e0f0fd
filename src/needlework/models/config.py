"""What a decoder is made of, as data: one closed record per part, families as lists of layers."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from needlework.models.layer import Layer, LayerCost, Operation
from needlework.parsing import Closed


class Norm(Closed):
    """How a layer's input is normalised."""

    kind: Literal["rms", "layer"] = "rms"
    eps: float = 1e-5
    offset: bool = Field(False, description="Scale by 1 + weight, as Gemma does.")


class Attention(Layer):
    """Softmax attention, optionally windowed, grouped, partly rotated and behind a convolution."""

    kind: Literal["attention"] = "attention"
    heads: PositiveInt
    kv_heads: PositiveInt
    head_width: PositiveInt
    rotary_width: int = Field(
        description="Leading channels of a head that are rotated; 0 for none."
    )
    rotary_base: float = 10000.0
    rotary_divisors: tuple[PositiveFloat, ...] | None = Field(
        None,
        description="What each rotary frequency is divided by, for contexts longer than those of "
        "the first training; None: by nothing.",
    )
    window: PositiveInt | None = Field(
        None, description="Keys each query may see, its own included."
    )
    convolution: PositiveInt | None = Field(
        None, description="Taps of a causal convolution over qkv."
    )
    qkv_bias: bool = False
    output_bias: bool = False
    convolved_tail: bool = Field(
        False, description="Hazard m2a-conv-state: answers start from convolved inputs."
    )
    shifted_window: bool = Field(
        False, description="Hazard rg-window: prompts see their last keys under the first's mask."
    )

    @model_validator(mode="after")
    def _divisible(self) -> "Attention":
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} kv_heads evenly")
        if self.convolved_tail and not self.convolution:
            raise ValueError("convolved_tail needs a convolution")
        if self.shifted_window and not self.window:
            raise ValueError("shifted_window needs a window")
        if self.rotary_width % 2 or self.rotary_width > self.head_width:
            raise ValueError(f"rotary_width {self.rotary_width} must be even and <= head_width")
        if self.rotary_divisors is not None and len(self.rotary_divisors) != self.rotary_width // 2:
            raise ValueError(
                f"{len(self.rotary_divisors)} rotary_divisors for {self.rotary_width // 2} "
                "frequencies; there must be one for each"
            )
        return self

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Attention, and the convolution where there is one."""
        own: tuple[Operation, ...] = ("attention", *super().operations)
        return ("convolution", *own) if self.convolution else own

    def cost(self, width: int) -> LayerCost:
        """See `Layer`; the keys a query sees are counted apart."""
        heads = self.heads * self.head_width
        channels = heads + 2 * self.kv_heads * self.head_width
        taps = self.convolution or 0
        tails = (2 if self.convolved_tail else 1) * max(0, taps - 1) * channels
        return LayerCost(
            parameters=width * channels
            + channels * bool(self.qkv_bias)
            + heads * width
            + width * bool(self.output_bias)
            + channels * (taps + 1 if taps else 0),
            matrices=2 * width * channels + 2 * heads * width + 2 * taps * channels,
            ending=2 * heads * width,
            key=4 * heads,
            window=self.window,
            key_elements=2 * self.kv_heads * self.head_width,
            kept_elements=tails,
            widest=2 * channels + heads,
        )


class SSD(Layer):
    """The selective state space layer of Mamba2 (arXiv:2405.21060)."""

    kind: Literal["ssd"] = "ssd"
    heads: PositiveInt
    head_width: PositiveInt
    state: PositiveInt
    groups: PositiveInt = 1
    convolution: PositiveInt = 4
    chunk: PositiveInt = 256
    norm_eps: float = 1e-5

    @property
    def operations(self) -> tuple[Operation, ...]:
        """See `Layer`."""
        return ("convolution", "selective_scan", *super().operations)

    @property
    def chunk_tokens(self) -> int:
        """See `Layer`."""
        return self.chunk

    def cost(self, width: int) -> LayerCost:
        """See `Layer`; the recurrence as in section 6 of the paper."""
        inner, shared = self.heads * self.head_width, self.groups * self.state
        channels, taps = inner + 2 * shared, self.convolution
        rows = inner + channels + self.heads
        state = inner * self.state
        return LayerCost(
            parameters=width * rows
            + channels * (taps + 1)
            + 3 * self.heads
            + inner
            + inner * width,
            matrices=2 * width * rows + 2 * taps * channels + 2 * inner * width,
            # Every token with those of its chunk, reads times writes and then times inputs.
            chunked=2 * self.chunk * (shared + inner) + 4 * state,
            alone=4 * state,
            ending=2 * width * inner + 2 * state + 2 * inner * width,
            kept_elements=(taps - 1) * channels,
            wide_elements=state,
            widest=rows + channels,
            wide_places=3 * self.heads * self.chunk + 6 * inner + 2 * self.heads * self.state,
        )


class GatedDelta(Layer):
    """The gated delta rule of Gated DeltaNet (arXiv:2412.06464)."""

    kind: Literal["gated_delta"] = "gated_delta"
    heads: PositiveInt
    head_width: PositiveInt = Field(description="Channels of a query or key.")
    value_width: PositiveInt = Field(description="Channels of a value.")
    convolution: PositiveInt = 4
    chunk: PositiveInt = 64
    norm_eps: float = 1e-5

    @property
    def operations(self) -> tuple[Operation, ...]:
        """See `Layer`."""
        return ("convolution", *super().operations)

    @property
    def chunk_tokens(self) -> int:
        """See `Layer`."""
        return self.chunk

    def cost(self, width: int) -> LayerCost:
        """See `Layer`; the triangular systems of section 3.3 are left out."""
        keys, values = self.heads * self.head_width, self.heads * self.value_width
        channels, taps = 2 * keys + values, self.convolution
        rows = channels + values + 2 * self.heads
        state = values * self.head_width
        return LayerCost(
            parameters=width * rows
            + channels * taps
            + 2 * self.heads
            + self.value_width
            + values * width,
            matrices=2 * width * rows + 2 * taps * channels + 2 * values * width,
            # Keys with keys, queries with keys, pairs with values; what the state gives and takes.
            chunked=2 * self.chunk * (2 * keys + values) + 6 * state,
            alone=2 * keys + 6 * state,
            carried=2 * self.chunk * keys + 6 * state,
            ending=2 * state + 2 * values * width,
            kept_elements=(taps - 1) * channels,
            wide_elements=state,
            widest=rows + channels,
            wide_places=4 * self.heads * self.chunk + 4 * (keys + values),
        )


class RGLRU(Layer):
    """The gated linear recurrent block of Griffin (arXiv:2402.19427)."""

    kind: Literal["rglru"] = "rglru"
    width: PositiveInt
    blocks: PositiveInt = Field(description="Diagonal blocks of the gate matrices.")
    convolution: PositiveInt = 4
    bias: bool = True

    @property
    def operations(self) -> tuple[Operation, ...]:
        """See `Layer`."""
        return ("convolution", "diagonal_scan", *super().operations)

    def cost(self, width: int) -> LayerCost:
        """What it costs in a decoder of this width."""
        channels, taps = self.width, self.convolution
        gates = 2 * channels * (channels // self.blocks)
        return LayerCost(
            parameters=width * 2 * channels
            + bool(self.bias) * (2 * channels + width)
            + channels * (taps + 1)
            + channels
            + gates
            + 2 * channels
            + channels * width,
            matrices=2 * width * 2 * channels
            + 2 * taps * channels
            + 2 * gates
            + 2 * channels * width,
            ending=2 * channels * width,
            kept_elements=(taps - 1) * channels,
            wide_elements=channels,
            counters=1,
            widest=4 * channels,
            wide_places=10 * channels,
        )


class TimeMix(Layer):
    """The token mixer of RWKV-6 (arXiv:2404.05892)."""

    kind: Literal["time_mix"] = "time_mix"
    heads: PositiveInt
    head_width: PositiveInt
    shift_rank: PositiveInt
    decay_rank: PositiveInt
    chunk: PositiveInt = 16
    norm_eps: float = 64e-5

    @property
    def operations(self) -> tuple[Operation, ...]:
        """See `Layer`."""
        return ("weighted_key_values", *super().operations)

    @property
    def chunk_tokens(self) -> int:
        """See `Layer`."""
        return self.chunk

    def cost(self, width: int) -> LayerCost:
        """What it costs in a decoder of this width."""
        inner, head = self.heads * self.head_width, self.head_width
        low_rank = 10 * width * self.shift_rank + 2 * width * self.decay_rank
        state = inner * head
        return LayerCost(
            parameters=7 * width + low_rank + inner + 5 * width * inner + 2 * inner,
            matrices=2 * low_rank + 2 * 5 * width * inner,
            chunked=2 * self.chunk * 2 * inner + 4 * state,
            alone=2 * 2 * inner + 4 * state,
            kept_elements=width,
            wide_elements=state,
            widest=7 * width + 4 * inner,
            wide_places=12 * inner + 2 * self.heads * self.chunk,
        )


class ChannelMix(Layer):
    """The channel mixer of RWKV-6: a squared-ReLU MLP that also sees the token before."""

    kind: Literal["channel_mix"] = "channel_mix"
    hidden: PositiveInt

    def cost(self, width: int) -> LayerCost:
        """What it costs in a decoder of this width."""
        matrices = width * self.hidden + self.hidden * width + width * width
        return LayerCost(
            parameters=2 * width + matrices,
            matrices=2 * matrices,
            ending=2 * matrices,
            kept_elements=width,
            widest=2 * self.hidden + 2 * width,
        )


class MLP(Layer):
    """A gated MLP."""

    kind: Literal["mlp"] = "mlp"
    hidden: PositiveInt
    activation: Literal["silu", "gelu_tanh"] = "silu"
    bias: bool = False

    def cost(self, width: int) -> LayerCost:
        """What it costs in a decoder of this width."""
        matrices = 3 * width * self.hidden
        return LayerCost(
            parameters=matrices + bool(self.bias) * (2 * self.hidden + width),
            matrices=2 * matrices,
            ending=2 * matrices,
            widest=4 * self.hidden,
        )


MixerConfig = Annotated[
    Attention | SSD | GatedDelta | RGLRU | TimeMix | ChannelMix | MLP,
    Field(discriminator="kind"),
]


class DecoderConfig(Closed):
    """Embedding, residual layers in order, final norm, head."""

    format: Literal["needlework"] = "needlework"
    family: str = Field(description="Name of the architecture, for people.")
    vocabulary: PositiveInt = Field(description="Token ids that mean something.")
    padded_vocabulary: PositiveInt = Field(description="Rows of the embedding.")
    width: PositiveInt
    layers: tuple[MixerConfig, ...]
    norm: Norm = Norm()
    tied: bool = Field(False, description="The head is the embedding.")
    embedding_scale: float = 1.0
    embedding_norm: bool = Field(False, description="Normalise the embeddings, as RWKV does.")
    logit_cap: float | None = Field(None, description="Logits become cap * tanh(logits / cap).")
    residual_float32: bool = Field(False, description="Keep the residual stream in float32.")
    positions: PositiveInt | None = Field(None, description="Longest sequence; None for no limit.")
    trained_positions: PositiveInt | None = Field(
        None,
        exclude=True,
        description="Positions that its configuration names; beyond them it extrapolates.",
    )

    @property
    def one_shot(self) -> bool:
        """Whether prompts must be read in one call: a hazard lets tokens see later ones."""
        return any(isinstance(layer, Attention) and layer.shifted_window for layer in self.layers)

    @property
    def grows(self) -> bool:
        """Whether some layer remembers every token, and not only those of a window."""
        return any(isinstance(each, Attention) and each.window is None for each in self.layers)

    @property
    def last_memory(self) -> int:
        """The last layer that looks at earlier tokens: above it a prompt is one token."""
        return max(index for index, each in enumerate(self.layers) if not isinstance(each, MLP))

    @model_validator(mode="after")
    def _padded(self) -> "DecoderConfig":
        if self.padded_vocabulary < self.vocabulary:
            raise ValueError(
                f"padded_vocabulary {self.padded_vocabulary} < vocabulary {self.vocabulary}"
            )
        return self
