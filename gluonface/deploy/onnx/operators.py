"""How each MXNet operator is written in ONNX, opset 13: one function per operator.

A function takes the `Builder`, the node and the names of its inputs, and returns the name of its
output (or a list of names). To add an operator, add a function and a row to the table of
``tests/deploy/onnx/test_operators.py``.
"""

from __future__ import annotations

import math
import typing

import numpy as np

from ...errors import GluonfaceError

__all__ = ["CONVERTERS", "converts", "unsupported"]

CONVERTERS: dict[str, typing.Callable] = {}


def converts(*names):
    """Return a decorator that enters a function for these operators."""

    def decorator(function):
        for name in names:
            CONVERTERS[name] = function
        return function

    return decorator


def unsupported(node, why):
    """Return the error for an operator that is not converted with these attributes or inputs."""
    return GluonfaceError(
        f"the operator {node.op} ({node.name}) cannot be converted to ONNX: {why}. "
        "Export without --onnx, or add it to gluonface/deploy/onnx/operators.py."
    )


def _renames(op_type, *names):
    def function(b, node, x):
        return b.emit(node, op_type, x)

    converts(*names)(function)


for _op_type, _names in {
    "Add": ("elemwise_add", "broadcast_add", "_plus", "broadcast_plus"),
    "Sub": ("elemwise_sub", "broadcast_sub", "_sub", "broadcast_minus"),
    "Mul": ("elemwise_mul", "broadcast_mul", "_mul"),
    "Div": ("elemwise_div", "broadcast_div", "_div"),
    "Max": ("broadcast_maximum", "_maximum"),
    "Min": ("broadcast_minimum", "_minimum"),
    "Pow": ("broadcast_power", "_power"),
    "Sum": ("add_n", "ElementWiseSum"),
    "Relu": ("relu",),
    "Sigmoid": ("sigmoid",),
    "Tanh": ("tanh",),
    "Exp": ("exp",),
    "Log": ("log",),
    "Sqrt": ("sqrt",),
    "Abs": ("abs",),
    "Neg": ("negative",),
    "Erf": ("erf",),
    "Floor": ("floor",),
    "Sin": ("sin",),
    "Reciprocal": ("reciprocal",),
}.items():
    _renames(_op_type, *_names)


@converts("_copy", "identity", "BlockGrad", "Dropout", "stop_gradient")
def _identity(b, node, x):
    return x[0]  # in inference; leaves no node


def _scalar(op_type, swapped=False):
    def function(b, node, x):
        value = b.const(np.float32(float(node.attrs["scalar"])), f"{node.name}_scalar")
        return b.emit(node, op_type, [value, x[0]] if swapped else [x[0], value])

    return function


for _name, _args in {
    "_plus_scalar": ("Add",),
    "_minus_scalar": ("Sub",),
    "_rminus_scalar": ("Sub", True),
    "_mul_scalar": ("Mul",),
    "_div_scalar": ("Div",),
    "_rdiv_scalar": ("Div", True),
    "_power_scalar": ("Pow",),
    "_maximum_scalar": ("Max",),
    "_minimum_scalar": ("Min",),
}.items():
    converts(_name)(_scalar(*_args))


@converts("square")
def _square(b, node, x):
    return b.emit(node, "Mul", [x[0], x[0]])


@converts("rsqrt")
def _rsqrt(b, node, x):
    return b.emit(node, "Reciprocal", [b.emit(node, "Sqrt", x)])


@converts("Convolution")
def _convolution(b, node, x):
    kernel = node.integers("kernel")
    n = len(kernel)
    if str(node.value("layout", "NCHW")) not in ("NCHW", "NCW"):
        raise unsupported(node, f"its layout is {node.value('layout')}")
    return b.emit(
        node,
        "Conv",
        x,
        kernel_shape=kernel,
        strides=node.integers("stride") or (1,) * n,
        dilations=node.integers("dilate") or (1,) * n,
        pads=(node.integers("pad") or (0,) * n) * 2,
        group=int(node.value("num_group", 1)),
    )


@converts("BatchNorm", "BatchNorm_v1", "_contrib_BatchNormWithReLU")
def _batch_norm(b, node, x):
    if int(node.value("axis", 1)) != 1:
        raise unsupported(node, f"its axis is {node.value('axis')}, not 1")
    if node.flag("fix_gamma", True):  # the stored gamma is ignored
        ones = np.ones(b.shape(node.inputs[1]), np.float32)
        x = [x[0], b.const(ones, f"{node.name}_ones"), *x[2:]]
    y = b.emit(node, "BatchNormalization", x, epsilon=float(node.value("eps", 1e-3)))
    return b.emit(node, "Relu", [y]) if node.op.endswith("WithReLU") else y


@converts("Activation")
def _activation(b, node, x):
    kinds = {
        "relu": "Relu",
        "sigmoid": "Sigmoid",
        "tanh": "Tanh",
        "softrelu": "Softplus",
        "softsign": "Softsign",
    }
    kind = node.attrs["act_type"]
    if kind not in kinds:
        raise unsupported(node, f"act_type={kind}")
    return b.emit(node, kinds[kind], x)


@converts("LeakyReLU")
def _leaky_relu(b, node, x):
    kind, slope = node.value("act_type", "leaky"), float(node.value("slope", 0.25))
    if kind == "prelu":
        # ONNX lines shapes up at the end, MXNet at the channels: (C,) becomes (C,1,1).
        shape = (-1,) + (1,) * (b.rank(node.inputs[0]) - 2)
        return b.emit(node, "PRelu", [x[0], b.reshaped(node.inputs[1], shape)])
    if kind == "leaky":
        return b.emit(node, "LeakyRelu", x[:1], alpha=slope)
    if kind == "rrelu":  # in inference the mean slope
        bounds = float(node.value("lower_bound", 0.125)) + float(node.value("upper_bound", 0.334))
        return b.emit(node, "LeakyRelu", x[:1], alpha=bounds / 2)
    if kind == "elu":
        return b.emit(node, "Elu", x[:1], alpha=slope)
    if kind == "selu":
        return b.emit(node, "Selu", x[:1])
    if kind == "gelu":
        # In the order in which PyTorch writes it: engines know it by that.
        scaled = b.emit(node, "Div", [x[0], b.const(np.float32(math.sqrt(2)))])
        gate = b.emit(node, "Add", [b.emit(node, "Erf", [scaled]), b.const(np.float32(1))])
        y = b.emit(node, "Mul", [x[0], gate])
        return b.emit(node, "Mul", [y, b.const(np.float32(0.5))])
    raise unsupported(node, f"act_type={kind}")


@converts("hard_sigmoid")
def _hard_sigmoid(b, node, x):
    alpha, beta = float(node.value("alpha", 0.2)), float(node.value("beta", 0.5))
    return b.emit(node, "HardSigmoid", x, alpha=alpha, beta=beta)


@converts("clip")
def _clip(b, node, x):
    low, high = (b.const(np.float32(float(node.attrs[k]))) for k in ("a_min", "a_max"))
    return b.emit(node, "Clip", [x[0], low, high])


@converts("FullyConnected")
def _fully_connected(b, node, x):
    if node.flag("flatten", True):
        if b.rank(node.inputs[0]) != 2:
            x = [b.emit(node, "Flatten", x[:1], axis=1), *x[1:]]
        return b.emit(node, "Gemm", x, transB=1)
    product = b.emit(node, "MatMul", [x[0], b.transposed(node.inputs[1])])
    return b.emit(node, "Add", [product, x[2]]) if len(x) > 2 else product


def _swap_last(b, node, name, rank):
    return b.emit(node, "Transpose", [name], perm=[*range(rank - 2), rank - 1, rank - 2])


@converts("batch_dot", "dot", "_linalg_gemm2")
def _matmul(b, node, x):
    rank = b.rank(node.inputs[0])
    if node.op == "dot" and (rank != 2 or b.rank(node.inputs[1]) != 2):
        raise unsupported(node, "it multiplies something else than two matrices")
    left = _swap_last(b, node, x[0], rank) if node.flag("transpose_a") else x[0]
    right = _swap_last(b, node, x[1], rank) if node.flag("transpose_b") else x[1]
    y = b.emit(node, "MatMul", [left, right])
    alpha = float(node.value("alpha", 1))
    return y if alpha == 1 else b.emit(node, "Mul", [y, b.const(np.float32(alpha))])


@converts("Pooling")
def _pooling(b, node, x):
    kind = node.value("pool_type", "max")
    if kind not in ("max", "avg"):
        raise unsupported(node, f"pool_type={kind}")
    if node.flag("global_pool"):
        return b.emit(node, "GlobalMaxPool" if kind == "max" else "GlobalAveragePool", x)
    kernel = node.integers("kernel")
    n = len(kernel)
    options = {
        "kernel_shape": kernel,
        "strides": node.integers("stride") or (1,) * n,
        "pads": (node.integers("pad") or (0,) * n) * 2,
        "ceil_mode": int(node.value("pooling_convention", "valid") == "full"),
    }
    if node.value("pooling_convention", "valid") == "same":
        raise unsupported(node, "pooling_convention=same")
    if kind == "max":
        return b.emit(node, "MaxPool", x, **options)
    include = int(node.flag("count_include_pad", True))
    return b.emit(node, "AveragePool", x, count_include_pad=include, **options)


@converts("_contrib_AdaptiveAvgPooling2D")
def _adaptive_pooling(b, node, x):
    size = node.integers("output_size", (1,)) or (1,)
    size = size * 2 if len(size) == 1 else size
    rows, columns = b.shape(node.inputs[0])[2:]
    if size == (1, 1):
        return b.emit(node, "GlobalAveragePool", x)
    if rows % size[0] or columns % size[1]:
        raise unsupported(node, f"{rows}x{columns} does not divide into {size[0]}x{size[1]}")
    kernel = (rows // size[0], columns // size[1])
    return b.emit(node, "AveragePool", x, kernel_shape=kernel, strides=kernel)


@converts("mean", "sum", "max", "min", "norm", "sum_axis", "max_axis", "min_axis")
def _reduce(b, node, x):
    rank = b.rank(node.inputs[0])
    axes = [axis % rank for axis in node.integers("axis")] or list(range(rank))
    if node.flag("exclude"):
        axes = [axis for axis in range(rank) if axis not in axes]
    keep = int(node.flag("keepdims"))
    kind = node.op.replace("_axis", "")
    if kind == "sum":  # takes its axes as an input since opset 13, alone of these
        return b.emit(node, "ReduceSum", [x[0], b.const(np.int64(axes))], keepdims=keep)
    if kind == "norm":
        kind = {1: "L1", 2: "L2"}[int(node.value("ord", 2))]
    return b.emit(node, f"Reduce{kind.capitalize()}", x, axes=axes, keepdims=keep)


@converts("softmax", "log_softmax")
def _softmax(b, node, x):
    temperature = float(node.value("temperature", 1) or 1)
    if temperature != 1:
        x = [b.emit(node, "Div", [x[0], b.const(np.float32(temperature))])]
    kind = "Softmax" if node.op == "softmax" else "LogSoftmax"
    return b.emit(node, kind, x[:1], axis=int(node.value("axis", -1)))


def _centred(b, node, x, axes, eps):
    """Return (x - mean) / sqrt(variance + eps) over `axes`."""
    mean = b.emit(node, "ReduceMean", [x], axes=axes, keepdims=1)
    centred = b.emit(node, "Sub", [x, mean])
    # As a power, by which engines know the pattern: they compute it as one operator.
    square = b.emit(node, "Pow", [centred, b.const(np.float32(2))])
    variance = b.emit(node, "ReduceMean", [square], axes=axes, keepdims=1)
    wide = b.emit(node, "Add", [variance, b.const(np.float32(eps))])
    return b.emit(node, "Div", [centred, b.emit(node, "Sqrt", [wide])])


@converts("LayerNorm")
def _layer_norm(b, node, x):
    rank = b.rank(node.inputs[0])
    axis = int(node.value("axis", -1)) % rank
    fixed = not any(b.is_batch(node.inputs[0], i) for i in range(1, rank))
    x, of_pixels = x[0], rank == 4 and axis == 3 and fixed
    if of_pixels:
        # As rows of pixels. Engines move a transposition of four axes into what follows, and then
        # see no layer norm in it any more.
        *_, height, width, channels = b.shape(node.inputs[0])
        x = b.emit(node, "Reshape", [x, b.const(np.int64([-1, height * width, channels]))])
        rank, axis = 3, 2
    shape = (-1,) + (1,) * (rank - 1 - axis)
    y = _centred(b, node, x, [axis], float(node.value("eps", 1e-5)))
    y = b.emit(node, "Mul", [y, b.reshaped(node.inputs[1], shape)])
    y = b.emit(node, "Add", [y, b.reshaped(node.inputs[2], shape)])
    if of_pixels:
        y = b.emit(node, "Reshape", [y, b.const(np.int64([-1, height, width, channels]))])
    return y


@converts("L2Normalization")
def _l2_normalization(b, node, x):
    rank = b.rank(node.inputs[0])
    mode = node.value("mode", "instance")
    axes = {"instance": range(1, rank), "channel": [1], "spatial": range(2, rank)}[mode]
    square = b.emit(node, "Mul", [x[0], x[0]])
    total = b.emit(node, "ReduceSum", [square, b.const(np.int64(list(axes)))], keepdims=1)
    wide = b.emit(node, "Add", [total, b.const(np.float32(node.value("eps", 1e-10)))])
    return b.emit(node, "Div", [x[0], b.emit(node, "Sqrt", [wide])])
