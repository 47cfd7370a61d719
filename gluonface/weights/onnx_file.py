"""Read ONNX files of recognition networks as a graph of MXNet's operators.

InsightFace's ``w600k_r50.onnx`` and ``glintr100.onnx`` and the like, exported from PyTorch, most
with every BatchNorm that follows a convolution folded into it; and files of MXNet's exporter. They
are of many versions of these programs, and some went through a simplifier.
"""

from __future__ import annotations

import pathlib
import typing

import numpy as np

from ..errors import DataError, MissingExtraError, shown, shown_text
from .content import Content
from .graph import Graph, Node
from .layers import LINEAR
from .onnx.parts import OnnxParts, take_numbers
from .onnx.wire_format import ELSEWHERE, GRAPH, INITIALIZER, read_fields
from .onnx_check import check_onnx

__all__ = ["has_external_data", "normalizes_pixels", "parse_onnx", "read_onnx", "takes_bytes"]

UINT8 = 2
FIRST = 16  # nodes from the input on that may normalise the pixels
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


def has_external_data(content: bytes) -> bool:
    """Return whether numbers of an ONNX file may lie in other files, which it then names.

    Such a tensor has an entry with the key ``location``. This says yes too often, never too seldom.
    It reads past the numbers: to search them takes longer than to check the file.
    """
    searched = []
    try:
        for field in read_fields(content):
            if field.number != GRAPH:
                searched.append(field)
                continue
            for part in read_fields(content, field.value, field.end):
                if part.number != INITIALIZER:
                    searched.append(part)
                elif any(f.number in ELSEWHERE for f in read_fields(content, part.value, part.end)):
                    return True
    except ValueError:
        return b"location" in content
    return any(content.find(b"location", field.value, field.end) >= 0 for field in searched)


def parse_onnx(
    content: bytes, path: pathlib.Path, read: typing.Callable[[pathlib.Path], bytes]
) -> OnnxParts:
    """Parse an ONNX file, the numbers in files beside it included.

    Parameters
    ----------
    content : bytes
    path : pathlib.Path
        Where the content is from.
    read : callable
        Returns the bytes of another file, which must lie in the same folder.

    Returns
    -------
    OnnxParts
        A model that refers to no other file and that `check_onnx` has checked.

    Raises
    ------
    MissingExtraError
        Without onnx.
    DataError
        If it is no ONNX file, or one that engines must not be given.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "to read ONNX files") from error
    bare, numbers = take_numbers(content)
    try:
        model = onnx.load_model_from_string(bare)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{path} is not an ONNX file, or cut short or damaged: {shown_text(str(error))}; "
            "fetch it again"
        ) from None
    if not model.graph.node:
        raise DataError(f"{path} is not an ONNX file: it holds no operators")
    given = [a.t for node in model.graph.node for a in node.attribute if a.HasField("t")]
    for tensor in (*model.graph.initializer, *given):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raw = _external(tensor, path, read)
            known = {"name": tensor.name, "data_type": tensor.data_type, "dims": tensor.dims}
            tensor.CopyFrom(onnx.TensorProto(raw_data=raw, **known))
    check_onnx(onnx, model, path, numbers)
    return OnnxParts(model, numbers)


def _external(tensor, path, read):
    """Return the numbers of a tensor, which lie in a file beside the model's."""
    try:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = path.parent / location
        is_name = pathlib.PurePath(location).name == location
        beside = is_name and file.is_file() and not file.is_symlink()
    except (ValueError, OSError):  # bytes that are no text, a NUL, a name that is too long
        location, beside = "what is no name of a file", False
    if not beside:
        raise DataError(
            f"the tensor {shown(tensor.name)} of {path} is said to lie in {shown(location)}; "
            "expected the name of a file beside it"
        )
    content = memoryview(read(file))
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError:
        offset = length = -1
    raw = content[offset:] if length < 0 else content[offset : offset + length]
    if offset < 0 or 0 <= length != len(raw):
        raise DataError(f"the tensor {shown(tensor.name)} of {path} is not whole in {file}")
    return bytes(raw)


def takes_bytes(model: typing.Any) -> bool:
    """Return whether the input of an ONNX network is of whole numbers, pixels 0 to 255."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    return bool(inputs) and inputs[0].type.tensor_type.elem_type == UINT8


def normalizes_pixels(model: typing.Any) -> bool:
    """Return whether an ONNX network normalises its pixels itself.

    InsightFace's loader asks whether nodes called Sub... and Mul... stand among the first eight.
    This one asks what the nodes do to the input rather than what they are called; a network that
    only scales counts too. Unlike `read_onnx` it takes every network.
    """
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in weights]
    tensor = inputs[0] if inputs else None
    for _ in range(FIRST):
        users = [node for node in graph.node if tensor in node.input]
        if len(users) != 1:
            return False
        if users[0].op_type in ("Sub", "Mul", "Div", "Add"):
            return True
        if users[0].op_type not in ("Identity", "Cast"):
            return False
        tensor = users[0].output[0]
    return False


def read_onnx(model: typing.Any, path: pathlib.Path) -> Content:
    """Return a recognition network as a graph of MXNet's operators, and its parameters.

    Operators that MXNet's graphs of backbones do not have keep their ONNX names. The arrays have
    MXNet's shapes.
    """
    import onnx

    return _Reader(onnx, model.graph, path).read()


class _Reader:
    """Turns the nodes of one ONNX graph into those of a `Graph`."""

    def __init__(self, onnx, graph, path):
        self.onnx, self.graph, self.path = onnx, graph, path
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.where, self.arrays = {}, {}  # by the name of the tensor: its node, its value
        self.aside = set()  # tensors that are computed from constants alone, such as shapes
        self.pixels = set()  # ids of nodes of the pixels, before any layer

    def read(self):
        inputs = [i.name for i in self.graph.input if i.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise DataError(
                f"{self.path} has {len(inputs)} inputs and {len(self.graph.output)} outputs; "
                "a recognition network has one of each"
            )
        data = self.where[inputs[0]] = Node("null", "data")
        self.pixels.add(id(data))
        for node in self.graph.node:
            self.node(node)
        used = {name for node in self.graph.node for name in node.input}
        unused = sorted({tensor.name for tensor in self.graph.initializer} - used)
        output = self.graph.output[0].name
        if output not in self.where:
            raise DataError(f"{self.path} is damaged: nothing computes its output {output!r}")
        return Content(self.arrays, Graph(self.where[output]), unused)

    def constant(self, name):
        """Return an initializer as an array, None for what is computed."""
        tensor = self.constants.get(name)
        if tensor is None or isinstance(tensor, np.ndarray):
            return tensor
        try:
            self.constants[name] = self.onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"the tensor {name!r} of {self.path} is damaged: {error}") from None
        return self.constants[name]

    def parameter(self, name, array):
        """Return the node of a parameter; `array` is its value in MXNet's shape."""
        known = self.arrays.get(name)
        if known is not None and known.shape != array.shape:
            raise DataError(f"the tensor {name!r} of {self.path} is used in two shapes")
        self.arrays[name] = array
        if name not in self.where:
            self.where[name] = Node("null", name)
        return self.where[name]

    def node(self, node):
        if node.op_type == "Constant":
            self.given(node)
            return
        attrs = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        values = [self.constant(name) for name in node.input]
        for name in filter(None, node.input):
            if not (name in self.constants or name in self.where or name in self.aside):
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
            result = Node("Flatten", name, {}, [(data[0], 0)])
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
            early = id(data[0]) in self.pixels
            numbers = np.unique(given[0]) if early else given[0].ravel()
            if numbers.size == 1:
                scalar = {"scalar": str(float(numbers[0]))}
                result = Node(SCALAR[op], name, scalar, [(data[0], 0)])
                if early:
                    self.pixels.add(id(result))
                return result
            if early:
                raise DataError(
                    f"{self.path} treats the colours of the pixels differently ({op} "
                    f"{name!r}: {', '.join(f'{n:g}' for n in given[0].ravel()[:SHOWN])}); "
                    "backbones here have one mean and one scale"
                )
        if op in SUM and len(data) == 1 and len(values) == 2:  # a bias, written apart
            return self.late_bias(node, values, data)
        inputs = [(source, 0) for source in data]
        if op in SUM:
            return Node("elemwise_add", name, {}, inputs)
        if op in ("Relu", "Sigmoid"):
            return Node("Activation", name, {"act_type": op.lower()}, inputs)
        return Node(op, name, {}, inputs)

    def late_bias(self, node, values, data):
        """Give a layer without a bias the constant that is added to its output."""
        before = data[0]
        place = next((i for i, value in enumerate(values) if value is not None), None)
        if place is None or before.op not in LINEAR or len(before.inputs) > 2:
            return Node(node.op_type, node.name or node.output[0], {}, [(before, 0)])
        bias = self.parameter(node.input[place], values[place].reshape(-1))
        return Node(before.op, before.name, before.attrs, [*before.inputs, (bias, 0)])

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
        if op == "MaxPool" and attrs.get("kernel_shape") == [1, 1]:
            # How PyTorch's networks take every other pixel, or with stride 1 all of them.
            strides = attrs.get("strides", [1, 1])
            if strides == [1, 1]:
                return Node("Flatten", name, {}, [(data[0], 0)])
            settings = {"kernel": (1, 1), "stride": tuple(strides), "pool_type": "max"}
            return self.parameters("Pooling", name, data, [], settings)
        if op == "PRelu":
            weights = [(key, value.reshape(-1)) for key, value in weights]
            return self.parameters("LeakyReLU", name, data, weights, {"act_type": "prelu"})
        return None

    def parameters(self, op, name, data, weights, settings):
        inputs = [(data[0], 0), *((self.parameter(*weight), 0) for weight in weights)]
        return Node(op, name, {k: str(v) for k, v in settings.items()}, inputs)
