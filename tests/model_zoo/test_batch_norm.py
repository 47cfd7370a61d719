"""Imported weights train as the network that they were part of."""

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.model_zoo import get_model
from gluonface.model_zoo._batch_norm import adopt_batch_norms, batch_norms
from gluonface.weights import load_weights, open_weights
from gluonface.weights.layers import read_layers


def train_step(net, images, slope):
    """Return output and gradients by name of one step, whose loss is the sum of slope * output."""
    with mx.autograd.record():
        embedding = net(images)
        loss = (embedding * slope).sum()
    loss.backward()
    parameters = net._collect_params_with_prefix()
    trained = {name: p for name, p in parameters.items() if p.grad_req != "null"}
    return embedding.asnumpy(), {name: p.grad().asnumpy() for name, p in trained.items()}


@pytest.fixture(scope="module")
def source(shared):
    return open_weights(shared / "data/insightface-mobilefacenet/model")


def names_in(weights, net):
    """Return {name in our network: name in the source}, by the order of the layers."""
    from gluonface.weights.graph import Graph

    structural = {p.name: name for name, p in net._collect_params_with_prefix().items()}
    graph = Graph.from_symbol(net.to_symbol())
    for node in graph.nodes():
        node.name = structural.get(node.name, node.name)
    pairs = zip(read_layers(graph).layers, weights.layers.layers)
    return {name: b.params[role] for a, b in pairs for role, name in a.params.items()}


def test_training_step_is_the_sources_own(source):
    """Forward, gradients and running statistics of InsightFace's symbol."""
    net = get_model("mobilefacenet", embedding_size=source.embedding_size)
    load_weights(net, source)
    assert net.cfg.batch_norm == {
        "*": {"eps": 0.001},
        "head.bn2": {"eps": 2e-05, "fix_gamma": True},
    }
    names = names_in(source, net)
    rng = np.random.default_rng(0)
    images = mx.nd.array(rng.uniform(0, 255, (4, 3, 112, 112)))
    slope = mx.nd.array(rng.standard_normal((4, source.embedding_size)))

    arrays = {k.split(":", 1)[-1]: mx.nd.array(v) for k, v in source.content.arrays.items()}
    symbol = source.symbol
    gradients = {k: mx.nd.zeros_like(arrays[k]) for k in symbol.list_arguments() if k != "data"}
    executor = symbol.bind(
        mx.cpu(),
        {**{k: arrays[k] for k in gradients}, "data": images},
        args_grad=gradients,
        aux_states={k: arrays[k] for k in symbol.list_auxiliary_states()},
    )
    theirs = executor.forward(is_train=True)[0].asnumpy()
    executor.backward([slope])
    embedding, ours = train_step(net, images, slope)

    # Measured: 2e-7, and 9e-6 of gradients. With the eps of the architecture: 0.9 and 1.5.
    assert abs(embedding - theirs).max() < 1e-5 * abs(theirs).max()
    assert "head.bn2.gamma" not in ours
    assert len(ours) > 150
    wanted = {name: gradients[names[name]].asnumpy() for name in ours}
    # What the next BatchNorm takes away again has a gradient of rounding errors.
    least = 1e-3 * max(np.linalg.norm(want) for want in wanted.values())
    for name, want in wanted.items():
        error = np.linalg.norm(ours[name] - want)
        assert error < 1e-3 * max(np.linalg.norm(want), least), name
    parameters = net._collect_params_with_prefix()
    for name in (name for name in parameters if "running" in name):
        want = executor.aux_dict[names[name]].asnumpy()
        got = parameters[name].data().asnumpy()
        size = abs(want).max()
        if name.endswith("mean"):  # it is a mean of numbers of this size
            variance = executor.aux_dict[names[name.replace("mean", "var")]].asnumpy()
            size += np.sqrt(variance).max()
        if name == "head.bn2.running_mean":  # the bias of the source's linear layer is in it
            got = got + arrays["pre_fc1_bias"].asnumpy()
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * size, err_msg=name)


def test_a_file_that_lacks_the_settings_says_so(tmp_path, caplog):
    settings = {"*": {"eps": 0.001}}
    net = get_model("mobilefacenet", embedding_size=8, batch_norm=settings)
    net.initialize()
    net.save_parameters(str(tmp_path / "x.params"))
    (line,) = caplog.messages
    assert "x.params does not say that BatchNorms have other settings" in line
    assert f"get_model('mobilefacenet', batch_norm={settings})" in line
    caplog.clear()
    net = get_model("mobilefacenet", embedding_size=8)
    net.initialize()
    net.save_parameters(str(tmp_path / "y.params"))
    assert not caplog.messages


def test_settings_are_those_that_differ():
    mx.random.seed(0)
    net = get_model("mobilefacenet", embedding_size=8)
    blocks = batch_norms(net)
    eps = {name: float(block._kwargs["eps"]) for name, block in blocks.items()}
    adopt_batch_norms(net, {name: np.float32(value) for name, value in eps.items()}, set())
    assert net.cfg.batch_norm == {}  # float32's 1e-5 is 1e-5

    net.hybridize()
    images = mx.nd.random.uniform(0, 255, (2, 3, 112, 112))
    with mx.autograd.record():
        before = net(images).asnumpy()
    first = next(iter(blocks))
    adopt_batch_norms(net, {**dict.fromkeys(eps, 1e-3), first: 1e-2}, {"head.bn2"})
    wanted = {"*": {"eps": 1e-3}, first: {"eps": 1e-2}, "head.bn2": {"fix_gamma": True}}
    assert net.cfg.batch_norm == wanted
    assert blocks["head.bn2"].gamma.grad_req == "null"
    with mx.autograd.record():
        after = net(images).asnumpy()
    assert abs(after - before).max() > 1e-5  # a traced graph is made anew

    again = get_model("mobilefacenet", embedding_size=8, batch_norm=wanted)
    assert again.cfg.batch_norm == wanted
    for name, block in batch_norms(again).items():
        assert block._kwargs == blocks[name]._kwargs


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head.bn9": {"eps": 1e-3}}, "head.bn9.*mobilefacenet has no such.*head.bn2"),
        ({"head.bn2": {"eps": 0}}, "expected {name of a BatchNorm"),
        ({"head.bn2": {"momentum": 0.9}}, "expected {name of a BatchNorm"),
        ([1e-3], "expected {name of a BatchNorm"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        get_model("mobilefacenet", batch_norm=settings)
