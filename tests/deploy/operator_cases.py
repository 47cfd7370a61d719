"""Compare an operator's conversion with MXNet's own output, at two batch sizes."""

import json

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.deploy.onnx.convert import convert
from gluonface.deploy.onnx.operators import CONVERTERS

pytest.importorskip("onnx", reason="needs the extra: pip install gluonface[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")

S = mx.sym
V = S.var
SIZE = (8, 12)

PARAMETERS = {
    "chan": (1, 3, 1, 1),
    "gamma": (3,),
    "beta": (3,),
    "mean": (3,),
    "var": (3,),
    "one": (1,),
    "w435": (4, 3, 3, 5),
    "w313": (3, 1, 3, 3),
    "w1d": (1, 3, 5),
    "b4": (4,),
    "w288": (4, 288),
    "w12": (4, 12),
    "w43": (4, 3),
    "g12": (12,),
    "b12": (12,),
}


def values():
    rng = np.random.RandomState(3)
    return {k: rng.uniform(0.5, 1.5, s).astype(np.float32) for k, s in PARAMETERS.items()}


def names_of(function):
    """Canonical operator names in the symbol that a case makes."""
    return {n["op"] for n in json.loads(function(V("data")).tojson())["nodes"]}


def convert_small(symbol, arrays):
    return convert(symbol, arrays, input_size=SIZE)


def numbered(cases):
    """Return the decorator that runs a test for each case, as (op, number)."""
    flat = [(op, i) for op, functions in cases.items() for i in range(len(functions))]
    return pytest.mark.parametrize(("op", "number"), flat, ids=[f"{op}-{i}" for op, i in flat])


def rules(module):
    """Return the operators for which a module of `gluonface.deploy.onnx` has rules."""
    return {op for op, function in CONVERTERS.items() if function.__module__.endswith(f".{module}")}


def check_equals_mxnet(cases, op, number):
    """Convert one case and compare both outputs."""
    function = cases[op][number]
    assert op in names_of(function), "the case does not use the operator it is for"
    # To (N, D), as every network here ends; the factor makes sure that the output is a new tensor.
    symbol = S.Flatten(function(S.var("data")) * 1.5, name="fc1")
    needed = set(symbol.list_inputs()) - {"data"}
    auxiliary = set(symbol.list_auxiliary_states())
    parameters = {k: v for k, v in values().items() if k in needed}
    arrays = {("aux:" if k in auxiliary else "arg:") + k: v for k, v in parameters.items()}
    if op == "Reshape" and number in (2, 4):  # these fold the batch into the channels
        symbol = S.Reshape(function(S.var("data")) * 1.5, shape=(-1, 3 * 8 * 12), name="fc1")
    model = convert_small(symbol, arrays)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for batch in (1, 4):
        x = np.random.RandomState(batch).uniform(-1, 1.5, (batch, 3, *SIZE)).astype(np.float32)
        feed = {"data": mx.nd.array(x)}
        feed.update({k: mx.nd.array(v) for k, v in parameters.items() if k not in auxiliary})
        states = {k: mx.nd.array(parameters[k]) for k in auxiliary}
        expected = symbol.bind(mx.cpu(), feed, aux_states=states).forward(is_train=False)[0]
        actual = session.run(["fc1"], {"data": x})[0]
        np.testing.assert_allclose(actual, expected.asnumpy(), rtol=1e-5, atol=1e-5)
