"""The softmax over all ranks, its collectives, and odd batches."""

import numpy as np
import pytest
from plain_cases import batch, head_of
from reference import arcface
from reference import partial_fc as twin
from sampled_cases import SIZE, by_ranks, close

from gluonface._compat import mx

nd = mx.nd


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
            # Sums of terms as large as the largest entry, which float32 rounds by 6e-8 of it each.
            most = 2e-6 * np.abs(whole[0]).max()
            np.testing.assert_allclose(got[0][0], whole[0][rows[0]], rtol=1e-4, atol=most)
            parts = parts + got[1]
    np.testing.assert_allclose(parts, whole[1], rtol=1e-3, atol=1e-4 * np.abs(parts).max())


def test_three_collectives_on_the_path_and_all_are_named():
    _, calls = by_ranks((4, 4), "cosface", steps=1)
    assert [name for name, _ in calls] == [
        "head.config",
        "head.labels",  # before the embeddings are there
        "head.x",
        "head.softmax",
        "head.grad",  # nobody waits for it until the centres' gradients
        "head.gx",
    ]
    assert dict(calls)["head.x"] == (4, SIZE)
    assert dict(calls)["head.gx"] == (8, SIZE)


@pytest.mark.parametrize("sampler", ["hash", "exact"])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 1, 3), (1,)])
def test_odd_batches(sampler, sizes):
    want, _ = by_ranks((sum(sizes),), "cosface", steps=1)
    got, _ = by_ranks(sizes, "cosface", steps=1, sampler=sampler)
    if sampler == "hash":
        close(got["loss0"], want["loss0"], 1e-5)
        close(got["grad0"], want["grad0"], 1e-5)
    assert np.isfinite(got["weight"]).all()


def test_float16_on_the_wire():
    want, _ = by_ranks((4, 4), "cosface", steps=1)
    got, _ = by_ranks((4, 4), "cosface", steps=1, wire_dtype="float16")
    # x is known to 2**-11 of its numbers: cosines to about 1e-4 here (D = 8), times the scale 64.
    np.testing.assert_allclose(got["loss0"], want["loss0"], atol=0.03)
    error = np.abs(got["grad0"] - want["grad0"]).max() / np.abs(want["grad0"]).max()
    assert 1e-6 < error < 1e-2
