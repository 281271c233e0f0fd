"""What a decoder is made of, as data: one closed record per part, families as lists of layers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator


class Closed(BaseModel):
    """A part whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Norm(Closed):
    """How a layer's input is normalised."""

    kind: Literal["rms", "layer"] = "rms"
    eps: float = 1e-5
    offset: bool = Field(False, description="Scale by 1 + weight, as Gemma does.")


class Attention(Closed):
    """Softmax attention, optionally windowed, grouped, partly rotated and behind a convolution."""

    kind: Literal["attention"] = "attention"
    heads: PositiveInt
    kv_heads: PositiveInt
    head_width: PositiveInt
    rotary_width: int = Field(
        description="Leading channels of a head that are rotated; 0 for none."
    )
    rotary_base: float = 10000.0
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
        return self


class SSD(Closed):
    """The selective state space layer of Mamba2 (arXiv:2405.21060)."""

    kind: Literal["ssd"] = "ssd"
    heads: PositiveInt
    head_width: PositiveInt
    state: PositiveInt
    groups: PositiveInt = 1
    convolution: PositiveInt = 4
    chunk: PositiveInt = 256
    norm_eps: float = 1e-5


class RGLRU(Closed):
    """The gated linear recurrent block of Griffin (arXiv:2402.19427)."""

    kind: Literal["rglru"] = "rglru"
    width: PositiveInt
    blocks: PositiveInt = Field(description="Diagonal blocks of the gate matrices.")
    convolution: PositiveInt = 4
    bias: bool = True


class TimeMix(Closed):
    """The token mixer of RWKV-6 (arXiv:2404.05892)."""

    kind: Literal["time_mix"] = "time_mix"
    heads: PositiveInt
    head_width: PositiveInt
    shift_rank: PositiveInt
    decay_rank: PositiveInt
    chunk: PositiveInt = 16
    norm_eps: float = 64e-5


class ChannelMix(Closed):
    """The channel mixer of RWKV-6: a squared-ReLU MLP that also sees the token before."""

    kind: Literal["channel_mix"] = "channel_mix"
    hidden: PositiveInt


class MLP(Closed):
    """A gated MLP."""

    kind: Literal["mlp"] = "mlp"
    hidden: PositiveInt
    activation: Literal["silu", "gelu_tanh"] = "silu"
    bias: bool = False


MixerConfig = Annotated[
    Attention | SSD | RGLRU | TimeMix | ChannelMix | MLP, Field(discriminator="kind")
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

    @property
    def one_shot(self) -> bool:
        """Whether prompts must be read in one call: a hazard lets tokens see later ones."""
        return any(isinstance(layer, Attention) and layer.shifted_window for layer in self.layers)

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
