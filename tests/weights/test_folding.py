import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.weights.folding import drop_batch_norms, fold_batch_norms, scale_layer
from gluonface.weights.graph import Graph

S = mx.sym


def network(kind):
    """Return a symbol that ends in a BatchNorm after a linear layer."""
    x = S.var("data")
    if kind == "flat":  # as FlatBatchNorm computes it
        x = S.FullyConnected(x, num_hidden=4, name="layer")
        return S.Flatten(norm(S.Reshape(x, shape=(0, 0, 1, 1))))
    bias = {"no_bias": kind == "no bias"}
    x = S.Convolution(x, kernel=(1, 1), num_filter=4, name="layer", **bias)
    y = norm(x, fix_gamma=kind == "fixed gamma")
    return S.Concat(x, y) if kind == "two users" else y


def norm(x, **options):
    return S.BatchNorm(x, eps=1e-3, name="norm", **{"fix_gamma": False, **options})


def parameters(symbol, x):
    rng = np.random.RandomState(0)
    shapes, _, states = symbol.infer_shape(data=x.shape)
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    values = {n: rng.uniform(0.5, 1.5, s) for n, s in zip(names, [*shapes, *states])}
    return {k: v.astype(np.float32) for k, v in values.items() if k != "data"}


def run(symbol, values, x):
    args = {n: mx.nd.array(values[n]) for n in symbol.list_arguments() if n != "data"}
    states = {n: mx.nd.array(values[n]) for n in symbol.list_auxiliary_states()}
    bound = symbol.bind(mx.cpu(), {**args, "data": mx.nd.array(x)}, aux_states=states)
    return bound.forward(is_train=False)[0].asnumpy()


@pytest.mark.parametrize("kind", ["bias", "no bias", "fixed gamma", "flat", "two users"])
def test_folding_keeps_the_outputs(kind):
    symbol, x = network(kind), np.random.RandomState(1).normal(size=(2, 3, 5, 5))
    values = parameters(symbol, x)
    expected = run(symbol, values, x)
    graph = Graph.from_symbol(symbol)
    fold_batch_norms(graph, values)
    ops = [node.op for node in graph.nodes()]
    assert ("BatchNorm" in ops) == (kind == "two users")
    assert "Reshape" not in ops
    np.testing.assert_allclose(run(graph.to_symbol(), values, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("absent", ["layer_weight", "layer_bias", "norm_gamma", "norm_moving_var"])
def test_nothing_is_folded_without_its_values(absent):
    symbol = network("bias")
    values = parameters(symbol, np.zeros((2, 3, 5, 5)))
    del values[absent]
    graph, known = Graph.from_symbol(symbol), dict(values)
    fold_batch_norms(graph, values)
    assert graph.to_symbol().tojson() == Graph.from_symbol(symbol).to_symbol().tojson()
    assert values == known


def test_folded_batch_norms_are_dropped():
    for kind in ("bias", "flat"):
        symbol = network(kind)
        graph = Graph.from_symbol(symbol)
        assert drop_batch_norms(graph, set()) == {}
        assert "BatchNorm" in [node.op for node in graph.nodes()]
        names = ["norm_gamma", "norm_beta", "norm_moving_mean", "norm_moving_var"]
        assert drop_batch_norms(graph, {"layer_weight"}) == {"layer_weight": (names, 1e-3)}
        assert graph.head[0].name == "layer"
        assert [n.name for n in graph.nodes() if n.is_variable] == [
            *("data", "layer_weight", "layer_bias")
        ]


def test_scaled_layers_leave_the_values_of_others():
    symbol, x = network("bias"), np.random.RandomState(1).normal(size=(2, 3, 5, 5))
    values = parameters(symbol, x)
    before = {name: value.copy() for name, value in values.items()}
    graph = Graph.from_symbol(symbol.get_internals()["layer_output"])
    expected = run(graph.to_symbol(), values, x) * np.array([1, 2, 3, 4]).reshape(-1, 1, 1)
    scale_layer(graph.head[0], values, np.array([1, 2, 3, 4]))
    np.testing.assert_allclose(run(graph.to_symbol(), values, x), expected, rtol=1e-6)
    for name, value in before.items():
        np.testing.assert_array_equal(values[name], value)
