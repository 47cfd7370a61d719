from deploy_nets import make_small

from gluonface._compat import mx
from gluonface.deploy.export import trace
from gluonface.weights.graph import Graph
from gluonface.weights.layers import read_layers

S = mx.sym


def test_layers_of_a_network():
    layers = read_layers(Graph.from_symbol(trace(make_small())[0]))
    assert (layers.mean, layers.scale, layers.inside) == (127.5, 1 / 128, True)
    ops = [layer.op for layer in layers.layers]
    assert ops == [
        *("Convolution", "BatchNorm", "LeakyReLU") * 2,
        *("Convolution", "Convolution", "BatchNorm", "FullyConnected", "BatchNorm"),
    ]
    first, norm = layers.layers[:2]
    assert first.params == {"weight": "features_0_weight"}
    assert (first.settings["kernel"], first.settings["stride"]) == ((3, 3), (4, 4))
    assert (first.inputs, norm.inputs) == ("pixels", "layer 1")
    assert [layer.fix_gamma for layer in layers.layers if layer.op == "BatchNorm"] == [
        *(False, True, False, False)
    ]
    assert layers.output == f"layer {len(ops)}"
    assert [normed for _, normed in layers.linear] == [True, True, False, True, True]


def test_sums_are_the_same_in_any_order():
    def network(swap):
        x = S.Convolution(S.var("data"), kernel=(1, 1), num_filter=3, name="a")
        y = S.Convolution(x, kernel=(1, 1), num_filter=3, name="b")
        return Graph.from_symbol(S.Flatten(y + x if swap else x + y))

    one, two = (read_layers(network(swap)) for swap in (False, True))
    assert one == two
    assert one.output == "add(layer 1, layer 2)"
    assert not one.inside


def test_chains_longer_than_the_recursion_limit():
    x = S.var("data")
    for _ in range(1500):
        x = S.relu(x)
    output = read_layers(Graph.from_symbol(x)).output
    assert output.startswith("relu(relu(")
    assert output != read_layers(Graph.from_symbol(S.relu(x))).output


def test_doubled_inputs_do_not_double_the_text():
    x = S.var("data")
    for _ in range(80):  # written out, 2^80 characters
        x = x * x
    assert len(read_layers(Graph.from_symbol(x)).output) < 10_000
