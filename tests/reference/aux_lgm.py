"""Slow twin of the large-margin Gaussian mixture loss."""

import numpy as np
from reference._auxiliary import log_softmax

CASES = [{}, {"alpha": 0.0}, {"alpha": 1.0, "likelihood": 0.5}, {"likelihood": 0.0}]


def state(rng, classes, size):
    return {
        "mean": rng.normal(size=(classes, size)),
        "log_var": 0.5 * rng.normal(size=(classes, size)),
    }


def run(x, labels, state, alpha=0.3, likelihood=0.1):
    x = np.asarray(x, np.float64)
    mean, log_var = (np.asarray(state[key], np.float64) for key in ("mean", "log_var"))
    precision, volume = np.exp(-log_var), 0.5 * log_var.sum(axis=1)
    n, classes = len(x), len(mean)
    loss, grad_x = np.zeros(n), np.zeros_like(x)
    grad_mean, grad_log_var = np.zeros_like(mean), np.zeros_like(log_var)
    for i, y in enumerate(labels):
        apart = x[i] - mean
        d = 0.5 * (apart**2 * precision).sum(axis=1)
        factor = np.ones(classes)
        factor[y] += alpha
        log_p = log_softmax(-factor * d - volume)
        loss[i] = -log_p[y] + likelihood * (d[y] + volume[y])
        grad_z = np.exp(log_p)
        grad_z[y] -= 1.0
        grad_d, grad_v = -factor * grad_z, -grad_z
        grad_d[y] += likelihood
        grad_v[y] += likelihood
        by_x = grad_d[:, None] * apart * precision
        grad_x[i] = by_x.sum(axis=0) / n
        grad_mean -= by_x / n
        grad_log_var += (0.5 * grad_v[:, None] - 0.5 * grad_d[:, None] * apart**2 * precision) / n
    return {
        "loss": loss,
        "grad_x": grad_x,
        "grad_mean": grad_mean,
        "grad_log_var": grad_log_var,
        "state": state,
    }
