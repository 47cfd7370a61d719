"""The formulas on given arrays: twins, hybridized blocks, edges."""

import numpy as np
import pytest
from aux_paths import CLASSES, SIZE, cases, close, differentiate, state_of, twin_of

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss.auxiliary import AuxiliaryBlock, get_auxiliary

nd = mx.nd
PAIRED = {"triplet": 3, "contrastive": 2, "mps": 2}


def paired(name, n=9, seed=3):
    """Return the sides of given pairs or triplets, and what else the formula takes."""
    rng = np.random.default_rng(seed)
    sides = [rng.normal(size=(n, SIZE)) for _ in range(PAIRED[name])]
    sides[1] = sides[0] + 0.6 * sides[1]
    return sides, [np.arange(n) % 2] if name == "contrastive" else []


@pytest.mark.parametrize(
    ("name", "params"), [case for case in cases("embeddings") if case.values[0] in PAIRED]
)
def test_given_pairs_are_the_twins(name, params):
    sides, extra = paired(name)
    want, grads = twin_of(name).given(*sides, *extra, **params)
    block = AuxiliaryBlock(get_auxiliary(name, **params))
    arrays = [nd.array(value) for value in extra]
    got, own, _ = differentiate(lambda *x: block(*x, *arrays), *sides)
    close(got, want, 1e-5)
    for a, b in zip(own, grads):
        close(a, b, 1e-4)
    rng, step = np.random.default_rng(1), 1e-6
    for place, grad in enumerate(grads):
        toward = rng.normal(size=grad.shape)

        def mean(shift, place=place, toward=toward):
            moved = [side + shift * toward * (i == place) for i, side in enumerate(sides)]
            return twin_of(name).given(*moved, *extra, **params)[0].mean()

        slope = (mean(step) - mean(-step)) / 2 / step
        assert slope == pytest.approx((grad * toward).sum(), rel=1e-6, abs=1e-7)


def formula_inputs(name):
    """Return the inputs of the formula of every loss that has one."""
    rng = np.random.default_rng(2)
    x, labels = rng.normal(size=(7, SIZE)), nd.array(np.arange(7) % CLASSES, dtype="int64")
    state = {key: nd.array(value) for key, value in state_of(name).items() if key != "started"}
    if name in PAIRED:
        sides, extra = paired(name)
        return sides, [nd.array(value) for value in extra]
    if name in ("center", "git"):
        return [x, rng.normal(size=x.shape)], []
    if name == "ring":
        return [x], [state["radius"]]
    if name == "coco":
        return [x], [labels, state["centers"]]
    if name == "lgm":
        return [x], [labels, state["mean"], state["log_var"]]
    if name == "label_smoothing":
        return [rng.normal(size=(7, CLASSES))], [labels]
    return [rng.uniform(0, 4, size=7)], []  # focal


@pytest.mark.parametrize(
    "name",
    [*PAIRED, "center", "git", "ring", "coco", "lgm", "focal", "label_smoothing"],
)
def test_hybridized_equals_eager(name):
    sides, extra = formula_inputs(name)
    out = []
    for hybrid in (False, True):
        block = AuxiliaryBlock(get_auxiliary(name))
        if hybrid:
            block.hybridize()
        losses, grads, _ = differentiate(lambda *x, block=block: block(*x, *extra), *sides)
        out.append([losses, *grads])
    for a, b in zip(*out):
        close(b, a, 1e-6)  # fused operators may round otherwise


@pytest.mark.parametrize("params", twin_of("uss").CASES)
@pytest.mark.parametrize("hybrid", [False, True])
def test_cosines_to_a_memory_are_the_twins(params, hybrid):
    rng = np.random.default_rng(0)
    labels, memory = np.arange(7) % CLASSES, rng.normal(size=(CLASSES, SIZE))
    x = memory[labels] + rng.normal(size=(7, SIZE))
    memory = nd.array(memory / np.linalg.norm(memory, axis=1, keepdims=True))
    want = twin_of("uss").run(x, memory.asnumpy(), labels, 3.0, **params)
    block = AuxiliaryBlock(get_auxiliary("uss", **params))
    if hybrid:
        block.hybridize()

    def compute(x, bias):
        x = nd.broadcast_div(x, nd.norm(x, axis=1, keepdims=True))
        cosine = nd.dot(x, memory, transpose_b=True)
        return block(cosine, nd.array(labels, dtype="int64"), bias)

    got, (by_x, by_bias), _ = differentiate(compute, x, [3.0])
    close(got, want["loss"], 1e-5)
    close(by_x, want["grad_embeddings"], 1e-5)
    close(by_bias, want["grad_bias"], 1e-5)


@pytest.mark.parametrize("name", ["range", "ohem"])
def test_losses_that_need_the_labels_or_the_batch_have_no_block(name):
    block = AuxiliaryBlock(get_auxiliary(name))
    with pytest.raises(InputError, match=f"{name} has no formula"):
        block(nd.zeros((3, SIZE)), nd.zeros((3,)))


def test_a_changed_parameter_takes_effect_on_a_hybridized_block():
    loss = get_auxiliary("focal", gamma=0.0)
    block, x = AuxiliaryBlock(loss), nd.array([0.5, 2.0])
    block.hybridize()
    np.testing.assert_array_equal(block(x).asnumpy(), [0.5, 2.0])
    loss.gamma = 2.0
    close(block(x).asnumpy(), twin_of("focal").run([0.5, 2.0])["loss"], 1e-6)


def test_a_block_takes_a_loss_and_low_precision():
    with pytest.raises(InputError, match="get_auxiliary"):
        AuxiliaryBlock("focal")
    sides, _ = paired("triplet")
    got = AuxiliaryBlock(get_auxiliary("triplet"))(*(nd.array(s, dtype="float16") for s in sides))
    assert got.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", PAIRED)
def test_equal_and_zero_sides_are_finite(name, value):
    sides = [np.full((4, SIZE), value)] * PAIRED[name]
    extra = [nd.array([0, 1, 0, 1])] if name == "contrastive" else []
    block = AuxiliaryBlock(get_auxiliary(name))
    losses, grads, _ = differentiate(lambda *x: block(*x, *extra), *sides)
    for array in (losses, *grads):
        assert np.isfinite(array).all()
