"""Read ONNX files of recognition networks as MXNet's nodes, which `layers` knows.

InsightFace's ``w600k_r50.onnx`` and ``glintr100.onnx`` and the like, exported from PyTorch, most
with every BatchNorm that follows a convolution folded into it; and files of MXNet's exporter. They
are of many versions of these programs, and some went through a simplifier.
"""

import pathlib

import numpy as np

from ..errors import DataError, InputError, MissingExtraError

__all__ = ["fold", "read_onnx"]

SHOWN = 6  # names in a message
PASS = {"Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze"}
SCALAR = {
    "Sub": "_minus_scalar",
    "Add": "_plus_scalar",
    "Mul": "_mul_scalar",
    "Div": "_div_scalar",
}
COMMUTATIVE = {"Add", "Mul"}
SUM = {"Add", "Sum"}


def _expand(value, attrs, axes=None):
    axes = attrs.get("axes") if axes is None else axes  # an input since opset 13
    places = sorted(int(axis) % (value.ndim + len(axes)) for axis in axes)
    for place in places:
        value = np.expand_dims(value, place)
    return value


def _squeeze(value, attrs, axes=None):
    axes = attrs.get("axes") if axes is None else axes
    return np.squeeze(value, None if axes is None else tuple(int(axis) for axis in axes))


def _reshape(value, attrs, shape):
    known = zip(shape.tolist(), (*value.shape, *(0,) * len(shape)))
    return value.reshape([old if size == 0 else size for size, old in known])


# What exporters leave to be computed from constants alone when they do not do so themselves.
CONSTANT = {
    "Identity": lambda value, attrs: value,
    "Cast": lambda value, attrs: value,
    "Unsqueeze": _expand,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": lambda value, attrs: np.transpose(value, attrs.get("perm")),
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
        their ONNX names. ``unused`` names the tensors that no operator takes; ``files`` are the
        paths of others beside this one that hold numbers of it.
    arrays : dict of str to numpy.ndarray
        Parameters in MXNet's shapes.

    Raises
    ------
    MissingExtraError
        Without the extra ``onnx``.
    InputError
        If there is no such file.
    DataError
        If it is no ONNX file with one input and one output, is damaged, or names a file of
        another folder.
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
        raise DataError(
            f"{path} is no ONNX file, or cut short or damaged: {error}; fetch it again"
        ) from None
    if not model.graph.node:
        raise DataError(f"{path} is no ONNX file: it holds no operators")
    return _Reader(onnx, model.graph, path).read()


class _Reader:
    """Turns the nodes of one graph."""

    def __init__(self, onnx, graph, path):
        self.onnx, self.graph, self.path = onnx, graph, path
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes, self.where, self.arrays = [], {}, {}
        self.aside = set()  # what is computed from constants alone: shapes
        self.pixels = set()  # nodes of the pixels, before any layer
        self.files = set()  # where numbers lie that are not in this one

    def read(self):
        inputs = [i.name for i in self.graph.input if i.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise DataError(
                f"{self.path} has {len(inputs)} inputs and {len(self.graph.output)} outputs; "
                "a recognition network has one of each"
            )
        self.where[inputs[0]] = self.add("null", "data")
        self.pixels.add(self.where[inputs[0]])
        for node in self.graph.node:
            self.node(node)
        used = {name for node in self.graph.node for name in node.input}
        unused = sorted({tensor.name for tensor in self.graph.initializer} - used)
        output = self.graph.output[0].name
        if output not in self.where:
            raise DataError(f"{self.path} is damaged: nothing computes its output {output!r}")
        graph = {"nodes": self.nodes, "heads": [[self.where[output], 0, 0]]}
        graph.update(unused=unused, files=sorted(self.files))
        return graph, self.arrays

    def add(self, op, name, inputs=(), attrs=None):
        self.nodes.append(
            {"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs], "attrs": attrs or {}}
        )
        return len(self.nodes) - 1

    def constant(self, name):
        """Return an initializer as an array, None for what is computed."""
        tensor = self.constants.get(name)
        if tensor is None or isinstance(tensor, np.ndarray):
            return tensor
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            tensor = self.external(name, tensor)
        try:
            return self.onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"the tensor {name!r} of {self.path} is damaged: {error}") from None

    def external(self, name, tensor):
        """Return a tensor with its numbers, which lie in a file beside the model's."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        place = entries.get("location", "")
        file = self.path.parent / place
        if pathlib.PurePath(place).name != place or not file.is_file() or file.is_symlink():
            raise DataError(
                f"the tensor {name!r} of {self.path} is said to lie in {place!r}; "
                "expected the name of a file beside it"
            )
        self.files.add(file)
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        except ValueError:
            offset = -1
        with open(file, "rb") as content:
            content.seek(max(offset, 0))
            raw = content.read(length)
        if offset < 0 or 0 <= length != len(raw):
            raise DataError(f"the tensor {name!r} of {self.path} is not whole in {file}")
        numbers = {"data_type": tensor.data_type, "dims": tensor.dims, "raw_data": raw}
        return self.onnx.TensorProto(name=tensor.name, **numbers)

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
            self.given(node)
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
            if node.op_type in CONSTANT and values and all(v is not None for v in values):
                self.constants[node.output[0]] = self.computed(node, attrs, values)
            self.aside.update(node.output)
            return
        result = self.layer(node, attrs, values, data, name)
        if result is None and node.op_type in PASS:
            result = self.add("Flatten", name, data[:1])
        if result is None:
            result = self.simple(node, values, data, name)
        self.where.update(dict.fromkeys(node.output, result))

    def given(self, node):
        """Keep the value of a Constant."""
        self.aside.update(node.output)
        for attribute in node.attribute:
            value = self.onnx.helper.get_attribute_value(attribute)
            if isinstance(value, (int, float, list)):  # since opset 12
                value = np.array(value)
            if isinstance(value, (np.ndarray, self.onnx.TensorProto)):
                self.constants[node.output[0]] = value

    def computed(self, node, attrs, values):
        """Return what an operator makes of constants."""
        try:
            return CONSTANT[node.op_type](values[0], attrs, *values[1:])
        except (ValueError, TypeError, IndexError) as error:
            raise DataError(
                f"the tensor {node.input[0]!r} of {self.path} does not fit {node.op_type}: {error}"
            ) from None

    def simple(self, node, values, data, name):
        """Return the node of an operator without parameters."""
        op = node.op_type
        given = [value for value in values if value is not None]
        alone = op in SCALAR and len(values) == 2 and len(data) == len(given) == 1
        if alone and (op in COMMUTATIVE or values[1] is not None):
            early = data[0] in self.pixels
            numbers = np.unique(given[0]) if early else given[0].ravel()
            if numbers.size == 1:
                result = self.add(SCALAR[op], name, data, {"scalar": str(float(numbers[0]))})
                self.pixels.update({result} if early else ())
                return result
            if early:
                raise DataError(
                    f"{self.path} treats the colours of the pixels differently ({op} "
                    f"{name!r}: {', '.join(f'{n:g}' for n in given[0].ravel()[:SHOWN])}); "
                    "backbones here have one mean and one scale"
                )
        if op in SUM and len(data) == 1 and len(values) == 2:  # a bias, written apart
            return self.late_bias(node, values, data)
        if op in SUM:
            return self.add("elemwise_add", name, data)
        if op in ("Relu", "Sigmoid"):
            return self.add("Activation", name, data, {"act_type": op.lower()})
        return self.add(op, name, data)

    def late_bias(self, node, values, data):
        """Give a layer without a bias the constant that is added to its output."""
        before = self.nodes[data[0]]
        place = next((i for i, value in enumerate(values) if value is not None), None)
        linear = before["op"] in ("FullyConnected", "Convolution")
        if place is None or not linear or len(before["inputs"]) > 2:
            return self.add(node.op_type, node.name or node.output[0], data)
        bias = self.parameter(node.input[place], values[place].reshape(-1))
        inputs = [entry[0] for entry in before["inputs"]]
        return self.add(before["op"], before["name"], [*inputs, bias], before["attrs"])

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
            weights[1:] = [(key, value.reshape(-1)) for key, value in weights[1:]]  # (1, D) too
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


def fold(graph, weights):
    """Leave out the BatchNorms of a symbol that exporters fold into the layer before.

    Parameters
    ----------
    graph : dict
        The JSON of a symbol; it is changed.
    weights : set of str
        Weights of the layers whose BatchNorm goes.

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
        weight = nodes[source]["inputs"][1:2]
        weight = nodes[weight[0][0]]["name"] if weight else None
        if weight in weights:
            names = [nodes[entry[0]]["name"] for entry in node["inputs"][1:]]
            folded[weight] = names, float(node["attrs"]["eps"])
            instead[index] = node["inputs"][0][0]
    graph["heads"] = [[instead.get(i, i), *rest] for i, *rest in graph["heads"]]
    return folded
