"""Optimizers of rows against those of MXNet."""

import numpy as np
import pytest
from sampled_cases import backward, batch, close, head_of

from gluonface._compat import mx


@pytest.mark.parametrize("name", ["cosface", "softmax", "adam_softmax", "subcenter_arcface"])
@pytest.mark.parametrize("rule", ["sgd", "nag", "adamw"])
def test_all_rows_train_as_gluon_parameters_do(name, rule):
    from gluonface.training import optimizers  # noqa: F401  (registers adamw)

    own, plain = head_of(name, sample_rate=1.0, centers="host"), head_of(name, sample_rate=1.0)
    options = {} if rule == "adamw" else {"momentum": 0.9}
    own.set_optimizer(rule, wd=0.01, **options)
    for parameter in plain.params.values():
        parameter.wd_mult = float(len(parameter.shape) > 1)
    trainer = mx.gluon.Trainer(
        plain.collect_params(), rule, {"learning_rate": 0.05, "wd": 0.01, **options}
    )
    for t in range(3):
        x, labels = batch(seed=t)
        (loss, grad), (want, want_grad) = (backward(h, x, labels) for h in (own, plain))
        close(loss, want, 1e-5)
        close(grad, want_grad, 1e-4)
        own.update(0.05)
        trainer.step(1)
    got, want = own.row_arrays(), plain.row_arrays()
    if "class_margin" in want:  # clipped at once by the one, before the next step by the other
        want["class_margin"] = np.clip(want["class_margin"], 0.0, plain.margin.max_margin)
    for key in want:
        close(got[key], want[key], 2e-4 if rule == "adamw" else 2e-5)  # Adam divides by |g|
