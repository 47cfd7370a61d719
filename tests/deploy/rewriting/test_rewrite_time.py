"""A graph of thousands of nodes is rewritten in seconds, not in minutes."""

import time

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.deploy.rewriting.rewrite import rewrite

COUNT = 2500
LAYERS = {
    "idle": lambda x, number: mx.sym.identity(x, name=f"copy{number}"),
    "norm": lambda x, number: mx.sym.BatchNorm(x, name=f"norm{number}", fix_gamma=False),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("flat", [False, True])
def test_thousands_of_nodes(layer, flat):
    x = mx.sym.Convolution(
        mx.sym.Variable("data"), name="conv", kernel=(8, 8), num_filter=4, no_bias=True
    )
    x = mx.sym.Flatten(x) if flat else x
    for number in range(COUNT):
        x = LAYERS[layer](x, number)
    x = mx.sym.Flatten(x, name="fc1")
    shapes, _, aux = x.infer_shape(data=(1, 3, 8, 8))
    args = {n: np.ones(s, "f4") for n, s in zip(x.list_arguments(), shapes) if n != "data"}
    auxs = {n: np.ones(s, "f4") for n, s in zip(x.list_auxiliary_states(), aux)}
    start = time.monotonic()
    symbol, values = rewrite(x, args, auxs, (8, 8))
    assert time.monotonic() - start < 15
    if not flat or layer == "idle":
        assert "norm1_gamma" not in values
        assert len(symbol.get_internals().list_outputs()) < 10
