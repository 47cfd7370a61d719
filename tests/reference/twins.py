"""Compare a block with its float64 twin: values, and gradients along random directions."""

import numpy as np

from gluonface._compat import mx


def check_twin(block, twin, x, rtol=2e-5):
    """Check ``block(x)`` and its gradients against ``twin(p, x)``, eager and hybridized.

    Parameters
    ----------
    block : HybridBlock
    twin : callable
        Takes the parameters by name and an input, both in float64.
    x : numpy.ndarray
    rtol : float
        Of the largest value, for float32 sums.
    """
    rng = np.random.default_rng(3)
    block.initialize()
    named = block._collect_params_with_prefix()
    for parameter in named.values():
        parameter.set_data(mx.nd.array(rng.uniform(-1, 1, parameter.shape)))
    p = {key: value.data().asnumpy().astype("float64") for key, value in named.items()}
    x32 = mx.nd.array(x)
    x = x32.asnumpy().astype("float64")
    want = twin(p, x)
    out = rng.standard_normal(want.shape)
    names = [*p, None]  # of what varies; None is the input
    directions = [rng.standard_normal(x.shape if name is None else p[name].shape) for name in names]

    def along(name, direction, step):
        values = {**p, name: p[name] + step * direction} if name else p
        return (twin(values, x if name else x + step * direction) * out).sum()

    step = 1e-5  # its square is the error of the difference
    slopes = [
        (along(n, d, step) - along(n, d, -step)) / (2 * step) for n, d in zip(names, directions)
    ]
    for active in (False, True):
        block.hybridize(active)
        x32.attach_grad()
        with mx.autograd.record():
            y = block(x32)
        y.backward(mx.nd.array(out))
        assert np.abs(y.asnumpy() - want).max() <= rtol * np.abs(want).max()
        for name, direction, slope in zip(names, directions, slopes):
            gradient = x32.grad if name is None else named[name].grad()
            got = gradient.asnumpy().astype("float64")
            # Roundings add up in proportion to the terms of the sum.
            allowed = 50 * rtol * np.linalg.norm(got) * np.linalg.norm(direction) / 10
            assert abs((got * direction).sum() - slope) <= max(allowed, 1e-4), name
