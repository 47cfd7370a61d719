"""A symbol keeps the images of a batch apart, and needs little memory."""

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.deploy import Embedder, export_source
from gluonface.deploy.symbol_trial import check_memory, rows_are_independent
from gluonface.errors import DataError
from gluonface.weights.graph import Graph
from gluonface.weights.mxnet_params import params_bytes

SIZE = 8


def network(change=None, axes=(2, 3)):
    """Return a symbol: a convolution (N,8,7,7), what `change` makes of it, a linear layer."""
    x = mx.sym.Convolution(
        mx.sym.Variable("data"), name="conv", kernel=(16, 16), stride=(16, 16), num_filter=SIZE
    )
    x = x if change is None else change(x)
    x = mx.sym.mean(x, axis=axes) if axes else x
    return mx.sym.FullyConnected(x, name="fc1", num_hidden=SIZE)


def saved(symbol, folder):
    shapes, _, aux = symbol.infer_shape(data=(1, 3, 112, 112))
    random = np.random.default_rng(0)
    arrays = {}
    for name, shape in zip(symbol.list_arguments(), shapes):
        if name != "data":
            arrays[f"arg:{name}"] = random.normal(0, 0.2, shape).astype("f4")
    for name, shape in zip(symbol.list_auxiliary_states(), aux):
        arrays[f"aux:{name}"] = np.ones(shape, "f4")
    symbol.save(str(folder / "x-symbol.json"))
    (folder / "x-0000.params").write_bytes(params_bytes(arrays))
    return folder / "x"


DEPENDENT = {
    "softmax over the images": lambda x: mx.sym.softmax(x, axis=0),
    "the same from the other end": lambda x: mx.sym.log_softmax(x, axis=-4),
    "the largest of all images": lambda x: mx.sym.broadcast_add(
        x, mx.sym.max(x, axis=0, keepdims=True)
    ),
    "a shape from the end": lambda x: mx.sym.softmax(
        mx.sym.Reshape(mx.sym.Reshape(x, shape=(-1, 0), reverse=True), shape=(-1, 8, 7, 7)), axis=0
    ),
    "a change of places": lambda x: mx.sym.SwapAxis(
        mx.sym.softmax(mx.sym.SwapAxis(x, dim1=0, dim2=1), axis=1), dim1=0, dim2=1
    ),
}


@pytest.mark.parametrize("change", DEPENDENT)
@pytest.mark.parametrize("engine", ["mxnet", "auto"])
def test_rows_that_depend_on_others(tmp_path, change, engine):
    symbol = network(DEPENDENT[change])
    assert not rows_are_independent(Graph.from_symbol(symbol))
    prefix = saved(symbol, tmp_path)
    with pytest.raises(DataError, match=r"x-0000.params gives another output for an image alone"):
        Embedder.load(prefix, "cpu", engine)
    with pytest.raises(DataError, match=r"x-0000.params gives another output for an image alone"):
        export_source(prefix, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


INDEPENDENT = {
    "nothing": None,
    "a norm": lambda x: mx.sym.BatchNorm(x, name="norm"),
    "a PReLU": lambda x: mx.sym.LeakyReLU(x, act_type="prelu", name="prelu"),
    "both": lambda x: mx.sym.Concat(x, mx.sym.Activation(x, act_type="relu"), dim=1),
    "a shape": lambda x: mx.sym.Reshape(x, shape=(0, -1, 7)),
    "a softmax over the channels": lambda x: mx.sym.softmax(x, axis=1),
}


@pytest.mark.parametrize("change", INDEPENDENT)
def test_rows_that_do_not(tmp_path, change):
    prefix = saved(network(INDEPENDENT[change], axes=None), tmp_path)
    found = Embedder.load(prefix, "cpu", "mxnet")
    assert rows_are_independent(Graph.from_symbol(network(INDEPENDENT[change], axes=None))) == (
        "softmax" not in change
    )
    images = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    alone = np.concatenate([found.embed(image) for image in images])
    np.testing.assert_allclose(found.embed(images), alone, rtol=0, atol=1e-5)


WIDE = {
    "pad": lambda x: mx.sym.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, 4096, 4096, 4096, 4096)),
    "resize": lambda x: mx.sym.contrib.BilinearResize2D(x, height=4096, width=4096),
    "many": lambda x: mx.sym.add_n(
        *(mx.sym.contrib.BilinearResize2D(x, height=512, width=512) for _ in range(20))
    ),
}


def test_shapes_that_keep_the_images():
    for shape, reverse, known in (((0, -1), 0, True), ((-1, 0), 0, False), ((0, -1), 1, False)):
        x = mx.sym.Reshape(mx.sym.Variable("data"), shape=shape, reverse=bool(reverse))
        assert rows_are_independent(Graph.from_symbol(x)) == known


@pytest.mark.parametrize("change", WIDE)
def test_gigabytes_of_a_few_bytes(tmp_path, change):
    prefix = saved(network(WIDE[change]), tmp_path)
    with pytest.raises(DataError, match=r"x-0000.params is reached with \d+ numbers in memory"):
        Embedder.load(prefix, "cpu", "mxnet")


def test_weights_are_not_counted():
    """They lie in the file: of 201 million of them this network makes 8,000 numbers."""
    wide = 1 << 13
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=wide, no_bias=True, name="fc")
    shapes = {"data": (1, 3, 1, wide), "fc_weight": (wide, 3 * wide)}
    check_memory(x, Graph.from_symbol(x), shapes, "x")
    x = mx.sym.tile(x, reps=(1, wide))
    with pytest.raises(DataError, match="numbers in memory for one image"):
        check_memory(x, Graph.from_symbol(x), shapes, "x")
