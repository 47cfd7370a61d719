"""ONNX files as other projects export them: BatchNorms folded into the convolutions before."""

import dataclasses

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.deploy import export_model
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import BACKBONES, get_model, load_weights
from gluonface.model_zoo._weights import source_embedding_size, source_pixels
from gluonface.model_zoo.iresnet import IResNet

onnx = pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")

WIDTHS = (8, 8, 16, 24, 32)


def images(n=2):
    return mx.nd.array(np.random.default_rng(0).uniform(0, 255, (n, 3, 112, 112)))


def narrow(**changes):
    changes = {"embedding_size": 16, "scale": 1 / 127.5, **changes}
    net = IResNet(dataclasses.replace(BACKBONES.get("r18")[0], **changes), (1, 2, 1, 1), WIDTHS)
    net.initialize()
    return net


def randomise(net):
    rng = np.random.default_rng(3)
    for name, parameter in net._collect_params_with_prefix().items():
        if name.endswith("weight"):
            value = rng.standard_normal(parameter.shape) / np.sqrt(np.prod(parameter.shape[1:]))
        elif name.endswith("gamma") and parameter.grad_req == "null":
            value = np.ones(parameter.shape)
        else:
            value = rng.uniform(0.5, 1.5, parameter.shape) * (-1 if "mean" in name else 1)
        parameter.set_data(mx.nd.array(value))
    return net


def array(model, name):
    (tensor,) = [t for t in model.graph.initializer if t.name == name]
    return onnx.numpy_helper.to_array(tensor)


def replace(model, name, value, new=None):
    for tensor in list(model.graph.initializer):
        if tensor.name == name:
            model.graph.initializer.remove(tensor)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, new or name))


def as_pytorch(model):
    """Rewrite our export: no preprocessing, BatchNorms after convolutions folded, odd names."""
    nodes = model.graph.node
    for node in list(nodes):
        if node.op_type in ("Sub", "Mul"):
            nodes.remove(node)
    nodes[0].input[0] = "input.1"
    model.graph.input[0].name = "input.1"
    makers = {node.output[0]: node for node in nodes}
    for node in list(nodes):
        if node.op_type != "BatchNormalization" or node.input[0] not in makers:
            continue
        before = makers[node.input[0]]
        if before.op_type != "Conv":
            continue
        gamma, beta, mean, variance = (array(model, name) for name in node.input[1:])
        (eps,) = [a.f for a in node.attribute if a.name == "epsilon"]
        factor = gamma / np.sqrt(variance + eps)
        weight = array(model, before.input[1]) * factor[:, None, None, None]
        replace(model, before.input[1], weight.astype("float32"))
        bias = (beta - mean * factor).astype("float32")
        replace(model, f"{before.input[1]}_b", bias)
        before.input.append(f"{before.input[1]}_b")
        before.output[0] = node.output[0]
        nodes.remove(node)
    used = {name for node in nodes for name in node.input}
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a net, the bytes of its ONNX file, and its embeddings."""
    net = randomise(narrow())
    files = export_model(net, tmp_path_factory.mktemp("onnx") / "a", onnx=True)
    return files["onnx"].read_bytes(), net(images()).asnumpy()


def rewritten(exported, tmp_path, change=None):
    model = as_pytorch(onnx.load_model_from_string(exported[0]))
    if change:
        change(model)
    path = tmp_path / "w.onnx"
    onnx.save_model(model, str(path))
    return path


def matches(path, want, net=None):
    net = net or narrow()
    load_weights(net, path)
    # Folding rounds once more: 3e-6 seen; a bias that was lost moves 1e-1.
    np.testing.assert_allclose(net(images()).asnumpy(), want, atol=2e-5 * np.abs(want).max())


def test_our_own_export(exported, tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(exported[0])
    pixels, inside = source_pixels(path)
    assert inside
    np.testing.assert_allclose([pixels["mean"], pixels["scale"]], [127.5, 1 / 127.5], rtol=1e-6)
    matches(path, exported[1])
    with pytest.raises(InputError, match=r"build the model with mean=127\.5"):
        load_weights(narrow(scale=1 / 128), path)


def test_folded(exported, tmp_path):
    path = rewritten(exported, tmp_path)
    ops = [node.op_type for node in onnx.load(str(path)).graph.node]
    # One before each of 5 units, one after the last, one after the linear layer; 17 folded.
    assert ops.count("BatchNormalization") == 5 + 2
    assert source_pixels(path) == ({"mean": 127.5, "scale": 1 / 127.5}, False)
    assert source_embedding_size(path) == 16
    matches(path, exported[1])


def test_other_ways_to_write_the_same(exported, tmp_path):
    def change(model):
        for node in model.graph.node:
            if node.op_type == "PRelu":  # (C,1,1) for (C,), or ours
                slope = array(model, node.input[1])
                replace(model, node.input[1], slope.reshape(-1, 1, 1))
            if node.op_type == "Gemm":  # a product, and its bias apart
                weight, bias = list(node.input)[1:]
                replace(model, weight, np.ascontiguousarray(array(model, weight).T))
                out = node.output[0]
                node.CopyFrom(onnx.helper.make_node("MatMul", [node.input[0], weight], ["product"]))
                add = onnx.helper.make_node("Add", [bias, "product"], [out])
        place = [node.op_type for node in model.graph.node].index("MatMul") + 1
        model.graph.node.insert(place, add)

    matches(rewritten(exported, tmp_path, change), exported[1])


def test_folded_into_the_linear_layer_too(exported, tmp_path):
    def change(model):
        (gemm,) = [n for n in model.graph.node if n.op_type == "Gemm"]
        last = next(n for n in reversed(model.graph.node) if n.op_type == "BatchNormalization")
        gamma, beta, mean, variance = (array(model, name) for name in last.input[1:])
        factor = gamma / np.sqrt(variance + 1e-5)
        replace(model, gemm.input[1], array(model, gemm.input[1]) * factor[:, None])
        bias = array(model, gemm.input[2]) * factor + beta - mean * factor
        replace(model, gemm.input[2], bias.astype("float32"))
        gemm.output[0] = model.graph.output[0].name
        place = list(model.graph.node).index(gemm) + 1
        del model.graph.node[place:]

    path = rewritten(exported, tmp_path, change)
    assert source_embedding_size(path) == 16
    matches(path, exported[1])


# --- what exporters and simplifiers of several years make of the same network -------------------


def const(model, name, value):
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return name


def insert_before(model, node, *new):
    place = list(model.graph.node).index(node)
    for one in reversed(new):
        model.graph.node.insert(place, one)


def ops(model, kind):
    return [node for node in model.graph.node if node.op_type == kind]


def inputs_too(model):
    """MXNet's exporter, and old PyTorch, list the initializers among the inputs."""
    for tensor in model.graph.initializer:
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(info)


def numbered(model):
    """As PyTorch 1.8 names them; a free batch as InsightFace's files have it."""
    names = {"input.1": "input.1"}
    for node in model.graph.node:
        for row in (node.input, node.output):
            row[:] = [names.setdefault(name, str(400 + len(names))) for name in row]
        node.name = ""
    for tensor in model.graph.initializer:
        tensor.name = names.setdefault(tensor.name, tensor.name)
    model.graph.output[0].name = names[model.graph.output[0].name]
    dim = model.graph.input[0].type.tensor_type.shape.dim[0]
    dim.Clear()
    dim.dim_param = "None"


def flatten_by_shapes(model):
    """``x.view(x.size(0), -1)``, traced, in the opset of InsightFace's files."""
    model.opset_import[0].version = 11
    flat = ops(model, "Flatten")[0]
    make = onnx.helper.make_node
    zero = onnx.numpy_helper.from_array(np.array(0))
    minus = onnx.numpy_helper.from_array(np.array([-1]))
    insert_before(
        model,
        flat,
        make("Shape", [flat.input[0]], ["s"]),
        make("Constant", [], ["zero"], value=zero),
        make("Gather", ["s", "zero"], ["n"], axis=0),
        make("Constant", [], ["minus"], value=minus),
        make("Unsqueeze", ["n"], ["n1"], axes=[0]),
        make("Concat", ["n1", "minus"], ["to"], axis=0),
        make("Reshape", [flat.input[0], "to"], list(flat.output)),
    )
    model.graph.node.remove(flat)


def flatten_by_a_constant(model):
    """The same after a simplifier."""
    flat = ops(model, "Flatten")[0]
    to = const(model, "to", [-1, 32 * 49])
    new = onnx.helper.make_node("Reshape", [flat.input[0], to], list(flat.output))
    insert_before(model, flat, new)
    model.graph.node.remove(flat)


def constants_left(model):
    """Without constant folding: the transpose of the weights, the axes of the slopes."""
    make = onnx.helper.make_node
    for number, node in enumerate(ops(model, "PRelu")):
        slope = array(model, node.input[1])
        replace(model, node.input[1], slope.reshape(-1))
        axes = const(model, f"axes {number}", [1, 2])
        new = f"slope {number}"
        insert_before(model, node, make("Unsqueeze", [node.input[1], axes], [new]))
        node.input[1] = new
    (gemm,) = ops(model, "Gemm")
    weight = gemm.input[1]
    insert_before(model, gemm, make("Transpose", [weight], ["wt"], perm=[1, 0]))
    product = make("MatMul", [gemm.input[0], "wt"], ["product"])
    insert_before(model, gemm, product, make("Sum", [gemm.input[2], "product"], list(gemm.output)))
    model.graph.node.remove(gemm)


def shared_by_identity(model):
    """Equal tensors are kept once (PyTorch 1.10 and later); a Dropout of inference stays."""
    make = onnx.helper.make_node
    conv = ops(model, "Conv")[0]
    insert_before(model, conv, make("Identity", [conv.input[1]], ["the same"]))
    conv.input[1] = "the same"
    flat = ops(model, "Flatten")[0]
    ratio = const(model, "ratio", np.float32(0.4))
    insert_before(model, flat, make("Dropout", [flat.input[0], ratio], ["kept", "mask"]))
    flat.input[0] = "kept"
    (gemm,) = ops(model, "Gemm")
    replace(model, gemm.input[2], array(model, gemm.input[2]).reshape(1, -1))


def bias_apart(model):
    """A convolution's bias as an addition."""
    conv = ops(model, "Conv")[3]
    bias = conv.input[2]
    replace(model, bias, array(model, bias).reshape(1, -1, 1, 1))
    del conv.input[2]
    add = onnx.helper.make_node("Add", ["no bias", bias], list(conv.output))
    conv.output[0] = "no bias"
    model.graph.node.insert(list(model.graph.node).index(conv) + 1, add)


VARIANTS = (
    inputs_too,
    numbered,
    flatten_by_shapes,
    flatten_by_a_constant,
    constants_left,
    shared_by_identity,
    bias_apart,
)


@pytest.mark.parametrize("change", VARIANTS, ids=lambda change: change.__name__)
def test_versions_of_exporters(exported, tmp_path, change):
    path = rewritten(exported, tmp_path, change)
    onnx.checker.check_model(onnx.load(str(path)))
    matches(path, exported[1])


def test_some_folded_and_others_not(exported, tmp_path):
    """As where a program stops at layers that it does not know."""

    def change(model):
        conv = ops(model, "Conv")[2]
        name = conv.output[0]
        for role, value in (("g", 2), ("b", 0.5), ("m", 0.5), ("v", 4 - 1e-5)):
            const(model, role, np.full(8, value, "float32"))
        # 2 (x - 0.5) / 2 + 0.5 = x: the numbers stay, the layer is one more.
        norm = onnx.helper.make_node("BatchNormalization", ["raw", *"gbmv"], [name])
        conv.output[0] = "raw"
        model.graph.node.insert(list(model.graph.node).index(conv) + 1, norm)

    matches(rewritten(exported, tmp_path, change), exported[1])


@pytest.mark.parametrize(
    "steps",
    [
        [("Sub", 127.5), ("Mul", 1 / 127.5)],
        [("Sub", np.full((1, 3, 1, 1), 127.5)), ("Div", np.full((3, 1, 1), 127.5))],
        [("Div", 255), ("Sub", 0.5), ("Div", 0.5)],
        [("Mul", 1 / 127.5, "first"), ("Add", -1)],
    ],
)
def test_pixels_inside(exported, tmp_path, steps):
    def change(model):
        source = "input.1"
        for number, (op, value, *first) in enumerate(steps):
            name = const(model, f"c{number}", np.asarray(value, "float32"))
            operands = [name, source] if first else [source, name]
            source = f"p{number}"
            model.graph.node.insert(number, onnx.helper.make_node(op, operands, [source]))
        model.graph.node[len(steps)].input[0] = source

    path = rewritten(exported, tmp_path, change)
    pixels, inside = source_pixels(path)
    assert inside
    np.testing.assert_allclose([pixels["mean"], pixels["scale"]], [127.5, 1 / 127.5], rtol=1e-6)
    matches(path, exported[1])


def test_pixels_that_no_backbone_here_sees(exported, tmp_path):
    def change(model):
        value = np.array([123.7, 116.3, 103.5], "float32").reshape(1, 3, 1, 1)
        const(model, "mean", value)
        model.graph.node.insert(0, onnx.helper.make_node("Sub", ["input.1", "mean"], ["p"]))
        model.graph.node[1].input[0] = "p"

    with pytest.raises(DataError, match=r"differently \(Sub .*123\.7, 116\.3, 103\.5"):
        load_weights(narrow(), rewritten(exported, tmp_path, change))


def test_tensors_without_use_are_named(exported, tmp_path, caplog):
    path = rewritten(exported, tmp_path, lambda model: const(model, "left over", [1.0, 2.0]))
    matches(path, exported[1])
    assert "not used by its graph: left over" in caplog.text


def test_what_does_not_fit_is_named(exported, tmp_path):
    def widen(model):
        replace(model, "stages_0_0_conv1_weight", np.zeros((9, 8, 3, 3), "float32"))

    def slope(model):
        return [n for n in model.graph.node if n.op_type == "PRelu"][3].input[1]

    def drop(model):
        replace(model, slope(model), np.zeros(1, "float32"), "another")

    def nan(model):
        replace(model, slope(model), array(model, slope(model)) * np.float32(np.nan))

    def gamma(model):
        last = [n for n in model.graph.node if n.op_type == "BatchNormalization"][-1]
        last.input[1] = "gamma of two"
        replace(model, "gamma of two", np.full(16, 2, "float32"))

    def stride(model):
        conv = next(n for n in model.graph.node if n.op_type == "Conv")
        next(a for a in conv.attribute if a.name == "strides").ints[:] = [2, 2]

    for change, message in (
        (widen, "num_filter 9; .* has 8 there"),
        (drop, "'stages_1_1_prelu_alpha_3d' of .* is missing"),
        (nan, "'stages_1_1_prelu_alpha_3d' of .* holds NaN"),
        (gamma, "'gamma of two' of .* is not 1"),
        (stride, r"has stride \(2, 2\)"),
    ):
        with pytest.raises(DataError, match=message):
            load_weights(narrow(), rewritten(exported, tmp_path, change))
    with pytest.raises(DataError, match=r"layer 1 of .* has stride"):
        load_weights(
            get_model("mbf", embedding_size=16, scale=1 / 127.5), rewritten(exported, tmp_path)
        )


def test_broken_files(exported, tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(InputError, match="there is no file"):
        load_weights(narrow(), path)
    for content in (b"", b"garbage", exported[0][: len(exported[0]) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.onnx"):
            load_weights(narrow(), path)

    def elsewhere(model):
        tensor = model.graph.initializer[0]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../secret")

    model = onnx.load_model_from_string(exported[0])
    elsewhere(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="lies in another file"):
        load_weights(narrow(), path)


def test_embeddings_of_the_reference(shared):
    folder = shared / "reference/weights"
    with np.load(folder / "expected.npz", allow_pickle=False) as file:
        expected = dict(file)
    path = folder / "arcface_torch_mbf.onnx"
    net = get_model("mbf", **source_pixels(path)[0])
    files = load_weights(net, path)
    assert [len(digest) for digest in files.values()] == [64]
    x = expected["images"].transpose(0, 3, 1, 2).astype("float32")
    for suffix, view in (("", x), ("__flip", x[..., ::-1])):
        got = net(mx.nd.array(view)).asnumpy()
        # Both are float32; their README measures 1.5e-5 between two runtimes.
        want = expected[f"arcface_torch_mbf_onnx{suffix}"]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
