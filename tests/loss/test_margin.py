"""Parameters of the losses: defaults, ranges, messages."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import gluonface
from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import MarginSoftmaxLoss, get_loss
from gluonface.loss._margin import LOSSES


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("arcface", {"margin": 28.6}, ("margin=28.6", "3.14159", "radians", "degrees", "0.5")),
        ("arcface", {"margin": -0.1}, ("margin=-0.1", "at least 0")),
        ("arcface", {"margin": float("nan")}, ("margin=nan",)),
        ("arcface", {"margin": "0.5"}, ("margin='0.5'",)),
        ("arcface", {"scale": 0}, ("scale=0", "above 0")),
        ("arcface", {"policy": "soft"}, ("policy='soft'", "hard, easy, none, psi")),
        ("arcface", {"margn": 0.5}, ("no parameter 'margn'", "Did you mean 'margin'")),
        ("cosface", {"margin": 2.5}, ("margin=2.5", "at most 2")),
        ("combined", {"m1": 1.2, "policy": "hard"}, ("policy='hard'", "m1=1.2", "psi")),
        ("sphereface", {"margin": 2.5}, ("margin=2.5", "a whole number at least 1 and at most 5")),
        ("sphereface", {"margin": None}, ("margin=None",)),
        ("svx", {"t": 0.9}, ("t=0.9", "at least 1", "weigh less")),
        ("mv", {"margin": -1}, ("margin=-1", "or none")),
        ("magface", {"l_a": 120.0}, ("l_a=120", "u_a=110", "below")),
        ("magface", {"u_m": 0.3}, ("l_m=0.45", "u_m=0.3")),
        ("subcenter_arcface", {"subcenters": 0}, ("subcenters=0", "whole number", "memory")),
        ("softmax", {"scale": 64.0}, ("softmax has no parameter 'scale'", "Known: none")),
    ],
)
def test_refused_parameters_say_what_is_allowed(name, params, words):
    with pytest.raises(InputError) as error:
        get_loss(name, **params)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("value", [-0.01, 1.01, "full", None])
def test_strength_is_between_0_and_1(value):
    margin = get_loss("arcface")
    with pytest.raises(InputError, match="at least 0 and at most 1"):
        margin.strength = value
    assert margin.strength == 1.0


def test_setting_a_parameter_is_checked_as_well():
    margin = get_loss("cosface")
    with pytest.raises(InputError, match="scale"):
        margin.scale = -1
    margin.scale = 32
    assert (margin.scale, type(margin.scale)) == (32.0, float)


def test_defaults_are_the_papers_and_show_in_repr_and_signature():
    assert repr(get_loss("ArcFace")) == "ArcFace(margin=0.5, scale=64.0, policy='hard')"
    assert repr(get_loss("normface", scale=64)) == "NormFace(scale=64.0)"
    names = list(inspect.signature(LOSSES.get("combined")).parameters)
    assert names == ["m1", "m2", "m3", "scale", "policy"]


def test_choosing_a_loss_does_not_need_mxnet():
    code = (
        "import sys; from gluonface.loss import get_loss; get_loss('arcface');"
        "print('mxnet' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
    assert gluonface.get_loss("arcface").name == "arcface"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 5, 1]), ("label 5", "sample 1", "from 0 to 4")),
        (np.array([0, -1, 1]), ("label -1", "sample 1")),
        (np.array([0, 1.5, 1]), ("label 1.5",)),
        (np.array([0, np.nan, 1]), ("label nan",)),
        (np.array([0, 1, 2], np.float16), ("float16", "int32")),
        (np.array([0, 1]), ("2 labels", "3")),
        (np.zeros((3, 2), int), ("(3, 2)",)),
    ],
)
def test_labels_that_are_no_class_are_named(labels, words):
    block = MarginSoftmaxLoss(get_loss("arcface"))
    with pytest.raises(InputError) as error:
        block(mx.nd.zeros((3, 5)), labels)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "labels",
    [
        [1, 4, 0],
        np.array([1, 4, 0], np.uint8),
        np.array([[1], [4], [0]], np.float32),
        mx.nd.array([1, 4, 0], dtype="int32"),
        mx.nd.array([1, 4, 0]),
    ],
    ids=["list", "uint8", "column", "int32 NDArray", "float32 NDArray"],
)
def test_labels_of_every_usual_form(labels):
    block = MarginSoftmaxLoss(get_loss("cosface"))
    cosine = mx.nd.array(np.linspace(-1, 1, 15).reshape(3, 5))
    want = block(cosine, np.array([1, 4, 0])).asnumpy()
    np.testing.assert_array_equal(block(cosine, labels).asnumpy(), want)


def test_float32_labels_are_refused_where_they_would_merge_classes():
    from gluonface.loss._labels import host_labels

    with pytest.raises(InputError, match="merges class ids above 16777216"):
        host_labels(np.zeros(2, np.float32), 20_000_000)
    assert host_labels(np.array([16777217]), 20_000_000) == [16777217]


@pytest.mark.parametrize("value", [-0.1, 1.0, "0.1"])
def test_label_smoothing_range(value):
    with pytest.raises(InputError, match="label_smoothing"):
        MarginSoftmaxLoss(get_loss("arcface"), label_smoothing=value)


@pytest.mark.parametrize(
    ("name", "words"), [("magface", "magface needs norm="), ("adam_softmax", "needs class_margin=")]
)
def test_what_a_loss_needs_beside_cosines_is_asked_for(name, words):
    with pytest.raises(InputError, match=words):
        MarginSoftmaxLoss(get_loss(name))(mx.nd.zeros((2, 5)), [0, 1])


def test_a_loss_that_learns_is_not_traced_into_another_block():
    block = MarginSoftmaxLoss(get_loss("curricularface"))
    with pytest.raises(InputError, match="curricularface learns from every batch"):
        block(*(mx.sym.var(name) for name in ("cosine", "label", "strength")))


def test_the_scale_that_a_number_of_classes_needs():
    margin = get_loss("l2softmax", scale=5.0)
    margin.prepare(10)
    with pytest.raises(InputError, match=r"scale=5 is too small for 86000 classes.*13.6"):
        margin.prepare(86000)


def test_whole_numbers_and_values_left_out():
    margin = get_loss("sphereface", margin=3.0)
    assert (margin.margin, type(margin.margin)) == (3, int)
    assert get_loss("svx").margin is None
    assert get_loss("SV-Softmax", kind="softmax").name == "svx"


def test_inside_another_hybridized_block_the_strength_is_an_input():
    margin = get_loss("arcface")

    class Outer(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.loss = MarginSoftmaxLoss(margin)

        def hybrid_forward(self, F, cosine, label, strength):
            return self.loss(cosine * 1.0, label, strength)

    outer = Outer()
    outer.hybridize()
    cosine, label = mx.nd.array([[0.5, 0.2], [0.1, 0.4]]), np.array([0, 1])
    for strength in (1.0, 0.25):
        margin.strength = strength
        got = outer(cosine, mx.nd.array(label), mx.nd.array([strength]))
        want = MarginSoftmaxLoss(margin)(cosine, label)
        np.testing.assert_array_equal(got.asnumpy(), want.asnumpy())
    with pytest.raises(InputError, match="strength"):
        outer.loss(mx.sym.var("cosine"), mx.sym.var("label"))
