"""What holds for every registered loss."""

import numpy as np
import pytest
from loss_paths import (
    batch_of,
    close,
    every_case,
    head_of,
    paths_of,
    plain,
    scores,
    sharded,
    smooths,
    states,
    twin_keys,
    twin_of,
)

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import LOSSES, Margin, MarginSoftmaxLoss, get_loss, list_losses
from gluonface.loss._block import to_float32

nd = mx.nd
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])  # MXNet's name for it
NAMES = LOSSES.list()
PLAIN_AT_0 = [name for name in NAMES if get_loss(name).plain_at_0]
BINARY = [name for name in NAMES if get_loss(name).family == "binary"]
SMOOTH = [name for name in NAMES if smooths(get_loss(name))]
WITH_PATHS = [
    pytest.param(name, path, id=f"{name}-{path.__name__}")
    for name in NAMES
    for path in paths_of(get_loss(name))
]
NOT_SMOOTH = [each for each in WITH_PATHS if each.values[0] not in SMOOTH]
WITH_MARGIN = [name for name in PLAIN_AT_0 if name not in ("normface", "coco")]


@pytest.mark.parametrize(("name", "params"), every_case())
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_twin_gradients_agree_with_finite_differences(name, params, smoothing):
    twin = twin_of(name)
    if name not in SMOOTH and smoothing:
        return  # refused, see below
    x, w, labels, extra = batch_of(get_loss(name, **params))
    fixed = {"smoothing": smoothing, **params}
    out = twin.run(x, w, labels, **extra, **fixed)
    # What carries no gradient stays as it was.
    if "frozen" in out:
        fixed["frozen"] = out["frozen"]
    if "state" in out:
        fixed.update(state=out["state"], training=False)

    def mean(x=x, w=w, **changed):
        return twin.run(x, w, labels, **{**extra, **changed}, **fixed)["loss"].mean()

    rng, step = np.random.default_rng(1), 1e-6
    bases = {"embeddings": ("x", x), "weight": ("w", w), **{k: (k, v) for k, v in extra.items()}}
    bases.pop("bank_rows", None)  # which get no gradient
    for key, (at, base) in bases.items():
        toward = rng.normal(size=base.shape)
        slope = (mean(**{at: base + step * toward}) - mean(**{at: base - step * toward})) / 2 / step
        assert slope == pytest.approx((out[f"grad_{key}"] * toward).sum(), rel=1e-6, abs=2e-6)


@pytest.mark.parametrize(("name", "params"), every_case())
def test_all_paths_agree_with_the_twin(name, params):
    margin = get_loss(name, **params)
    x, w, labels, extra = batch_of(margin)
    want = twin_of(name).run(x, w, labels, **extra, **params)
    split = sharded(margin, x, w, labels, **extra)
    if plain not in paths_of(margin):
        for key, got in zip(twin_keys(extra), split):
            close(got, want[key], 2e-5 if key == "loss" else 1e-4)
        with pytest.raises(InputError, match=r"use gluonface\.head\.PartialFC"):
            plain(margin, x, w, labels, **extra)
        return
    eager = plain(margin, x, w, labels, **extra)
    learnt = states(margin)
    hybrid = plain(margin, x, w, labels, hybrid=True, **extra)
    split = sharded(margin, x, w, labels, **extra)
    for key, a, b, c in zip(twin_keys(extra), eager, hybrid, split):
        # The angle of a target at 3 degrees from +-1 has lost two digits in float32.
        for got in (a, c):
            close(got, want[key], 2e-5 if key == "loss" else 1e-4)
        if margin.norm_gradient and key == "grad_embeddings":
            close(a, b, 1e-6)  # the parts that come through the norm add up in another order
        else:
            np.testing.assert_array_equal(a, b)
    for got in (learnt, states(margin)):
        assert got == pytest.approx(want.get("state", {}), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if get_loss(name).uses_norm])
@pytest.mark.parametrize("factor", [1e-5, 100.0])
def test_very_short_and_very_long_embeddings(name, factor):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    x = x * factor
    want = twin_of(name).run(x, w, labels, **extra)
    for path in (plain, sharded):
        got = path(margin, x, w, labels, **extra)
        for key, array in zip(twin_keys(extra), got):
            close(array, want[key], 2e-5 if key == "loss" else 1e-4)
        assert states(margin) == pytest.approx(want.get("state", {}), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if plain in paths_of(get_loss(name))])
def test_sharded_equals_plain_to_the_last_bits(name):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=16, classes=50, size=32, seed=3)
    outputs = [path(margin, x, w, labels, **extra) for path in (plain, sharded)]
    for a, b in zip(*outputs):
        # Sums of some 50 terms in another order: a few units of 1.2e-7. And p - 1 of a sample
        # that is surely right errs by half a unit, which scales of 64 multiply.
        if a.shape == (1,):  # of a shared bias: a sum of terms up to 1 that cancel
            np.testing.assert_allclose(b, a, rtol=8e-6, atol=1e-6)
        else:
            close(b, a, 8e-6)


@pytest.mark.parametrize(("name", "path"), NOT_SMOOTH)
def test_losses_that_refuse_label_smoothing(name, path):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    with pytest.raises(InputError, match=r"label_smoothing=0\.1 is not allowed with .*; use 0"):
        path(margin, x, w, labels, smoothing=0.1, **extra)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing(name, smoothing):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    want = twin_of(name).run(x, w, labels, smoothing=smoothing, **extra)
    for path in (plain, sharded):
        got = path(margin, x, w, labels, smoothing=smoothing, **extra)
        for key, array in zip(twin_keys(extra), got):
            close(array, want[key], 2e-5 if key == "loss" else 1e-4)


@pytest.mark.parametrize("name", PLAIN_AT_0)
@pytest.mark.parametrize("path", [plain, sharded])
def test_strength_0_and_margin_0_are_the_normalised_softmax(name, path):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    margin.strength = 0.0
    base = get_loss("normface", scale=margin.scale)
    if margin.subcenters > 1:
        base = get_loss("subcenter_arcface", margin=0.0)
    want = path(base, x, w, labels)
    neutral = {"m1": 1.0, "m2": 0.0, "m3": 0.0, "margin": 0.0}
    same = [margin]
    # No single parameter of these takes the margin away.
    without = name.startswith(("adam_softmax", "magface", "elastic", "sphereface_r"))
    if LOSSES.get(name).others is Margin.others and not without:
        same.append(get_loss(name, **{k: v for k, v in neutral.items() if k in margin.parameters}))
    for other in same:
        for a, b in zip(path(other, x, w, labels, **extra), want):
            # cos(arccos(c)) is c to 1e-7; the scale and 1/sin of the nearest target multiply it.
            close(a, b, 2e-5)


@pytest.mark.parametrize(("name", "params"), every_case())
def test_strength_is_a_share_of_the_margins(name, params):
    margin = get_loss(name, **params)
    x, w, labels, extra = batch_of(margin)
    margin.strength = 0.3
    want = twin_of(name).run(x, w, labels, strength=0.3, **extra, **params)
    for path in paths_of(margin):
        got = path(margin, x, w, labels, **extra)
        for key, array in zip(twin_keys(extra), got):
            close(array, want[key], 2e-5 if key == "loss" else 1e-4)


@pytest.mark.parametrize("name", WITH_MARGIN)
def test_strength_and_scale_act_at_once_on_a_hybridized_block(name):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    extra = {key: nd.array(value) for key, value in extra.items()}
    if margin.uses_norm:
        extra["norm"] = nd.norm(nd.array(x), axis=1)
    cosine = scores(margin, nd.array(x), nd.array(w))
    block, eager = MarginSoftmaxLoss(margin), MarginSoftmaxLoss(margin)
    block.hybridize()
    seen = set()
    for change in ({}, {"strength": 0.5}, {"strength": 0.0}, {"scale": 8.0}, {"strength": 1.0}):
        for key, value in change.items():
            setattr(margin, key, value)
        got = block(cosine, labels, **extra).asnumpy()
        np.testing.assert_array_equal(got, eager(cosine, labels, **extra).asnumpy())
        seen.add(float(got.sum()))
    assert len(seen) == 5


@pytest.mark.parametrize("name", [name for name in NAMES if get_loss(name).state])
def test_state_is_learnt_in_training_only_and_comes_back(name):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    head = head_of(margin, w, **extra)
    first = states(margin)
    head(nd.array(x), labels)
    assert states(margin) == first
    for _ in range(3):
        with mx.autograd.record():
            head(nd.array(x), labels)
    learnt = states(margin)
    assert all(learnt[key] != first[key] for key in first)
    stored = {key: np.asarray(value) for key, value in head.state_dict().items()}
    other = head_of(get_loss(name), w)
    other.load_state_dict(stored)
    assert states(other.margin) == learnt
    results = []
    for each in (head, other):
        with mx.autograd.record():
            results.append(each(nd.array(x), labels).asnumpy())
    np.testing.assert_array_equal(*results)
    key = next(key for key in stored if key.startswith("state_"))
    with pytest.raises(InputError, match=f"no {key}"):
        other.load_state_dict({k: v for k, v in stored.items() if k != key})


@pytest.mark.parametrize(("name", "path"), WITH_PATHS)
def test_only_the_target_column_goes_through_arccos_and_cos(name, path, monkeypatch):
    shapes = []

    def spy(original):
        return lambda x, *args, **kwargs: shapes.append(x.shape) or original(x, *args, **kwargs)

    for function in ("arccos", "cos"):
        monkeypatch.setattr(nd, function, spy(getattr(nd, function)))
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=3)
    path(margin, x, w, labels, **extra)
    if name == "arcface":
        assert shapes
    if name not in ("li_arcface", "qamface"):  # whose formulas take the angle of every class
        assert set(shapes) <= {(3,)}


@pytest.mark.parametrize(("name", "path"), WITH_PATHS)
def test_finite_at_the_ends_of_the_cosine(name, path):
    # Own centre, its opposite, a right angle, and a cosine that rounding may put above 1.
    margin = get_loss(name)
    w = np.eye(4, 6, dtype=np.float32)
    x = np.stack([w[0], -w[1], w[3], np.full(6, 1.1)])
    w[3] = np.full(6, 0.7)
    w = np.repeat(w, margin.subcenters, axis=0)
    labels = np.array([0, 1, 2, 3])
    extra = batch_of(margin, classes=4, size=6)[3]
    for out in path(margin, x, w, labels, **extra):
        assert np.isfinite(out).all()
    assert np.isfinite(list(states(margin).values())).all()


@pytest.mark.parametrize("name", NAMES)
def test_zero_embedding_zero_centre_one_class_and_one_sample(name):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=3)
    k = margin.subcenters
    x[0], w[k * labels[1] : k * labels[1] + k] = 0.0, 0.0
    for out in sharded(margin, x, w, labels, **extra):
        assert np.isfinite(out).all()
    one = sharded(margin, x[2:], w, labels[2:], **extra)
    assert all(np.isfinite(out).all() for out in one)
    assert np.isfinite(list(states(margin).values())).all()
    one = {key: value[:1] for key, value in extra.items()}
    if margin.min_classes > 1:
        with pytest.raises(InputError, match=f"at least {margin.min_classes}"):
            sharded(margin, x[2:], w[:k], [0], **one)
        return
    loss, grad_x, grad_w, *_ = sharded(margin, x[2:], w[:k], [0], **one)
    if name in BINARY:  # the own class's term is there without any other
        assert np.isfinite(loss).all()
        assert grad_x.any()
        return
    penalised = margin.penalises_norm or margin.has_class_margin
    assert penalised or loss == [0.0]  # one class is always right, whatever its logit
    assert np.isfinite(loss).all()
    assert margin.penalises_norm or not grad_x.any()
    assert not grad_w.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", BFLOAT16, "float64"], ids=str)
def test_embeddings_of_other_dtypes_meet_a_float32_margin(name, dtype):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin)
    x = nd.amp_cast(nd.amp_cast(nd.array(x), dtype=BFLOAT16), dtype="float32")
    x = x.astype("float16").astype("float32")  # every dtype can hold these values
    losses, grads = [], []
    for kind in ("float32", dtype):
        head = head_of(margin, w, **extra)
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
    assert {"arcface", "cosface", "normface"} < set(list_losses("*face"))
    with pytest.raises(InputError, match="arcface"):
        get_loss("arcfase")
    with pytest.raises(InputError, match="'Centre' is an auxiliary loss"):
        get_loss("Centre")
