"""What holds for every registered auxiliary loss."""

import aux_paths
import numpy as np
import pytest
from aux_paths import (
    CLASSES,
    SIZE,
    batch,
    cases,
    close,
    differentiate,
    names,
    on_ranks,
    ready,
    state_of,
    twin_of,
)

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss.auxiliary import AUXILIARY, get_auxiliary, list_auxiliary

nd = mx.nd
EMBEDDINGS = names("embeddings")


@pytest.mark.parametrize(("name", "params"), cases("embeddings"))
def test_twin_gradients_agree_with_finite_differences(name, params):
    twin, state = twin_of(name), state_of(name)
    x, labels = batch()
    out = twin.run(x, labels, state, **params)
    rng, step = np.random.default_rng(1), 1e-6
    for key in ("x", *(k[5:] for k in out if k.startswith("grad_") and k != "grad_x")):
        base = x if key == "x" else state[key]
        toward = rng.normal(size=base.shape)

        def mean(shift, key=key, toward=toward):
            here = x + shift * toward if key == "x" else x
            there = state if key == "x" else {**state, key: state[key] + shift * toward}
            return twin.run(here, labels, there, **params)["loss"].mean()

        slope = (mean(step) - mean(-step)) / 2 / step
        assert slope == pytest.approx((out[f"grad_{key}"] * toward).sum(), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("name", "params"), cases("embeddings"))
def test_values_gradients_and_state_are_the_twins(name, params):
    x, labels = batch()
    loss = ready(name, params)
    want = twin_of(name).run(x, labels, state_of(name), **params)
    got, (grad,), learned = differentiate(
        lambda e: loss(e, labels), x, params=loss.collect_params()
    )
    close(got, want["loss"], 1e-5)
    close(grad, want["grad_x"], 1e-4)
    assert set(learned) == {k[5:] for k in want if k.startswith("grad_")} - {"x"}
    for key, value in learned.items():
        close(value, want[f"grad_{key}"], 1e-4)
    after = loss.state_dict()
    assert set(after) == set(want["state"])
    for key, value in want["state"].items():
        close(after[key], value, 1e-5)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_state_stands_still_outside_training(name):
    x, labels = batch()
    loss = ready(name, {})
    before = loss.state_dict()
    first = loss(nd.array(x), labels).asnumpy()
    np.testing.assert_array_equal(loss(nd.array(x), labels).asnumpy(), first)
    for key, value in loss.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_state_is_saved_and_taken_back(name):
    x, labels = batch()
    loss, again = ready(name, {}), get_auxiliary(name).initialize(CLASSES, SIZE, seed=5)
    differentiate(lambda e: loss(e, labels), x)
    again.load_state_dict(loss.state_dict())
    for a, b in zip(loss.state_dict().values(), again.state_dict().values()):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(*(each(nd.array(x), labels).asnumpy() for each in (loss, again)))


@pytest.mark.parametrize("name", [n for n in EMBEDDINGS if state_of(n)])
def test_state_of_another_size_is_refused(name):
    state = ready(name, {}, classes=CLASSES + 1, state=state_of(name, CLASSES + 1)).state_dict()
    loss = get_auxiliary(name).initialize(CLASSES, SIZE)
    if any(value.shape[:1] == (CLASSES + 1,) for value in state.values()):
        with pytest.raises(InputError, match="shape"):
            loss.load_state_dict(state)
    state = ready(name, {}).state_dict()
    state.pop(sorted(k for k in state if k != "started")[0])
    with pytest.raises(InputError, match=f"{name} has no"):
        loss.load_state_dict(state)


EDGES = {
    "one sample": ([2], [[1.0] * SIZE]),
    "one zero": ([2], [[0.0] * SIZE]),
    "one identity": ([1, 1, 1], np.arange(3 * SIZE).reshape(3, SIZE) % 5),
    "no positives": ([0, 1, 2, 3], np.arange(4 * SIZE).reshape(4, SIZE) % 7),
    "all equal": ([0, 0, 1, 1], np.ones((4, SIZE))),
    "all zero": ([0, 0, 1, 1], np.zeros((4, SIZE))),
    "opposite": ([0, 0, 1, 1], np.outer([1, -1, 1, -1], np.ones(SIZE))),
    "large": ([0, 0, 1, 1], np.arange(4 * SIZE).reshape(4, SIZE) * 1e4),
    "small": ([0, 0, 1, 1], np.arange(4 * SIZE).reshape(4, SIZE) * 1e-14),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("name", "params"), cases("embeddings"))
def test_edges_are_finite(name, params, edge):
    labels, x = EDGES[edge]
    loss = ready(name, params)
    got, (grad,), learned = differentiate(
        lambda e: loss(e, np.array(labels)), x, params=loss.collect_params()
    )
    assert got.ndim == 1
    for array in (got, grad, *learned.values(), *loss.state_dict().values()):
        assert np.isfinite(array).all()


@pytest.mark.parametrize("name", ["triplet", "contrastive", "range", "mps"])
def test_nothing_to_compare_is_no_loss(name):
    x, _ = batch(labels=np.arange(1))
    got, (grad,), _ = differentiate(lambda e: ready(name, {})(e, [2]), x)
    assert not got.any()
    assert not grad.any()


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_several_ranks_are_as_one(name, size):
    x, labels = batch()
    params = {"alpha": 0.5, "beta": 0.1, "margin": 60.0} if name == "range" else {}
    alone = ready(name, params)
    want, (grad,), learned = differentiate(
        lambda e: alone(e, labels), x, params=alone.collect_params()
    )
    parts = [np.arange(len(x))[rows] for rows in (slice(0, 3), slice(3, 7), slice(7, None))]
    parts = parts if size == 3 else [parts[0], np.concatenate(parts[1:])]

    def work(comm):
        loss, rows = ready(name, params, comm=comm), parts[comm.rank]
        out = differentiate(lambda e: loss(e, labels[rows]), x[rows], params=loss.collect_params())
        return (*out, loss.state_dict())

    for rows, (got, (own,), theirs, state) in zip(parts, on_ranks(size, work)):
        # The same float32 operations on the same batch: equal to the bit.
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(own, grad[rows])
        for key, value in learned.items():
            np.testing.assert_array_equal(theirs[key], value)
        for key, value in alone.state_dict().items():
            np.testing.assert_array_equal(state[key], value)


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes_are_computed_in_float32(name, dtype):
    x, labels = batch()
    x = x.astype("float16").astype("float64")
    out = []
    for kind in ("float32", dtype):
        array = nd.array(x, dtype=kind)
        array.attach_grad()
        loss = ready(name, {})
        with mx.autograd.record():
            losses = loss(array, labels)
        losses.backward()
        assert losses.dtype == np.float32
        assert array.grad.dtype == np.dtype(kind)
        out.append(losses.asnumpy())
    np.testing.assert_array_equal(*out)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_wrong_input_is_named(name):
    loss = ready(name, {})
    with pytest.raises(InputError, match=f"{name}.*shape"):
        loss(nd.zeros((3, SIZE, 1)), [0, 1, 2])
    with pytest.raises(InputError, match=f"{name}: 2 labels"):
        loss(nd.zeros((3, SIZE)), [0, 1])
    with pytest.raises(InputError, match=f"{name}: embeddings have 5 numbers"):
        loss(nd.zeros((3, 5)), [0, 1, 2])
    with pytest.raises(InputError, match="label 6"):
        loss(nd.zeros((3, SIZE)), [0, 6, 2])
    if loss.needs:
        with pytest.raises(InputError, match=r"initialize\(num_classes"):
            get_auxiliary(name)(nd.zeros((3, SIZE)), [0, 1, 2])
        with pytest.raises(InputError, match="needs num_classes"):
            get_auxiliary(name).initialize()
        with pytest.raises(InputError, match="embedding_size=0"):
            get_auxiliary(name).initialize(3, 0)


@pytest.mark.parametrize("name", AUXILIARY.list())
def test_description_is_complete(name):
    entry = AUXILIARY.get(name)
    about = entry.describe()
    assert about["name"] == entry.name == name
    assert entry.__module__.endswith(f".{name}")
    for key in ("title", "paper", "year", "family", "kind", "formula"):
        assert about[key], key
    assert all(row["doc"] and row["allowed"] for row in about["parameters"])
    assert ("weight" in entry.parameters) == (about["kind"] not in ("losses", "logits"))
    assert twin_of(name).CASES
    for row in about["parameters"]:
        assert f"{row['name']} : " in entry.__doc__
        default = row["default"]
        default = f'"{default}"' if isinstance(default, str) else default
        assert f"default {default}" in entry.__doc__
    for section in ("References", "Inputs", "Outputs", ".. math::"):
        assert section in entry.__doc__


@pytest.mark.parametrize("name", AUXILIARY.list())
def test_every_parameter_is_checked(name):
    entry = AUXILIARY.get(name)
    for key, parameter in entry.parameters.items():
        with pytest.raises(InputError, match=f"{name}: {key}='much' is not allowed"):
            get_auxiliary(name, **{key: "much"})
        if parameter.why:
            with pytest.raises(InputError, match=f"{name}: {key}=-1"):
                get_auxiliary(name, **{key: -1})
    with pytest.raises(InputError, match="no parameter 'wieght'"):
        get_auxiliary(name, wieght=1)


def test_whole_numbers_and_flags():
    assert get_auxiliary("range", k=3.0).k == 3
    with pytest.raises(InputError, match="must be a whole number"):
        get_auxiliary("range", k=2.5)
    with pytest.raises(InputError, match="true or false"):
        get_auxiliary("triplet", normalize=1)


def test_list_alias_and_suggestion():
    assert list_auxiliary("c*") == ["center", "coco", "contrastive"]
    assert get_auxiliary("Centre").name == "center"
    with pytest.raises(InputError, match="'triplet'"):
        get_auxiliary("tripplet")
    with pytest.raises(InputError, match="'cosface' is the loss of a head"):
        get_auxiliary("cosface")


def test_choosing_one_does_not_need_mxnet():
    import subprocess
    import sys

    code = (
        "import sys; from gluonface.loss.auxiliary import AUXILIARY, get_auxiliary;"
        "[AUXILIARY.get(n).describe() for n in AUXILIARY.list()]; get_auxiliary('center');"
        "print('mxnet' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


def test_helper_of_ranks_fails_when_a_rank_does():
    def work(comm):
        raise InputError("no") if comm.rank else comm.allgather(nd.zeros((1,)), name="x")

    with pytest.raises((InputError, aux_paths.threading.BrokenBarrierError)):
        on_ranks(2, work)
