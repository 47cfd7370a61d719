"""Layers of transformers, ConvNeXt and EdgeNeXt in float64, written from the papers.

`p` holds the parameters by our names, in float64; maps are (N, C, H, W), tokens (N, T, C).
"""

import math

import numpy as np

EPS = 1e-6


def layer_norm(x, gamma, beta, eps=EPS):
    """Over the last axis."""
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + eps) * gamma + beta


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def linear(p, name, x):
    """A linear layer, or two narrow ones."""
    if f"{name}.linear1.weight" in p:
        x, name = x @ p[f"{name}.linear1.weight"].T, f"{name}.linear2"
    y = x @ p[f"{name}.weight"].T
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def mlp(p, name, x):
    return linear(p, f"{name}fc2", gelu(linear(p, f"{name}fc1", x)))


def norm(p, name, x):
    return layer_norm(x, p[f"{name}.gamma"], p[f"{name}.beta"])


def self_attention(p, x, heads, name="", unseen=None):
    n, count, width = x.shape
    qkv = linear(p, f"{name}qkv", x).reshape(n, count, 3, heads, width // heads)
    y = np.zeros((n, count, heads, width // heads))
    for i in range(n):
        for h in range(heads):
            q, k, v = qkv[i, :, 0, h], qkv[i, :, 1, h], qkv[i, :, 2, h]
            scores = q @ k.T / math.sqrt(width / heads)
            if unseen is not None:
                scores = scores - unseen[i]
            y[i, :, h] = softmax(scores) @ v
    return linear(p, f"{name}proj", y.reshape(n, count, width))


def transformer_block(p, x, heads):
    x = x + self_attention(p, norm(p, "norm1", x), heads, "attention.")
    return x + mlp(p, "", norm(p, "norm2", x))


def depthwise(x, weight, bias):
    k = weight.shape[-1]
    wide = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    rows, columns = x.shape[2:]
    y = np.zeros_like(x)
    for i in range(k):
        for j in range(k):
            window = wide[:, :, i : i + rows, j : j + columns]
            y += window * weight[:, 0, i, j][None, :, None, None]
    return y + bias[None, :, None, None]


def tokens(x):
    return x.reshape(*x.shape[:2], -1).transpose(0, 2, 1)


def as_map(y, like):
    return y.transpose(0, 2, 1).reshape(like.shape)


def convnext_block(p, x):
    y = tokens(depthwise(x, p["conv.weight"], p["conv.bias"]))
    return x + as_map(p["scale.gamma"] * mlp(p, "mlp.", norm(p, "norm", y)), x)


def cross_covariance_attention(p, x, heads, name=""):
    n, count, width = x.shape
    qkv = linear(p, f"{name}qkv", x).reshape(n, count, 3, heads, width // heads)
    y = np.zeros((n, count, heads, width // heads))
    for i in range(n):
        for h in range(heads):
            q, k, v = (qkv[i, :, j, h].T for j in range(3))  # (channel, token)
            q, k = (a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12) for a in (q, k))
            y[i, :, h] = (softmax(p[f"{name}temperature"][h, 0, 0] * q @ k.T) @ v).T
    return linear(p, f"{name}proj", y.reshape(n, count, width))


def positions(p, side, name=""):
    """What is added to each of side x side tokens."""
    rows = []
    for row in range(1, side + 1):
        for column in range(1, side + 1):
            waves = []
            for place in (row, column):
                for i in range(32):
                    angle = 2 * math.pi * place / (side + 1e-6) / 10000 ** (2 * (i // 2) / 32)
                    waves.append(math.cos(angle) if i % 2 else math.sin(angle))
            rows.append(waves)
    return np.array(rows) @ p[f"{name}weight"].T + p[f"{name}bias"]


def split_block(p, x, parts, heads):
    width = math.ceil(x.shape[1] / parts)
    cut = [x[:, i * width : (i + 1) * width] for i in range(parts)]
    done, before = [], 0
    for i in range(max(1, parts - 1)):
        name = f"convs.{i}"
        before = depthwise(before + cut[i], p[f"{name}.weight"], p[f"{name}.bias"])
        done.append(before)
    y = tokens(np.concatenate([*done, cut[-1]], axis=1))
    if "positions.weight" in p:
        y = y + positions(p, x.shape[2], "positions.")
    attended = cross_covariance_attention(p, norm(p, "norm_xca", y), heads, "xca.")
    y = y + p["scale_xca.gamma"] * attended
    return x + as_map(p["scale.gamma"] * mlp(p, "mlp.", norm(p, "norm", y)), x)
