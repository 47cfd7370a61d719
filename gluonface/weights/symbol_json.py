"""Read the JSON of an MXNet symbol in Python, and refuse whatever MXNet must not see.

MXNet's own reader runs what a file says: `_Native` and `_NDArray` call through an address in the
file, heads out of range and a `num_group` of 0 end the process, and nested subgraphs or 2^31
outputs never end. So a file's operators and attributes are checked against a list of those that
recognition networks are made of, with the range of every value, and MXNet gets a new symbol that
holds only these.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import DataError, InputError, shown_text

__all__ = ["MAX_NODES", "OPERATORS", "read_symbol_json"]

MAX_BYTES = 64 << 20
MAX_NODES = 20_000  # the deepest network of the zoo, vit_l, has about 1,500
MAX_INPUTS = 256
MAX_TEXT = 256  # characters of a name or an attribute
MAX_AXIS = 8
LARGEST = 1 << 24  # channels, classes, or the length of an axis

INTEGER = re.compile(r"[+-]?\d{1,10}L?")
Check = Callable[[str], bool]


def _integer(low: int, high: int, none: bool = False) -> Check:
    """Return the check of a whole number from `low` to `high`."""

    def check(text: str) -> bool:
        if none and text == "None":
            return True
        return bool(INTEGER.fullmatch(text)) and low <= int(text.rstrip("L")) <= high

    return check


def _tuple(low: int, high: int, most: int = MAX_AXIS, none: bool = False) -> Check:
    """Return the check of a tuple or list of such numbers; one number stands for a tuple of it."""
    one = _integer(low, high, none)

    def check(text: str) -> bool:
        inner = text.strip()
        if inner[:1] in ("(", "[") and inner[-1:] == {"(": ")", "[": "]"}[inner[:1]]:
            inner = inner[1:-1]
        values = [value.strip() for value in inner.split(",")]
        if values and not values[-1]:
            values.pop()  # "(3,)" and "()"
        return len(values) <= most and all(one(value) for value in values)

    return check


def _word(*words: str) -> Check:
    return lambda text: text in words


def _number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return len(text) <= 64 and math.isfinite(float(text))
    except ValueError:
        return False


def _optional_number(text: str) -> bool:
    return text == "None" or _number(text)


_flag = _word("True", "False", "true", "false", "0", "1", "None")
_axis = _integer(-MAX_AXIS, MAX_AXIS)
_axes = _tuple(-MAX_AXIS, MAX_AXIS, none=True)
_positive = _tuple(1, 4096)
_dtype = _word("float16", "float32", "float64", "None")
_layout = _word("NCHW", "NCW", "NHWC", "NWC", "NCDHW", "None")
_index = _integer(-LARGEST, LARGEST, none=True)
_steps = _tuple(-LARGEST, LARGEST, none=True)

_CONVOLUTION: dict[str, Any] = {
    "kernel": _positive,
    "stride": _positive,
    "dilate": _positive,
    "pad": _tuple(0, 4096),
    "num_filter": _integer(1, LARGEST),
    "num_group": _integer(1, LARGEST),
    "workspace": _integer(0, 1 << 30),
    "no_bias": _flag,
    "cudnn_tune": _word("None", "off", "fastest", "limited_workspace"),
    "cudnn_off": _flag,
    "layout": _layout,
}
_POOLING: dict[str, Any] = {
    **{key: _CONVOLUTION[key] for key in ("kernel", "stride", "pad", "layout", "cudnn_off")},
    "pool_type": _word("avg", "max", "sum"),
    "global_pool": _flag,
    "pooling_convention": _word("valid", "full", "same"),
    "p_value": _integer(1, 8, none=True),
    "count_include_pad": _flag,
}
_NORM: dict[str, Any] = {
    "eps": _number,
    "momentum": _number,
    "fix_gamma": _flag,
    "use_global_stats": _flag,
    "output_mean_var": _word("False", "false", "0"),
    "axis": _axis,
    "cudnn_off": _flag,
    "min_calib_range": _optional_number,
    "max_calib_range": _optional_number,
}
_REDUCTION: dict[str, Any] = {
    "axis": _axes,
    "keepdims": _flag,
    "exclude": _flag,
    "ord": _integer(1, 2),
    "out_dtype": _dtype,
}
_SOFTMAX: dict[str, Any] = {
    "axis": _axis,
    "temperature": _optional_number,
    "dtype": _dtype,
    "use_length": _word("False", "false", "0", "None"),
}
_PRODUCT: dict[str, Any] = {
    "transpose_a": _flag,
    "transpose_b": _flag,
    "forward_stype": _word("None", "default"),
    "alpha": _number,
    "axis": _axis,
}
_LEAKY: dict[str, Any] = {
    "act_type": _word("leaky", "prelu", "elu", "selu", "gelu"),
    **dict.fromkeys(("slope", "lower_bound", "upper_bound"), _number),
}
_RESIZING: dict[str, Any] = {
    "scale": _integer(1, 32),
    "sample_type": _word("nearest"),
    "num_filter": _integer(0, LARGEST),
    "multi_input_mode": _word("concat", "sum"),
    "num_args": _integer(1, 1),
    "workspace": _integer(0, 1 << 30),
    "height": _integer(1, 4096),
    "width": _integer(1, 4096),
    "scale_height": _word("None"),
    "scale_width": _word("None"),
    "mode": _word("size"),
    "align_corners": _flag,
}
_PADDING: dict[str, Any] = {
    "mode": _word("constant", "edge", "reflect"),
    "pad_width": _tuple(0, 4096, 2 * MAX_AXIS),
    "constant_value": _number,
}


def _new_shape(text: str) -> bool:
    """Whether a text is a shape: the two parts of an axis that -4 divides are not 0."""
    if not _tuple(-4, LARGEST)(text):
        return False
    sizes = [int(size.rstrip("L")) for size in re.findall(r"[+-]?\d+L?", text)]
    parts = [sizes[place + 1 : place + 3] for place, size in enumerate(sizes) if size == -4]
    return all(len(two) == 2 and 0 not in two for two in parts)


_RESHAPING: dict[str, Any] = {
    "shape": _new_shape,
    "reverse": _flag,
    "target_shape": _tuple(0, LARGEST),
    "keep_highest": _flag,
}
_BOUNDS = dict.fromkeys(("alpha", "beta", "a_min", "a_max"), _number)
_COUNTED = _integer(1, MAX_INPUTS)
_COUNT = {"num_args": _COUNTED}
_SCALAR: dict[str, Any] = {"scalar": _number, "is_int": _flag}

# Names of operators, fewest and most inputs, {attribute: check of its value}.
_TABLE: tuple[tuple[str, int, int, dict[str, Any]], ...] = (
    ("Convolution", 2, 3, _CONVOLUTION),
    (
        "FullyConnected",
        2,
        3,
        {"num_hidden": _integer(1, LARGEST), "no_bias": _flag, "flatten": _flag},
    ),
    ("BatchNorm BatchNorm_v1 _contrib_BatchNormWithReLU", 5, 5, _NORM),
    ("LayerNorm", 3, 3, {key: _NORM[key] for key in ("axis", "eps", "output_mean_var")}),
    ("InstanceNorm", 3, 3, {"eps": _number}),
    ("L2Normalization", 1, 1, {"eps": _number, "mode": _word("instance", "channel", "spatial")}),
    ("Activation", 1, 1, {"act_type": _word("relu", "sigmoid", "softrelu", "softsign", "tanh")}),
    ("LeakyReLU", 1, 2, _LEAKY),
    ("relu sigmoid hard_sigmoid tanh erf softsign clip", 1, 1, _BOUNDS),
    ("exp log sqrt rsqrt square abs negative sin floor", 1, 1, {}),
    ("_copy identity BlockGrad stop_gradient Flatten flatten", 1, 1, {}),
    ("Dropout", 1, 1, {"p": _number, "mode": _word("training"), "axes": _axes, "cudnn_off": _flag}),
    ("Cast cast amp_cast", 1, 1, {"dtype": _dtype}),
    ("elemwise_add elemwise_sub elemwise_mul elemwise_div", 2, 2, {}),
    ("_plus _Plus _add _minus _Minus _sub _mul _Mul _div _Div", 2, 2, {}),
    ("broadcast_add broadcast_plus broadcast_sub broadcast_minus", 2, 2, {}),
    ("broadcast_mul broadcast_div broadcast_maximum broadcast_minimum", 2, 2, {}),
    ("_plus_scalar _minus_scalar _mul_scalar _div_scalar", 1, 1, _SCALAR),
    ("_rminus_scalar _rdiv_scalar _power_scalar _maximum_scalar _minimum_scalar", 1, 1, _SCALAR),
    ("_PlusScalar _MinusScalar _MulScalar _DivScalar", 1, 1, _SCALAR),
    ("_RMinusScalar _RDivScalar _MaximumScalar _MinimumScalar", 1, 1, _SCALAR),
    ("add_n ElementWiseSum", 1, MAX_INPUTS, _COUNT),
    ("Concat concat", 1, MAX_INPUTS, {"dim": _axis, **_COUNT}),
    ("stack", 1, MAX_INPUTS, {"axis": _axis, **_COUNT}),
    ("batch_dot dot _linalg_gemm2", 2, 2, _PRODUCT),
    ("mean sum max min sum_axis max_axis min_axis norm", 1, 1, _REDUCTION),
    ("softmax log_softmax", 1, 1, _SOFTMAX),
    ("Pooling Pooling_v1", 1, 1, _POOLING),
    ("_contrib_AdaptiveAvgPooling2D", 1, 1, {"output_size": _tuple(1, 4096, 2)}),
    ("UpSampling _contrib_BilinearResize2D", 1, 1, _RESIZING),
    ("Pad pad", 1, 1, _PADDING),
    ("tile", 1, 1, {"reps": _tuple(1, 4096)}),
    ("broadcast_like", 2, 2, {"lhs_axes": _axes, "rhs_axes": _axes}),
    ("broadcast_to", 1, 1, {"shape": _tuple(0, LARGEST)}),
    ("broadcast_axis broadcast_axes", 1, 1, {"axis": _axes, "size": _tuple(1, LARGEST)}),
    ("Reshape reshape", 1, 1, _RESHAPING),
    ("reshape_like", 2, 2, dict.fromkeys(("lhs_begin", "lhs_end", "rhs_begin", "rhs_end"), _index)),
    ("transpose", 1, 1, {"axes": _axes}),
    ("SwapAxis", 1, 1, {"dim1": _axis, "dim2": _axis}),
    ("expand_dims squeeze", 1, 1, {"axis": _axes}),
    ("SliceChannel split", 1, 1, {"num_outputs": _COUNTED, "axis": _axis, "squeeze_axis": _flag}),
    ("_contrib_arange_like", 1, 1, {"axis": _axis, "start": _number, "step": _number}),
    ("slice_axis", 1, 1, {"axis": _axis, "begin": _index, "end": _index}),
    ("slice", 1, 1, dict.fromkeys(("begin", "end", "step"), _steps)),
    ("slice_like", 2, 2, {"axes": _axes}),
)
# Operator -> (fewest inputs, most inputs, {attribute: check of its value}).
OPERATORS: dict[str, tuple[int, int, dict[str, Any]]] = {
    name: (fewest, most, checks) for names, fewest, most, checks in _TABLE for name in names.split()
}

SPLITTING = {"SliceChannel", "split"}  # their number of outputs is an attribute
# What may stand beside the attributes of an operator: notes for training, which MXNet keeps.
NOTE = re.compile(r"__?[A-Za-z_]{1,40}__?|(weight|bias)_(lr|wd)_mult|lr_mult|wd_mult|ctx_group")
STATISTICS = (3, 4)  # inputs of a BatchNorm that MXNet writes to


def read_symbol_json(
    text: str | bytes, where: str, output: str | None = None
) -> tuple[dict[str, Any], set[str]]:
    """Read a symbol's JSON and return a new one with what its embedding needs, and no more.

    Parameters
    ----------
    text : str or bytes
        What `Symbol.save` or `HybridBlock.export` writes, of MXNet 0.9 to 1.9.
    where : str
        The file, for messages.
    output : str, optional
        The node that gives the embedding; it has to be there. What follows it, as in a training
        checkpoint, is cut off. By default it is ``fc1`` or, where there is none, the only head.

    Returns
    -------
    dict
        ``nodes``, ``arg_nodes``, ``node_row_ptr``, ``heads``, ``attrs``, as MXNet writes them.
        Nodes that the output does not need are left out, and so are notes on training.
    set of str
        Names of all inputs and parameters of the file, of those after the output too.

    Raises
    ------
    DataError
        If it is not such a JSON, has an operator or attribute that is not listed, or a value out
        of its range. The node and the value are named.
    """
    raw = _parse(text, where)
    nodes = raw["nodes"]
    head = _head(raw, nodes, where, output)
    needed = _needed(nodes, head[0], where)
    number = {old: new for new, old in enumerate(sorted(needed))}
    made, variables = [], set()
    for old in number:
        node = nodes[old]
        inputs = [[number[i], j, 0] for i, j in needed[old]]
        if node["op"] == "null":
            if node["name"] in variables:
                _fail(where, f"two variables are called {_shown(node['name'])}")
            variables.add(node["name"])
            made.append({"op": "null", "name": node["name"], "inputs": []})
            continue
        attrs = _attributes(node, len(inputs), where)
        for place in STATISTICS if "BatchNorm" in node["op"] else ():
            if made[inputs[place][0]]["op"] != "null":
                _fail(where, f"input {place} of the node {_shown(node['name'])} is no variable")
        entry = {"op": node["op"], "name": node["name"], "inputs": inputs}
        made.append({**entry, "attrs": attrs} if attrs else entry)
    if made[-1]["op"] == "null":
        _fail(where, "its output is a variable; expected a network")
    symbol = {
        "nodes": made,
        "arg_nodes": [i for i, node in enumerate(made) if node["op"] == "null"],
        "node_row_ptr": list(range(len(made) + 1)),
        "heads": [[number[head[0]], head[1], 0]],
        "attrs": {"mxnet_version": ["int", _version(raw)]},
    }
    return symbol, {node["name"] for node in nodes if node["op"] == "null"}


def _fail(where: str, why: str) -> NoReturn:
    raise DataError(f"{where} is not an MXNet symbol of a recognition network: {why}")


def _shown(value: Any) -> str:
    """Return a value of the file for a message: short, and nothing that a terminal obeys."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _digits(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _parse(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the JSON with its form checked: an object with lists of nodes and heads."""
    if len(text) > MAX_BYTES:
        _fail(where, f"it has {len(text)} bytes; expected at most {MAX_BYTES}")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        raw = json.loads(text, parse_int=_digits)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        _fail(where, f"{reason}; expected the JSON that Symbol.save or HybridBlock.export writes")
    if not isinstance(raw, dict) or not isinstance(raw.get("nodes"), list):
        _fail(where, "it has no list of nodes")
    if not 0 < len(raw["nodes"]) <= MAX_NODES:
        _fail(where, f"it has {len(raw['nodes'])} nodes; expected 1 to {MAX_NODES}")
    for number, node in enumerate(raw["nodes"]):
        if not isinstance(node, dict):
            _fail(where, f"node {number} is {_shown(node)}; expected an object")
        for key in ("op", "name"):
            value = node.get(key)
            if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
                _fail(where, f"node {number} has the {key} {_shown(value)}; expected a short text")
            if not value.isprintable():
                _fail(where, f"node {number} has the {key} {_shown(value)}, which is not printable")
    return raw


def _pair(entry: Any) -> tuple[int, int] | None:
    """Return (node, output) of an entry of inputs or heads, None if it is none."""
    if not isinstance(entry, list) or not 2 <= len(entry) <= 3:
        return None
    if not all(type(value) is int and value >= 0 for value in entry):
        return None
    return entry[0], entry[1]


def _outputs(node: dict[str, Any], where: str) -> int:
    """Return how many outputs of a node others may use."""
    if node["op"] not in SPLITTING:
        return 1
    text = str(_raw_attributes(node, where).get("num_outputs"))
    if not _integer(1, 256)(text):
        _fail(
            where,
            f"node {_shown(node['name'])} has num_outputs={_shown(text)}; at most 256 are read",
        )
    return int(text)


_EMBEDDING_LAYERS = {"FullyConnected", "BatchNorm", "Flatten", "flatten", "Convolution"}


def _head(raw: dict[str, Any], nodes: list, where: str, output: str | None) -> tuple[int, int]:
    """Return the node and the output that give the embedding."""
    wanted = ("fc1",) if output is None else (output, output.removesuffix("_output"))
    for number, node in enumerate(nodes):
        if node["name"] in wanted and node["op"] != "null":
            return number, 0
    if output is not None:
        layers = [node["name"] for node in nodes if node["op"] in _EMBEDDING_LAYERS]
        raise InputError(
            f"{where} has no layer {_shown(output)}; near its end it has "
            f"{shown_text(', '.join(layers[-8:]))}"
        )
    heads = raw.get("heads")
    if not isinstance(heads, list) or not heads:
        _fail(where, "it has no heads")
    found = []
    for entry in heads[:MAX_INPUTS]:
        pair = _pair(entry)
        if pair is None or pair[0] >= len(nodes) or pair[1] >= _outputs(nodes[pair[0]], where):
            _fail(where, f"the head {_shown(entry)} is no output of its {len(nodes)} nodes")
        found.append(pair)
    if len(heads) != 1:
        names = [nodes[pair[0]]["name"] for pair in found[:6]]
        _fail(
            where,
            f"it has the outputs {names} and none named 'fc1'; --layer NAME says which gives the "
            "embedding (output=)",
        )
    return found[0]


def _inputs(nodes: list, number: int, where: str) -> list[tuple[int, int]]:
    """Return the checked inputs of a node. A file lists the inputs of a node before it."""
    node = nodes[number]
    entries = node.get("inputs", [])
    if not isinstance(entries, list) or len(entries) > MAX_INPUTS:
        _fail(where, f"node {_shown(node['name'])} has the inputs {_shown(entries)}")
    found = []
    for entry in entries:
        pair = _pair(entry)
        if pair is None or pair[0] >= number or pair[1] >= _outputs(nodes[pair[0]], where):
            _fail(
                where,
                f"node {_shown(node['name'])} has the input {_shown(entry)}, which is no output "
                "of a node before it",
            )
        found.append(pair)
    if node["op"] == "null" and found:
        _fail(where, f"the variable {_shown(node['name'])} has inputs")
    return found


def _needed(nodes: list, head: int, where: str) -> dict[int, list[tuple[int, int]]]:
    """Return the nodes that the head needs, each with its checked inputs."""
    found, waiting = {}, [head]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found[number] = _inputs(nodes, number, where)
            waiting.extend(before for before, _ in found[number])
    return found


def _raw_attributes(node: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the attributes of a node under any of the names that MXNet's versions gave them."""
    found: dict[str, Any] = {}
    for key in ("param", "attr", "attrs"):
        more = node.get(key) or {}
        if not isinstance(more, dict) or len(more) > 64:
            _fail(where, f"node {_shown(node['name'])} has the {key} {_shown(more)}")
        found.update(more)
    return found


def _attributes(node: dict[str, Any], inputs: int, where: str) -> dict[str, str]:
    """Return the checked attributes of an operator."""
    name, op = _shown(node["name"]), node["op"]
    if node.get("subgraphs"):
        _fail(where, f"node {name} has subgraphs, which are not read")
    if op not in OPERATORS:
        why = f"node {name} has the operator {_shown(op)}, which is not read"
        if op in ("SoftmaxOutput", "SoftmaxActivation", "MakeLoss", "LinearRegressionOutput"):
            why += ". It belongs to the classifier: --layer NAME names the layer of the embedding"
        _fail(where, why)
    fewest, most, checks = OPERATORS[op]
    if not fewest <= inputs <= most:
        _fail(where, f"node {name}, {op}, has {inputs} inputs; expected {fewest} to {most}")
    attrs = {}
    for key, value in _raw_attributes(node, where).items():
        if key not in checks:
            if NOTE.fullmatch(key):
                continue
            _fail(where, f"node {name}, {op}, has the attribute {_shown(key)}, which is not read")
        if not isinstance(value, str) or len(value) > MAX_TEXT or not checks[key](value):
            _fail(where, f"node {name}, {op}, has {key}={_shown(value)}, which is out of its range")
        attrs[key] = value
    if op in ("Convolution", "FullyConnected"):
        expected = 2 if attrs.get("no_bias", "False") in ("True", "true", "1") else 3
    elif op == "LeakyReLU":
        expected = 1 + (attrs.get("act_type") == "prelu")
    else:
        expected = inputs
    if inputs != expected:
        _fail(where, f"node {name}, {op}, has {inputs} inputs; its attributes want {expected}")
    if "num_args" in checks and "num_args" in attrs and int(attrs["num_args"]) != inputs:
        _fail(where, f"node {name}, {op}, has num_args={attrs['num_args']} and {inputs} inputs")
    return attrs


def _version(raw: dict[str, Any]) -> int:
    """Return MXNet's version of the file as it writes it, 10901 for 1.9.1; old files say none."""
    try:
        kind, value = raw["attrs"]["mxnet_version"]
    except (KeyError, TypeError, ValueError):
        return 10901
    return value if kind == "int" and type(value) is int and 900 <= value <= 10901 else 10901
