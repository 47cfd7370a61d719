"""Sums of softplus in blocks: small, large and huge logits; blocks of any size; no logits kept."""

import numpy as np
import pytest
from loss_paths import batch_of, sharded
from plain_cases import batch
from sampled_cases import close

from gluonface._compat import mx
from gluonface.head import PartialFC
from gluonface.head.binary import terms
from gluonface.loss import get_loss
from gluonface.native.plain import load_plain


@pytest.mark.parametrize("spread", [0.01, 3.0, 40.0, 300.0])
@pytest.mark.parametrize("center", [-60.0, -7.0, 0.0])
def test_sums_of_softplus(spread, center):
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(300, 5)) * spread + center).astype(np.float32)
    weight = rng.uniform(0.5, 3.0, 300).astype(np.float32)
    exact = logits.astype(np.float64)
    want = weight @ np.logaddexp(0, exact)
    sigmoid = weight @ np.exp(-np.logaddexp(0, -exact))
    found, scratch = logits.copy(), np.empty_like(logits)
    losses, slopes = terms._softplus(found, scratch, weight, logits.max())
    # exp of float32 logits errs by half a unit of the logit: 60 * 6e-8.
    np.testing.assert_allclose(losses, want, rtol=2e-6)
    np.testing.assert_allclose(slopes, sigmoid, rtol=2e-6)
    np.testing.assert_allclose(found, np.exp(-np.logaddexp(0, -exact)), rtol=5e-6, atol=1e-30)


@pytest.fixture
def compiled():
    found = terms._compiled()
    if found is None:
        pytest.skip("needs a C++ compiler")
    return found


@pytest.mark.parametrize("how", ["numpy", "compiled"])
@pytest.mark.parametrize("spread", [0.01, 3.0, 40.0, 300.0])
@pytest.mark.parametrize("samples", [1, 8, 13])
@pytest.mark.parametrize("more", [False, True])
def test_sums_and_derivatives(request, how, spread, samples, more):
    """Over more classes than are summed together, with terms that are left out."""
    sums = terms._sums if how == "numpy" else request.getfixturevalue("compiled")
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(700, samples)) * spread).astype(np.float32)
    own = np.sort(rng.integers(0, 700, samples)), rng.permutation(samples)
    factors = bias = weight = None
    z, w = logits.astype(np.float64), np.ones(700)
    if more:
        factors, bias, weight = rng.uniform(0.5, 2, (3, 700)).astype(np.float32)
        z, w = z * factors[:, None] + bias[:, None], weight.astype(np.float64)
    else:
        bias = np.float32(-3)
        z -= 3
    z[own] = -np.inf
    given = logits.copy()
    losses, slopes, top = sums(
        given, np.empty_like(given), factors, bias, weight, np.float32(7), own
    )
    # Logits of size 300 in float32 are known to 2e-5, and their exponentials so, relatively.
    limit = 2e-6 + 2e-7 * spread
    sigmoid = np.exp(-np.logaddexp(0, -z))
    np.testing.assert_allclose(losses, w @ np.logaddexp(0, z), rtol=limit)
    np.testing.assert_allclose(slopes, w @ sigmoid, rtol=limit)
    np.testing.assert_allclose(given, 7 * w[:, None] * sigmoid, rtol=2 * limit, atol=1e-30)
    assert (given[own] == 0).all()
    assert top == pytest.approx(z.max(), rel=1e-6)


def test_nan_of_one_sample_stays_with_it(compiled):
    logits = np.zeros((300, 9), np.float32)
    logits[200, 4] = np.nan
    nobody = np.zeros(0, np.int64)
    losses, slopes, _ = compiled(
        logits, None, None, np.float32(0), None, np.float32(1), (nobody,) * 2
    )
    assert np.isnan(losses).tolist() == np.isnan(slopes).tolist() == [i == 4 for i in range(9)]
    np.testing.assert_allclose(np.delete(losses, 4), 300 * np.log(2), rtol=1e-6)


def test_sums_on_any_number_of_threads(compiled):
    threads = load_plain("binary_terms", "", True).omp_set_num_threads
    logits = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
    own, found = (np.array([5, 2000]), np.array([39, 0])), []
    try:
        for count in (1, 3):
            threads(count)
            given = logits.copy()
            sums = compiled(given, None, None, np.float32(-1), None, np.float32(2), own)
            found.append((given, *sums))
    finally:
        threads(1)
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["uniface", "bce", "sphereface2"])
@pytest.mark.parametrize("samples", [5, 20])
def test_a_step_is_that_of_numpy(name, samples, compiled, monkeypatch):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=samples)
    got = sharded(margin, x, w, labels, **extra)
    monkeypatch.setattr(terms, "_compiled", lambda: None)
    for one, each in zip(got, sharded(margin, x, w, labels, **extra)):
        close(one, each, 2e-6)


@pytest.mark.parametrize("name", ["uniface", "bce", "sphereface2"])
@pytest.mark.parametrize("samples", [5, 20])
def test_blocks_change_nothing_but_the_order_of_sums(name, samples, monkeypatch):
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=samples)
    want = sharded(margin, x, w, labels, **extra)
    for numbers, chunk in ((1, None), (60, None), (1 << 19, 4), (1 << 19, 1)):
        monkeypatch.setattr(terms, "CACHED", numbers)
        for got, each in zip(sharded(margin, x, w, labels, chunk=chunk, **extra), want):
            close(got, each, 2e-6)


def test_what_is_kept_is_smaller_than_the_gradient_of_the_centres():
    for samples, chunk, keeps in ((8, None, True), (16, None, False), (8, 10, False)):
        head = PartialFC("uniface", 50, 16, chunk=chunk)
        x, labels = batch(n=samples)
        kept = []
        with pytest.MonkeyPatch.context() as patch:
            forward = terms.BinaryTerms.forward

            def spy(self, *args, forward=forward, kept=kept):
                found = forward(self, *args)
                kept.append(self.kept)
                return found

            patch.setattr(terms.BinaryTerms, "forward", spy)
            head(x, labels)
            x.attach_grad()
            with mx.autograd.record():
                head(x, labels)
        assert kept[0] is None  # without gradients there is nothing to keep
        assert (kept[1] is not None) == keeps
