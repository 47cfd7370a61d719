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
