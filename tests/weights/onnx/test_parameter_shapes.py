"""Parameters that do not fit their operator are refused before an engine reads behind them."""

import numpy as np
import pytest
from onnx_nets import SIZE, attribute, constant, helper, initializer, network, numpy_helper, save

from gluonface.errors import DataError
from gluonface.weights import open_weights

make = helper.make_node


def opened(model, tmp_path):
    return open_weights(save(model, tmp_path / "x.onnx")).onnx_bytes


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (5,), (4, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_the_bias_of_a_convolution(tmp_path, shape, turned):
    """onnxruntime reads past the end of a short one."""

    def with_bias(shape):
        model = network()
        conv = model.graph.node[0]
        if turned:
            conv.op_type = "ConvTranspose"
            weight = np.ones((3, 4, 16, 16), "f4")
            initializer(model, "w").CopyFrom(numpy_helper.from_array(weight, "w"))
            del model.graph.node[2:]
            model.graph.node.append(make("GlobalAveragePool", ["p"], ["m"]))
            model.graph.node.append(make("Flatten", ["m"], ["out"]))
            model.graph.initializer.remove(initializer(model, "g"))
            model.graph.initializer.remove(initializer(model, "b"))
            attribute(model, "conv", "strides", [1, 1])
        conv.input.append(constant(model, "bias", np.zeros(shape, "f4")))
        return model

    assert opened(with_bias((4,)), tmp_path)
    with pytest.raises(DataError, match=r"'bias', a parameter of Conv.* expected \(4,\)"):
        opened(with_bias(shape), tmp_path)


@pytest.mark.parametrize(("scale", "point"), [((), (SIZE,)), ((SIZE,), ()), ((1,), (2,))])
@pytest.mark.parametrize("axis", [0, 1])
def test_scales_and_zero_points(tmp_path, scale, point, axis):
    model = network(
        head=[
            make("QuantizeLinear", ["embedding", "s", "z"], ["q"], axis=axis),
            make("DequantizeLinear", ["q", "s", "z"], ["out"], axis=axis),
        ]
    )
    constant(model, "s", np.full(scale, 0.1, "f4"))
    constant(model, "z", np.full(point, 3, "u1"))
    with pytest.raises(DataError, match=r"'z', a parameter of QuantizeLinear .* expected"):
        opened(model, tmp_path)


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("pads", [(0, -9, 0, 9), (0, 9, 0, -9), (0, 1 << 32, 0, -(1 << 32))])
def test_a_pad_that_takes_more_than_is_there(tmp_path, pads, computed):
    nodes = [make("Pad", ["embedding", "pads"], ["out"])]
    if computed:
        nodes.insert(0, make("Concat", ["some", "others"], ["pads"], axis=0))

    def padded(pads):
        model = network(head=nodes)
        if computed:
            constant(model, "some", np.int64(pads[:1]))
            constant(model, "others", np.int64(pads[1:]))
        else:
            constant(model, "pads", np.int64(pads))
        return model

    assert opened(padded((0, -3, 0, 3)), tmp_path)
    with pytest.raises(DataError, match=rf"Pad .*adds {pads[1]} and {pads[3]} to an axis of 8"):
        opened(padded(pads), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("output_padding", [1, 1]), ("output_padding", [100, 0]), ("output_shape", [200, 200])],
)
def test_the_output_of_a_turned_convolution(tmp_path, name, value):
    """OpenVINO ends the process."""

    def turned(**settings):
        nodes = [
            make("Reshape", ["embedding", "shape"], ["map"]),
            make("ConvTranspose", ["map", "k"], ["wide"], "turned", **settings),
            make("Flatten", ["wide"], ["out"]),
        ]
        model = network(head=nodes)
        constant(model, "shape", np.int64([0, SIZE, 1, 1]))
        constant(model, "k", np.ones((SIZE, 2, 3, 3), "f4"))
        return model

    assert opened(turned(strides=[2, 2], output_padding=[1, 1]), tmp_path)
    with pytest.raises(DataError, match=f"ConvTranspose 'turned' has .*{name}"):
        opened(turned(**{name: value}), tmp_path)
