"""Sums of exponentials over rows that are read some at a time."""

import numpy as np
import pytest
from plain_cases import head_of
from reference.lvface import log_sum

from gluonface._compat import mx
from gluonface.head.bank import sums
from gluonface.head.bank.embedding_bank import EmbeddingBank
from gluonface.head.class_chunk import NO_LOGIT, Shard

nd = mx.nd
CLASSES, SIZE = 30, 16


@pytest.mark.parametrize("chunk", [None, 4])
@pytest.mark.parametrize("block", [1 << 20, 40])
@pytest.mark.parametrize("above", [None, 0.2])
@pytest.mark.parametrize("index", [None, np.arange(1, CLASSES, 2)])
def test_sums_against_float64(chunk, block, above, index, monkeypatch):
    monkeypatch.setattr(sums, "BLOCK", block)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(CLASSES, SIZE)).astype("f")
    rows[[3, 8]] = 0.0
    x = rng.normal(size=(6, SIZE))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype("f")
    labels = np.array([1, 3, 5, 5, 29, 40])  # the last one is of another rank
    head = head_of("cosface", classes=50, filter_above=above, chunk=chunk)
    bank = EmbeddingBank(0, CLASSES, SIZE, mx.cpu(), "memory", None, "test", undoes=False)
    bank.load(0, rows)
    chosen = np.arange(CLASSES) if index is None else index
    shift = rng.normal(size=len(chosen))
    shard = Shard(0, CLASSES, nd.array(rows[chosen]), index=index)
    top, spread, toward = sums.sum_over_rows(
        bank, shard, head._settings(), nd.array(x), labels, nd.array(shift), toward=True
    )
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    for i in range(len(x)):
        cosine = unit[chosen].astype(float) @ x[i]
        kept = [
            k
            for k, j in enumerate(chosen)
            if j != labels[i] and rows[j].any() and (above is None or cosine[k] <= above)
        ]
        logits = 64.0 * cosine[kept] + shift[kept]
        # float32: logits up to 64.
        assert np.log(spread[i].asscalar()) + top[i].asscalar() == pytest.approx(
            log_sum(logits), rel=2e-6, abs=2e-5
        )
        shares = np.exp(logits - log_sum(logits))
        got = toward[i].asnumpy() / spread[i].asscalar()
        np.testing.assert_allclose(got, shares @ unit[chosen][kept], rtol=1e-4, atol=1e-5)


def test_without_any_row():
    head = head_of("cosface")
    bank = EmbeddingBank(0, 3, SIZE, mx.cpu(), "memory", None, "test", undoes=False)
    x, labels = nd.ones((2, SIZE)) / 4, np.array([0, 9])
    top, spread, toward = sums.sum_over_rows(bank, None, head._settings(), x, labels, toward=True)
    assert (top.asnumpy() == NO_LOGIT).all()
    assert not spread.asnumpy().any()
    assert not toward.asnumpy().any()
    shard = Shard(0, 3, nd.zeros((3, SIZE)))
    top, *_ = sums.sum_over_rows(bank, shard, head._settings(), x, labels)
    assert (top.asnumpy() < -1e29).all()
