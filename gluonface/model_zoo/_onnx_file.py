"""Read ONNX files of recognition networks as MXNet's nodes, which `_graph` knows.

InsightFace's ``w600k_r50.onnx`` and ``w600k_mbf.onnx`` and the like: exported from PyTorch, every
BatchNorm that follows a convolution folded into it.
"""

import pathlib

import numpy as np

from ..errors import DataError, InputError, MissingExtraError

__all__ = ["fold", "read_onnx"]

PASS = {"Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze"}
SCALAR = {
    "Sub": "_minus_scalar",
    "Add": "_plus_scalar",
    "Mul": "_mul_scalar",
    "Div": "_div_scalar",
}


def read_onnx(path):
    """Read an ONNX file.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    graph : dict
        As the JSON of an MXNet symbol. Operators that MXNet's graphs of backbones have not keep
        their ONNX names.
    arrays : dict of str to numpy.ndarray
        Parameters in MXNet's shapes.

    Raises
    ------
    MissingExtraError
        Without the extra ``onnx``.
    InputError
        If there is no such file.
    DataError
        If it is no ONNX file with one input and one output, or its weights lie elsewhere.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "to read ONNX files") from error
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise DataError(f"{path} is no ONNX file: {error}") from None
    if not model.graph.node:
        raise DataError(f"{path} is no ONNX file: it holds no operators")
    return _Reader(onnx, model.graph, path).read()


class _Reader:
    """Turns the nodes of one graph."""

    def __init__(self, onnx, graph, path):
        self.onnx, self.graph, self.path = onnx, graph, path
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t
        self.nodes, self.where, self.arrays = [], {}, {}
        self.aside = set()  # what is computed from constants alone: shapes

    def read(self):
        inputs = [i.name for i in self.graph.input if i.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise DataError(
                f"{self.path} has {len(inputs)} inputs and {len(self.graph.output)} outputs; "
                "a recognition network has one of each"
            )
        self.where[inputs[0]] = self.add("null", "data")
        for node in self.graph.node:
            self.node(node)
        output = self.graph.output[0].name
        if output not in self.where:
            raise DataError(f"{self.path} is damaged: nothing computes its output {output!r}")
        return {"nodes": self.nodes, "heads": [[self.where[output], 0, 0]]}, self.arrays

    def add(self, op, name, inputs=(), attrs=None):
        self.nodes.append(
            {"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs], "attrs": attrs or {}}
        )
        return len(self.nodes) - 1

    def constant(self, name):
        """Return an initializer as an array, None for what is computed."""
        tensor = self.constants.get(name)
        if tensor is None:
            return None
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            raise DataError(
                f"the tensor {name!r} of {self.path} lies in another file; "
                "save the model as one file first"
            )
        try:
            return self.onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"the tensor {name!r} of {self.path} is damaged: {error}") from None

    def parameter(self, name, array):
        """Return the node of a parameter; `array` is its value in MXNet's shape."""
        known = self.arrays.get(name)
        if known is not None and known.shape != array.shape:
            raise DataError(f"the tensor {name!r} of {self.path} is used in two shapes")
        self.arrays[name] = array
        if name not in self.where:
            self.where[name] = self.add("null", name)
        return self.where[name]

    def node(self, node):
        if node.op_type == "Constant":
            return
        attrs = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        values = [self.constant(name) for name in node.input]
        known = {"", *self.constants, *self.where, *self.aside}
        for name in node.input:
            if name not in known:
                raise DataError(f"the tensor {name!r} of {self.path} is missing")
        data = [self.where[n] for n, v in zip(node.input, values) if v is None and n in self.where]
        name = node.name or node.output[0]
        if not data:
            self.aside.update(node.output)
            return
        result = self.layer(node, attrs, values, data, name)
        if result is None and node.op_type in PASS:
            result = self.add("Flatten", name, data[:1])
        if result is None:
            result = self.simple(node, values, data, name)
        self.where.update(dict.fromkeys(node.output, result))

    def simple(self, node, values, data, name):
        """Return the node of an operator without parameters."""
        op = node.op_type
        if op in SCALAR and len(data) == 1 and values[-1] is not None and values[-1].size == 1:
            return self.add(SCALAR[op], name, data, {"scalar": str(float(values[-1].item()))})
        if op == "Add" and len(data) == 1:  # a linear layer's bias, written apart
            return self.late_bias(node, values, data)
        if op == "Add":
            return self.add("elemwise_add", name, data)
        if op in ("Relu", "Sigmoid"):
            return self.add("Activation", name, data, {"act_type": op.lower()})
        return self.add(op, name, data)

    def late_bias(self, node, values, data):
        """Give a linear layer without a bias the constant that is added to its output."""
        before = self.nodes[data[0]]
        place = next(i for i, value in enumerate(values) if value is not None)
        if before["op"] != "FullyConnected" or len(before["inputs"]) > 2:
            return self.add(node.op_type, node.name or node.output[0], data)
        bias = self.parameter(node.input[place], values[place].reshape(-1))
        inputs = [entry[0] for entry in before["inputs"]]
        return self.add("FullyConnected", before["name"], [*inputs, bias], before["attrs"])

    def layer(self, node, attrs, values, data, name):
        """Return the node of an operator with parameters, None for another one."""
        op, weights = node.op_type, list(zip(node.input, values))[1:]
        if any(value is None for _, value in weights if _):
            return None
        weights = [(key, value) for key, value in weights if key]
        if op == "Conv":
            kernel = values[1].shape[2:]
            pads = tuple(attrs.get("pads", (0,) * 2 * len(kernel)))
            even = pads[: len(kernel)] == pads[len(kernel) :]
            if attrs.get("auto_pad", b"NOTSET") != b"NOTSET" or not even:
                return None
            settings = {
                "kernel": kernel,
                "stride": tuple(attrs.get("strides", (1,) * len(kernel))),
                "pad": pads[: len(kernel)],
                "dilate": tuple(attrs.get("dilations", (1,) * len(kernel))),
                "num_filter": values[1].shape[0],
                "num_group": attrs.get("group", 1),
            }
            return self.parameters("Convolution", name, data, weights, settings)
        if op in ("Gemm", "MatMul"):
            key, weight = weights[0]
            plain = attrs.get("alpha", 1.0) == attrs.get("beta", 1.0) == 1
            if weight.ndim != 2 or attrs.get("transA") or not plain:
                return None
            weights[0] = key, weight if attrs.get("transB") else np.ascontiguousarray(weight.T)
            settings = {"num_hidden": weights[0][1].shape[0]}
            return self.parameters("FullyConnected", name, data, weights, settings)
        if op == "BatchNormalization":
            settings = {"eps": float(attrs.get("epsilon", 1e-5)), "fix_gamma": False}
            return self.parameters("BatchNorm", name, data, weights, settings)
        if op == "PRelu":
            weights = [(key, value.reshape(-1)) for key, value in weights]
            return self.parameters("LeakyReLU", name, data, weights, {"act_type": "prelu"})
        return None

    def parameters(self, op, name, data, weights, settings):
        inputs = [data[0], *(self.parameter(*weight) for weight in weights)]
        return self.add(op, name, inputs, {k: str(v) for k, v in settings.items()})


def fold(graph, after):
    """Leave out the BatchNorms of a symbol that exporters fold into the layer before.

    Parameters
    ----------
    graph : dict
        The JSON of a symbol; it is changed.
    after : tuple of str
        Operators whose BatchNorm goes.

    Returns
    -------
    dict of str to tuple
        Name of the weight of each layer that is left without its BatchNorm -> names of that
        BatchNorm's gamma, beta, running mean and variance, and its eps.
    """
    nodes, folded, instead = graph["nodes"], {}, {}
    plain = {"Flatten", "Reshape", "reshape"}  # the last BatchNorm sees a 4-D view
    for index, node in enumerate(nodes):
        node["inputs"] = [[instead.get(i, i), *rest] for i, *rest in node["inputs"]]
        if node["op"] != "BatchNorm":
            continue
        source = node["inputs"][0][0]
        while nodes[source]["op"] in plain:
            source = nodes[source]["inputs"][0][0]
        if nodes[source]["op"] in after:
            weight = nodes[nodes[source]["inputs"][1][0]]["name"]
            names = [nodes[entry[0]]["name"] for entry in node["inputs"][1:]]
            folded[weight] = names, float(node["attrs"]["eps"])
            instead[index] = node["inputs"][0][0]
    graph["heads"] = [[instead.get(i, i), *rest] for i, *rest in graph["heads"]]
    return folded
