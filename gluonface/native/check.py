"""Compare a compiled library of our operators with NumPy.

`build` runs ``python -m gluonface.native.check FILE`` before a library is kept. It compares values
and gradients, eagerly and in a graph, in the layouts that oneDNN gives to convolutions here. It
ends with status 1, or crashes, where the library does not fit this MXNet.
"""

import sys

import numpy as np

from .._compat import mx
from . import load

__all__ = ["CASES", "compare", "compare_depthwise", "main"]

# Channels and pixels of the maps: blocks of 16 and 8, channels last, rest channels, one pixel.
CASES = ((16, 7), (32, 6), (24, 5), (8, 4), (20, 3), (3, 5), (64, 1))

# Relative to the largest value, or to 1 if that is smaller: 7e-6 at most with 20 seeds, of the sum
# of 8,000 float32 products for one slope; the rest stays below 1e-6. A wrong term is 1e-2 or more.
TOLERANCE = 1e-5


def twin(name, x, other):
    """Return in float64 the output of an operator, and its gradients for output gradients g."""
    if name == "prelu":
        slope = other.reshape(1, -1, 1, 1)
        return np.where(x > 0, x, slope * x), lambda g: (
            np.where(x > 0, g, slope * g),
            np.where(x > 0, 0, x * g).sum((0, 2, 3) if len(other) > 1 else None, keepdims=True),
        )

    if name == "mean":
        pixels = x[0, 0].size
        return x.mean((2, 3), keepdims=True), lambda g: (np.broadcast_to(g, x.shape) / pixels, None)

    if name == "relu6":
        return np.clip(x, 0, 6), lambda g: (np.where((x >= 0) & (x <= 6), g, 0), None)
    if name in ("blocks", "gradient_blocks"):
        return x, lambda g: (g, None)

    def gradients(g):
        rest = g * x
        for axis in range(4):
            if other.shape[axis] == 1:
                rest = rest.sum(axis, keepdims=True)
        return g * other, rest

    return x * other, gradients


def compare(name, shape, other_shape, blocked, hybridize, seed=0):
    """Return the largest relative error of an operator's output and gradients.

    Parameters
    ----------
    name : str
        Of `gluonface.native.NAMES`.
    shape : tuple of int
        Of the map (N, C, H, W).
    other_shape : tuple of int, or None
        Of the second input, if there is one.
    blocked : bool
        Whether convolutions come before and after, whose layouts are oneDNN's.
    hybridize : bool
    """
    random = np.random.RandomState(seed)

    def normal(*size):
        return random.standard_normal(size).astype(np.float32)

    channels = shape[1]
    x = np.zeros(shape)
    while np.abs(x).min() < 1e-6:  # rounding would decide on which side of PReLU's kink that is
        values = {
            "x": normal(*shape),
            "other": normal(*other_shape or (0,)),
            # 1x1 and depthwise 1x1: orthogonal and near 1, so that sums stay in proportion.
            "first": np.linalg.qr(normal(channels, channels))[0].reshape(channels, channels, 1, 1),
            "last": random.uniform(0.5, 1.5, (channels, 1, 1, 1)).astype(np.float32),
        }
        exact = {key: value.astype(np.float64) for key, value in values.items()}
        x = exact["x"]
        if blocked:
            x = np.einsum("oi,nihw->nohw", exact["first"][:, :, 0, 0], x)

    class Net(mx.gluon.HybridBlock):
        def hybrid_forward(self, F, x, *rest):
            settings = {"kernel": (1, 1), "num_filter": channels, "no_bias": True}
            if blocked:
                *rest, first, last = rest
                x = F.Convolution(x, first, **settings)
            y = getattr(F._internal, f"_gluonface_{name}")(x, *rest)
            return F.Convolution(y, last, num_group=channels, **settings) if blocked else y

    net = Net()
    if hybridize:
        net.hybridize(static_alloc=True, static_shape=True)
    inputs = ["x", "other"] if other_shape else ["x"]
    keys = [*inputs, "first", "last"] if blocked else inputs
    arrays = {key: mx.nd.array(values[key]) for key in keys}
    expected, gradients = twin(name, x, exact["other"])
    weight = normal(*expected.shape)
    dx, dother = gradients(weight * (exact["last"].reshape(1, -1, 1, 1) if blocked else 1.0))
    if blocked:
        expected = expected * exact["last"].reshape(1, -1, 1, 1)
        dx = np.einsum("oi,nohw->nihw", exact["first"][:, :, 0, 0], dx)
    errors = []
    for _ in range(2):  # the second pass runs in the memory of the first
        errors.append(_error(net(*arrays.values()).asnumpy(), expected))
        for key in inputs:
            arrays[key].attach_grad()
        with mx.autograd.record():
            loss = (net(*arrays.values()) * mx.nd.array(weight)).sum()
        loss.backward()
        errors.append(_error(arrays["x"].grad.asnumpy(), dx))
        if other_shape:
            errors.append(_error(arrays["other"].grad.asnumpy(), dother.reshape(other_shape)))
    return max(errors)


def compare_depthwise(shape, size, stride, blocked, seed=0):
    """Return the largest relative error of a depthwise convolution between two PReLUs.

    Parameters
    ----------
    shape : tuple of int
        Of the map (N, C, H, W).
    size : {3, 5}
        Of the kernel.
    stride : {1, 2}
    blocked : bool
        Whether a convolution comes before, whose layout is oneDNN's.
    """
    random = np.random.RandomState(seed)
    channels = shape[1]
    x, kernel, bias, before, after = (
        random.standard_normal(s).astype(np.float32)
        for s in (shape, (size, size, channels), channels, channels, channels)
    )
    first = np.linalg.qr(random.standard_normal((channels, channels)))[0].astype(np.float32)
    array = mx.nd.array(x)
    exact = x.astype(np.float64)
    if blocked:
        settings = {"kernel": (1, 1), "num_filter": channels, "no_bias": True}
        array = mx.nd.Convolution(array, mx.nd.array(first[:, :, None, None]), **settings)
        exact = np.einsum("oi,nihw->nohw", first.astype(np.float64), exact)
    exact, _ = twin("prelu", exact, before)
    pad = size // 2
    exact = np.pad(exact, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = ((n - 1) // stride + 1 for n in shape[2:])
    total = bias.astype(np.float64).reshape(1, -1, 1, 1)
    for i in range(size):
        for j in range(size):
            window = exact[:, :, i::stride, j::stride][:, :, :rows, :columns]
            total = total + window * kernel[i, j].reshape(1, -1, 1, 1)
    expected, _ = twin("prelu", total, after)
    operator = getattr(mx.nd._internal, f"_gluonface_depthwise{stride}")
    rest = (mx.nd.array(value) for value in (kernel, bias, before, after))
    return _error(operator(array, *rest).asnumpy(), expected)


def _error(actual, expected):
    return float(np.abs(actual - expected).max() / max(1.0, np.abs(expected).max()))


def main(path):
    """Check a library; return the exit status."""
    load(path)
    for channels, size in CASES:
        shape = (3, channels, size, size + 1)
        others = {
            "prelu": [(channels,)],
            "gate": [(3, channels, 1, 1), (3, 1, size, size + 1)],
            "product": [shape],
            "mean": [None],
            "blocks": [None],
            "gradient_blocks": [None],
            "relu6": [None],
        }
        for name, other_shapes in others.items():
            for other_shape in other_shapes:
                for blocked in (False, True):
                    for hybridize in (False, True):
                        case = (name, shape, other_shape, blocked, hybridize)
                        error = compare(*case)
                        if not error < TOLERANCE:
                            sys.stderr.write(f"{case}: relative error {error:.2g}\n")
                            return 1
        for blocked in (False, True):
            for kernel, stride in ((3, 1), (3, 2), (5, 1), (5, 2)):
                case = (shape, kernel, stride, blocked)
                error = compare_depthwise(*case)
                if not error < TOLERANCE:
                    sys.stderr.write(f"depthwise {case}: relative error {error:.2g}\n")
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
