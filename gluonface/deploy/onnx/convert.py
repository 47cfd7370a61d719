"""MXNet symbol and params -> ONNX, opset 13, without MXNet's retired exporter.

That exporter lists weights as inputs, and gives PReLU slopes a shape that fails at run time
("Attempting to broadcast an axis"): ours is a table of operators, `operators`.
"""

from __future__ import annotations

import logging
import os
import pathlib
import typing

import numpy as np

from ... import __version__
from ..._compat import mx
from ...errors import DataError, GluonfaceError, InputError, MissingExtraError
from ...files import atomic_write
from ...weights.graph import Graph, unused_name
from ...weights.mxnet_params import split_params
from ...weights.opened import AnySource, open_weights
from ..parity import disagreement, noise
from ..rewriting.rewrite import infer_shapes
from . import shape_operators  # noqa: F401  (registers its operators)
from .metadata import describe
from .operators import CONVERTERS, unsupported

__all__ = ["convert", "export_onnx"]

logger = logging.getLogger(__name__)

OPSET = 13
IR_VERSION = 8  # what runtimes since 2021 read
OUTPUT = "fc1"


def _import_onnx():
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "to write and read ONNX files") from error
    return onnx


def export_onnx(
    prefix: AnySource,
    path: str | os.PathLike | None = None,
    input_size: tuple[int, int] = (112, 112),
) -> pathlib.Path:
    """Convert an exported model, ours or InsightFace's, to an ONNX file.

    Parameters
    ----------
    prefix : str, pathlib.Path or Weights
        ``x`` for ``x-symbol.json`` + ``x-0000.params``.
    path : str or pathlib.Path, optional
        The file to write; default ``x.onnx``.
    input_size : (int, int), default (112, 112)
        Height and width of the images.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MissingExtraError
        Without the extra ``onnx``.
    GluonfaceError
        If an operator has no counterpart; it is named.
    """
    weights = open_weights(prefix)
    source = weights.source
    if source.symbol is None or source.name is not None:
        raise InputError(f"{prefix} is no exported prefix; expected x of x-symbol.json")
    path = pathlib.Path(path or source.symbol.with_name(f"{source.stem}.onnx"))
    model = convert(weights.symbol, weights.content.arrays, input_size, name=source.stem or "model")
    card = weights.card or {
        "name": source.stem,
        "color": weights.color,
        "mean": weights.layers.mean,
        "scale": weights.layers.scale,
        "input_size": input_size,
        "embedding_size": weights.embedding_size,
    }
    describe(model, card, weights.sha256[weights.params.name])
    with atomic_write(path) as file:
        file.write(model.SerializeToString())
    logger.info("%s converted to %s", source.symbol, path)
    return path


def convert(
    symbol: typing.Any,
    arrays: dict[str, np.ndarray],
    input_size: tuple[int, int] = (112, 112),
    name: str = "model",
    compare: bool = True,
) -> typing.Any:
    """Convert a symbol and its parameters.

    Parameters
    ----------
    symbol : mx.sym.Symbol
        Input ``data`` (N,3,H,W), one output (N,D).
    arrays : dict of str to numpy.ndarray
        Under ``arg:NAME`` and ``aux:NAME``.
    input_size : (int, int)
    name : str
        Of the graph.
    compare : bool, default True
        Whether to run both on noise, where onnxruntime is installed.

    Returns
    -------
    onnx.ModelProto
        Checked. Input ``data`` with a free batch dimension, output ``fc1``, weights as
        initializers only.
    """
    onnx = _import_onnx()
    args, auxs = split_params(arrays)
    builder = Builder(Graph.from_symbol(symbol), symbol, {**args, **auxs}, input_size)
    model = builder.build(name)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's exceptions share no public base
        raise GluonfaceError(f"the converted graph is not valid ONNX: {error}") from error
    if compare:
        _compare(symbol, arrays, model, input_size)
    return model


class Builder:
    """Collects the ONNX nodes of one graph. The functions of `operators` write through it.

    Parameters
    ----------
    graph : Graph
    symbol : mx.sym.Symbol
        The same graph; MXNet infers the shapes from it.
    values : dict of str to numpy.ndarray
        All parameters by name.
    input_size : (int, int)
    """

    def __init__(self, graph, symbol, values, input_size):
        self._onnx = _import_onnx()
        self._graph, self._values, self._size = graph, values, tuple(input_size)
        # Two batch sizes: what differs between them is the batch.
        self._shapes = [self._infer(symbol, batch) for batch in (2, 3)]
        self._nodes, self._constants, self._names = [], {}, {}
        self._used, self._count = set(), 0

    def _infer(self, symbol, batch):
        missing = [n for n in symbol.list_inputs() if n not in self._values and n != "data"]
        if missing:
            raise DataError(f"the parameters lack {missing[0]!r}, which the symbol needs")
        try:
            return infer_shapes(symbol, self._values, self._size, batch)
        except mx.MXNetError as error:
            reason = str(error).strip().splitlines()[-1]
            raise DataError(f"symbol and parameters do not fit: {reason}") from None

    def _at(self, ref, batch):
        node, index = ref
        shapes = self._shapes[batch]
        return shapes.get(f"{node.name}_output{index}", shapes.get(node.name))

    def shape(self, ref):
        """Return the shape of a (node, output), with a batch of 2."""
        return self._at(ref, 0)

    def rank(self, ref):
        """Return the number of dimensions of a (node, output)."""
        return len(self.shape(ref))

    def is_batch(self, ref, axis):
        """Return whether a dimension grows with the batch."""
        return self._at(ref, 0)[axis] != self._at(ref, 1)[axis]

    def free_shape(self, ref):
        """Return a shape with -1 for the batch."""
        shape = [-1 if self.is_batch(ref, i) else n for i, n in enumerate(self.shape(ref))]
        if shape.count(-1) > 1:
            raise unsupported(ref[0], "two of its dimensions depend on the batch")
        return shape

    def const(self, array, name=None):
        """Add an initializer and return its name."""
        self._count += 1
        name = name or f"constant{self._count}"
        self._constants[name] = np.asarray(array)
        return name

    def _value(self, ref, what):
        node = ref[0]
        if not node.is_variable or node.name not in self._values:
            raise unsupported(node, f"it is computed where {what} must be a parameter")
        return np.asarray(self._values[node.name], np.float32)

    def reshaped(self, ref, shape):
        """Return the name of a parameter in another shape."""
        value = self._value(ref, "a slope or scale").reshape(shape)
        return self.const(value, f"{ref[0].name}_{value.ndim}d")

    def transposed(self, ref):
        """Return the name of a transposed matrix."""
        return self.const(self._value(ref, "a matrix").T.copy(), f"{ref[0].name}_T")

    def emit(self, node, op_type, inputs, outputs=None, **attributes):
        """Add an ONNX node. Its name begins with its type: InsightFace's loader goes by that."""
        name = unused_name(f"{op_type}_{node.name}", self._used)
        self._used.add(name)
        made = [f"{name}:{i}" for i in range(outputs or 1)]
        # Lists, since make_node takes no tuples of NumPy integers.
        attributes = {
            key: [int(v) for v in value] if isinstance(value, (list, tuple)) else value
            for key, value in attributes.items()
        }
        self._nodes.append(
            self._onnx.helper.make_node(op_type, list(inputs), made, name=name, **attributes)
        )
        return made if outputs else made[0]

    def build(self, name):
        """Convert all nodes and return the model."""
        onnx = self._onnx
        for node in self._graph.nodes():
            if node.is_variable:
                self._names[id(node), 0] = node.name
                continue
            if node.op not in CONVERTERS:
                raise unsupported(node, "there is no rule for it")
            inputs = [self._names[id(source), index] for source, index in node.inputs]
            made = CONVERTERS[node.op](self, node, inputs)
            for index, output in enumerate(made if isinstance(made, list) else [made]):
                self._names[id(node), index] = output
        head, index = self._graph.head
        self._finish(head, self._names[id(head), index])
        used = {name for node in self._nodes for name in node.input}
        constants = {**{k: v.astype(np.float32) for k, v in self._values.items()}}
        constants.update(self._constants)
        make_value = onnx.helper.make_tensor_value_info
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                self._nodes,
                name,
                [make_value("data", onnx.TensorProto.FLOAT, ["N", 3, *self._size])],
                [make_value(OUTPUT, onnx.TensorProto.FLOAT, ["N", self.shape((head, index))[1]])],
                [
                    onnx.numpy_helper.from_array(np.ascontiguousarray(value), key)
                    for key, value in constants.items()
                    if key in used
                ],
            ),
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            producer_name="gluonface",
            producer_version=__version__,
        )
        model.ir_version = IR_VERSION
        return model

    def _finish(self, head, last):
        """Give the last tensor the name of the graph's output."""
        if not self._nodes or self.rank((head, 0)) != 2:
            raise InputError(f"the symbol's output {head.name} is not (N,D)")
        if not any(last in node.output for node in self._nodes):
            raise InputError(f"the symbol's output {head.name} is one of its inputs")
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, value in enumerate(names):
                    if value == last:
                        names[i] = OUTPUT


def _compare(symbol, arrays, model, size):
    """Run both on noise. Without onnxruntime there is nothing to compare with."""
    try:
        import onnxruntime
    except ImportError:
        logger.info("onnxruntime is not installed: the ONNX file is not compared with MXNet")
        return
    from ..engines import SymbolEngine, errors_of

    run = SymbolEngine(symbol, arrays, mx.cpu(), size, fast=False).run
    images = noise(size)
    with errors_of("onnxruntime", "run", f"{model.graph.name} as ONNX"):
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        actual = session.run([OUTPUT], {"data": images})[0]
    error, allowed = disagreement(actual, run(images), run, size)
    if not error < allowed:
        raise GluonfaceError(
            f"the converted graph differs from MXNet's by {error:.2g} (relative, on noise); "
            f"expected less than {allowed:.2g}. Nothing was written; please report the model."
        )
