import json

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface._compat import mx
from gluonface.deploy.export import trace
from gluonface.errors import DataError
from gluonface.weights.graph import Graph, Node


@pytest.fixture(scope="module")
def symbol():
    return trace(make_small())[0]


def test_from_symbol_and_back(symbol):
    again = Graph.from_symbol(symbol).to_symbol()
    for both in ("list_arguments", "list_auxiliary_states", "list_outputs"):
        assert getattr(again, both)() == getattr(symbol, both)()
    one, two = (
        [(n["op"], n["name"], n.get("attrs")) for n in json.loads(s.tojson())["nodes"]]
        for s in (symbol, again)
    )
    assert one == two


def test_cut_at_a_named_node(symbol):
    whole = mx.sym.FullyConnected(symbol, num_hidden=3, name="fc7")
    graph, variables = Graph.from_json(whole.tojson(), output="fc1")
    assert graph.head[0].name == "fc1"
    assert {"fc7_weight", "fc7_bias", "data"} <= variables  # of what is cut off too
    assert not any(node.name.startswith("fc7") for node in graph.nodes())
    assert Graph.from_json(whole.tojson(), output="other")[0].head[0].name == "fc7"


def test_names_of_old_versions():
    nodes = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "_MinusScalar", "name": "m", "param": {"scalar": "3"}, "inputs": [[0, 0]]},
    ]
    graph, _ = Graph.from_json(json.dumps({"nodes": nodes, "heads": [[1, 0]]}))
    assert (graph.head[0].op, graph.head[0].attrs) == ("_minus_scalar", {"scalar": "3"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": 3}, "is not an MXNet symbol"),
        ({"heads": []}, "is not an MXNet symbol"),
        ({"heads": [[9, 0]]}, "refers to the node 9 of 2"),
        ({"heads": [[-1, 0]]}, "refers to the node -1 of 2"),
        ({"heads": [[0, 0], [1, 0]]}, "has 2 outputs and none named"),
        ({"nodes": [{"op": "relu", "name": "r", "inputs": [[0, 0]]}]}, "refers to the node 0 of 0"),
    ],
)
def test_damaged_graphs(change, message):
    nodes = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "relu", "name": "r", "inputs": [[0, 0, 0]]},
    ]
    whole = {"nodes": nodes, "heads": [[1, 0, 0]]}
    assert Graph.from_json(json.dumps(whole))[0].head[0].op == "relu"
    with pytest.raises(DataError, match=message):
        Graph.from_json(json.dumps({**whole, **change}), "x.json")


def test_attributes_of_nodes():
    node = Node("x", "n", {"a": "(1, 2)", "b": "True", "c": "None", "d": "valid", "e": "7"})
    assert node.integers("a") == (1, 2)
    assert node.integers("e") == (7,)
    assert node.integers("absent", (3,)) == (3,)
    assert (node.value("c", 4), node.value("d"), node.value("e")) == (4, "valid", 7)
    assert (node.flag("b"), node.flag("absent"), node.flag("absent", True)) == (True, False, True)


def test_array_of_an_input():
    weight, data = Node("null", "w"), Node("relu", "r")
    node = Node("FullyConnected", "f", {}, [(data, 0), (weight, 0)])
    values = {"w": np.ones(2), "r": np.ones(3)}
    assert node.array(1, values) is values["w"]
    assert node.array(0, values) is None  # it is computed
    assert node.array(2, values) is None  # it is not there
