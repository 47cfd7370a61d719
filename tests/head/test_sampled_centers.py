"""Heads that sample and update their own centres: against slow twins, and against whole heads."""

import numpy as np
import pytest
from pfc_cases import gradient
from reference import arcface, partial_fc_rows
from sampled_cases import CLASSES, SIZE, backward, batch, by_ranks, close, head_of
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head import row_optimizers, sampled_centers
from gluonface.head.storage import DeviceStore
from gluonface.loss import LOSSES

nd = mx.nd


@pytest.fixture(params=["host", "device", "disk"])
def store(request, monkeypatch, tmp_path):
    """Run a test with rows in NumPy arrays, in NDArrays as on a GPU, and in files."""
    if request.param == "device":
        monkeypatch.setattr(
            sampled_centers,
            "make_store",
            lambda place, ctx, classes, *rest: DeviceStore(classes, ctx),
        )
    if request.param == "disk":
        return {"centers": "disk", "centers_path": tmp_path}
    return {}


@pytest.mark.parametrize(
    ("rule", "mode"),
    [(rule, mode) for rule in ("sgd", "nag") for mode in row_optimizers.MODES]
    + [("adamw", "frozen")],
)
def test_updates_of_sampled_rows_against_the_twin(rule, mode, store, monkeypatch):
    monkeypatch.setattr(
        row_optimizers.LazyUpdates, "LENGTH", 4
    )  # all rows are brought up to date on the way
    rng = np.random.default_rng(1)
    head = head_of(momentum_mode=mode, **store)
    head.set_optimizer(rule, wd=0.01, **({} if rule == "adamw" else {"momentum": 0.9}))
    weight = np.array(head.get_centers())
    batches = []
    for t in range(7):
        x, labels = batch(seed=t)
        rest = np.setdiff1d(np.arange(CLASSES), labels)
        index = np.sort(np.concatenate([np.unique(labels), rng.choice(rest, 5, replace=False)]))
        batches.append((x, labels, index, 0.05 / (1 + t)))
        backward(head, x, labels, index=index)
        head.update(batches[-1][-1])
    twin = "dense" if mode == "catchup" else mode
    w, v, m, counts = partial_fc_rows.train(weight, batches, arcface.target, 64.0, rule, twin, 0.01)
    rows = head.row_arrays()
    close(rows["weight"], w, 2e-5)  # seven steps, each with a softmax of scale 64
    if rule == "adamw":
        close(rows["mean"], m, 5e-5)
        close(rows["variance"], v, 5e-5)
        np.testing.assert_array_equal(rows["count"], counts)
    else:
        close(rows["momentum"], v, 5e-5)
    if mode == "frozen":
        untouched = np.setdiff1d(np.arange(CLASSES), np.concatenate([b[2] for b in batches]))
        np.testing.assert_array_equal(np.asarray(rows["weight"])[untouched], weight[untouched])


@pytest.mark.parametrize("name", ["softmax", "adam_softmax"])
@pytest.mark.parametrize("rule", ["sgd", "nag"])
@pytest.mark.parametrize("mode", ["catchup", "reset"])
def test_missed_updates_of_biases_and_margins_against_the_twin(
    name, rule, mode, store, monkeypatch
):
    """Float64, by the formulas of the optimizers, on gradients that are given."""
    monkeypatch.setattr(row_optimizers.LazyUpdates, "LENGTH", 4)
    head = head_of(name, momentum_mode=mode, **store)
    head.set_optimizer(rule, momentum=0.9, wd=0.01)
    key = "bias" if name == "softmax" else "class_margin"
    w = np.asarray(head.row_arrays()[key], np.float64).copy()
    v, last = np.zeros_like(w), np.zeros(CLASSES, int)
    rng = np.random.default_rng(3)
    for t in range(9):
        x, labels = batch(seed=t)
        rest = np.setdiff1d(np.arange(CLASSES), labels)
        index = np.sort(np.concatenate([np.unique(labels), rng.choice(rest, 5, replace=False)]))
        backward(head, x, labels, index=index)
        (pending,) = head.class_centers.pending
        g, lr = np.zeros(CLASSES), 0.1 / (1 + t)
        g[index] = rng.normal(size=len(index)) * 0.5
        pending.vectors[key] = nd.array(g[index])
        head.update(lr)
        if mode == "reset":
            v[index[last[index] != t]] = 0
        moved = np.arange(CLASSES) if mode == "catchup" else index
        old = v[moved]
        new = 0.9 * old - lr * g[moved]
        w[moved] += new if rule == "sgd" else 0.9 * 0.9 * old - 1.9 * lr * g[moved]
        v[moved] = new
        if key == "class_margin":
            w = np.clip(w, 0.0, head.margin.max_margin)
        last[index] = t + 1
        if key == "class_margin":
            close(head.class_centers.class_margin_sum().asscalar(), w.sum(), 1e-5)
    rows = head.row_arrays()
    close(rows[key], w, 1e-5)
    close(rows[f"{key}.momentum"], v, 1e-5)
    assert np.count_nonzero(v) > CLASSES // 2


@pytest.mark.parametrize("name", LOSSES.list())
@pytest.mark.parametrize("sizes", [pytest.param((4, 4), marks=pytest.mark.slow), (2, 2, 2, 2)])
def test_hash_samples_train_alike_on_any_number_of_ranks(name, sizes):
    want, _ = by_ranks((8,), name)
    assert 0 < len(want["sample0"]) < CLASSES
    assert set(want["sample0"]) != set(want["sample1"])
    got, _ = by_ranks(sizes, name)
    for key in want:
        if key.startswith("sample"):
            np.testing.assert_array_equal(got[key], want[key])
        else:
            # The second step starts from centres that were summed in another order.
            close(got[key], want[key], 1e-5 if key.endswith("0") else 3e-4)


def test_micro_batches_add_up_by_row(store):
    whole, parts = head_of(**store), head_of(**store)
    x, labels = batch(n=8)
    index = np.arange(0, CLASSES)
    for head in (whole, parts):
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
    backward(whole, x, labels, share=1.0, index=index)
    for rows in (slice(0, 5), slice(5, 8)):
        some = np.union1d(np.unique(labels[rows]), np.arange(rows.start, CLASSES, 2))
        backward(parts, x[rows], labels[rows], share=1.0, index=some)
    first = parts.class_centers.pending[0].index
    total = parts.gradient_square_sum().asscalar()
    (merged,) = parts.class_centers.pending
    assert len(merged.index) > len(first)
    close(total, np.square(gradient(parts)).sum(), 1e-6)
    # With all classes in both parts the sum is the whole batch's gradient.
    parts.zero_grad()
    for rows in (slice(0, 5), slice(5, 8)):
        backward(parts, x[rows], labels[rows], share=1.0, index=index)
    close(gradient(parts), gradient(whole), 1e-5)
    for head in (whole, parts):
        head.update(0.1, scale=0.5)
    close(parts.get_centers(), whole.get_centers(), 1e-6)


def test_square_sum_is_of_the_gradient_that_is_applied():
    head = head_of()
    head.set_optimizer("sgd")
    x, labels = batch()
    before = head.get_centers()
    backward(head, x, labels)
    square = head.gradient_square_sum().asscalar()
    head.update(0.5, scale=3.0)
    close(np.square((before - head.get_centers()) / 1.5).sum(), square, 1e-4)
    assert head.gradient_square_sum().asscalar() == 0.0


def test_an_update_waits_for_a_backward_that_is_under_way():
    head = head_of("normface")
    head.set_optimizer("sgd")
    x, labels = batch()
    for _ in range(10):
        before = head.get_centers()
        with mx.autograd.record():
            loss = head(nd.array(x), labels).sum()  # the embedding wants no gradient
        loss.backward()
        head.update(0.1)
        assert not np.array_equal(head.get_centers(), before)


@pytest.mark.parametrize("name", ["curricularface", "sphereface", "adacos", "adaface"])
def test_a_skipped_step_leaves_no_trace(name):
    head, other = head_of(name), head_of(name)
    x, labels = batch()
    for each in (head, other):
        each.set_optimizer("sgd", momentum=0.9)
        backward(each, x, labels)
        each.update(0.1)
    bad = x.copy()
    bad[2, 3] = np.nan
    loss, _ = backward(head, bad, labels)
    assert not np.isfinite(loss[2])
    assert not np.isfinite(head.gradient_square_sum().asscalar())
    head.discard()
    assert head.sampling_step == other.sampling_step + 1  # the counter goes on
    a, b = (
        {k: v for k, v in each.state_dict(rows=True).items() if k != "sampling_step"}
        for each in (head, other)
    )
    for key in b:
        np.testing.assert_array_equal(a[key], b[key])


@pytest.mark.parametrize("mode", row_optimizers.MODES)
def test_stored_and_loaded_on_other_ranks_it_goes_on_the_same(mode):
    def part(comm, steps, stored):
        """Train some steps from what `part` returned on however many ranks."""
        head = head_of("curricularface", comm=comm, momentum_mode=mode)
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        if stored:
            head.load_state_dict(stored[0][0])
        for _, rows, start in stored:
            for name, values in rows.items():
                head.load_rows(name, start, values)
        for t in steps:
            x, labels = batch(n=12, seed=t)
            rows = slice(12 // comm.size * comm.rank, 12 // comm.size * (comm.rank + 1))
            head.sampling_step = t
            backward(head, x[rows], labels[rows], share=1 / 12)
            head.update(0.02 / (1 + t))
            if t % 2:  # what writing a checkpoint does
                found = {key: np.array(value) for key, value in head.row_arrays().items()}
        return head.state_dict(), found, head.start

    def run(parts):
        stored, step = [], 0
        for ranks, count in parts:
            steps = range(step, step + count)
            stored, _ = on_ranks(ranks, lambda comm, s=steps, old=stored: part(comm, s, old))
            step += count
        return {key: np.concatenate([each[1][key] for each in stored]) for key in stored[0][1]}

    want = run([(4, 8)])
    again, other = run([(4, 2), (4, 6)]), run([(4, 2), (2, 2), (1, 2), (3, 2)])
    for key, values in want.items():
        np.testing.assert_array_equal(again[key], values)
        # Sums in another order over eight steps.
        close(other[key], values, 2e-4)


def test_unbiased_denominator():
    x, labels = batch()
    full = head_of("normface", sample_rate=1.0)
    want = backward(full, x, labels)[0]
    head = head_of("normface", unbiased=True, seed=3)
    spreads = []
    for step in range(300):
        head.sampling_step = step
        loss = head(nd.array(x), labels).asnumpy()
        spreads.append(np.exp(loss.astype(np.float64)))  # the denominator over the target's term
    mean, error = np.mean(spreads, axis=0), np.std(spreads, axis=0) / np.sqrt(300)
    assert (np.abs(mean - np.exp(want)) < 4 * error + 1e-6).all()
    plain = head_of("normface", seed=3)
    plain.sampling_step = step
    assert (plain(nd.array(x), labels).asnumpy() < loss).all()
    explicit = head_of("normface", unbiased=True)
    index = np.union1d(labels, [0, 1, 2])
    got = explicit(nd.array(x), labels, index=index).asnumpy()
    cosine = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (
        full.get_centers() / np.linalg.norm(full.get_centers(), axis=1, keepdims=True)
    ).T
    z = full.margin.scale * cosine.astype(np.float64)
    positives = np.unique(labels)
    negatives = len(index) - len(positives)
    z[:, np.setdiff1d(index, positives)] += np.log((CLASSES - len(positives)) / negatives)
    want = np.log(np.exp(z[:, index]).sum(1)) - z[range(6), labels]
    close(got, want, 1e-5)


def test_wrong_use():
    head, plain = head_of(), head_of(sample_rate=1.0)
    x, labels = batch()
    with pytest.raises(InputError, match="set_optimizer before update"):
        head.update(0.1)
    head.set_optimizer("sgd")
    with pytest.raises(InputError, match="called once"):
        head.set_optimizer("sgd")
    with pytest.raises(InputError, match="use sgd, nag or adamw"):
        head_of().set_optimizer("adam")
    with pytest.raises(InputError, match="momentum_mode='frozen'"):
        head_of(momentum_mode="catchup").set_optimizer("adamw")
    for index, words in (
        (np.arange(5), "lacks"),
        (np.append(labels, CLASSES), "0 to 39"),
        (np.append(labels, labels), "twice"),
        (np.zeros(3), "whole numbers"),
        (np.zeros((2, 2), int), r"shape \(m,\)"),
    ):
        with pytest.raises(InputError, match=words):
            head(nd.array(x), labels, index=index)
    with pytest.raises(InputError, match="sample_rate below 1"):
        plain(nd.array(x), labels, index=np.arange(CLASSES))
    for call in (plain.zero_grad, plain.gradient_square_sum, lambda: plain.update(0.1)):
        with pytest.raises(InputError, match="update themselves"):
            call()
    with pytest.raises(InputError, match="no rows 'mean'"):
        head.load_rows("mean", 0, np.zeros((1, SIZE)))
    with pytest.raises(InputError, match="have the shape"):
        head.load_rows("weight", 0, np.zeros((1, SIZE + 1)))
