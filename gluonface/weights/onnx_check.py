"""Check an ONNX file before any engine sees it.

Engines trust their files: of a convolution without its weight OpenVINO ends the process, a zero
divisor of whole numbers ends any, and a shape of 2^40 takes what memory there is. So operators,
attributes, tensors and shapes are checked here first, then by onnx's own checker and its inference
of shapes, which get the graph without its weights: these take most of a file and tell them nothing.
"""

from __future__ import annotations

import math
import pathlib
import re
import typing

from ..errors import DataError, shown, shown_text
from .content import MAX_DIMENSIONS
from .onnx.computed_shapes import infer_computed_shapes
from .onnx.memory import check_memory
from .onnx.mending import ALONE
from .onnx.parameter_shapes import check_parameters

__all__ = ["check_onnx", "without_weights"]

MAX_NODES = 20_000  # also of tensors
MAX_INPUTS = 256  # of a node, also outputs
MAX_NAME = 1000
MAX_SIZE = 1 << 24  # of an axis
MAX_ELEMENTS = 1 << 28  # of a tensor
KNOWN = 1024  # elements up to which onnx needs a constant's values to infer shapes

# What exporters of recognition networks write: PyTorch's, MXNet's, Keras', ours and InsightFace's.
# Not among them: loops and branches, which hold graphs; what reads files; random numbers; sequences
# and texts; what writes into given places, such as ScatterND. Nor Range: onnx's inference of shapes
# makes all its numbers, 2^40 of them if a file says so; networks need few, which exporters write as
# constants.
_NAMES = """
    Conv ConvTranspose Gemm MatMul Einsum
    BatchNormalization InstanceNormalization LayerNormalization GroupNormalization
    LpNormalization MeanVarianceNormalization LRN
    Relu LeakyRelu PRelu Elu Selu Celu Gelu Mish ThresholdedRelu Sigmoid HardSigmoid HardSwish
    Tanh Softplus Softsign Softmax LogSoftmax Erf Clip Exp Log Sqrt Abs Neg Reciprocal Pow
    Sin Cos Floor Ceil Round Sign
    Add Sub Mul Div Sum Mean Max Min Equal Greater GreaterOrEqual Less LessOrEqual
    And Or Not Xor Where
    MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool
    ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare
    ReduceLogSum ReduceLogSumExp CumSum ArgMax ArgMin
    Flatten Reshape Transpose Squeeze Unsqueeze Concat Split Slice Pad Gather GatherElements
    Expand Tile Shape Size Constant ConstantOfShape Identity Dropout Cast CastLike
    Resize Upsample DepthToSpace SpaceToDepth
    QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul
    ConvInteger MatMulInteger
"""
OPERATORS = frozenset(_NAMES.split())
DOMAINS = ("", "ai.onnx")
# The tensor types that are read, by onnx's number: bytes of an element, the field that may hold
# the elements instead of `raw_data`.
TYPES = {
    1: (4, "float_data"),
    2: (1, "int32_data"),
    3: (1, "int32_data"),
    6: (4, "int32_data"),
    7: (8, "int64_data"),
    9: (1, "int32_data"),
    10: (2, "int32_data"),
    11: (8, "double_data"),
    16: (2, "int32_data"),
}
INTEGERS = {2, 3, 4, 5, 6, 7, 12, 13}
FLOAT, INT, STRING, TENSOR, FLOATS, INTS = 1, 2, 3, 4, 6, 7  # types of attributes
# Attributes whose whole numbers have a narrower range than that of an axis' size.
RANGES = {
    **dict.fromkeys(("strides", "dilations", "kernel_shape"), (1, 4096)),
    "pads": (0, 4096),
    "Pad pads": (-4096, 4096),  # of this operator
    "group": (1, MAX_SIZE),
    **dict.fromkeys(("axis", "axes", "perm"), (-MAX_DIMENSIONS, MAX_DIMENSIONS)),
    "blocksize": (1, 64),
    "num_outputs": (1, MAX_INPUTS),
    "split": (1, MAX_SIZE),
    "training_mode": (0, 0),
    "size": (1, 4096),
    "p": (1, 8),
}
TERM = r"[A-Za-z ]*(\.\.\.)?[A-Za-z ]*"
# Attributes of text whose other values make an engine go on for ever.
TEXTS = {
    "equation": re.compile(f"{TERM}(,{TERM})*(->{TERM})?"),
    "coordinate_transformation_mode": re.compile("(?!tf_crop_and_resize).*"),
}
# Operators whose input of this place is a parameter with at least one value.
WEIGHTS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu"), 1),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), 1),
}


def check_onnx(
    onnx: typing.Any,
    model: typing.Any,
    path: pathlib.Path,
    numbers: typing.Mapping[str, memoryview] | None = None,
) -> None:
    """Raise DataError unless an ONNX model is one that engines can be given.

    Parameters
    ----------
    onnx : module
    model : onnx.ModelProto
        The numbers in other files included.
    path : pathlib.Path
        For messages.
    numbers : mapping of str to memoryview, optional
        Those of large tensors, where the model is without them: see `take_numbers`.

    Raises
    ------
    DataError
        What is wrong is named: the operator, the tensor, the value.
    """
    try:
        _check_graph(onnx, model, numbers or {})
        _check_by_onnx(onnx, model)
    except DataError as error:
        raise DataError(f"{path} is not run: {error}. Export the model again.") from None
    except UnicodeDecodeError:
        raise DataError(
            f"{path} is not run: it has a name that is no text; it is damaged"
        ) from None


def _check_graph(onnx, model, numbers):
    """Check what can be seen without knowing the shapes between the operators."""
    graph = model.graph
    for what, held in (
        ("functions", model.functions),
        ("training steps", model.training_info),
        ("sparse tensors", graph.sparse_initializer),
    ):
        if held:
            raise DataError(f"it holds {what}, which are not read")
    for what, found in (("operators", graph.node), ("tensors", graph.initializer)):
        if len(found) > MAX_NODES:
            raise DataError(f"it has {len(found)} {what}; at most {MAX_NODES} are read")
    if not _are_text(graph):
        raise DataError("it has a name that is no text; it is damaged")
    constants = {}
    for tensor in graph.initializer:
        _check_tensor(onnx, tensor, f"the tensor {shown(tensor.name)}", numbers.get(tensor.name))
        if tensor.name in constants:
            raise DataError(f"the tensor {shown(tensor.name)} is there twice")
        constants[tensor.name] = tensor
    for value in graph.input:
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField("dim_value") and not 0 <= axis.dim_value <= MAX_SIZE:
                raise DataError(f"its input {shown(value.name)} has an axis of {axis.dim_value}")
    known = {"", *constants, *(value.name for value in graph.input)}
    for node in graph.node:
        who = f"{node.op_type} {shown(node.name or (node.output[0] if node.output else ''))}"
        if node.domain not in DOMAINS or node.op_type not in OPERATORS:
            domain = f" of {shown(node.domain)}" if node.domain not in DOMAINS else ""
            raise DataError(f"it has the operator {shown(node.op_type)}{domain}, which is not read")
        if not 0 < len(node.output) <= MAX_INPUTS or len(node.input) > MAX_INPUTS:
            raise DataError(f"{who} has {len(node.input)} inputs and {len(node.output)} outputs")
        for name in (*node.input, *node.output):
            if len(name) > MAX_NAME:
                raise DataError(f"{who} has a name of {len(name)} characters")
        for name in node.input:
            if name not in known:
                raise DataError(f"the tensor {shown(name)} of {who} is missing")
        place = WEIGHTS.get(node.op_type)
        if place is not None:
            name = node.input[place] if len(node.input) > place else ""
            if not name or (name in constants and not math.prod(constants[name].dims)):
                raise DataError(f"{who} has no weight")
        known.update(node.output)
        for attribute in node.attribute:
            _check_attribute(onnx, attribute, who, node.op_type)
            if node.op_type == "Constant" and attribute.type == TENSOR:
                constants[node.output[0]] = attribute.t


def _are_text(graph):
    """Whether all names are text: protobuf gives others as bytes."""
    names = [
        value.name for some in (graph.initializer, graph.input, graph.output) for value in some
    ]
    for node in graph.node:
        names += [node.op_type, node.domain, node.name, *node.input, *node.output]
        names += [part for a in node.attribute for part in (a.name, a.ref_attr_name)]
    return all(isinstance(name, str) for name in names)


def _check_tensor(onnx, tensor, who, numbers=None):
    """Check type, shape and number of values against each other."""
    if tensor.data_type not in TYPES:
        names = onnx.TensorProto.DataType
        kind = names.Name(tensor.data_type) if tensor.data_type in names.values() else "unknown"
        raise DataError(f"{who} is of the type {kind} ({tensor.data_type}), which is not read")
    dims = list(tensor.dims)
    if len(dims) > MAX_DIMENSIONS or not all(0 <= size <= MAX_ELEMENTS for size in dims):
        raise DataError(f"{who} has an impossible shape of {len(dims)} axes: {dims[:9]}")
    size, field = TYPES[tensor.data_type]
    count = math.prod(dims)
    if numbers is not None or tensor.HasField("raw_data"):
        found, expected = len(tensor.raw_data if numbers is None else numbers), count * size
    else:
        found, expected = len(getattr(tensor, field)), count
    if count > MAX_ELEMENTS or found != expected:
        raise DataError(f"{who} of shape {dims} has {found} bytes or values, not {expected}")
    if tensor.HasField("segment"):
        raise DataError(f"{who} is a part of another, which is not read")


def _check_attribute(onnx, attribute, who, op):
    """Check the range of an attribute's values; its name and type are onnx's checker's matter."""
    name, kind = attribute.name, attribute.type
    if attribute.ref_attr_name or kind not in (FLOAT, INT, STRING, TENSOR, FLOATS, INTS):
        raise DataError(f"{who} has the attribute {shown(name)} of a kind that is not read")
    values = {FLOAT: [attribute.f], FLOATS: attribute.floats, INT: [attribute.i]}.get(
        kind, attribute.ints
    )
    if len(values) > MAX_INPUTS and not (kind in (INTS, FLOATS) and len(values) <= KNOWN):
        raise DataError(f"{who} has {len(values)} values of {shown(name)}")
    if kind in (FLOAT, FLOATS) and not all(map(math.isfinite, values)):
        raise DataError(f"{who} has {name} that is not finite")
    if kind in (INT, INTS) and not name.startswith("value"):
        low, high = RANGES.get(f"{op} {name}") or RANGES.get(name, (-MAX_SIZE, MAX_SIZE))
        bad = next((value for value in values if not low <= value <= high), None)
        if bad is not None:
            raise DataError(f"{who} has {name} {bad}; expected {low} to {high}")
    if name == "to" and attribute.i not in TYPES:
        raise DataError(f"{who} casts to the type {attribute.i}, which is not read")
    if kind == STRING and len(attribute.s) > MAX_NAME:
        raise DataError(f"{who} has {name} of {len(attribute.s)} bytes")
    if kind == STRING and name in TEXTS:
        text = attribute.s.decode(errors="replace")
        if not TEXTS[name].fullmatch(text):
            raise DataError(f"{who} has {name} {shown(text)}, which is not read")
    if kind == TENSOR:
        _check_tensor(onnx, attribute.t, f"the constant of {who}")


def _check_by_onnx(onnx, model):
    """Have onnx check the graph, and check the shapes that it infers."""
    _check_divisors(onnx, model.graph, {})  # onnx 1.19 divides by constants while it infers shapes
    bare = without_weights(onnx, model)
    checker, inference = onnx.checker, onnx.shape_inference
    try:
        checker.check_model(bare)
        for value in bare.graph.output:
            value.type.tensor_type.ClearField("shape")  # many a file says there what is not so
        _fix_axes(bare.graph, {tensor.name for tensor in model.graph.initializer})
        inferred = infer_computed_shapes(
            onnx,
            bare,
            lambda one: inference.infer_shapes(one, strict_mode=True, data_prop=True).graph,
        )
    except (checker.ValidationError, inference.InferenceError, ValueError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise DataError(f"onnx says: {shown_text(' '.join(lines))}") from None
    types = {tensor.name: tensor.data_type for tensor in bare.graph.initializer}
    for value in (*inferred.value_info, *inferred.output, *inferred.input):
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        sizes = [axis.dim_value for axis in kind.shape.dim if axis.HasField("dim_value")]
        if not all(0 <= size <= MAX_ELEMENTS for size in sizes):
            raise DataError(f"{shown(value.name)} would have the shape {sizes}")
        if math.prod(sizes) > MAX_ELEMENTS or len(kind.shape.dim) > MAX_DIMENSIONS:
            raise DataError(f"{shown(value.name)} would have the shape {sizes}")
    _check_divisors(onnx, model.graph, types)
    check_parameters(onnx, inferred)
    check_memory(inferred, {tensor.name for tensor in model.graph.initializer}, types)


def _fix_axes(graph, tensors):
    """Set the axes of the images that a file leaves open: one image, of 112 x 112."""
    for value in graph.input:
        dim = value.type.tensor_type.shape.dim
        if value.name in tensors or not dim:
            continue
        if not dim[0].HasField("dim_value"):
            dim[0].dim_value = 1
        if len(dim) == 4:
            for place, axis in enumerate(dim):
                if not axis.HasField("dim_value"):
                    axis.dim_value = 3 if place == 1 and _is_open(dim[2:]) else 112


def _is_open(axes):
    return not any(axis.HasField("dim_value") for axis in axes)


def without_weights(onnx, model):
    """Return a copy of a model in which large tensors are inputs, for onnx's inference of shapes.

    onnx writes and parses the model that it is given, which takes seconds with 65 million numbers.
    """
    bare = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    bare.opset_import.extend(model.opset_import)
    source, graph = model.graph, bare.graph
    graph.name = source.name
    graph.node.extend(source.node)
    # Of a tensor that is an input too, what the file says there may be another shape.
    tensors = {tensor.name for tensor in source.initializer}
    graph.input.extend(value for value in source.input if value.name not in tensors)
    graph.output.extend(source.output)
    for tensor in source.initializer:
        small = math.prod(tensor.dims) <= KNOWN
        if small:
            graph.initializer.append(tensor)
        if not small or model.ir_version < ALONE:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return bare


def _check_divisors(onnx, graph, types):
    """Raise if a whole number may be divided by 0, which ends the process."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.type == TENSOR:
                    constants[node.output[0]] = attribute.t
        if node.op_type != "Div" or len(node.input) < 2:
            continue
        divisor = constants.get(node.input[1])
        kind = types.get(node.output[0]) if divisor is None else divisor.data_type
        if kind not in INTEGERS:
            continue
        if divisor is None or not (onnx.numpy_helper.to_array(divisor) > 0).all():
            raise DataError(
                f"{node.op_type} {shown(node.name or node.output[0])} divides whole numbers by "
                "what may be 0"
            )
