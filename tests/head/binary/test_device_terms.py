"""The terms in MXNet's operators, as on a GPU, against those in NumPy."""

import numpy as np
import pytest
from loss_paths import batch_of, sharded
from sampled_cases import backward, batch, close, head_of

from gluonface.head import sampled_centers
from gluonface.head.binary import step
from gluonface.head.binary.device_terms import DeviceTerms
from gluonface.head.storage import DeviceStore
from gluonface.loss import get_loss

CASES = [
    ("uniface", {}, {}),
    ("uniface", {"weight": 0.5}, {"filter_above": 0.2}),
    ("bce", {}, {}),
    ("sphereface2", {}, {"chunk": 4}),
    ("sphereface2", {"kind": "A", "gradient": "exact"}, {}),
    ("sphereface2", {"kind": "M", "t": 2.5}, {}),
]


@pytest.mark.parametrize(("name", "params", "options"), CASES)
def test_gradients_of_parameters(name, params, options, monkeypatch):
    margin = get_loss(name, **params)
    x, w, labels, extra = batch_of(margin)
    want = sharded(margin, x, w, labels, **extra, **options)
    monkeypatch.setattr(step, "BinaryTerms", DeviceTerms)
    got = sharded(margin, x, w, labels, **extra, **options)
    for a, b in zip(got, want):
        # Sums of float32 in another order, times a scale of 64. The gradient of a shared bias is a
        # difference of sums of size 1.
        np.testing.assert_allclose(
            a, b, rtol=2e-6, atol=2e-7 if b.shape == (1,) else 2e-6 * np.abs(b).max()
        )


@pytest.mark.parametrize("name", ["uniface", "bce", "sphereface2"])
@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
def test_updates_of_rows(name, sample_rate, monkeypatch):
    found = []
    for device in (False, True):
        if device:
            monkeypatch.setattr(step, "BinaryTerms", DeviceTerms)
            monkeypatch.setattr(
                sampled_centers,
                "make_store",
                lambda place, ctx, classes, *rest: DeviceStore(classes, ctx),
            )
        head = head_of(name, sample_rate=sample_rate, updates_itself=True)
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        for seed in range(2):
            for part in range(2):  # two passes for one update
                _, grad = backward(head, *batch(seed=2 * seed + part))
            square = head.gradient_square_sum().asscalar()
            head.update(0.01)
        rows = {key: np.array(value) for key, value in head.row_arrays().items()}
        found.append({**rows, **head.class_centers.shared, "grad": grad, "square": square})
    for key, want in found[0].items():
        close(found[1][key], want, 1e-5)  # the second step is at centres that differ by rounding
