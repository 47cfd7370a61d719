"""The sharded classifier in one process; `tests/distributed` has it on several."""

import gc

import numpy as np
import pytest
from reference import arcface
from reference import partial_fc as twin

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head import custom_function
from gluonface.loss import Margin, get_loss
from gluonface.parallel import Local, PartialFC

nd = mx.nd


def batch(n=8, classes=50, size=16, seed=0):
    rng = np.random.default_rng(seed)
    return nd.array(rng.normal(size=(n, size))), rng.integers(0, classes, n)


def head_of(loss="arcface", classes=50, size=16, **kwargs):
    return PartialFC(get_loss(loss), classes, size, **kwargs)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_twin_does_not_depend_on_the_number_of_ranks_and_is_matched(ranks):
    x, labels = batch(classes=3)
    head = head_of(classes=3)
    head.set_centers(head.get_centers() * 100)
    want = twin.step(x.asnumpy(), head.get_centers(), labels, ranks, arcface.target, 64.0)
    x.attach_grad()
    with mx.autograd.record():
        loss = head(x, labels)
        mean = loss.mean()
    mean.backward()
    np.testing.assert_allclose(loss.asnumpy(), want["loss"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(x.grad.asnumpy(), want["grad_embeddings"], rtol=1e-4, atol=1e-5)
    got = head.weight.grad().asnumpy()
    assert len(want["grad_weight"]) == ranks
    np.testing.assert_allclose(got, np.concatenate(want["grad_weight"]), rtol=1e-4, atol=1e-4)


def test_twin_gradient_by_finite_differences():
    rng = np.random.default_rng(0)
    x, w, labels = rng.normal(size=(4, 6)), rng.normal(size=(5, 6)), [0, 4, 2, 2]

    def mean(x, w):
        return twin.step(x, w, labels, 3, arcface.target, 16.0)["loss"].mean()

    out = twin.step(x, w, labels, 3, arcface.target, 16.0)
    dx, dw, step = rng.normal(size=x.shape), rng.normal(size=w.shape), 1e-6
    slope = (mean(x + step * dx, w + step * dw) - mean(x - step * dx, w - step * dw)) / 2 / step
    want = (out["grad_embeddings"] * dx).sum() + (np.concatenate(out["grad_weight"]) * dw).sum()
    assert slope == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize("loss", ["softmax", "arcface"])
def test_gradient_is_that_of_whatever_is_made_of_the_losses(loss):
    x, labels = batch()
    weights = nd.array(np.linspace(-1, 2, 8))
    whole, parts = [], 0.0
    head = head_of(loss)
    for rows in (range(8), *([row] for row in range(8))):
        some = x[list(rows)] if len(rows) > 1 else x[rows[0] : rows[0] + 1]
        some.attach_grad()
        with mx.autograd.record():
            total = (head(some, labels[list(rows)]) * weights[list(rows)]).sum()
        total.backward()
        got = (some.grad.asnumpy(), head.weight.grad().asnumpy())
        if len(rows) == 8:
            whole = got
        else:
            np.testing.assert_allclose(got[0][0], whole[0][rows[0]], rtol=1e-4, atol=1e-5)
            parts = parts + got[1]
    np.testing.assert_allclose(parts, whole[1], rtol=1e-3, atol=1e-4 * np.abs(parts).max())


def test_gradient_reaches_the_network_and_adds_up_with_other_losses():
    net = mx.gluon.nn.Dense(16, in_units=4, use_bias=False)
    net.initialize(mx.init.Normal(1.0))
    data, labels = nd.random.normal(shape=(8, 4)), np.arange(8)
    head = head_of()
    grads = []
    for use in ((1, 0), (0, 1), (1, 1)):
        with mx.autograd.record():
            out = net(data)
            loss = (use[0] * head(out, labels)).sum() + (use[1] * out * out).sum()
        loss.backward()
        grads.append(net.weight.grad().asnumpy())
    assert np.abs(grads[0]).max() > 0
    np.testing.assert_allclose(grads[0] + grads[1], grads[2], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("loss", ["softmax", "cosface"])
def test_gradients_add_up_when_asked(loss):
    x, labels = batch()
    head = head_of(loss)
    single = []
    for rows in (slice(0, 4), slice(4, 8)):
        with mx.autograd.record():
            total = head(x[rows], labels[rows]).sum()
        total.backward()
        single.append([p.grad().asnumpy() for p in head.params.values()])
    head.collect_params().setattr("grad_req", "add")
    head.collect_params().zero_grad()
    for rows in (slice(0, 4), slice(4, 8)):
        with mx.autograd.record():
            total = head(x[rows], labels[rows]).sum()
        total.backward()
    for parameter, a, b in zip(head.params.values(), *single):
        np.testing.assert_allclose(parameter.grad().asnumpy(), a + b, rtol=1e-6, atol=1e-6)


def test_frozen_centres_still_pass_the_gradient_on():
    x, labels = batch()
    x.attach_grad()
    head, frozen = head_of(), head_of()
    frozen.weight.grad_req = "null"
    grads = []
    for each in (head, frozen):
        with mx.autograd.record():
            total = each(x, labels).sum()
        total.backward()
        grads.append(x.grad.asnumpy())
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam", "lamb"])
def test_any_optimizer_of_mxnet_trains_it(optimizer):
    x, _ = batch(n=16, classes=16)
    head = head_of("arcface", classes=16)
    trainer = mx.gluon.Trainer(head.collect_params(), optimizer, {"learning_rate": 0.01})
    losses = []
    for _ in range(25):
        # No wait in here: the update of the centres is queued before the backward reads them.
        with mx.autograd.record():
            loss = head(x, np.arange(16))
        loss.backward()
        trainer.step(16)
        losses.append(loss.mean().asscalar())
    assert losses[-1] < losses[0] - 5


def test_outside_of_recording_it_only_computes_and_keeps_nothing():
    x, labels = batch()
    head = head_of()
    gc.collect()
    nd.waitall()
    before = set(custom_function._alive)  # MXNet may let go of other tests' at any time
    with mx.autograd.record():
        want = head(x, labels)
    kept = set(custom_function._alive) - before
    assert len(kept) == 1
    np.testing.assert_array_equal(head(x, labels).asnumpy(), want.asnumpy())
    del want
    gc.collect()
    nd.waitall()
    assert not kept & set(custom_function._alive)


def test_a_second_backward_is_an_error_and_no_abort():
    x, labels = batch()
    head = head_of()
    with mx.autograd.record():
        loss = head(x, labels)
    loss.backward(retain_graph=True)
    nd.waitall()
    loss.backward()
    with pytest.raises(mx.base.MXNetError):
        head.weight.grad().asnumpy()


def test_strength_is_that_of_the_forward():
    x, labels = batch()
    x.attach_grad()
    head = head_of()
    grads = []
    for strength in (0.0, 1.0):
        head.margin.strength = strength
        with mx.autograd.record():
            loss = head(x, labels)
        head.margin.strength = 0.5  # changed before the backward: of no effect on it
        loss.backward()
        grads.append(x.grad.asnumpy())
    assert np.abs(grads[0] - grads[1]).max() > 0.1 * np.abs(grads[0]).max()
    plain = PartialFC(get_loss("normface", scale=64.0), 50, 16)
    with mx.autograd.record():
        loss = plain(x, labels)
    loss.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), grads[0], rtol=1e-4, atol=1e-4)


def test_stats():
    head = head_of("cosface", classes=3, size=3)
    with pytest.raises(InputError, match="last forward"):
        head.stats()
    head.set_centers(np.eye(3))
    x = nd.array([[2, 0, 0], [0, 1, 0.9], [0, 0, -1]])
    head(x, np.array([0, 1, 2]))
    side = 1 / np.hypot(1, 0.9)
    stats = head.stats()
    # The second sample's own class is nearest, but not by the margin.
    assert stats["accuracy"] == pytest.approx(1 / 3)
    assert stats["target_cosine"] == pytest.approx((1 + side - 1) / 3, rel=1e-6)
    assert stats["max_logit"] == pytest.approx(64 * max(0.65, 0.9 * side), rel=1e-6)
    assert all(type(value) is float for value in stats.values())


@pytest.mark.parametrize("loss", ["softmax", "arcface"])
def test_state_and_centres_come_back(loss):
    head = head_of(loss)
    head.margin.strength = 0.25
    if head.bias is not None:
        head.bias.set_data(nd.arange(50))
    state = {k: np.array(v) for k, v in head.state_dict().items()}  # as numpy.savez gives it
    other = head_of(loss, seed=1)
    assert not np.array_equal(head.get_centers(), other.get_centers())
    other.load_state_dict(state)
    np.testing.assert_array_equal(head.get_centers(), other.get_centers())
    assert other.margin.strength == 0.25
    x, labels = batch()
    np.testing.assert_array_equal(head(x, labels).asnumpy(), other(x, labels).asnumpy())


class Rank(Local):
    """A rank of several, for what needs no collective."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


def test_shards_cut_the_same_initial_centres_and_load_from_a_whole_state():
    whole = head_of(classes=11)
    parts = [head_of(classes=11, comm=Rank(rank, 4)) for rank in range(4)]
    assert [(part.start, part.stop) for part in parts] == [(0, 3), (3, 6), (6, 9), (9, 11)]
    joined = np.concatenate([part.weight.data().asnumpy() for part in parts])
    np.testing.assert_array_equal(joined, whole.get_centers())
    other = head_of(classes=11, seed=5)
    parts[2].load_state_dict(other.state_dict())
    np.testing.assert_array_equal(parts[2].weight.data().asnumpy(), other.get_centers()[6:9])
    parts[3].set_centers(other.get_centers())
    np.testing.assert_array_equal(parts[3].weight.data().asnumpy(), other.get_centers()[9:])
    with pytest.raises(InputError, match=r"holds classes 6 to 8, this rank needs 0 to 2"):
        parts[0].load_state_dict(parts[2].state_dict())


def test_a_rank_without_classes_has_no_parameters():
    head = head_of("softmax", classes=2, comm=Rank(2, 3))
    assert head.weight is None
    assert head.bias is None
    assert list(head.collect_params()) == []
    state = head.state_dict()
    assert state["weight"].shape == (0, 16)
    head.load_state_dict(head_of("softmax", classes=2).state_dict())
    head.set_centers(np.zeros((2, 16)))


def test_any_function_of_the_other_classes_cosines_is_carried():
    class Harder(Margin):
        name = "harder"

        def others(self, F, cosine, strength, target_cosine, target):
            return F.square(cosine) * cosine

    x, labels = batch(classes=10)
    rng = np.random.default_rng(0)
    w = nd.array(rng.normal(size=(10, 16)))
    head = PartialFC(Harder(), 10, 16)
    head.set_centers(w)
    found = []
    for array in (x, w):
        array.attach_grad()
    for plain in (False, True):
        with mx.autograd.record():
            if plain:
                cosine = nd.dot(nd.L2Normalization(x), nd.L2Normalization(w), transpose_b=True)
                own = nd.one_hot(nd.array(labels), 10)
                logits = nd.where(own, cosine, cosine**3)
                loss = -nd.pick(nd.log_softmax(logits), nd.array(labels))
            else:
                loss = head(x, labels)
        loss.backward()
        by_w = w.grad if plain else head.weight.grad()
        found.append([array.asnumpy() for array in (loss, x.grad, by_w)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_classes_above_the_filter_leave_the_denominator():
    head, every = (head_of("cosface", classes=4, size=4, filter_above=f) for f in (0.4, None))
    centers = np.eye(4)
    centers[1] = (0.8, 0.6, 0.0, 0.0)  # 0.8 from the first, as one person under two names
    x = nd.array([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.2]])
    x.attach_grad()
    for each in (head, every):
        each.set_centers(centers)
    with mx.autograd.record():
        loss = head(x, [0, 3])
        total = loss.sum()
    total.backward()
    logits = 64 * (x.asnumpy() @ centers.T) / np.linalg.norm(x.asnumpy(), axis=1, keepdims=True)
    want = []
    for i, (y, gone) in enumerate(((0, [1]), (3, [0, 1]))):
        z = np.where(np.isin(np.arange(4), gone), -np.inf, logits[i])
        z[y] -= 64 * 0.35
        want.append(np.log(np.exp(z - z.max()).sum()) + z.max() - z[y])
    np.testing.assert_allclose(loss.asnumpy(), want, rtol=1e-5)
    assert not head.weight.grad()[1].asnumpy().any()  # no gradient on who was left out
    assert every(x, [0, 3]).asnumpy()[1] > want[1] + 30
    assert np.isfinite(x.grad.asnumpy()).all()


@pytest.mark.parametrize(
    ("loss", "change", "words"),
    [
        ("arcface", {"filter_above": 0.0}, r"filter_above=0.0.*\(0, 1\]"),
        ("arcface", {"filter_above": 1.5}, "filter_above=1.5"),
        ("softmax", {"filter_above": 0.4}, "softmax does not compute cosines"),
        ("adacos", {"num_classes": 2}, "at least 3"),
        ("l2softmax", {"num_classes": 10**20, "embedding_size": 1}, "scale=40 is too small"),
    ],
)
def test_refused_combinations(loss, change, words):
    with pytest.raises(InputError, match=words):
        PartialFC(**{"margin": loss, "num_classes": 10, "embedding_size": 8, **change})


def test_learned_margins_stay_in_their_range_and_train():
    x, labels = batch()
    head = head_of("adam_softmax")
    trainer = mx.gluon.Trainer(head.collect_params(), "sgd", {"learning_rate": 5.0})
    for _ in range(3):
        with mx.autograd.record():
            loss = head(x, labels)
        loss.backward()
        nd.waitall()
        before = head.class_margin.data().asnumpy()
        assert before.min() >= 0.0
        assert before.max() <= 1.0
        trainer.step(1)
    assert before.max() == 1.0  # the pull of 50 / C per sample has reached the end
    stored = head.state_dict()
    other = head_of("adam_softmax", seed=3)
    other.load_state_dict(stored)
    np.testing.assert_array_equal(
        other.class_margin.data().asnumpy(), head.class_margin.data().asnumpy()
    )


def test_subcentres_in_and_out():
    head = head_of("subcenter_arcface", classes=5, size=4)
    assert head.weight.shape == (5, 12)
    centers = head.get_centers()
    assert centers.shape == (5, 3, 4)
    assert len(np.unique(centers)) == centers.size
    head.set_centers(centers * 2)
    np.testing.assert_array_equal(head.get_centers(), centers * 2)
    with pytest.raises(InputError, match=r"\(5, 3, 4\)"):
        head.set_centers(np.zeros((5, 4)))


def test_parameters_by_name():
    head = head_of("softmax", name="ids")
    assert list(head.collect_params()) == ["ids_weight", "ids_bias"]
    assert list(head.collect_params(".*bias")) == ["ids_bias"]
    assert head.collect_params() is head.params


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 2.5}, "num_classes=2.5"),
        ({"embedding_size": 0}, "embedding_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"sample_rate": 0.0}, "sample_rate=0.0"),
        ({"sample_rate": 1.5}, "sample_rate=1.5"),
        ({"sampler": "random"}, "sampler='random'.*hash, exact"),
        ({"momentum_mode": "dense"}, "frozen, catchup, reset"),
        ({"centers": "tape"}, "memory, host, disk"),
        ({"centers": "disk"}, "needs centers_path"),
        ({"wire_dtype": "float64"}, "float32, float16"),
        ({"wire_dtype": "float16", "margin": "softmax"}, "embeddings of length 1"),
        ({"chunk": 0}, "chunk=0"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"margin": "arcfase"}, "Did you mean 'arcface'"),
        ({"margin": 0.5}, "get_loss"),
    ],
)
def test_refused_arguments(change, words):
    with pytest.raises(InputError, match=words):
        PartialFC(**{"margin": "arcface", "num_classes": 10, "embedding_size": 8, **change})


def test_refused_inputs():
    head = head_of()
    x, labels = batch()
    for embeddings, given, words in (
        (nd.zeros((8, 15)), labels, r"\(8, 15\).*\(batch, 16\)"),
        (nd.zeros((8, 16, 1)), labels, "batch, 16"),
        (x, labels[:5], "5 labels for 8 embeddings"),
        (x, np.full(8, 50), "label 50 of sample 0.*from 0 to 49"),
        (x, nd.array([-1] + [0] * 7), "label -1"),
    ):
        with pytest.raises(InputError, match=words):
            head(embeddings, given)
    for centers, words in (
        (np.zeros((50, 15)), r"\(50, 16\)"),
        (np.full((50, 16), np.inf), "not finite"),
        (np.full((50, 16), "x"), "numbers"),
    ):
        with pytest.raises(InputError, match=words):
            head.set_centers(centers)
    for wrong, words in (
        ({"num_classes": 51}, "num_classes=51"),
        ({"embedding_size": 8}, "embedding_size=8"),
        ({"weight": np.zeros((49, 16))}, r"\(50, 16\)"),
    ):
        with pytest.raises(InputError, match=words):
            head.load_state_dict({**head.state_dict(), **wrong})
    with pytest.raises(InputError, match="no bias"):
        head_of("softmax").load_state_dict(head.state_dict())
