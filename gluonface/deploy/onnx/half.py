"""An ONNX network in half precision inside: float32 images in, float32 embeddings out.

Half precision has 11 bits and ends at 65,504. What sums over a map or a row, or divides by such a
sum, stays in float32, and so does what is computed from that until the next convolution or matrix.
"""

from __future__ import annotations

import typing

import numpy as np

from ...errors import GluonfaceError, MissingExtraError
from ..engines import errors_of, largest_difference
from ..parity import noise

__all__ = ["LARGEST", "to_half"]

LARGEST = 6e4  # of an activation on noise: faces may give a little more
AGREE = 2e-3  # of unit embeddings
IN_HALF = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
IN_FLOAT = {
    *("GlobalAveragePool", "InstanceNormalization", "LayerNormalization", "LpNormalization"),
    *("ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Softmax"),
}
NO_VALUES = {"Resize": 1, "Upsample": 1}  # inputs from here on keep their type


def to_half(model: typing.Any, size: tuple[int, int] = (112, 112)) -> bytes:
    """Return a float32 network as one that computes in half precision.

    Its inputs, outputs and preprocessing, BatchNorms after the last layer with weights, and
    softmax, means, norms and what is computed from them stay float32. Other BatchNorms become a
    product and a sum, whose factors have the range of half precision where variances have not.

    Parameters
    ----------
    model : onnx.ModelProto
        As `convert` gives it, with the BatchNorms folded where they can be. It is not changed.
    size : (int, int)
        Height and width of the images.

    Returns
    -------
    bytes

    Raises
    ------
    MissingExtraError
        Without onnxruntime, which measures the activations and compares the result.
    GluonfaceError
        If a weight or an activation on noise is beyond half precision, or the unit embeddings of
        noise differ by 2e-3 or more; the layer is named.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx", "to write half precision") from error
    half = onnx.ModelProto()
    half.CopyFrom(model)
    _without_batch_norms(onnx, half.graph)
    tensors = _convert(onnx, half.graph)
    expected, largest = _run(onnx, model, size, tensors)
    for name, node in tensors.items():
        if name in largest and not largest[name] < LARGEST:
            raise GluonfaceError(
                f"{node} gives {largest[name]:.3g} on noise, and half precision ends at 65,504; "
                "use the float32 file, or bfloat16 on the CPU that runs it"
            )
    content = half.SerializeToString()
    actual = _run(onnx, half, size, {})[0]
    difference = largest_difference(actual, expected)
    if not difference < AGREE:
        raise GluonfaceError(
            f"in half precision the embeddings differ by {difference:.2g} (of unit length, on "
            f"noise); expected less than {AGREE:g}. Use the float32 file."
        )
    return content


def _without_batch_norms(onnx, graph):
    """Write the BatchNorms before the last layer with weights as a product and a sum."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    last = max((i for i, node in enumerate(graph.node) if node.op_type in IN_HALF), default=-1)
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in onnx.shape_inference.infer_shapes(
            onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
        ).graph.value_info
    }
    nodes = []
    for number, node in enumerate(graph.node):
        if node.op_type != "BatchNormalization" or number > last or node.input[0] not in ranks:
            nodes.append(node)
            continue
        gamma, beta, mean, variance = (values[name].astype(np.float64) for name in node.input[1:])
        eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        scale = gamma / np.sqrt(variance + eps)
        shape = (-1,) + (1,) * (ranks[node.input[0]] - 2)
        names = [f"{node.name}_scale", f"{node.name}_shift", f"{node.name}_scaled"]
        for name, value in zip(names, (scale, beta - mean * scale)):
            array = np.ascontiguousarray(value.reshape(shape), np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        make = onnx.helper.make_node
        nodes += [
            make("Mul", [node.input[0], names[0]], [names[2]], name=f"Mul_{node.name}"),
            make("Add", [names[2], names[1]], node.output[:1], name=f"Add_{node.name}"),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _convert(onnx, graph):
    """Put casts and half initialisers into a graph; return {half tensor: its node's name}."""
    FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kinds = {value.name: FLOAT for value in graph.input}  # of computed tensors that hold numbers
    others: set[str] = set()  # computed tensors that hold shapes or indices
    made: dict[tuple[str, int], str] = {}
    outputs = {value.name for value in graph.output}
    nodes, found = [], {}

    def typed(name, kind, node):
        if name in values:
            if kind == FLOAT or values[name].dtype != np.float32:
                return name
            if not np.abs(values[name]).max(initial=0) < LARGEST:
                raise GluonfaceError(
                    f"the constant {name} of {node.name} is {np.abs(values[name]).max():.3g}, and "
                    "half precision ends at 65,504; use the float32 file"
                )
        elif name not in kinds or kinds[name] == kind:
            return name
        if (name, kind) not in made:
            made[name, kind] = f"{name}_half" if kind == HALF else f"{name}_float"
            if name in values:
                array = values[name].astype(np.float16)
                graph.initializer.append(onnx.numpy_helper.from_array(array, made[name, kind]))
            else:
                cast = [name], [made[name, kind]]
                nodes.append(onnx.helper.make_node("Cast", *cast, name=f"Cast_{name}", to=kind))
        return made[name, kind]

    for node in graph.node:
        numbers = [name for name in node.input if name in kinds]
        if node.op_type in ("Shape", "Cast") or not numbers:
            nodes.append(node)
            others.update(node.output)
            continue
        if node.op_type in IN_HALF:
            kind = HALF
        elif node.op_type in IN_FLOAT or node.op_type == "BatchNormalization":
            kind = FLOAT
        else:  # as what it is computed from
            kind = FLOAT if any(kinds[name] == FLOAT for name in numbers) else HALF
        end = NO_VALUES.get(node.op_type, len(node.input))
        for index, name in enumerate(node.input[:end]):
            node.input[index] = typed(name, kind, node)
        nodes.append(node)
        for index, name in enumerate(node.output):
            kinds[name] = kind
            if kind == HALF:
                found[name] = node.name
                if name in outputs:
                    node.output[index] = f"{name}_half"
                    cast = [f"{name}_half"], [name]
                    nodes.append(onnx.helper.make_node("Cast", *cast, name="Cast_out", to=FLOAT))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return found


def _run(onnx, model, size, tensors):
    """Return a model's output for noise, and the largest number of each of some tensors."""
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    produced = {name for node in model.graph.node for name in node.output}
    names = [name for name in tensors if name in produced]
    known = {value.name for value in model.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with errors_of("onnxruntime", "run", f"{model.graph.name} as ONNX"):
        session = onnxruntime.InferenceSession(
            watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        output = model.graph.output[0].name
        wanted = [output, *(name for name in names if name != output)]
        first, *rest = session.run(wanted, {model.graph.input[0].name: noise(size)})
    largest = {name: float(np.abs(array).max()) for name, array in zip(wanted[1:], rest)}
    return first, largest
