"""Whether an ONNX network provably gives each image a row that no other image changes.

Engines try a network with one image and with several, which takes 0.5 to 0.9 s for one of 65
million weights. Most recognition networks are chains of few operators, of which it can be read off;
where the length of the rows is known as well, nothing has to be tried.
"""

from __future__ import annotations

import math
import typing

__all__ = ["row_length", "rows_are_independent"]

# Operators that keep the first axis and compute each of its entries from that one alone: of maps,
# of data of any number of axes, and others with the axes that they take and give.
_MAPS = "Conv MaxPool AveragePool GlobalMaxPool GlobalAveragePool"
_ANY = """
    BatchNormalization PRelu Relu LeakyRelu Elu Clip Sigmoid HardSigmoid HardSwish Tanh Identity
    Cast QuantizeLinear DequantizeLinear
"""
RANKS: dict[str, tuple[int | None, int | None]] = {
    **dict.fromkeys(_MAPS.split(), (4, 4)),
    **dict.fromkeys(_ANY.split(), (None, None)),
    "Gemm": (2, 2),
    "Flatten": (None, 2),
}
MOST_AXES = 8  # of a shape that is read
JOINING = frozenset(("Add", "Sub", "Mul", "Div"))


def rows_are_independent(model: typing.Any) -> bool:
    """Return whether every output is known to have an independent row for each image.

    Parameters
    ----------
    model : onnx.ModelProto
        That has been checked.

    Returns
    -------
    bool
        False does not say that they are dependent: the network has to be tried.
    """
    return _read(model) is not None


def row_length(model: typing.Any) -> int | None:
    """Return the length of the rows of the only output where that is known too, else None."""
    rows = _read(model)
    return None if rows is None or len(rows.outputs) != 1 else rows.sizes.get(rows.outputs[0])


def _read(model):
    """Return what is known of the tensors of a graph with independent rows, None of another."""
    rows = _Rows(model.graph)
    known = len(rows.ranks) == 1 and all(map(rows.add, model.graph.node)) and rows.end_in_rows()
    return rows if known else None


class _Rows:
    """What is known of the tensors of a graph, node by node."""

    def __init__(self, graph):
        self.outputs = [value.name for value in graph.output]
        self.constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        self.shapes = dict(_new_shapes(graph.initializer))
        images = [value.name for value in graph.input if value.name not in self.constants]
        # Of what is computed of the images: the axes, and the numbers of each row where known.
        self.ranks = dict.fromkeys(images, 4)
        self.sizes = {}

    def end_in_rows(self):
        """Return whether all outputs are embeddings."""
        return all(self.ranks.get(name) == 2 for name in self.outputs)

    def add(self, node):
        """Take one more node; return False where the rows of its output may depend on others."""
        data = [name for name in node.input if name in self.ranks]
        if not data:
            return self._add_constant(node)
        if node.op_type == "Reshape":
            rank, size = self._reshaped(node)
        elif node.op_type in JOINING:
            rank, size = self._joined(node), None
        else:
            rank, size = self._alone(node, data)
        if rank is None or any(node.output[1:]):
            return False
        self.ranks[node.output[0]] = rank
        if size is not None:
            self.sizes[node.output[0]] = size
        return True

    def _add_constant(self, node):
        shape = None
        if node.op_type == "DequantizeLinear":
            shape = self.constants.get(node.input[0])
        elif node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    shape = list(attribute.t.dims)
        self.constants[node.output[0]] = shape
        return shape is not None

    def _alone(self, node, data):
        """Return axes and numbers of the output of a node that takes one tensor beside weights."""
        takes, gives = RANKS.get(node.op_type, (0, 0))
        first, others = node.input[0], node.input[1:]
        rank = self.ranks.get(first)
        # A product of data with data could mix its rows.
        if gives == 0 or len(data) > 1 or rank is None or takes not in (None, rank):
            return None, None
        if any(name and name not in self.constants for name in others):
            return None, None
        settings = {attribute.name: attribute.i for attribute in node.attribute}
        size = self.sizes.get(first)
        if node.op_type == "Flatten" and settings.get("axis", 1) != 1:
            return None, None
        if node.op_type == "PRelu" and not self._repeats(others[0], rank):
            return None, None
        if node.op_type == "Gemm":
            if settings.get("transA") or not all(self._repeats(name, 2) for name in others[1:]):
                return None, None
            size = self.constants[others[0]][0 if settings.get("transB") else 1]
        elif gives is not None and node.op_type != "Flatten":
            size = None
        if node.op_type.endswith("Linear"):  # perhaps with a scale or a zero point for each image
            for shape in [self.constants[name] for name in others if name]:
                if shape not in ([], [1]) and (len(shape) > 1 or settings.get("axis", 1) != 1):
                    return None, None
        return gives or rank, size

    def _reshaped(self, node):
        """Return the same of a Reshape: its new shape begins with the images, as 0 or as -1."""
        shape = self.shapes.get(node.input[1])
        settings = {attribute.name: attribute.i for attribute in node.attribute}
        if shape is None or settings.get("allowzero"):
            return None, None
        size = self.sizes.get(node.input[0])
        if shape[0] == 0 or (shape[0] == -1 and math.prod(shape[1:]) == size):
            return len(shape), size
        return None, None

    def _joined(self, node):
        """Return the axes of a sum or product: of data of equally many axes, and of constants."""
        found = {self.ranks[name] for name in node.input if name in self.ranks}
        if len(found) != 1:
            return None
        (rank,) = found
        others = [name for name in node.input if name not in self.ranks]
        return rank if all(self._repeats(name, rank) for name in others) else None

    def _repeats(self, name, rank):
        """Return whether a constant is the same for all images when it is broadcast."""
        shape = self.constants.get(name)
        return shape is not None and (len(shape) < rank or (len(shape) == rank and shape[0] == 1))


def _new_shapes(tensors):
    """Yield (name, numbers) of the constants that can be shapes."""
    import onnx

    for tensor in tensors:
        short = len(tensor.dims) == 1 and 0 < tensor.dims[0] <= MOST_AXES
        if short and tensor.data_type == onnx.TensorProto.INT64:
            yield tensor.name, onnx.numpy_helper.to_array(tensor).tolist()
