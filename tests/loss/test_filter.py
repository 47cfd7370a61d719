"""Inter-class filtering: who is too near to a sample does not count, on every path."""

import numpy as np
import pytest
from loss_paths import (
    batch_of,
    close,
    head_of,
    paths_of,
    plain,
    sharded,
    smooths,
    states,
    twin_keys,
    twin_of,
)

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import LOSSES, MarginSoftmaxLoss, get_loss
from gluonface.parallel import PartialFC

nd = mx.nd
COSINES = [n for n in LOSSES.list() if get_loss(n).unit_embedding and get_loss(n).unit_weight]
OTHERS = sorted(set(LOSSES.list()) - set(COSINES))
# Of each family, with sub-centres, with a penalty, with learned margins.
SOME = ["cosface", "curricularface", "mv", "adacos", "subcenter_arcface", "magface", "adam_softmax"]


def crowd(name):
    """Return a margin, and a batch whose third sample has no class but its own below 0.2."""
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=8, classes=6, size=4, seed=2)
    w[:] = np.abs(w)
    x[2:] = np.abs(x[2:])
    labels[2] = 1
    x[2] = 1.0
    return margin, x, w, labels, extra


@pytest.mark.parametrize("name", SOME)
def test_the_crowd_is_of_every_kind(name):
    margin, x, w, labels, _ = crowd(name)
    nearest = np.abs(w).reshape(6, margin.subcenters, -1)
    unit = [a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (x, nearest)]
    cosine = np.einsum("nd,ckd->nck", *unit).max(axis=2)
    own = np.arange(6) == labels[:, None]
    left = ((cosine <= 0.6) & ~own).sum(axis=1)
    assert (left == 0).any()  # alone with its class
    assert len(set(left)) >= 3  # the share of label smoothing differs


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_twin_gradients_agree_with_finite_differences(name, smoothing):
    _, x, w, labels, extra = crowd(name)
    fixed = {"smoothing": smoothing, "filter_above": 0.6, **extra}
    out = twin_of(name).run(x, w, labels, **fixed)
    if "frozen" in out:
        fixed["frozen"] = out["frozen"]
    if "state" in out:
        fixed.update(state=out["state"], training=False)
    toward = np.random.default_rng(0).normal(size=x.shape)
    step = 1e-6
    ends = [
        twin_of(name).run(x + sign * step * toward, w, labels, **fixed)["loss"].mean()
        for sign in (1, -1)
    ]
    slope = (ends[0] - ends[1]) / 2 / step
    assert slope == pytest.approx((out["grad_embeddings"] * toward).sum(), rel=1e-6, abs=2e-6)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_all_paths_agree_with_the_twin(name, smoothing):
    margin, x, w, labels, extra = crowd(name)
    kwargs = {"smoothing": smoothing, "filter_above": 0.6, **extra}
    want = twin_of(name).run(x, w, labels, **kwargs)
    every = twin_of(name).run(x, w, labels, smoothing=smoothing, **extra)
    assert np.abs(want["loss"] - every["loss"]).max() > 0.1  # it matters here
    eager = plain(margin, x, w, labels, **kwargs)
    learnt = states(margin)
    hybrid = plain(margin, x, w, labels, hybrid=True, **kwargs)
    split = sharded(margin, x, w, labels, **kwargs)
    for key, a, b, c in zip(twin_keys(extra), eager, hybrid, split):
        for got in (a, b, c):
            # Angles near 0 and pi, times a scale of 64, in float32.
            close(got, want[key], 2e-5 if key == "loss" else 1e-4)
    assert states(margin) == pytest.approx(learnt, rel=1e-6)
    assert learnt == pytest.approx(want.get("state", {}), rel=1e-5)


@pytest.mark.parametrize("path", [plain, sharded])
def test_a_sample_alone_with_its_class_is_right(path):
    margin = get_loss("cosface")
    x, w = np.ones((1, 4)), np.ones((3, 4))
    for smoothing in (0.0, 0.3):
        loss, *grads = path(margin, x, w, [1], smoothing=smoothing, filter_above=0.5)
        assert loss == pytest.approx(0.0, abs=5e-6)  # log and exp of float32, times 64
        assert all(np.abs(grad).max() < 5e-4 for grad in grads)


def test_who_is_left_out_has_no_gradient_and_its_logit_is_seen():
    margin = get_loss("arcface")
    block = MarginSoftmaxLoss(margin, filter_above=0.4)
    cosine = nd.array([[0.9, 0.41, 0.4, -0.2]])
    cosine.attach_grad()
    with mx.autograd.record():
        loss = block(cosine, [0])
    loss.backward()
    assert (cosine.grad.asnumpy() != 0).tolist() == [[True, False, True, True]]
    logits = block.logits(cosine, [0]).asnumpy()[0]
    assert logits[1] == np.float32(-1e30)
    np.testing.assert_allclose(logits[2:], [64 * 0.4, 64 * -0.2], rtol=1e-6)


def test_inside_a_hybridized_block():
    class Around(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.loss = MarginSoftmaxLoss(get_loss("arcface"), 0.1, filter_above=0.3)

        def hybrid_forward(self, F, cosine, label, strength):
            return self.loss(cosine, label, strength)

    cosine, label = nd.array([[0.5, 0.35, 0.2], [0.9, 0.1, 0.2]]), nd.array([0, 1])
    block = Around()
    block.hybridize()
    got = block(cosine, label, nd.ones((1,))).asnumpy()
    np.testing.assert_array_equal(got, block.loss(cosine, label).asnumpy())


@pytest.mark.parametrize("name", COSINES)
def test_every_loss_of_cosines_takes_it(name):
    margin, x, w, labels, extra = crowd(name)
    smoothing = 0.1 if smooths(margin) else 0.0
    for path in paths_of(margin):
        for array in path(margin, x, w, labels, filter_above=0.6, smoothing=smoothing, **extra):
            assert np.isfinite(array).all()


MISTAKES = [("arcface", value, r"\(0, 1\]") for value in (0.0, -0.1, 1.5, True, "0.4", np.nan)]
MISTAKES += [(name, 0.4, f"{name} does not compute cosines") for name in OTHERS]


@pytest.mark.parametrize(("name", "value", "words"), MISTAKES)
def test_both_paths_refuse_the_same(name, value, words):
    errors = []
    for make in (MarginSoftmaxLoss, lambda m, **kw: PartialFC(m, 10, 4, **kw)):
        with pytest.raises(InputError, match=words) as error:
            make(get_loss(name), filter_above=value)
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_it_is_kept_by_the_head():
    assert head_of(get_loss("arcface"), np.eye(4), filter_above=0.4).filter_above == 0.4
    assert OTHERS == ["l2softmax", "softmax", "sphereface"]
