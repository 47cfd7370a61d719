import json
import subprocess
import sys

import numpy as np
import pytest
from deploy_nets import make_small, pixels

from gluonface._compat import mx
from gluonface.deploy import export_model, export_source
from gluonface.deploy.parity import disagreement, noise
from gluonface.errors import GluonfaceError, InputError
from gluonface.files import sha256
from gluonface.model_zoo import get_model, list_models

# Two float32 runs of one function by different operators: a few ulp of the largest term.
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(params=["small", "mobilefacenet"])
def exported(request, tmp_path, small_net, mobilefacenet):
    net = {"small": small_net, "mobilefacenet": mobilefacenet}[request.param]
    return net, export_model(net, tmp_path / "deep" / "model"), str(tmp_path / "deep" / "model")


def test_every_loader_gives_the_eager_output(exported, images):
    net, files, prefix = exported
    x = pixels(images)
    expected = net(x).asnumpy()
    assert expected.std() > 0.1  # the comparison means something

    block = mx.gluon.SymbolBlock.imports(str(files["symbol"]), ["data"], str(files["params"]))
    np.testing.assert_allclose(block(x).asnumpy(), expected, **CLOSE)

    symbol, args, auxs = mx.model.load_checkpoint(prefix, 0)
    assert symbol.list_outputs() == ["fc1_output"]
    assert set(args) == set(symbol.list_arguments()) - {"data"}
    assert set(auxs) == set(symbol.list_auxiliary_states())
    for batch in (1, 3, 7):
        module = mx.mod.Module(
            symbol.get_internals()["fc1_output"], data_names=["data"], label_names=None
        )
        module.bind([("data", (batch, 3, 112, 112))], for_training=False)
        module.set_params(args, auxs)
        module.forward(mx.io.DataBatch([x[:batch]]), is_train=False)
        np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), expected[:batch], **CLOSE)


def test_graph_holds_plain_prelu(exported):
    nodes = json.loads(exported[1]["symbol"].read_text())["nodes"]
    prelus = [n for n in nodes if n["op"] == "LeakyReLU"]
    alphas = [n for n in nodes if n["name"].endswith("_alpha")]
    assert len(prelus) == len(alphas) > 0
    assert all(n["attrs"]["act_type"] == "prelu" for n in prelus)
    assert len({n["name"] for n in nodes}) == len(nodes)


def test_names_are_places_in_the_network(exported):
    net, files, _ = exported
    names = {n["name"] for n in json.loads(files["symbol"].read_text())["nodes"]}
    for path in net._collect_params_with_prefix():
        assert path.replace(".", "_") in names


def test_same_weights_same_bytes(tmp_path):
    one = export_model(make_small(), tmp_path / "a")
    two = export_model(make_small(), tmp_path / "b")
    assert one["symbol"].read_bytes() == two["symbol"].read_bytes()
    assert one["params"].read_bytes() == two["params"].read_bytes()
    other = export_model(make_small(seed=1), tmp_path / "c")
    assert one["params"].read_bytes() != other["params"].read_bytes()


def test_network_is_left_as_it_was(small_net, images, tmp_path):
    small_net.hybridize()
    before = small_net(pixels(images)).asnumpy()
    export_model(small_net, tmp_path / "m")
    np.testing.assert_array_equal(small_net(pixels(images)).asnumpy(), before)
    assert small_net.features[2].active_form == "fast"


def test_half_precision_network_is_widened(small_net, images, tmp_path):
    expected = small_net(pixels(images)).asnumpy()
    small_net.cast("float16")
    files = export_model(small_net, tmp_path / "m")
    arrays = mx.nd.load(str(files["params"]))
    assert {a.dtype for a in arrays.values()} == {np.float32}
    block = mx.gluon.SymbolBlock.imports(str(files["symbol"]), ["data"], str(files["params"]))
    error = np.abs(block(pixels(images)).asnumpy() - expected).max()
    assert 0 < error < 0.02 * np.abs(expected).max()  # of rounding the weights to 11 bits


def test_card(mobilefacenet, tmp_path):
    card = {"training_data": "made-up faces", "licence": "MIT", "metrics": {"lfw": 0.99}}
    files = export_model(mobilefacenet, tmp_path / "m", card=card)
    written = json.loads(files["card"].read_text())
    assert written["name"] == "mobilefacenet"
    assert written["embedding_size"] == 128
    assert written["input_size"] == [112, 112]
    assert (written["color"], written["preprocessing"]) == ("RGB", "inside")
    assert (written["mean"], written["scale"]) == (127.5, 1 / 128)
    assert {k: written[k] for k in card} == card
    assert written["sha256"]["params"] == sha256(files["params"])
    assert written["sha256"]["symbol"] == sha256(files["symbol"])
    assert written["versions"]["mxnet"] == mx.__version__


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("MIT", "card is a str; expected a dict"),
        ({"sha256": {}}, "card sets sha256"),
        ({"metrics": {1, 2}}, "cannot be written as JSON"),
    ],
)
def test_wrong_card(small_net, tmp_path, card, message):
    with pytest.raises(InputError, match=message):
        export_model(small_net, tmp_path / "m", card=card)
    assert not list(tmp_path.iterdir())


def test_wrong_networks(tmp_path, small_net):
    with pytest.raises(InputError, match="net is a function; expected a gluon HybridBlock"):
        export_model(make_small, tmp_path / "m")
    with pytest.raises(InputError, match="is a folder; give a prefix in it"):
        export_model(small_net, tmp_path)
    fresh = mx.gluon.nn.Dense(4)
    fresh.initialize()
    with pytest.raises(InputError, match="parameter weight of the network has no values yet"):
        export_model(fresh, tmp_path / "m")


class Wanders(mx.gluon.nn.HybridBlock):
    """Gives one thing eagerly and another as a symbol."""

    def __init__(self):
        super().__init__()
        self.fc = mx.gluon.nn.Dense(4, in_units=3 * 112 * 112)

    def hybrid_forward(self, F, x):
        return self.fc(x) * (1 if F is mx.nd else 2)


def test_a_graph_that_is_not_the_network_is_refused(tmp_path):
    net = Wanders()
    net.initialize()
    with pytest.raises(GluonfaceError, match="differs from the network"):
        export_model(net, tmp_path / "m")
    assert not list(tmp_path.iterdir())


# MXNet 1.9.1 alone, with what it misses of a newer NumPy.
ALONE = """
import sys
import numpy

numpy.bool = bool
import mxnet as mx

prefix = sys.argv[1]
x = mx.nd.array(numpy.load(prefix + ".npy"))
symbol, arguments, auxiliary = mx.model.load_checkpoint(prefix, 0)
module = mx.mod.Module(symbol.get_internals()["fc1_output"], data_names=["data"], label_names=None)
module.bind([("data", x.shape)], for_training=False)
module.set_params(arguments, auxiliary)
module.forward(mx.io.DataBatch([x], label=None), is_train=False)
block = mx.gluon.SymbolBlock.imports(prefix + "-symbol.json", ["data"], prefix + "-0000.params")
executor = symbol.bind(mx.cpu(), {**arguments, "data": x}, aux_states=auxiliary, grad_req="null")
rows = [module.get_outputs()[0], block(x), executor.forward(is_train=False)[0]]
assert "gluonface.nn" not in sys.modules  # but for the hook at the start of Python
numpy.save(prefix + "-out.npy", numpy.stack([row.asnumpy() for row in rows]))
"""
# With one slope for all channels, of maps and of flat features. In resnest* two widths share one.
SHARED = ("gluonfr_mobilefacenet_re_se", "se_resnet18_v2")


@pytest.mark.parametrize(
    "name",
    [n if n in SHARED else pytest.param(n, marks=pytest.mark.slow) for n in list_models()],
)
def test_every_name_loads_without_this_package(tmp_path, name):
    """By `Module`, `SymbolBlock.imports` and `load_checkpoint`; exported twice."""
    if not np.__version__.startswith("1."):
        pytest.skip("MXNet without this package needs NumPy 1")
    mx.random.seed(3)
    net = get_model(name)
    images = noise(net.cfg.input_size)

    def run(images):
        return net(mx.nd.array(images)).asnumpy()

    # Untrained, the deepest networks magnify rounding to the size of the embedding itself.
    one, other = run(images), run(images + np.float32(2e-4))
    if np.abs(one - other).max() > 1e-3 * np.abs(one).max():
        for key, parameter in net.collect_params().items():
            if key.endswith("gamma"):
                parameter.set_data(0.7 * parameter.data())
    export_model(net, tmp_path / "once")
    export_source(tmp_path / "once", tmp_path / "m")
    np.save(tmp_path / "m.npy", images)
    command = [sys.executable, "-c", ALONE, str(tmp_path / "m")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    want = run(images)
    for got in np.load(tmp_path / "m-out.npy"):
        # Untrained, some magnify rounding.
        error, allowed = disagreement(got, want, run, net.cfg.input_size)
        assert error < allowed
    for file in tmp_path.iterdir():
        file.unlink()  # pytest keeps its folders
