"""What is read off a graph is compared with what onnx's own implementation computes."""

import numpy as np
import pytest
from onnx_nets import TensorProto, attribute, constant, helper, network, node, reference, values

from gluonface.weights.onnx.row_independence import rows_are_independent

make = helper.make_node
PIXELS = values(3, 3, 112, 112)


def after(op, *constants, **attributes):
    """Return a network whose embedding goes through one more operator."""
    names = [f"k{number}" for number in range(len(constants))]
    model = network(head=[make(op, ["embedding", *names], ["out"], **attributes)])
    for name, value in zip(names, constants):
        constant(model, name, value)
    return model


def before_the_gemm(op, *constants, **attributes):
    """The same for the map (N, 4, 7, 7)."""
    model = network()
    model.opset_import[
        0
    ].version = 15  # onnx's own BatchNormalization of 13 averages over the batch
    names = [f"k{number}" for number in range(len(constants))]
    model.graph.node.insert(2, make(op, ["p", *names], ["q"], **attributes))
    node(model, "flat").input[0] = "q"
    for name, value in zip(names, constants):
        constant(model, name, value)
    return model


def with_bias(shape):
    model = network()
    constant(model, "k", values(*shape))
    node(model, "fc").input[2] = "k"
    return model


def with_itself(op, other):
    model = network(head=[make(op, ["embedding", other], ["out"])])
    return model


def two_outputs():
    model = network()
    model.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, None))
    return model


INDEPENDENT = [
    network(),
    network(kind=TensorProto.UINT8),
    after("Mul", np.float32([2])),
    after("Add", values(1, 8)),
    after("Sub", values(8)),
    after("Clip", np.float32(-1), np.float32(1)),
    after("Identity"),
    with_itself("Mul", "embedding"),
    with_bias((1, 8)),
    after("Reshape", np.int64([0, -1])),
    after("Reshape", np.int64([-1, 8])),
    before_the_gemm("Reshape", np.int64([0, 2, 2, 49])),
    before_the_gemm("Sigmoid"),
    before_the_gemm("PRelu", values(1, 4, 1, 1)),
    before_the_gemm("Add", values(4, 7, 7)),
    before_the_gemm("BatchNormalization", *(np.abs(values(4, seed=k)) for k in range(4))),
    before_the_gemm("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
]
TO_BE_TRIED = [
    after("Expand", np.int64([4, 8])),
    after("Gather", np.int64([0, 0]), axis=0),
    after("Gather", np.int64([0]), axis=0),
    after("Reshape", np.int64([1, -1])),
    after("Reshape", np.int64([-1, 4])),
    after("Reshape", np.int64([-1, 16])),
    before_the_gemm("Reshape", np.int64([-1, 4, 7, 7])),  # what a row of a map has is not known
    after("Reshape", np.int64([0, -1]), allowzero=1),
    after("Reshape", np.int64([0, 2, 4])),
    with_itself("Reshape", "p"),
    after("Flatten", axis=0),
    after("ReduceMean", axes=[0], keepdims=1),
    after("Transpose", perm=[1, 0]),
    after("LpNormalization", axis=0, p=2),
    after("Softmax", axis=0),
    after("CumSum", np.int64(0)),
    after("Concat", values(1, 8), axis=0),
    after("Slice", np.int64([-1]), np.int64([-10]), np.int64([0]), np.int64([-1])),
    after("Tile", np.int64([2, 1])),
    after("Add", values(3, 8)),
    after("Mul", values(3, 1)),
    after("Add", values(2, 3, 8)),
    after("PRelu", values(3, 8)),
    after("Flatten", axis=2),
    after("Gemm", values(3, 8), transA=1),
    with_bias((3, 8)),
    with_itself("MatMul", "p"),
    with_itself("Gemm", "embedding"),
    with_itself("Add", "c"),
    before_the_gemm("Transpose", perm=[1, 0, 2, 3]),
    before_the_gemm("Add", values(3, 4, 7, 7)),
    two_outputs(),
]


@pytest.mark.parametrize("model", INDEPENDENT)
def test_rows_that_are_known_to_be_independent(model):
    assert rows_are_independent(model)
    together = reference(model, PIXELS)
    alone = np.concatenate([reference(model, PIXELS[k : k + 1]) for k in range(3)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)  # float32, sums of 196 products


@pytest.mark.parametrize("model", TO_BE_TRIED)
def test_what_has_to_be_tried(model):
    assert not rows_are_independent(model)


def test_other_axes_and_several_images():
    model = network()
    attribute(model, "flat", "axis", 2)
    assert not rows_are_independent(model)
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 3, 9, 9]))
    assert not rows_are_independent(model)
    model = network()
    constant(model, "more", np.float32([1]))  # old files list their constants among the inputs
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    assert rows_are_independent(model)


@pytest.mark.parametrize(
    "name", ["mobilefacenet", pytest.param("iresnet18", marks=pytest.mark.slow)]
)
def test_common_networks_are_known(name):
    from gluonface.deploy.export import trace
    from gluonface.deploy.onnx.convert import convert
    from gluonface.weights.load import load_net

    net = load_net(f"{name}:untrained")
    assert rows_are_independent(convert(*trace(net), net.cfg.input_size, compare=False))


@pytest.mark.parametrize("shape", [(8,), (2, 8)])
def test_zero_points_count_like_scales(shape):
    """They may be one for each image where the scale is one for all."""
    assert rows_are_independent(after("QuantizeLinear", np.float32(0.1), np.uint8(3), axis=0))
    for axis in (0, 1):
        model = after("QuantizeLinear", np.float32(0.1), np.zeros(shape, "u1"), axis=axis)
        assert rows_are_independent(model) == (len(shape) == axis == 1)
