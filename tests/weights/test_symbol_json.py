"""A symbol's JSON is read in Python, and what MXNet must not see never reaches it."""

import contextlib
import copy
import json
import random

import pytest

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.weights.symbol_json import MAX_NODES, OPERATORS, read_symbol_json


def network():
    """Return a small symbol: convolution, BatchNorm, PReLU, two branches, a linear layer."""
    data = mx.sym.var("data")
    x = mx.sym.Convolution(data, kernel=(3, 3), num_filter=4, name="conv", no_bias=True)
    x = mx.sym.LeakyReLU(mx.sym.BatchNorm(x, name="bn"), act_type="prelu", name="act")
    left, right = mx.sym.SliceChannel(x, num_outputs=2, name="cut")
    x = mx.sym.Concat(mx.sym.elemwise_add(left, right, name="sum"), left, name="joined")
    return mx.sym.FullyConnected(mx.sym.Flatten(x, name="flat"), num_hidden=5, name="fc1")


@pytest.fixture(scope="module")
def raw():
    return json.loads(network().tojson())


def read(raw, **options):
    return read_symbol_json(json.dumps(raw), "x-symbol.json", **options)[0]


def node(raw, name):
    return next(each for each in raw["nodes"] if each["name"] == name)


def loaded(made):
    return mx.sym.load_json(json.dumps(made))


def test_what_is_read_is_the_same_network(raw):
    symbol = loaded(read(raw))
    assert symbol.list_arguments() == network().list_arguments()
    assert symbol.list_auxiliary_states() == network().list_auxiliary_states()
    assert symbol.infer_shape(data=(2, 3, 8, 8)) == network().infer_shape(data=(2, 3, 8, 8))


def test_the_names_of_all_variables(raw):
    longer = json.loads(
        mx.sym.SoftmaxOutput(network(), mx.sym.var("label"), name="softmax").tojson()
    )
    variables = read_symbol_json(json.dumps(longer), "x")[1]
    assert variables == {*network().list_inputs(), "label"}


def test_cut_at_a_named_node(raw):
    longer = mx.sym.FullyConnected(network(), num_hidden=3, name="fc7").tojson()
    made, variables = read_symbol_json(longer, "x", output="fc1")
    assert made["nodes"][made["heads"][0][0]]["name"] == "fc1"
    assert {"fc7_weight", "fc7_bias", "data"} <= variables  # of what is cut off too
    assert not any(each["name"].startswith("fc7") for each in made["nodes"])
    made, _ = read_symbol_json(longer, "x", output="fc7")
    assert made["nodes"][made["heads"][0][0]]["name"] == "fc7"
    with pytest.raises(InputError, match=r"x has no layer 'other'; near its end it has .*fc1, fc7"):
        read_symbol_json(longer, "x", output="other")


def test_of_a_training_symbol_the_embedding_alone_reaches_mxnet(raw):
    longer = json.loads(
        mx.sym.SoftmaxOutput(network(), mx.sym.var("label"), name="softmax").tojson()
    )
    longer["nodes"].append({"op": "_NDArray", "name": "p", "attrs": {"info": "1"}, "inputs": []})
    assert [each["name"] for each in read(longer)["nodes"]] == [
        each["name"] for each in raw["nodes"]
    ]
    with pytest.raises(DataError, match="SoftmaxOutput"):
        read(longer, output="softmax")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": 3}, "is not an MXNet symbol"),
        ({"heads": []}, "is not an MXNet symbol"),
        ({"heads": [[9, 0]]}, "no output of its 2 nodes"),
        ({"heads": [[-1, 0]]}, "no output of its 2 nodes"),
        ({"heads": [[0, 0], [1, 0]]}, "has the outputs .* and none named"),
        (
            {"nodes": [{"op": "relu", "name": "r", "inputs": [[0, 0]]}], "heads": [[0, 0]]},
            "no output of a node before it",
        ),
    ],
)
def test_damaged_graphs(change, message):
    nodes = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "relu", "name": "r", "inputs": [[0, 0, 0]]},
    ]
    whole = {"nodes": nodes, "heads": [[1, 0, 0]]}
    assert read(whole)["nodes"][-1]["op"] == "relu"
    with pytest.raises(DataError, match=message):
        read({**whole, **change})


@pytest.mark.parametrize("op", ["_Native", "_NDArray", "Custom", "_foreach", "_CachedOp", "_x"])
def test_an_operator_that_is_not_listed_is_named(raw, op):
    changed = copy.deepcopy(raw)
    node(changed, "act")["op"] = op
    node(changed, "act")["attrs"] = {"info": "0xdeadbeef"}
    with pytest.raises(DataError, match=f"'act' has the operator '{op}'"):
        read(changed)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("conv", "num_group", "0"),
        ("conv", "num_group", "-1"),
        ("conv", "num_filter", "99999999999"),
        ("conv", "num_filter", 4),
        ("conv", "stride", "(0, 1)"),
        ("conv", "kernel", "(" + "9" * 300 + ", 3)"),
        ("conv", "kernel", "(3, 3, 3, 3, 3, 3, 3, 3, 3)"),
        ("conv", "kernel", "(3, 3"),
        ("conv", "no_bias", "False"),
        ("conv", "cudnn_tune", "__import__('os')"),
        ("cut", "num_outputs", "2147483648"),
        ("cut", "num_outputs", "0"),
        ("cut", "num_outputs", "x"),
        ("bn", "eps", "nan"),
        ("bn", "output_mean_var", "True"),
        ("act", "act_type", "rrelu"),
        ("act", "act_type", "leaky"),
        ("joined", "num_args", "3"),
        ("fc1", "num_hidden", "0"),
        ("fc1", "info", "1"),
    ],
)
def test_a_value_out_of_its_range_is_named(raw, name, key, value):
    changed = copy.deepcopy(raw)
    node(changed, name).setdefault("attrs", {})[key] = value
    with pytest.raises(DataError, match=f"x-symbol.json .*'{name}'"):
        read(changed)


def change(key, value, **more):
    return lambda raw: raw.update({key: value, **more})


def on(which, **values):
    return lambda raw: node(raw, which).update(values)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda raw: raw.pop("nodes"), "no list of nodes"),
        (change("nodes", []), "0 nodes"),
        (change("nodes", [1]), "expected an object"),
        (lambda raw: raw["nodes"].extend([raw["nodes"][0]] * MAX_NODES), "nodes; expected 1 to"),
        (on("act", name=""), "has the name ''"),
        (on("act", name="\x1b[2J"), "not printable"),
        (on("act", name="y" * 999), "has the name 'yy"),
        (on("act", op=7), "has the op 7"),
        (on("act", subgraphs=[{"nodes": []}]), "subgraphs"),
        (on("act", inputs=[[0, 0, 0]]), "has 1 inputs; its attributes want 2"),
        (on("act", inputs=[[99, 0, 0], [0, 0, 0]]), "no output of a node before it"),
        (on("act", inputs=[[0, 1, 0], [0, 0, 0]]), "no output of a node before it"),
        (on("act", inputs=[[-1, 0, 0], [0, 0, 0]]), "no output of a node before it"),
        (on("act", inputs=[[0.0, 0, 0], [0, 0, 0]]), "no output of a node before it"),
        (on("act", inputs=[["0", 0, 0], [0, 0, 0]]), "no output of a node before it"),
        (on("act", inputs={"0": 1}), "has the inputs"),
        (on("act", attrs=[1]), "has the attrs"),
        (on("conv_weight", inputs=[[0, 0, 0]]), "the variable 'conv_weight' has inputs"),
        (on("conv_weight", name="data"), "two variables are called 'data'"),
        (on("fc1", op="null", inputs=[]), "is a variable|no output"),
    ],
)
def test_what_is_no_network_is_refused(raw, spoil, why):
    changed = copy.deepcopy(raw)
    spoil(changed)
    with pytest.raises(DataError, match=why):
        read(changed)


@pytest.mark.parametrize(
    ("heads", "why"),
    [
        ([], "no heads"),
        ([[999, 0, 0]], "is no output"),
        ([[3, 7, 0]], "is no output"),
        ([[3]], "is no output"),
        ([[-1, 0, 0]], "is no output"),
        ([[3, 0, 0], [5, 0, 0]], "has the outputs"),
        ("x", "no heads"),
    ],
)
def test_heads(raw, heads, why):
    without_fc1 = json.loads(json.dumps(raw).replace('"fc1"', '"last"'))
    with pytest.raises(DataError, match=why):
        read({**without_fc1, "heads": heads})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '"x"',
        '{"nodes": 3, "heads": []}',
        "[" * 100_000,
        '{"nodes": ' + "9" * 5000 + "}",
        b"\xff\xfe{}",
        '{"nodes": [{"op": "null", "name": "data", "inputs": []}], "heads": [[0, 0, 0]]}',
    ],
)
def test_text_that_is_no_symbol(text):
    with pytest.raises(DataError, match="x is not an MXNet symbol"):
        read_symbol_json(text, "x")


def test_statistics_of_a_batch_norm_are_variables(raw):
    changed = copy.deepcopy(raw)
    node(changed, "bn")["inputs"][3] = node(changed, "bn")["inputs"][0]
    with pytest.raises(DataError, match="input 3 of the node 'bn' is no variable"):
        read(changed)


def test_notes_on_training_are_left_out(raw):
    changed = copy.deepcopy(raw)
    node(changed, "conv_weight")["attrs"] = {"__init__": '["normal", {}]', "__shape__": "(9,)"}
    node(changed, "conv")["attrs"]["__lr_mult__"] = "3"
    changed["attrs"] = {"mxnet_version": ["int", 10400]}
    made = read(changed)
    assert "attrs" not in node(made, "conv_weight")
    assert "__lr_mult__" not in node(made, "conv")["attrs"]
    assert made["attrs"] == {"mxnet_version": ["int", 10400]}


def mutated(raw, seed):
    """Return a symbol with one to three changes to its structure."""
    rng = random.Random(seed)
    raw = copy.deepcopy(raw)
    odd = [
        None,
        True,
        -1,
        2**31,
        1e308,
        "",
        "0",
        "-1",
        "(0, 0)",
        "()",
        "None",
        "\x00",
        [],
        {},
        [[]],
    ]
    for _ in range(rng.randint(1, 3)):
        if raw["nodes"] in odd:
            break
        target = rng.choice(raw["nodes"])
        what = rng.random()
        if what < 0.3:
            target[rng.choice(["op", "name", "inputs", "attrs", "subgraphs"])] = rng.choice(odd)
        elif what < 0.6:
            target["op"] = rng.choice(list(OPERATORS))
        elif what < 0.8 and isinstance(target.get("attrs"), dict) and target["attrs"]:
            target["attrs"][rng.choice(list(target["attrs"]))] = rng.choice(odd)
        elif isinstance(target.get("inputs"), list) and target["inputs"]:
            place = rng.randrange(len(target["inputs"]))
            target["inputs"][place] = rng.choice([[0, 0, 0], [5, 1, 0], [2**40, 0, 0], *odd])
        else:
            raw[rng.choice(["nodes", "heads", "attrs", "arg_nodes"])] = rng.choice(odd)
    return raw


def test_a_mutated_symbol_is_read_or_refused(raw):
    """And what is read, MXNet loads, or says in its own words why not."""
    accepted = 0
    for seed in range(1500):
        try:
            made = read(mutated(raw, seed))
        except DataError:
            continue
        accepted += 1
        with contextlib.suppress(mx.MXNetError):
            loaded(made).infer_shape(data=(1, 3, 8, 8))
    assert 20 < accepted < 1000


@pytest.mark.parametrize("shape", ["(0, -4, -1, 0, -2)", "(-4, 0, -1)", "[0,-4,2]", "(-4,)"])
def test_an_axis_is_not_divided_by_zero(shape):
    """MXNet would, and end the process."""
    x = mx.sym.Reshape(mx.sym.var("data"), shape=(0, -4, 1, 3, -2), name="fc1")
    read_symbol_json(x.tojson(), "x")
    raw = json.loads(x.tojson())
    raw["nodes"][-1]["attrs"]["shape"] = shape
    with pytest.raises(DataError, match=r"Reshape, has shape='.*', which is out of its range"):
        read_symbol_json(json.dumps(raw), "x")
