"""Second opinions: every mixer as a plain loop over tokens, from the formulas, in float64.

No einsum, no chunks, no batch: one sequence, one token after the other.
"""

# Shapes: T tokens, D width; one sequence, so no batch axis.
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from needlework.models.attention import Attention
from needlework.models.convolution import CausalConvolution
from needlework.models.gated_delta import GatedDelta
from needlework.models.rglru import RGLRU
from needlework.models.rwkv6 import ChannelMix, TimeMix
from needlework.models.ssd import SSD


def convolution(layer: CausalConvolution, x_TC: Tensor) -> Tensor:
    taps = layer.weight.shape[-1]
    rows = []
    for t in range(len(x_TC)):
        row = torch.zeros_like(x_TC[t]) if layer.bias is None else layer.bias.clone()
        for k in range(taps):
            if t - taps + 1 + k >= 0:
                row = row + layer.weight[:, 0, k] * x_TC[t - taps + 1 + k]
        rows.append(row)
    return torch.stack(rows)


def ssd(layer: SSD, x_TD: Tensor) -> Tensor:
    spec = layer.spec
    inner, shared = spec.heads * spec.head_width, spec.groups * spec.state
    z, mixed, step = (x_TD @ layer.project_in.weight.T).split(
        [inner, inner + 2 * shared, spec.heads], dim=-1
    )
    mixed = F.silu(convolution(layer.convolution, mixed))
    state = x_TD.new_zeros(spec.heads, spec.head_width, spec.state)
    rows = []
    for t in range(len(x_TD)):
        x = mixed[t, :inner].view(spec.heads, spec.head_width)
        write = mixed[t, inner : inner + shared].view(spec.groups, spec.state)
        read = mixed[t, inner + shared :].view(spec.groups, spec.state)
        y = torch.zeros_like(x)
        for head in range(spec.heads):
            group = head // (spec.heads // spec.groups)
            dt = F.softplus(step[t, head] + layer.step_bias_H[head])
            decay = torch.exp(-dt * torch.exp(layer.log_rate_H[head]))
            state[head] = decay * state[head] + dt * torch.outer(x[head], write[group])
            y[head] = state[head] @ read[group] + layer.skip_H[head] * x[head]
        gated = (y.view(-1) * F.silu(z[t])).view(spec.groups, -1)
        rms = torch.sqrt(gated.square().mean(dim=1, keepdim=True) + spec.norm_eps)
        rows.append(layer.project_out.weight @ ((gated / rms).view(-1) * layer.norm.weight))
    return torch.stack(rows)


def gated_delta(layer: GatedDelta, x_TD: Tensor) -> Tensor:
    spec = layer.spec
    keys, values = spec.heads * spec.head_width, spec.heads * spec.value_width
    mixed, gate, step, strength = (x_TD @ layer.project_in.weight.T).split(
        [2 * keys + values, values, spec.heads, spec.heads], dim=-1
    )
    mixed = F.silu(convolution(layer.convolution, mixed))
    state = x_TD.new_zeros(spec.heads, spec.value_width, spec.head_width)
    rows = []
    for t in range(len(x_TD)):
        q = mixed[t, :keys].view(spec.heads, -1)
        k = mixed[t, keys : 2 * keys].view(spec.heads, -1)
        v = mixed[t, 2 * keys :].view(spec.heads, -1)
        o = torch.zeros_like(v)
        for head in range(spec.heads):
            query = q[head] / torch.sqrt(q[head] @ q[head] + 1e-6) / math.sqrt(spec.head_width)
            key = k[head] / torch.sqrt(k[head] @ k[head] + 1e-6)
            dt = F.softplus(step[t, head] + layer.step_bias_H[head])
            a = torch.exp(-torch.exp(layer.log_rate_H[head]) * dt)
            b = torch.sigmoid(strength[t, head])
            kept = torch.eye(spec.head_width, dtype=x_TD.dtype) - b * torch.outer(key, key)
            state[head] = a * state[head] @ kept + b * torch.outer(v[head], key)
            o[head] = state[head] @ query
        rms = torch.sqrt(o.square().mean(dim=1, keepdim=True) + spec.norm_eps)
        normal = (o / rms * layer.norm.weight).view(-1)
        rows.append(layer.project_out(normal * F.silu(gate[t])))
    return torch.stack(rows)


def rglru(layer: RGLRU, x_TD: Tensor) -> Tensor:
    width, blocks = layer.spec.width, layer.spec.blocks
    y, u = layer.project_in(x_TD).split([width, width], dim=-1)
    u = convolution(layer.convolution, u)
    h = x_TD.new_zeros(width)
    rows = []
    for t in range(len(x_TD)):
        parts_i, parts_r = [], []
        for block, part in enumerate(u[t].chunk(blocks)):
            parts_i.append(part @ layer.input_gate_KII[block] + layer.input_bias_KI[block])
            parts_r.append(part @ layer.decay_gate_KII[block] + layer.decay_bias_KI[block])
        admit, forget = torch.sigmoid(torch.cat(parts_i)), torch.sigmoid(torch.cat(parts_r))
        a = torch.exp(-8 * forget * F.softplus(layer.decay_E))
        scale = torch.sqrt(1 - a * a) if t else torch.ones_like(a)
        h = a * h + scale * (admit * u[t])
        rows.append(layer.project_out(F.gelu(y[t], approximate="tanh") * h))
    return torch.stack(rows)


def time_mix(layer: TimeMix, x_TD: Tensor) -> Tensor:
    spec = layer.spec
    last = x_TD.new_zeros(x_TD.shape[1])
    state = x_TD.new_zeros(spec.heads, spec.head_width, spec.head_width)
    rows = []
    for x in x_TD:
        dx = last - x
        z = torch.tanh((x + dx * layer.mix_D) @ layer.mix_down).view(5, spec.shift_rank)
        w, k, v, r, g = (x + dx * (layer.mix_MD[j] + z[j] @ layer.mix_up_MRD[j]) for j in range(5))
        decay = torch.exp(
            -torch.exp(layer.decay_D + torch.tanh(w @ layer.decay_down) @ layer.decay_up)
        ).view(spec.heads, -1)
        r, k, v = (
            projection(part).view(spec.heads, -1)
            for projection, part in ((layer.receptance, r), (layer.key, k), (layer.value, v))
        )
        o = torch.zeros_like(v)
        for head in range(spec.heads):
            now = torch.outer(k[head], v[head])
            o[head] = r[head] @ (state[head] + layer.bonus_HK[head][:, None] * now)
            state[head] = decay[head][:, None] * state[head] + now
        mean, variance = o.mean(dim=1, keepdim=True), o.var(dim=1, keepdim=True, unbiased=False)
        normal = ((o - mean) / torch.sqrt(variance + spec.norm_eps)).view(-1)
        rows.append(
            layer.project_out(
                (normal * layer.norm.weight + layer.norm.bias) * F.silu(layer.gate(g))
            )
        )
        last = x
    return torch.stack(rows)


def channel_mix(layer: ChannelMix, x_TD: Tensor) -> Tensor:
    last = x_TD.new_zeros(x_TD.shape[1])
    rows = []
    for x in x_TD:
        dx = last - x
        hidden = torch.relu(layer.key(x + dx * layer.mix_key_D)) ** 2
        receptance = torch.sigmoid(layer.receptance(x + dx * layer.mix_receptance_D))
        rows.append(receptance * layer.value(hidden))
        last = x
    return torch.stack(rows)


def attention(layer: Attention, x_TD: Tensor) -> Tensor:
    spec = layer.spec
    qkv = layer.project_in(x_TD)
    if layer.convolution is not None:
        qkv = convolution(layer.convolution, qkv)
    qkv = qkv.view(len(x_TD), -1, spec.head_width)
    queries, keys, values = qkv.split([spec.heads, spec.kv_heads, spec.kv_heads], dim=1)
    rows = []
    for t in range(len(x_TD)):
        first = 0 if spec.window is None else max(0, t - spec.window + 1)
        outputs = []
        for head in range(spec.heads):
            group = head // (spec.heads // spec.kv_heads)
            query = rotated(queries[t, head], t, spec.rotary_width, spec.rotary_base)
            scores = torch.stack(
                [
                    query @ rotated(keys[s, group], s, spec.rotary_width, spec.rotary_base)
                    for s in range(first, t + 1)
                ]
            ) / math.sqrt(spec.head_width)
            weights = torch.exp(scores - scores.max())
            weights = weights / weights.sum()
            outputs.append(
                sum(weight * values[first + s, group] for s, weight in enumerate(weights))
            )
        rows.append(layer.project_out(torch.cat(outputs)))
    return torch.stack(rows)


def rotated(x_P: Tensor, position: int, width: int, base: float) -> Tensor:
    """Angles in float32, as the published models were trained."""
    result = x_P.clone()
    half = width // 2
    for pair in range(half):
        frequency = 1.0 / torch.tensor(base) ** (torch.tensor(2.0 * pair) / width)
        angle = torch.tensor(float(position)) * frequency
        cos, sin = angle.cos().double(), angle.sin().double()
        first, second = x_P[pair], x_P[half + pair]
        result[pair] = first * cos - second * sin
        result[half + pair] = second * cos + first * sin
    return result
