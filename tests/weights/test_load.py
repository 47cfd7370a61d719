import json
import shutil

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights, open_weights
from gluonface.weights.load import load_net
from gluonface.weights.mxnet_params import params_bytes

SIZE = 16


def images(n=2, seed=0):
    return mx.nd.array(np.random.default_rng(seed).uniform(0, 255, (n, 3, 112, 112)))


def randomise(net, seed=0):
    rng = np.random.default_rng(seed)
    for name, parameter in sorted(net._collect_params_with_prefix().items()):
        if name.endswith("weight"):
            value = rng.standard_normal(parameter.shape) / np.sqrt(np.prod(parameter.shape[1:]))
        else:
            value = rng.uniform(0.5, 1.5, parameter.shape) * (-1 if "mean" in name else 1)
        parameter.set_data(mx.nd.array(value))
    return net


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Return the prefix of a checkpoint such as InsightFace wrote, and its embeddings.

    The same layers under other names; no eps (so 1e-3), fix_gamma with gammas that are to be
    ignored, a bias before the last BatchNorm, and a classifier after it.
    """
    net = randomise(get_model("mobilefacenet", embedding_size=SIZE, prelu="plain"))
    structural = {p.name: name for name, p in net._collect_params_with_prefix().items()}
    graph = json.loads(net.to_symbol().tojson())
    nodes, arrays = graph["nodes"], {}
    rng = np.random.default_rng(9)
    for node in nodes:
        node.pop("subgraphs", None)
        if node["op"] == "null" and node["name"] in structural:
            value = net.collect_params()[node["name"]].data().asnumpy()
            kind = "aux" if "running" in node["name"] else "arg"
            node["name"] = f"layer_{structural[node['name']].replace('.', '_')}_x"
            arrays[f"{kind}:{node['name']}"] = value
        if node["op"] == "BatchNorm":
            del node["attrs"]["eps"]
            if "bn3" in nodes[node["inputs"][1][0]]["name"]:
                node["attrs"]["fix_gamma"] = "True"
    last = next(n for n in nodes if n["op"] == "FullyConnected")
    last["attrs"]["no_bias"] = "False"
    nodes.append({"op": "null", "name": "odd_bias", "inputs": []})
    last["inputs"].append([len(nodes) - 1, 0, 0])
    arrays["arg:odd_bias"] = rng.standard_normal(SIZE).astype("float32")
    # Nodes must come after their inputs: put the bias first and renumber.
    moved = [nodes.pop(), *nodes]
    for node in moved:
        node["inputs"] = [[(i + 1) % len(moved), *rest] for i, *rest in node["inputs"]]
    head = graph["heads"][0][0] + 1
    moved[head]["name"] = "fc1"
    graph["nodes"] = moved
    graph["heads"] = [[head, 0, 0]]
    graph["arg_nodes"] = [i for i, n in enumerate(moved) if n["op"] == "null"]
    graph.pop("node_row_ptr")
    fc1 = mx.sym.load_json(json.dumps(graph))
    whole = mx.sym.FullyConnected(fc1, num_hidden=3, no_bias=True, name="fc7")
    arrays["arg:fc7_weight"] = rng.standard_normal((3, SIZE)).astype("float32")
    prefix = tmp_path_factory.mktemp("foreign") / "model"
    whole.save(f"{prefix}-symbol.json")
    prefix.with_name("model-0000.params").write_bytes(params_bytes(arrays))
    named = {k.split(":")[1]: mx.nd.array(v) for k, v in arrays.items()}
    executor = fc1.bind(
        mx.cpu(),
        {**{k: named[k] for k in fc1.list_arguments() if k != "data"}, "data": images()},
        aux_states={k: named[k] for k in fc1.list_auxiliary_states()},
    )
    return prefix, executor.forward(is_train=False)[0].asnumpy(), arrays


def rewrite(foreign, folder, change=None, symbol=None):
    prefix, _, arrays = foreign
    arrays = dict(arrays)
    if change:
        change(arrays)
    text = prefix.with_name("model-symbol.json").read_text()
    (folder / "model-symbol.json").write_text(symbol(text) if symbol else text)
    (folder / "model-0000.params").write_bytes(params_bytes(arrays))
    return folder / "model"


def net_of(size=SIZE, **kwargs):
    return get_model("mobilefacenet", embedding_size=size, **kwargs)


@pytest.mark.parametrize("prelu", ["fast", "plain"])
def test_checkpoint_with_everything_odd(foreign, prelu):
    prefix, want, _ = foreign
    assert open_weights(prefix).embedding_size == SIZE
    net = net_of(prelu=prelu)
    files = load_weights(net, prefix)
    assert sorted(files) == ["model-0000.params", "model-symbol.json"]
    assert all(len(value) == 64 for value in files.values())
    # Rounding of 50 layers; an eps of 1e-5 for 1e-3 alone moves 2e-2.
    np.testing.assert_allclose(net(images()).asnumpy(), want, atol=2e-5 * np.abs(want).max())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"op": "elemwise_add"', '"op": "_Plus"'),
        ('"op": "elemwise_add"', '"op": "_plus"'),
        ('"attrs": {', '"attr": {'),
        ('"attrs": {', '"param": {'),
        ('"op": "_minus_scalar"', '"op": "_MinusScalar"'),
        ('"op": "Flatten"', '"op": "Reshape"'),
    ],
)
def test_graphs_of_older_versions(foreign, tmp_path, old, new):
    text = foreign[0].with_name("model-symbol.json").read_text()
    assert old in text
    net = net_of()
    load_weights(net, rewrite(foreign, tmp_path, symbol=lambda text: text.replace(old, new)))
    np.testing.assert_allclose(net(images()).asnumpy(), foreign[1], atol=2e-5 * foreign[1].max())


def test_half_precision(foreign, tmp_path):
    """As training in float16 saves them; the numbers are widened and not rounded again."""

    def halve(arrays):
        arrays.update({key: value.astype("float16") for key, value in arrays.items()})

    net, want = net_of(), net_of()
    load_weights(net, rewrite(foreign, tmp_path, halve))
    load_weights(want, foreign[0])
    for (name, p), q in zip(
        net._collect_params_with_prefix().items(), want.collect_params().values()
    ):
        rounded = q.data().asnumpy().astype("float16").astype("float32")
        if name != "head.bn2.running_mean" and "running_var" not in name:  # made of two numbers
            np.testing.assert_array_equal(p.data().asnumpy(), rounded)


def test_own_parameters_and_own_graph(tmp_path):
    net = randomise(net_of(), seed=4)
    want = net(images()).asnumpy()
    net.save_parameters(str(tmp_path / "own.params"))
    again = net_of()
    load_weights(again, tmp_path / "own.params")
    np.testing.assert_array_equal(again(images()).asnumpy(), want)
    again = net_of()
    with mx.autograd.pause():
        plain = net_of(prelu="plain")
        load_weights(plain, tmp_path / "own.params")
        plain.hybridize()
        plain(images())
        plain.export(str(tmp_path / "exported"))
    load_weights(again, tmp_path / "exported")
    np.testing.assert_allclose(again(images()).asnumpy(), want, atol=1e-5 * np.abs(want).max())


def test_no_values_are_drawn_that_are_read_then(tmp_path):
    net = randomise(net_of(), seed=4)
    net.save_parameters(str(tmp_path / "own.params"))
    mx.random.seed(3)
    expected = mx.nd.random.uniform(shape=5).asnumpy()
    mx.random.seed(3)
    again = load_net(f"mobilefacenet:{tmp_path / 'own.params'}")
    np.testing.assert_array_equal(mx.nd.random.uniform(shape=5).asnumpy(), expected)
    np.testing.assert_array_equal(again(images()).asnumpy(), net(images()).asnumpy())
    with mx.autograd.record():  # it can be trained
        again(images()).sum().backward()
    assert all(p.grad().asnumpy().any() for p in again.collect_params(".*gamma|.*alpha").values())


def test_goes_to_every_context(foreign):
    net = net_of(ctx=[mx.cpu(0), mx.cpu(1)])
    load_weights(net, foreign[0])
    y = net(images().as_in_context(mx.cpu(1))).asnumpy()
    np.testing.assert_allclose(y, foreign[1], atol=2e-5 * np.abs(y).max())


def test_a_failed_import_changes_nothing(foreign, tmp_path):
    def change(arrays):
        arrays["arg:odd_bias"] = arrays["arg:odd_bias"][:-1]

    net = randomise(net_of(), seed=2)
    want = net(images()).asnumpy()
    with pytest.raises(DataError):
        load_weights(net, rewrite(foreign, tmp_path, change))
    np.testing.assert_array_equal(net(images()).asnumpy(), want)


def drop(name):
    return lambda arrays: arrays.pop(name)


def put(name, value):
    return lambda arrays: arrays.update({name: np.asarray(value, "float32")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("arg:layer_stem_prelu1_alpha_x"), "layer_stem_prelu1_alpha_x of its graph missing"),
        (put("arg:surplus", [1]), "surplus not in its graph"),
        (
            put("arg:layer_stem_prelu1_alpha_x", np.ones(63)),
            r"'layer_stem_prelu1_alpha_x'.*\(63,\).*\(64,\)",
        ),
        (put("arg:odd_bias", np.ones(SIZE + 1)), "'odd_bias'"),
        (put("aux:layer_stem_bn1_running_var_x", [np.nan] * 64), "running_var_x.*NaN"),
        (put("arg:layer_stem_bn1_gamma_x", np.ones((64, 1))), "'layer_stem_bn1_gamma_x'"),
    ],
)
def test_wrong_tensors_are_named(foreign, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        load_weights(net_of(), rewrite(foreign, tmp_path, change))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"stride": "(2, 2)"', '"stride": "(1, 1)"', r"layer 1 .*stride \(1, 1\).*stem\.conv1"),
        ('"act_type": "prelu"', '"act_type": "leaky"', "BatchNorm|Convolution|LeakyReLU"),
        ('"scalar": "127.5"', '"scalar": "128"', "mean=128"),
        ('"op": "elemwise_add"', '"op": "elemwise_mul"', r"is fed by elemwise_mul\("),
        ("{", "", "is not an MXNet symbol"),
    ],
)
def test_wrong_graphs_are_explained(foreign, tmp_path, old, new, message):
    text = foreign[0].with_name("model-symbol.json").read_text()
    assert old in text
    prefix = rewrite(foreign, tmp_path, symbol=lambda text: text.replace(old, new))
    with pytest.raises((DataError, InputError), match=message):
        load_weights(net_of(), prefix)


def test_another_embedding_size(foreign):
    with pytest.raises(DataError, match=rf"num_hidden {SIZE}; mobilefacenet has 32"):
        load_weights(net_of(32), foreign[0])


def test_parameters_of_another_network(tmp_path):
    net = net_of(32)
    net.save_parameters(str(tmp_path / "a.params"))
    with pytest.raises(DataError, match=r"'head\.fc\.weight'.*\(32, 512\).*\(16, 512\)"):
        load_weights(net_of(), tmp_path / "a.params")
    (tmp_path / "b.params").write_bytes(params_bytes({"a.b": np.ones(2, "float32")}))
    with pytest.raises(DataError, match=r"missing: .*and \d+ more; not in the model: a\.b"):
        load_weights(net_of(), tmp_path / "b.params")


def test_garbage(tmp_path):
    for content in (b"", b"garbage", b"\x12\x01" + b"\0" * 6, b"\x80\x02}q\0."):
        (tmp_path / "a.params").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.params"):
            load_weights(net_of(), tmp_path / "a.params")


def test_insightface_mobilefacenet(shared):
    """A real model, written by MXNet 1.0: real faces, mirrored too."""
    from gluonface.data import VerificationPack

    prefix = str(shared / "data/insightface-mobilefacenet/model")
    theirs = mx.gluon.SymbolBlock.imports(
        f"{prefix}-symbol.json", ["data"], f"{prefix}-0000.params"
    )
    net = get_model("mobilefacenet")
    load_weights(net, prefix)
    faces = [
        VerificationPack.load(shared / "data" / name).images(i)
        for name in ("lfw_small.bin", "att/att_test.bin")
        for i in range(0, 10, 2)
    ]
    x = np.concatenate(faces).transpose(0, 3, 1, 2).astype("float32")
    for view in (x, x[..., ::-1].copy()):
        want = theirs(mx.nd.array(view)).asnumpy()
        got = net(mx.nd.array(view)).asnumpy()
        assert np.abs(want).max() > 0.5
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_resnet_is_not_taken_for_mobilefacenet(shared, tmp_path):
    folder = shared / "reference/weights"
    for end in ("-symbol.json", "-0000.params"):
        shutil.copy(folder / f"insightface_mxnet_resnet{end}", tmp_path / f"r{end}")
    with pytest.raises(DataError, match=r"layer 1 .*'conv0_weight'"):
        load_weights(get_model("mobilefacenet"), tmp_path / "r")
