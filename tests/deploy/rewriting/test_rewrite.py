import numpy as np
import pytest
from deploy_nets import operators, pixels

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.export import trace
from gluonface.deploy.rewriting.rewrite import rewrite
from gluonface.weights.graph import Graph
from gluonface.weights.mxnet_params import split_params

S = mx.sym


def test_fast_form_gives_the_same_outputs(mobilefacenet, images, ours):
    symbol, arrays = trace(mobilefacenet)
    args, auxs = split_params(arrays)
    assert operators(symbol).count("LeakyReLU") == 33
    changed, _ = rewrite(symbol, args, auxs)
    assert operators(changed).count("LeakyReLU") == 0
    # 16 depthwise convolutions, the stem's among them, take 32 of them.
    assert operators(changed).count("_gluonface_prelu") == (1 if ours else 0)
    assert sum("_depthwise" in name for name in operators(changed)) == (16 if ours else 0)
    assert operators(rewrite(symbol, args, auxs, fast=False)[0]).count("LeakyReLU") == 33

    x = pixels(images[:1]).asnumpy()
    plain = SymbolEngine(symbol, arrays, mx.cpu(), fast=False).run(x)
    fast = SymbolEngine(symbol, arrays, mx.cpu()).run(x)
    assert plain.std() > 0.1
    np.testing.assert_allclose(fast, plain, rtol=0, atol=5e-5)  # 50 layers of float32


LAYERS = {
    "idle": lambda x, number: S.identity(x, name=f"copy{number}"),
    "norm": lambda x, number: S.BatchNorm(x, name=f"norm{number}", fix_gamma=False),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("flat", [False, True])
def test_a_graph_is_not_walked_once_more_for_each_of_its_nodes(layer, flat, monkeypatch):
    """A file of thousands of nodes took minutes."""
    walks = []
    nodes = Graph.nodes
    monkeypatch.setattr(Graph, "nodes", lambda graph: walks.append(graph) or nodes(graph))

    def walks_of(count):
        x = S.Convolution(
            S.Variable("data"), name="conv", kernel=(8, 8), num_filter=4, no_bias=True
        )
        x = S.Flatten(x) if flat else x
        for number in range(count):
            x = LAYERS[layer](x, number)
        x = S.Flatten(x, name="fc1")
        shapes, _, aux = x.infer_shape(data=(1, 3, 8, 8))
        args = {n: np.ones(s, "f4") for n, s in zip(x.list_arguments(), shapes) if n != "data"}
        auxs = {n: np.ones(s, "f4") for n, s in zip(x.list_auxiliary_states(), aux)}
        walks.clear()
        symbol, values = rewrite(x, args, auxs, (8, 8))
        if not flat or layer == "idle":
            assert "norm1_gamma" not in values
            assert len(symbol.get_internals().list_outputs()) < 10
        return len(walks)

    assert walks_of(100) == walks_of(10)


def test_nor_for_each_prelu_after_a_convolution(ours, monkeypatch):
    walks = []
    nodes = Graph.nodes
    monkeypatch.setattr(Graph, "nodes", lambda graph: walks.append(graph) or nodes(graph))

    def walks_of(count):
        x = S.Variable("data")
        for number in range(count):
            x = S.Convolution(x, name=f"conv{number}", kernel=(1, 1), num_filter=4)
            x = S.LeakyReLU(x, name=f"prelu{number}", act_type="prelu")
        x = S.Flatten(x, name="fc1")
        args = {}
        for name, shape in zip(x.list_arguments(), x.infer_shape(data=(1, 3, 8, 8))[0]):
            if name != "data":
                args[name] = np.linspace(0.1, 0.4, np.prod(shape)).reshape(shape).astype("f4")
        walks.clear()
        changed = operators(rewrite(x, args, {}, (8, 8))[0])
        assert "LeakyReLU" not in changed
        assert ("_sg_mkldnn_conv" in changed) != ours
        return len(walks)

    assert walks_of(20) == walks_of(2)
