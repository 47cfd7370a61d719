import json

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface.deploy.export import trace
from gluonface.weights.graph import Graph, Node
from gluonface.weights.symbol_json import read_symbol_json


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


def test_names_of_old_versions():
    nodes = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "_MinusScalar", "name": "m", "param": {"scalar": "3"}, "inputs": [[0, 0]]},
    ]
    text = json.dumps({"nodes": nodes, "heads": [[1, 0]]})
    graph = Graph.from_json(read_symbol_json(text, "x.json")[0])
    assert (graph.head[0].op, graph.head[0].attrs) == ("_minus_scalar", {"scalar": "3"})


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
