"""What a head adds to its own losses: one after the other, and only after a call."""

import numpy as np
import pytest
from loss_paths import close
from memory_cases import CLASSES, SIZE, head_of, known, uss_of
from sampled_cases import batch

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head import PartialFC

nd = mx.nd


def test_distillation_and_pairs_follow_one_step():
    x, labels = batch()
    head, loss = head_of(memory=known()), uss_of(3.0)
    head.set_teacher(np.random.default_rng(1).normal(size=(CLASSES, 5)).astype("f"))
    teacher, found = nd.array(np.random.default_rng(2).normal(size=(6, 5))), []
    for order in (("distill", "uss"), ("uss", "distill")):
        head.load_rows("last_embedding", 0, known())
        e = nd.array(x)
        e.attach_grad()
        with mx.autograd.record():
            total = head(e, labels)
            for name in order:
                if name == "uss":
                    total = total + head.compare_with_last(e, loss)
                else:
                    total = total + head.distill(e, teacher)
        total.backward()
        found.append((total.asnumpy(), e.grad.asnumpy(), head.weight.grad().asnumpy()))
    for a, b in zip(*found):
        close(a, b, 1e-6)


def test_wrong_use():
    x, labels = batch()
    head, loss = PartialFC("cosface", CLASSES, SIZE), uss_of()
    with pytest.raises(InputError, match="dtype='int8' is not known; expected float32, float16"):
        head.remember("int8")
    head(nd.array(x), labels)
    with pytest.raises(InputError, match="comes after remember and a call of the head"):
        head.compare_with_last(nd.array(x), loss)
    head.remember()
    head.remember()
    with pytest.raises(
        InputError, match="'float16': the head keeps its last embeddings in float32"
    ):
        head.remember("float16")
    head(nd.array(x), labels)
    with pytest.raises(InputError, match="5 embeddings after a call with 6"):
        head.compare_with_last(nd.array(x[:5]), loss)
    head.compare_with_last(nd.array(x), loss)
    with pytest.raises(InputError, match="comes after remember and a call of the head"):
        head.compare_with_last(nd.array(x), loss)


def test_the_last_call_is_forgotten_when_nothing_may_follow():
    x, labels = batch()
    head = PartialFC("cosface", CLASSES, SIZE)
    head(nd.array(x), labels)
    assert head._last_step is None  # nothing is ever added
    head.remember()
    head(nd.array(x), labels)
    assert head._last_step is not None
    head.compare_with_last(nd.array(x), uss_of())
    assert head._last_step is None
