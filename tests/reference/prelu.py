"""PReLU, BatchNorm and 1x1 convolution in float64 NumPy, with gradients, written from the papers.

All take and return arrays (N, C, H, W); `out` is the gradient with respect to the result.
"""

import numpy as np


def per_channel(vector):
    return np.asarray(vector, np.float64)[None, :, None, None]


def prelu(x, alpha):
    return np.where(x > 0, x, per_channel(alpha) * x)


def prelu_gradients(x, alpha, out):
    """Return the gradients with respect to x and alpha. At 0 the slope counts, as in MXNet."""
    return (
        out * np.where(x > 0, 1.0, per_channel(alpha)),
        (out * np.where(x > 0, 0.0, x)).sum(axis=(0, 2, 3)),
    )


def batch_norm(x, gamma, beta, mean, var, eps):
    return per_channel(gamma) * (x - per_channel(mean)) / np.sqrt(per_channel(var) + eps) + (
        per_channel(beta)
    )


def batch_norm_gradients(x, gamma, eps, out):
    """Return the gradients with respect to x, gamma and beta, through the batch statistics."""
    axes = (0, 2, 3)
    mean, var = x.mean(axes), x.var(axes)
    scale = 1 / np.sqrt(per_channel(var) + eps)
    normal = (x - per_channel(mean)) * scale
    d_gamma, d_beta = (out * normal).sum(axes), out.sum(axes)
    count = x.size / x.shape[1]
    inner = out - per_channel(d_beta) / count - normal * per_channel(d_gamma) / count
    return per_channel(gamma) * scale * inner, d_gamma, d_beta


def conv1x1(x, weight):
    """Convolve with `weight` (O, C, 1, 1), or depthwise with (C, 1, 1, 1)."""
    if weight.shape[1] == 1 and weight.shape[0] == x.shape[1]:
        return x * per_channel(weight[:, 0, 0, 0])
    return np.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0])


def conv1x1_gradients(x, weight, out):
    if weight.shape[1] == 1 and weight.shape[0] == x.shape[1]:
        return out * per_channel(weight[:, 0, 0, 0]), (out * x).sum((0, 2, 3)).reshape(weight.shape)
    return (
        np.einsum("nohw,oc->nchw", out, weight[:, :, 0, 0]),
        np.einsum("nohw,nchw->oc", out, x)[:, :, None, None],
    )
