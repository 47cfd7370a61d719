"""What holds for every registered loss."""

import numpy as np
import pytest
from loss_paths import batch, close, every_case, plain, scores, sharded, twin_of

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import LOSSES, Margin, MarginSoftmaxLoss, get_loss, list_losses
from gluonface.loss._block import to_float32
from gluonface.parallel import PartialFC

nd = mx.nd
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])  # MXNet's name for it
NAMES = LOSSES.list()
WITH_MARGIN = [name for name in NAMES if name not in ("softmax", "normface")]


def biased(margin, classes=9):
    """Return the keyword arguments of a bias, for losses that have one."""
    return {"bias": np.linspace(-1, 1, classes)} if margin.has_bias else {}


@pytest.mark.parametrize(("name", "params"), every_case())
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_twin_gradients_agree_with_finite_differences(name, params, smoothing):
    twin, margin = twin_of(name), get_loss(name, **params)
    x, w, labels = batch()
    extra = biased(margin)
    out = twin.run(x, w, labels, smoothing=smoothing, **extra, **params)

    def mean(x=x, w=w, **kwargs):
        return twin.run(x, w, labels, smoothing=smoothing, **{**extra, **kwargs}, **params)[
            "loss"
        ].mean()

    rng, step = np.random.default_rng(1), 1e-6
    for key, base, at in (("embeddings", x, "x"), ("weight", w, "w")):
        toward = rng.normal(size=base.shape)
        slope = (mean(**{at: base + step * toward}) - mean(**{at: base - step * toward})) / 2 / step
        assert slope == pytest.approx((out[f"grad_{key}"] * toward).sum(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("name", "params"), every_case())
def test_all_paths_agree_with_the_twin(name, params):
    margin = get_loss(name, **params)
    x, w, labels = batch()
    extra = biased(margin)
    want = twin_of(name).run(x, w, labels, **extra, **params)
    keys = ["loss", "grad_embeddings", "grad_weight", *(["grad_bias"] if extra else [])]
    eager = plain(margin, x, w, labels, **extra)
    hybrid = plain(margin, x, w, labels, hybrid=True, **extra)
    split = sharded(margin, x, w, labels, **extra)
    for key, a, b, c in zip(keys, eager, hybrid, split):
        # The angle of a target at 3 degrees from +-1 has lost two digits in float32.
        for got in (a, c):
            close(got, want[key], 2e-5 if key == "loss" else 1e-4)
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_sharded_equals_plain_to_the_last_bits(name):
    margin = get_loss(name)
    x, w, labels = batch(n=16, classes=50, size=32, seed=3)
    extra = biased(margin, 50)
    for a, b in zip(plain(margin, x, w, labels, **extra), sharded(margin, x, w, labels, **extra)):
        # Both are float32 sums of some 50 terms in another order: a few units of 1.2e-7.
        close(b, a, 2e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing(name, smoothing):
    margin = get_loss(name)
    x, w, labels = batch()
    extra = biased(margin)
    want = twin_of(name).run(x, w, labels, smoothing=smoothing, **extra)
    for path in (plain, sharded):
        loss, grad_x, grad_w, *_ = path(margin, x, w, labels, smoothing=smoothing, **extra)
        close(loss, want["loss"], 2e-5)
        close(grad_x, want["grad_embeddings"], 1e-4)
        close(grad_w, want["grad_weight"], 1e-4)


@pytest.mark.parametrize("name", WITH_MARGIN)
@pytest.mark.parametrize("path", [plain, sharded])
def test_strength_0_and_margin_0_are_the_normalised_softmax(name, path):
    x, w, labels = batch()
    margin = get_loss(name)
    margin.strength = 0.0
    want = path(get_loss("normface", scale=margin.scale), x, w, labels)
    neutral = {"m1": 1.0, "m2": 0.0, "m3": 0.0, "margin": 0.0}
    without = get_loss(name, **{k: v for k, v in neutral.items() if k in margin.parameters})
    for other in (margin, without):
        for a, b in zip(path(other, x, w, labels), want):
            # cos(arccos(c)) is c to 1e-7; the scale and 1/sin of the nearest target multiply it.
            close(a, b, 2e-5)


@pytest.mark.parametrize(("name", "params"), every_case())
def test_strength_is_a_share_of_the_margins(name, params):
    x, w, labels = batch()
    margin = get_loss(name, **params)
    margin.strength = 0.3
    extra = biased(margin)
    want = twin_of(name).run(x, w, labels, strength=0.3, **extra, **params)
    for path in (plain, sharded):
        got = path(margin, x, w, labels, **extra)
        close(got[0], want["loss"], 2e-5)
        close(got[1], want["grad_embeddings"], 1e-4)


@pytest.mark.parametrize("name", WITH_MARGIN)
def test_strength_and_scale_act_at_once_on_a_hybridized_block(name):
    margin = get_loss(name)
    x, w, labels = batch()
    cosine = scores(margin, nd.array(x), nd.array(w))
    block, eager = MarginSoftmaxLoss(margin), MarginSoftmaxLoss(margin)
    block.hybridize()
    seen = set()
    for change in ({}, {"strength": 0.5}, {"strength": 0.0}, {"scale": 8.0}, {"strength": 1.0}):
        for key, value in change.items():
            setattr(margin, key, value)
        got = block(cosine, labels).asnumpy()
        np.testing.assert_array_equal(got, eager(cosine, labels).asnumpy())
        seen.add(float(got.sum()))
    assert len(seen) == 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", [plain, sharded])
def test_finite_at_the_ends_of_the_cosine(name, path):
    # Own centre, its opposite, a right angle, and a cosine that rounding may put above 1.
    w = np.eye(4, 6, dtype=np.float32)
    x = np.stack([w[0], -w[1], w[3], np.full(6, 1.1)])
    w[3] = np.full(6, 0.7)
    labels = np.array([0, 1, 2, 3])
    for out in path(get_loss(name), x, w, labels, **biased(get_loss(name), 4)):
        assert np.isfinite(out).all()


@pytest.mark.parametrize("name", NAMES)
def test_zero_embedding_zero_centre_one_class_and_one_sample(name):
    margin = get_loss(name)
    x, w, labels = batch(n=3)
    x[0], w[labels[1]] = 0.0, 0.0
    for out in sharded(margin, x, w, labels, **biased(margin)):
        assert np.isfinite(out).all()
    loss, grad_x, grad_w, *_ = sharded(margin, x[2:], w[:1], [0], **biased(margin, 1))
    assert loss == [0.0]  # one class is always right, whatever its logit
    assert not grad_x.any()
    assert not grad_w.any()
    one = sharded(margin, x[2:], w, labels[2:], **biased(margin))
    assert all(np.isfinite(out).all() for out in one)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", BFLOAT16, "float64"], ids=str)
def test_embeddings_of_other_dtypes_meet_a_float32_margin(name, dtype):
    x, w, labels = batch()
    x = nd.amp_cast(nd.amp_cast(nd.array(x), dtype=BFLOAT16), dtype="float32")
    x = x.astype("float16").astype("float32")  # every dtype can hold these values
    margin = get_loss(name)
    head = PartialFC(margin, *w.shape)
    head.set_centers(w)
    losses, grads = [], []
    for kind in ("float32", dtype):
        low = x.astype(kind) if kind == "float64" else nd.amp_cast(x, dtype=kind)
        low.attach_grad()
        with mx.autograd.record():
            loss = head(low, labels)
        loss.backward()
        assert loss.dtype == np.float32
        losses.append(loss.asnumpy())
        grads.append(to_float32(low.grad).asnumpy())
    np.testing.assert_array_equal(*losses)
    # The gradient goes back in the embedding's dtype: 8 bits of bfloat16.
    close(grads[1], grads[0], 5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_description_is_complete(name):
    entry = LOSSES.get(name)
    assert issubclass(entry, Margin)
    about = entry.describe()
    assert about["name"] == entry.name == name
    for key in ("title", "paper", "year", "family", "formula"):
        assert about[key], key
    assert all(row["doc"] and row["allowed"] for row in about["parameters"])
    assert entry.__doc__
    assert get_loss(name).strength == 1.0


def test_list_and_suggestion():
    assert list_losses("*face") == ["arcface", "cosface", "normface"]
    with pytest.raises(InputError, match="arcface"):
        get_loss("arcfase")
