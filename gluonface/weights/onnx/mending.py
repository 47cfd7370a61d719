"""Give an ONNX network the form that engines and the import take: images in, one embedding out.

Files of other toolkits have a second output, images with the colours last, or operators as MXNet's
exporters of 2018 to 2020 wrote them, which onnxruntime and OpenVINO refuse.
"""

from __future__ import annotations

import logging
import pathlib
import typing

from ...errors import InputError, shown

__all__ = ["colors_of", "is_unit_length", "mend_onnx", "without_unit_length"]

logger = logging.getLogger(__name__)

ALONE = 4  # version of the form of the file since which weights need not be inputs
COLOR = "color"  # in the metadata of a file
LAST = [0, 3, 1, 2]  # from images with the colours last to images with the colours first
SAME_RANK = {
    *(
        "BatchNormalization",
        "PRelu",
        "Relu",
        "LeakyRelu",
        "Add",
        "Sum",
        "Sub",
        "Mul",
        "Div",
        "Clip",
    ),
    *("Dropout", "Identity", "Cast", "Sigmoid", "Concat", "MaxPool", "AveragePool", "Pad"),
    "GlobalAveragePool",
}


def mend_onnx(onnx: typing.Any, model: typing.Any, path: pathlib.Path, output: str | None) -> bool:
    """Change a model, which `check_onnx` has checked, in place.

    * Of several outputs the embedding is kept: the one of rank 2 with more than one column.
    * The weights are no inputs any more.
    * Images (N,H,W,3) become (N,3,H,W).
    * A PReLU's slope (C,) for maps becomes (C,1,1); the attribute ``spatial`` of a BatchNorm, which
      opset 9 has dropped, goes.

    Parameters
    ----------
    onnx : module
    model : onnx.ModelProto
    path : pathlib.Path
        For messages.
    output : str or None
        The name of the embedding, where the file has several that could be it.

    Returns
    -------
    bool
        Whether anything was changed.

    Raises
    ------
    InputError
        If several outputs could be the embedding and none is named, or the named one is not there.
    """
    graph = model.graph
    changes = [
        _keep_one_output(onnx, graph, path, output),
        _drop_weights_of_inputs(model),
        _colors_first(onnx, graph, path),
        _drop_spatial(graph),
        _slopes_of_maps(onnx, graph),
    ]
    return any(changes)


def _axes(value):
    """Return the sizes of an input or output, None for one that is not said."""
    axes = value.type.tensor_type.shape.dim
    return [axis.dim_value if axis.HasField("dim_value") else None for axis in axes]


def _keep_one_output(onnx, graph, path, wanted):
    """Keep the embedding alone among the outputs."""
    names = [value.name for value in graph.output]
    if wanted is not None and wanted not in names:
        raise InputError(f"{path} has no output {wanted!r}; it has {_list(names)}")
    if len(names) < 2:
        return False
    if wanted is None:
        rows = {value.name: _axes(value) for value in graph.output}
        fit = [name for name in names if len(rows[name]) == 2 and rows[name][1] != 1]
        if not fit:  # let the engine say what it finds
            return False
        if len(fit) > 1:
            raise InputError(
                f"{path} has {len(fit)} outputs that could be the embedding, {_list(fit)}; name "
                "one with --output"
            )
        wanted = fit[0]
    logger.info(
        "%s: the output %s is the embedding; not used: %s",
        path,
        shown(wanted),
        _list(name for name in names if name != wanted),
    )
    kept = next(value for value in graph.output if value.name == wanted)
    one = onnx.ValueInfoProto()
    one.CopyFrom(kept)
    del graph.output[:]
    graph.output.append(one)
    return True


def _list(names):
    return ", ".join(shown(name) for name in names)


def _drop_weights_of_inputs(model):
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    places = [i for i, value in enumerate(graph.input) if value.name in weights]
    for place in reversed(places):
        del graph.input[place]
    old = model.ir_version < ALONE
    if old:
        model.ir_version = ALONE
    return bool(places) or old


def _colors_first(onnx, graph, path):
    """Let a network of images with the colours last take them first."""
    if len(graph.input) != 1:
        return False
    (value,) = graph.input
    axes = _axes(value)
    if len(axes) != 4 or axes[3] != 3 or axes[1] == 3:
        return False
    logger.info("%s takes images (N,H,W,3); it is fed (N,3,H,W), transposed", path)
    old, taken = value.name, {name for node in graph.node for name in (*node.input, *node.output)}
    new = f"{old}_colors_first"
    while new in taken:
        new += "_"
    users = [node for node in graph.node if old in node.input]
    turned = [node for node in users if node.op_type == "Transpose" and _perm(node) == LAST]
    dims = value.type.tensor_type.shape.dim
    sizes = [onnx.TensorShapeProto.Dimension() for _ in range(4)]
    for size, axis in zip(sizes, (0, 3, 1, 2)):
        size.CopyFrom(dims[axis])
    del dims[:]
    dims.extend(sizes)
    value.name = new
    if len(turned) == len(users):  # all that it does with the images is to turn them
        names = {node.output[0]: new for node in turned}
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
        for place in reversed([i for i, node in enumerate(graph.node) if node in turned]):
            del graph.node[place]
    else:
        node = onnx.helper.make_node("Transpose", [new], [old], f"{new}_turned", perm=[0, 2, 3, 1])
        graph.node.insert(0, node)
    return True


def _perm(node):
    return next((list(a.ints) for a in node.attribute if a.name == "perm"), None)


def _drop_spatial(graph):
    changed = False
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            continue
        for place in [i for i, a in enumerate(node.attribute) if a.name == "spatial"]:
            del node.attribute[place]
            changed = True
    return changed


def _slopes_of_maps(onnx, graph):
    """Write the slopes of PReLUs of maps as (C,1,1), which broadcasts over rows and columns."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    maps, changed = set(), False
    for node in graph.node:
        if node.op_type == "Conv" or (
            node.op_type in SAME_RANK and not maps.isdisjoint(node.input)
        ):
            maps.update(node.output)
        if node.op_type != "PRelu" or node.input[0] not in maps:
            continue
        slope = weights.get(node.input[1])
        if slope is not None and len(slope.dims) == 1 and slope.dims[0] > 1:
            slope.dims.extend([1, 1])
            changed = True
    return changed


def colors_of(model: typing.Any) -> str | None:
    """Return the order of colours that the metadata of an ONNX file says, or None."""
    told = {entry.key: entry.value for entry in model.metadata_props}.get(COLOR)
    return told if told in ("RGB", "BGR") else None


def _unit_tail(graph):
    """Return (name of the output, of what is divided by its own length), or None."""
    made = {name: node for node in graph.node for name in node.output}
    output = graph.output[0].name
    node = made.get(output)
    while node is not None and node.op_type in ("Identity", "Cast") and node.input:
        node = made.get(node.input[0])
    if node is None or not node.input:
        return None
    if node.op_type == "LpNormalization":
        settings = {a.name: a.i for a in node.attribute}
        ends = settings.get("axis", -1) in (-1, 1) and settings.get("p", 2) == 2
        return (output, node.input[0]) if ends else None
    if node.op_type != "Div" or len(node.input) < 2:
        return None
    whole, length = node.input[0], made.get(node.input[1])
    # torch.nn.functional.normalize has the least length in a Clip, and an Expand to the whole.
    while length is not None and length.op_type in (
        "Clip",
        "Max",
        "Expand",
        "Identity",
        "Unsqueeze",
    ):
        length = made.get(length.input[0])
    if length is None or length.op_type != "ReduceL2" or length.input[0] != whole:
        return None
    return output, whole


def is_unit_length(model: typing.Any) -> bool:
    """Whether an ONNX network ends with a division by the length of the embedding."""
    return bool(model.graph.output) and _unit_tail(model.graph) is not None


def without_unit_length(onnx: typing.Any, model: typing.Any) -> typing.Any:
    """Return a model whose output is the embedding before the division by its length."""
    if not is_unit_length(model):
        return model
    whole = _unit_tail(model.graph)[1]
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    bare.graph.output[0].name = whole
    # What is behind it has no use any more.
    needed, kept = {whole}, []
    for node in reversed(model.graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            kept.append(node)
    del bare.graph.node[:]
    bare.graph.node.extend(reversed(kept))
    return bare
