"""Each operator's conversion against MXNet's own output."""

import numpy as np
import pytest
from operator_cases import SIZE, check_equals_mxnet, convert_small, numbered, rules

from gluonface._compat import mx
from gluonface.errors import GluonfaceError

S = mx.sym
V = S.var


def bn(x, **kw):
    return S.BatchNorm(x, V("gamma"), V("beta"), V("mean"), V("var"), **kw)


# operator -> functions of x (N,3,8,12), values -1..1.5, that use it. Parameters by name below.
CASES = {
    "elemwise_add": [lambda x: S.elemwise_add(x, x * 2)],
    "elemwise_sub": [lambda x: S.elemwise_sub(x * 2, x)],
    "elemwise_mul": [lambda x: S.elemwise_mul(x, x)],
    "elemwise_div": [lambda x: S.elemwise_div(x, x + 5)],
    "broadcast_add": [lambda x: S.broadcast_add(x, V("chan"))],
    "broadcast_sub": [lambda x: S.broadcast_sub(V("chan"), x)],
    "broadcast_mul": [lambda x: S.broadcast_mul(x, S.mean(x, axis=(2, 3), keepdims=True))],
    "broadcast_div": [lambda x: S.broadcast_div(x, V("chan"))],
    "broadcast_maximum": [lambda x: S.broadcast_maximum(x, V("chan") - 1)],
    "broadcast_minimum": [lambda x: S.broadcast_minimum(x, V("chan") - 1)],
    "broadcast_power": [lambda x: S.broadcast_power(x + 3, V("chan"))],
    "_maximum": [lambda x: S.maximum(x, -x)],
    "_minimum": [lambda x: S.minimum(x, -x)],
    "_power": [lambda x: S.pow(x + 3, x * 0.01)],
    "add_n": [lambda x: S.add_n(x, x * 3, x - 1)],
    "relu": [lambda x: S.relu(x)],
    "sigmoid": [lambda x: S.sigmoid(x)],
    "tanh": [lambda x: S.tanh(x)],
    "exp": [lambda x: S.exp(x * 0.01)],
    "log": [lambda x: S.log(x + 3)],
    "sqrt": [lambda x: S.sqrt(x + 3)],
    "rsqrt": [lambda x: S.rsqrt(x + 3)],
    "square": [lambda x: S.square(x)],
    "abs": [lambda x: S.abs(x)],
    "negative": [lambda x: S.negative(x)],
    "erf": [lambda x: S.erf(x)],
    "floor": [lambda x: S.floor(x * 3)],
    "sin": [lambda x: S.sin(x * 3)],
    "reciprocal": [lambda x: S.reciprocal(x + 3)],
    "_copy": [lambda x: S.identity(x) + 1],
    "BlockGrad": [lambda x: S.BlockGrad(x) + 1],
    "Dropout": [lambda x: S.Dropout(x, p=0.4) + 1],
    "_plus_scalar": [lambda x: x + 2],
    "_minus_scalar": [lambda x: x - 2],
    "_rminus_scalar": [lambda x: 2 - x],
    "_mul_scalar": [lambda x: x * 2],
    "_div_scalar": [lambda x: x / 3],
    "_rdiv_scalar": [lambda x: 3 / (x + 3)],
    "_power_scalar": [lambda x: (x + 3) ** 1.5],
    "_maximum_scalar": [lambda x: S.maximum(x, 0.2)],
    "_minimum_scalar": [lambda x: S.minimum(x, 0.2)],
    "Convolution": [
        lambda x: S.Convolution(x, V("w435"), V("b4"), num_filter=4, kernel=(3, 5)),
        lambda x: S.Convolution(
            x,
            V("w313"),
            kernel=(3, 3),
            num_filter=3,
            num_group=3,
            stride=(2, 1),
            pad=(1, 2),
            dilate=(2, 1),
            no_bias=True,
        ),
        lambda x: S.Convolution(  # one-dimensional: ECA attention
            S.Reshape(x, shape=(0, 3, -1)),
            V("w1d"),
            kernel=(5,),
            pad=(2,),
            num_filter=1,
            no_bias=True,
        ),
    ],
    "BatchNorm": [
        lambda x: bn(x, fix_gamma=True),
        lambda x: bn(x, fix_gamma=False, eps=2e-5),
        lambda x: bn(S.mean(x, axis=(2, 3)), fix_gamma=False),
    ],
    "_contrib_BatchNormWithReLU": [
        lambda x: S.contrib.BatchNormWithReLU(
            x, V("gamma"), V("beta"), V("mean"), V("var"), fix_gamma=False
        )
    ],
    "Activation": [
        lambda x, kind=kind: S.Activation(x, act_type=kind)
        for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")
    ],
    "LeakyReLU": [
        lambda x: S.LeakyReLU(x, gamma=V("gamma"), act_type="prelu"),
        lambda x: S.LeakyReLU(x, gamma=V("one"), act_type="prelu"),
        lambda x: S.LeakyReLU(S.mean(x, axis=(2, 3)), gamma=V("gamma"), act_type="prelu"),
        lambda x: S.LeakyReLU(x, act_type="leaky", slope=0.1),
        lambda x: S.LeakyReLU(x, act_type="elu", slope=0.7),
        lambda x: S.LeakyReLU(x, act_type="selu"),
        lambda x: S.LeakyReLU(x, act_type="gelu"),
        lambda x: S.LeakyReLU(x, act_type="rrelu", lower_bound=0.1, upper_bound=0.3)[0],
    ],
    "hard_sigmoid": [lambda x: S.hard_sigmoid(x, alpha=0.3, beta=0.4)],
    "clip": [lambda x: S.clip(x, -0.5, 0.75)],
    "FullyConnected": [
        lambda x: S.FullyConnected(x, V("w288"), V("b4"), num_hidden=4),
        lambda x: S.FullyConnected(x, V("w12"), V("b4"), num_hidden=4, flatten=False),
        lambda x: S.FullyConnected(x, V("w12"), num_hidden=4, flatten=False, no_bias=True),
        lambda x: S.FullyConnected(S.mean(x, axis=(2, 3)), V("w43"), num_hidden=4, no_bias=True),
    ],
    "batch_dot": [
        lambda x, flags=flags: S.batch_dot(
            S.Reshape(x, shape=(-1, 8, 12)), S.Reshape(x, shape=(-1, 8, 12)), **flags
        )
        for flags in ({"transpose_a": True}, {"transpose_b": True})
    ],
    "dot": [lambda x: S.dot(S.Flatten(x), V("w288"), transpose_b=True)],
    "_linalg_gemm2": [lambda x: S.linalg.gemm2(x, x, transpose_b=True, alpha=0.3)],
    "Pooling": [
        lambda x, kw=kw: S.Pooling(x, **kw)
        for kw in (
            {"global_pool": True, "pool_type": "avg", "kernel": (1, 1)},
            {"global_pool": True, "pool_type": "max", "kernel": (1, 1)},
            {"kernel": (3, 2), "stride": (2, 2), "pad": (1, 0), "pool_type": "max"},
            {"kernel": (3, 3), "stride": (2, 2), "pool_type": "max", "pooling_convention": "full"},
            {"kernel": (3, 3), "stride": (1, 2), "pad": (1, 1), "pool_type": "avg"},
            {
                "kernel": (3, 3),
                "pad": (1, 1),
                "pool_type": "avg",
                "count_include_pad": False,
            },
        )
    ],
    "_contrib_AdaptiveAvgPooling2D": [
        lambda x: S.contrib.AdaptiveAvgPooling2D(x),
        lambda x: S.contrib.AdaptiveAvgPooling2D(x, output_size=(4, 3)),
    ],
    "mean": [
        lambda x: S.mean(x, axis=1, keepdims=True),
        lambda x: S.mean(x, axis=0, exclude=True),
    ],
    "sum": [lambda x: S.sum(x, axis=(1, 3)), lambda x: S.sum(x, axis=-1, keepdims=True)],
    "max": [lambda x: S.max(x, axis=1)],
    "min": [lambda x: S.min(x, axis=(2, 3), keepdims=True)],
    "norm": [lambda x: S.norm(x, axis=1, keepdims=True), lambda x: S.norm(x, ord=1, axis=2)],
    "softmax": [lambda x: S.softmax(x), lambda x: S.softmax(x, axis=1, temperature=2.0)],
    "log_softmax": [lambda x: S.log_softmax(x, axis=2)],
    "LayerNorm": [
        lambda x: S.LayerNorm(x, V("g12"), V("b12"), axis=-1, eps=1e-3),
        lambda x: S.LayerNorm(x, V("gamma"), V("beta"), axis=1),
    ],
    "L2Normalization": [
        lambda x, mode=mode: S.L2Normalization(x, mode=mode)
        for mode in ("instance", "channel", "spatial")
    ],
}


@numbered(CASES)
def test_equals_mxnet(op, number):
    check_equals_mxnet(CASES, op, number)


def test_every_rule_has_a_case():
    aliases = {  # other spellings of operators above that MXNet no longer writes itself
        "_plus", "broadcast_plus", "_sub", "broadcast_minus", "_mul", "_div", "ElementWiseSum",
        "identity", "stop_gradient", "BatchNorm_v1", "sum_axis", "max_axis", "min_axis",
    }  # fmt: skip
    assert rules("operators") - aliases == set(CASES)


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        (lambda x: S.Pooling(x, kernel=(2, 2), pool_type="lp", p_value=2), "pool_type=lp"),
        (lambda x: S.contrib.AdaptiveAvgPooling2D(x, output_size=(3, 5)), "8x12 does not divide"),
        (lambda x: S.BatchNorm(x, axis=3), "its axis is 3"),
        (lambda x: S.UpSampling(x, scale=2, sample_type="bilinear", num_filter=3), "=bilinear"),
        (lambda x: S.dot(x, S.transpose(x)), "something else than two matrices"),
    ],
)
def test_forms_without_a_counterpart_say_so(symbol, why):
    out = S.Flatten(symbol(S.var("data")) + 0)
    shapes, _, states = out.infer_shape(data=(2, 3, *SIZE))
    arrays = {f"arg:{n}": np.ones(s, np.float32) for n, s in zip(out.list_arguments(), shapes)}
    arrays.update(
        {f"aux:{n}": np.ones(s, np.float32) for n, s in zip(out.list_auxiliary_states(), states)}
    )
    del arrays["arg:data"]
    with pytest.raises(GluonfaceError, match=why):
        convert_small(out, arrays)
