"""The logits to some classes: filter, chunks, and blocks of rows."""

import numpy as np
import pytest
from plain_cases import head_of
from sampled_cases import CLASSES, by_ranks, close

from gluonface._compat import mx
from gluonface.head import array_operations

nd = mx.nd


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


@pytest.mark.parametrize("name", ["cosface", "curricularface", "adacos", "subcenter_arcface"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_chunks_do_not_change_the_step(name, smoothing):
    options = {"label_smoothing": smoothing, "sample_rate": 0.5}
    want, _ = by_ranks((4, 4), name, steps=1, **options)
    got, _ = by_ranks((4, 4), name, steps=1, chunk=3, **options)
    for key in want:
        close(got[key], want[key], 1e-5)


@pytest.mark.parametrize("name", ["circleloss", "curricularface", "adacos", "subcenter_arcface"])
def test_rows_at_a_time_do_not_change_the_step(name, monkeypatch):
    options = {"filter_above": None if name == "circleloss" else 0.3, "sample_rate": 0.5}
    want, _ = by_ranks((6, 3), name, **options)
    monkeypatch.setattr(array_operations, "CACHED", 2 * CLASSES)  # two rows, and one of sub-centres
    got, _ = by_ranks((6, 3), name, **options)
    for key in want:
        close(got[key], want[key], 1e-5)
