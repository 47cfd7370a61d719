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
    for key in want:
        close(got[key], want[key], 2e-4 if rule == "adamw" else 2e-5)  # Adam divides by |g|


@pytest.mark.parametrize("sample_rate", [1.0, 0.3])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_stored_margins_are_in_their_range(sample_rate, sign):
    """After each update, whichever optimizer did it, and so in every checkpoint."""
    head = head_of("adam_softmax", sample_rate=sample_rate)
    x, labels = batch()
    options = {"learning_rate": 50.0, "momentum": 0.9}
    if head.updates_itself:
        head.set_optimizer("sgd", momentum=0.9)
    else:
        trainer = mx.gluon.Trainer(head.collect_params(), "sgd", options)
    for _ in range(3):
        backward(head, x, labels, share=sign)
        if head.updates_itself:
            head.update(50.0)
        else:
            trainer.step(1)
        margins = np.array(head.row_arrays()["class_margin"])
        assert ((margins >= 0.0) & (margins <= head.margin.max_margin)).all()
        assert len(np.unique(margins)) > 1
        if not head.updates_itself:
            stored = head.state_dict()["class_margin"]
            np.testing.assert_array_equal(head.class_margin.data().asnumpy(), stored)
