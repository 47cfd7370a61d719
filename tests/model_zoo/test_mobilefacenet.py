import json

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.model_zoo import get_model
from gluonface.model_zoo._count import count_params


def test_parameters_of_the_published_network():
    assert count_params(get_model("mobilefacenet")) == 1_003_136


def test_counts_of_the_reference(shared):
    truth = json.loads((shared / "spec/zoo_truth.json").read_text())
    rows = {row["name"]: row for row in truth}
    for name, size in (("MobileFaceNet_emb128", 128), ("MobileFaceNet", 512)):
        cfg = get_model("mobilefacenet", embedding_size=size).cfg
        assert cfg.params == rows[name]["params_trainable"]
        assert cfg.macs == rows[name]["macs_conv_linear"]


def test_stages():
    """Maps after the stem, each stage, the last convolution: section 2, table 1 of the paper."""
    net = get_model("mobilefacenet")
    internals = net.to_symbol().get_internals()
    _, shapes, _ = internals.infer_shape(data=(1, 3, 112, 112))
    convolutions = [
        shape[1:]
        for name, shape in zip(internals.list_outputs(), shapes)
        if "conv" in name and name.endswith("fwd_output")
    ]
    assert convolutions[:2] == [(64, 56, 56), (64, 56, 56)]
    assert [s for s in convolutions[2:] if s[0] in (64, 128) and s[1] in (28, 14, 7)][-1] == (
        128,
        7,
        7,
    )
    assert convolutions[-2:] == [(512, 7, 7), (512, 1, 1)]
    residual = sum(node["op"] == "elemwise_add" for node in json.loads(internals.tojson())["nodes"])
    assert residual == 4 + 6 + 2


def test_fast_form_leaves_no_slow_operator():
    net = get_model("mobilefacenet")
    used = {node["op"] for node in json.loads(net.to_symbol("fast").tojson())["nodes"]}
    assert "LeakyReLU" not in used
    assert "_contrib_BatchNormWithReLU" in used


@pytest.mark.parametrize(
    "ours", ["ours", pytest.param("composed", marks=pytest.mark.slow)], indirect=True
)
def test_gradients_of_the_forms_differ_by_rounding_only(ours):
    """Whole-network gradients, against the same network in float64.

    A rounding error near a kink switches a unit on or off, so float32 gradients of 50 layers are
    only good to about 1e-3; the fast form must not be worse than MXNet's operators.
    """
    mx.random.seed(3)
    rng = np.random.default_rng(0)
    x, out = rng.uniform(0, 255, (3, 3, 112, 112)), rng.standard_normal((3, 128))
    source = get_model("mobilefacenet")
    slopes = {}
    for name, parameter in source._collect_params_with_prefix().items():
        if name.endswith("alpha"):
            slopes[name] = rng.uniform(-0.5, 1.5, parameter.shape)
    results = {}
    for form, dtype in (
        ("elementwise", "float64"),
        ("elementwise", "float32"),
        ("fast", "float32"),
    ):
        net = get_model("mobilefacenet", prelu=form)
        for name, parameter in net._collect_params_with_prefix().items():
            value = source._collect_params_with_prefix()[name].data()
            parameter.set_data(mx.nd.array(slopes[name]) if name in slopes else value)
        net.cast(dtype)
        with mx.autograd.record():
            y = net(mx.nd.array(x, dtype=dtype))
        y.backward(mx.nd.array(out, dtype=dtype))
        results[form, dtype] = {
            name: parameter.grad().asnumpy()
            for name, parameter in net._collect_params_with_prefix().items()
            if parameter.grad_req != "null"
        }
    truth = results["elementwise", "float64"]

    def error(form):
        got = results[form, "float32"]
        return np.sqrt(
            sum(((got[n] - truth[n]) ** 2).sum() for n in truth)
            / sum((truth[n] ** 2).sum() for n in truth)
        )

    assert error("fast") < 3e-3
    assert error("fast") < 3 * error("elementwise")


def test_export_of_what_ran_with_our_operators(our_operators, tmp_path):
    """Gluon's own `export` would write the operators that only a program with gluonface has."""
    net = get_model("mobilefacenet")
    with pytest.raises(RuntimeError, match="hybridize"):
        net.export(str(tmp_path / "net"))
    net.hybridize()
    x = mx.nd.random.uniform(0, 255, (2, 3, 112, 112))
    y = net(x).asnumpy()
    assert "_gluonface_prelu" in net._cached_graph[1].tojson()
    net.export(str(tmp_path / "net"), epoch=3)
    assert "_gluonface" in net._cached_graph[1].tojson()
    assert "_gluonface" not in (tmp_path / "net-symbol.json").read_text()
    files = (str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0003.params"))
    again = mx.gluon.SymbolBlock.imports(*files)(x).asnumpy()
    np.testing.assert_allclose(again, y, rtol=1e-4, atol=1e-5)  # 50 layers of float32
    np.testing.assert_array_equal(net(x).asnumpy(), y)
