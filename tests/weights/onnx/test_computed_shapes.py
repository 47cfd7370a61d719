"""Shapes that an ONNX graph computes itself are known before an engine sees it, or refused."""

import numpy as np
import pytest
from onnx_nets import SIZE, constant, helper, network, save

from gluonface.errors import DataError
from gluonface.weights import open_weights

make = helper.make_node


def checked(tmp_path, nodes, **constants):
    """Open a network with further nodes after its embedding."""
    model = network(head=[make(*parts[:3], **(parts[3] if parts[3:] else {})) for parts in nodes])
    for name, value in constants.items():
        constant(model, name, np.asarray(value))
    return open_weights(save(model, tmp_path / "x.onnx")).onnx_bytes


def shape_of_one_image():
    """Return what PyTorch writes for `token.expand(n, -1)`: -1 becomes the size that is there."""
    return [
        ("Shape", ["embedding"], ["all"]),
        ("Gather", ["all", "zero"], ["n"]),
        ("Unsqueeze", ["n", "axis"], ["n1"]),
        ("Concat", ["n1", "minus"], ["target"], {"axis": 0}),
        ("Shape", ["target"], ["rank"]),
        ("ConstantOfShape", ["rank"], ["ones0"]),
        ("Add", ["ones0", "one"], ["ones"]),
        ("Equal", ["target", "minus"], ["is_minus"]),
        ("Where", ["is_minus", "ones", "target"], ["final"]),
    ]


CONSTANTS = {
    "zero": np.int64(0),
    "axis": np.int64([0]),
    "minus": np.int64([-1]),
    "one": np.float32(1),
    "token": np.ones((1, SIZE), np.float32),
}


def test_a_class_token_as_pytorch_expands_it(tmp_path):
    nodes = shape_of_one_image()
    nodes[6:7] = [("Cast", ["ones0"], ["ones1"], {"to": 7}), ("Add", ["ones1", "whole"], ["ones"])]
    nodes += [("Expand", ["token", "final"], ["wide"]), ("Add", ["wide", "embedding"], ["out"])]
    assert checked(tmp_path, nodes, whole=np.int64(1), **CONSTANTS)


HUGE = [("Shape", ["embedding"], ["all"]), ("Mul", ["all", "many"], ["target"])]


@pytest.mark.parametrize(
    "maker",
    [
        [("Expand", ["token", "target"], ["out"])],
        [("ConstantOfShape", ["target"], ["out"])],
        [("Tile", ["token", "target"], ["out"])],
        [("Concat", ["all", "target"], ["pads"], {"axis": 0}), ("Pad", ["token", "pads"], ["out"])],
    ],
    ids=("expand", "constant", "tile", "pad"),
)
@pytest.mark.parametrize("computed", ["by arithmetic", "from pixels"])
def test_a_computed_size_is_bounded(tmp_path, maker, computed):
    nodes, message = list(HUGE), r"would have the shape|onnx says: .*Incompatible"
    if computed == "from pixels":  # whatever the image says
        nodes = [
            ("Shape", ["embedding"], ["all"]),
            ("ReduceMax", ["embedding"], ["most"], {"keepdims": 0}),
            ("Cast", ["most"], ["pixel"], {"to": 7}),
            ("Mul", ["all", "pixel"], ["target"]),
        ]
        message = "makes a tensor whose size cannot be told before it runs"
    with pytest.raises(DataError, match=message):
        checked(tmp_path, nodes + maker, token=CONSTANTS["token"], many=np.int64(1 << 30))


def test_what_computes_a_shape_is_bounded_itself(tmp_path):
    nodes = [
        *HUGE,
        ("ConstantOfShape", ["target"], ["large"]),
        ("Size", ["large"], ["count"]),
        ("Unsqueeze", ["count", "axis"], ["size"]),
        ("Expand", ["one", "size"], ["out"]),
    ]
    with pytest.raises(DataError, match=r"would have the shape|cannot be told"):
        checked(tmp_path, nodes, many=np.int64(1 << 20), **CONSTANTS)


def test_a_range_is_refused_before_onnx_makes_its_numbers(tmp_path):
    nodes = [("Range", ["first", "last", "step"], ["row"]), ("Cast", ["row"], ["out"], {"to": 1})]
    numbers = {"first": np.int64(0), "last": np.int64(1 << 40), "step": np.int64(1)}
    with pytest.raises(DataError, match="the operator 'Range', which is not read"):
        checked(tmp_path, nodes, **numbers)


def test_a_computed_size_that_is_small_passes(tmp_path):
    nodes = [
        ("Shape", ["embedding"], ["all"]),
        ("Expand", ["token", "all"], ["wide"]),
        ("Add", ["wide", "embedding"], ["out"]),
    ]
    assert checked(tmp_path, nodes, token=CONSTANTS["token"])
