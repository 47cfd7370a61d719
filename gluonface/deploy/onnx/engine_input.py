"""Give engines an ONNX network whose large tensors lie in memory, not in the file.

To write them into a file, and to have the engine parse it, takes 0.3 to 0.6 s for 65 million of
them.
"""

from __future__ import annotations

import logging
import typing

import numpy as np

from ...weights.onnx.parts import OnnxParts

__all__ = ["for_onnxruntime", "read_with_openvino"]

logger = logging.getLogger(__name__)


def for_onnxruntime(parts: OnnxParts, options: typing.Any) -> bytes:
    """Return the file for a session of onnxruntime.

    Parameters
    ----------
    parts : OnnxParts
        They stay as they are.
    options : onnxruntime.SessionOptions
        They get the numbers of the large tensors, which the file tells to lie in other files.
    """
    add = getattr(options, "add_external_initializers_from_files_in_memory", None)
    if not parts.numbers or add is None:  # onnxruntime 1.19, the last for Python 3.9
        return _whole(parts)
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(parts.model)
    names = {name: f"memory_{place}" for place, name in enumerate(parts.numbers)}
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=names[tensor.name])
    views = list(parts.numbers.values())
    add(list(names.values()), views, [len(view) for view in views])
    return model.SerializeToString()


def read_with_openvino(core: typing.Any, parts: OnnxParts) -> typing.Any:
    """Return the network as an `openvino.Model`.

    It is read with its large tensors as inputs, which then become constants.

    Parameters
    ----------
    core : openvino.Core
    parts : OnnxParts
        They stay as they are.
    """
    if parts.numbers:
        try:
            return _with_constants(core, parts)
        except RuntimeError as error:  # an operator that needs the numbers when it is read
            logger.debug("the network is read as a whole file: %s", error)
    return core.read_model(_whole(parts), b"")


def _with_constants(core, parts):
    import onnx
    from openvino import op

    model = onnx.ModelProto()
    model.CopyFrom(parts.model)
    graph, kept, shapes = model.graph, [], {}
    for tensor in graph.initializer:
        if tensor.name not in parts.numbers:
            kept.append(tensor)
            continue
        type = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        shapes[tensor.name] = tuple(tensor.dims), type
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        graph.input.append(value)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    network = core.read_model(model.SerializeToString(), b"")
    for parameter in network.get_parameters():
        name = parameter.get_friendly_name()
        if name not in shapes:
            continue
        shape, type = shapes[name]
        # A copy, since in a file numbers begin at any byte and OpenVINO computes with what it gets.
        array = np.frombuffer(parts.numbers[name], np.uint8).copy().view(type).reshape(shape)
        constant = op.Constant(array, shared_memory=True)
        constant.set_friendly_name(name)
        parameter.output(0).replace(constant.output(0))
        network.remove_parameter(parameter)
    network.validate_nodes_and_infer_types()
    return network


def _whole(parts):
    import onnx

    model = parts.model
    if parts.numbers:
        model = onnx.ModelProto()
        model.CopyFrom(parts.model)
    return parts._replace(model=model).complete().SerializeToString()
