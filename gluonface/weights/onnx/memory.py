"""How much an ONNX graph makes of one image, and whether a tensor of it is empty.

A file of a few bytes can ask for gigabytes: by a Tile, by the product of a column and a row, or by
many of them that are all kept for a sum at the end.
"""

from __future__ import annotations

import collections
import math
import typing

from ...errors import DataError, shown
from .computed_shapes import known_shapes

__all__ = ["MOST", "check_memory"]

# Numbers that are kept at a time, for one image: 128 MB, while iresnet200 keeps 10 MB at 112 x 112.
# Engines run 8 images at a time.
MOST = 1 << 25
EACH, MOST_OF_BATCH = 1 << 23, 1 << 29  # of networks with a fixed batch: for each image, in all
FLOATS = (1, 10, 11, 16)
# What may give an empty tensor: exporters write one where a Resize has no region.
GIVING = {"Constant", "ConstantOfShape", "Identity", "Cast"}


def check_memory(graph: typing.Any, weights: typing.Container[str], types: dict[str, int]) -> None:
    """Raise DataError if a graph would need more memory than networks do, or makes nothing.

    Of a tensor without elements LpNormalization ends the process in onnxruntime, and engines do not
    agree on what others make.

    Parameters
    ----------
    graph : onnx.GraphProto
        With the shapes that onnx infers for one image.
    weights : container of str
        The tensors of the file.
    types : dict of str to int
        Of all tensors, as onnx numbers them.
    """
    shapes = known_shapes(graph)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    uses = collections.Counter(name for node in graph.node for name in node.input)
    of_images = {value.name for value in graph.input if value.name not in weights}
    kept = sum(sizes.get(name, 0) for name in of_images)
    batch = max((shapes[name][0] for name in of_images if shapes.get(name)), default=1)
    most = max(MOST, min(batch * EACH, MOST_OF_BATCH))
    for node in graph.node:
        who = f"{node.op_type} {shown(node.name or node.output[0])}"
        sources = [name for name in node.input if name in of_images]
        largest = max((sizes.get(name, 0) for name in node.input), default=0)
        for name in node.output:
            size = sizes.get(name)
            if node.op_type == "LpNormalization" and size is None:
                raise DataError(f"{who} takes a tensor whose shape cannot be told before it runs")
            empty = size == 0 and (len(shapes[name]) > 1 or types.get(name) in FLOATS)
            if empty and node.op_type not in GIVING:
                raise DataError(f"{who} makes an empty tensor, of the shape {shapes[name]}")
            if sources:
                of_images.add(name)
            if sources or (size or 0) > largest:  # of the file alone engines make it once
                kept += size or 0
        if kept > most:
            raise DataError(
                f"{who} is reached with {kept} numbers in memory for {batch} images; at "
                f"most {most} are expected"
            )
        uses.subtract(node.input)
        for name in {*sources, *(node.output if sources else ())}:
            if not uses[name]:
                kept -= sizes.get(name, 0)
