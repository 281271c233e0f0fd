"""What the published checkpoints say of themselves: their `config.json`, at full size.

Tests change what they need, and leave the rest as its owners have it.
"""

from typing import Any

MAMBA: dict[str, Any] = {
    "d_model": 2560,
    "d_intermediate": 0,
    "n_layer": 64,
    "vocab_size": 50277,
    "ssm_cfg": {"layer": "Mamba2"},
    "attn_layer_idx": [],
    "attn_cfg": {},
    "rms_norm": True,
    "residual_in_fp32": True,
    "fused_add_norm": True,
    "pad_vocab_size_multiple": 16,
    "tie_embeddings": True,
}
SHEARED: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 2560,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "intermediate_size": 6912,
    "vocab_size": 32000,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
HEADS: dict[str, Any] = {"causal": True, "out_proj_bias": False, "qkv_proj_bias": False}
"""What all attention of mamba_ssm has in common."""
GEMMA: dict[str, Any] = {
    "model_type": "recurrent_gemma",
    "hidden_size": 2560,
    "num_hidden_layers": 26,
    "num_attention_heads": 10,
    "num_key_value_heads": 1,
    "intermediate_size": 15360,
    "lru_width": 2560,
    "conv1d_width": 4,
    "attention_window_size": 2048,
    "block_types": ["recurrent", "recurrent", "attention"],
    "vocab_size": 256000,
    "rms_norm_eps": 1e-6,
    "logits_soft_cap": 30.0,
}
RWKV6: dict[str, Any] = {
    "model_type": "rwkv6",
    "hidden_size": 2560,
    "num_hidden_layers": 32,
    "num_attention_heads": 64,
    "head_size": 64,
    "vocab_size": 65536,
}
