"""What a network makes of an image has to stay small, and to be something."""

import numpy as np
import pytest
from onnx_nets import SIZE, constant, helper, network, numpy_helper, save

from gluonface.errors import DataError
from gluonface.weights import open_weights

make = helper.make_node
MEAN = [
    make("ReduceMean", ["x"], ["average"], keepdims=0),
    make("Add", ["embedding", "average"], ["out"]),
]


def opened(nodes, tmp_path, batch="N", **constants):
    model = network(head=nodes, batch=batch)
    for name, value in constants.items():
        constant(model, name, value)
    return open_weights(save(model, tmp_path / "x.onnx")).onnx_bytes


def column_and_row(length):
    long = np.ones((length, 1), "f4")
    return [make("Mul", ["column", "row"], ["x"]), *MEAN], {"column": long, "row": long.T}


def tiles(length):
    repeats = np.int64([1, length // SIZE])
    return [make("Tile", ["embedding", "repeats"], ["x"]), *MEAN], {"repeats": repeats}


def many_constants(length):
    """Each is small, but all are kept."""
    value = numpy_helper.from_array(np.float32([1]))
    names = [f"x{number}" for number in range(16)]
    nodes = [make("ConstantOfShape", ["shape"], [name], value=value) for name in names]
    nodes.append(make("Sum", names, ["x"]))
    return [*nodes, *MEAN], {"shape": np.int64([length // 16])}


def many_tiles(length):
    names = [f"x{number}" for number in range(16)]
    nodes = [make("Tile", ["embedding", "repeats"], [name]) for name in names]
    nodes.append(make("Sum", names, ["x"]))
    return [*nodes, *MEAN], {"repeats": np.int64([1, length // 16 // SIZE])}


@pytest.mark.parametrize("maker", [column_and_row, tiles, many_constants, many_tiles])
def test_gigabytes_of_a_few_bytes(tmp_path, maker):
    large = 1 << (13 if maker is column_and_row else 26)
    nodes, constants = maker(large)
    with pytest.raises(DataError, match="numbers in memory for 1 images; at most 33554432"):
        opened(nodes, tmp_path, **constants)
    nodes, constants = maker(1 << (10 if maker is column_and_row else 20))
    assert opened(nodes, tmp_path, **constants)


def test_a_fixed_batch_may_have_more(tmp_path):
    nodes, constants = tiles(1 << 22)
    assert opened(nodes, tmp_path, batch=16, **constants)
    nodes, constants = tiles(1 << 24)
    with pytest.raises(DataError, match="in memory for 16 images; at most 134217728"):
        opened(nodes, tmp_path, batch=16, **constants)


def test_what_is_used_up_is_not_counted(tmp_path):
    nodes, last = [], "embedding"
    for number in range(40):
        nodes += [
            make("Tile", [last, "repeats"], [f"long{number}"]),
            make("Slice", [f"long{number}", "zero", "eight", "axis"], [f"short{number}"]),
        ]
        last = f"short{number}"
    nodes[-1].output[0] = "out"
    constants = {
        "repeats": np.int64([1, (1 << 21) // SIZE]),
        "zero": np.int64([0]),
        "eight": np.int64([SIZE]),
        "axis": np.int64([1]),
    }
    assert opened(nodes, tmp_path, **constants)


def test_a_shape_said_of_a_large_tensor_is_not_believed(tmp_path):
    """A tensor that is an input too has the shape of its numbers."""
    nodes, constants = column_and_row(1 << 16)
    model = network(head=nodes)
    for name, value in constants.items():
        constant(model, name, value)
        model.graph.input.append(helper.make_tensor_value_info(name, 1, [1, 1]))
    with pytest.raises(DataError, match=r"would have the shape|numbers in memory"):
        _ = open_weights(save(model, tmp_path / "x.onnx")).onnx_bytes


@pytest.mark.parametrize("last", ["LpNormalization", "Relu"])
def test_nothing_is_made(tmp_path, last):
    """LpNormalization of nothing ends the process in onnxruntime."""
    nodes = [
        make("Slice", ["embedding", "zero", "zero", "axis"], ["nothing"]),
        make(last, ["nothing"], ["out"]),
    ]
    with pytest.raises(DataError, match=r"Slice .* an empty tensor, of the shape \(1, 0\)"):
        opened(nodes, tmp_path, zero=np.int64([0]), axis=np.int64([1]))


def test_a_slice_whose_end_the_image_decides_is_not_divided_by_its_length(tmp_path):
    nodes = [
        make("ReduceMax", ["embedding"], ["most"], keepdims=0),
        make("Cast", ["most"], ["whole"], to=7),
        make("Mul", ["whole", "zero"], ["end"]),
        make("Slice", ["embedding", "zero", "end", "axis"], ["nothing"]),
        make("LpNormalization", ["nothing"], ["out"]),
    ]
    with pytest.raises(DataError, match=r"LpNormalization .* cannot be told before it runs"):
        opened(nodes, tmp_path, zero=np.int64([0]), axis=np.int64([1]))
