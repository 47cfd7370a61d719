"""Heads that sample and update their own centres: against slow twins, and against whole heads."""

import numpy as np
import pytest
from pfc_cases import gradient
from reference import arcface, partial_fc_rows
from sampled_cases import CLASSES, SIZE, backward, batch, close, head_of
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head import array_operations, row_optimizers, sampled_centers
from gluonface.head.storage import DeviceStore, make_store
from gluonface.loss import LOSSES
from gluonface.parallel import PartialFC

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


def by_ranks(sizes, name, steps=2, **kwargs):
    """Train sampled heads on ranks with so many rows each; return the joined results."""

    def work(comm):
        head = head_of(name, comm=comm, **kwargs)
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        first = sum(sizes[: comm.rank])
        rows, out = slice(first, first + sizes[comm.rank]), {}
        for t in range(steps):
            x, labels = batch(n=sum(sizes), seed=t)
            found = backward(head, x[rows], labels[rows], share=1.0 / sum(sizes))
            out[f"loss{t}"], out[f"grad{t}"] = found
            out[f"sample{t}"] = np.array([], int)
            if head.class_centers.pending:
                out[f"sample{t}"] = head.class_centers.pending[0].index + head.start
            head.update(0.02)
        return {**out, "weight": np.array(head.row_arrays()["weight"])}

    found, calls = on_ranks(len(sizes), work)
    return {key: np.concatenate([each[key] for each in found]) for key in found[0]}, calls


@pytest.mark.parametrize("name", LOSSES.list())
def test_hash_samples_train_alike_on_any_number_of_ranks(name):
    want, _ = by_ranks((8,), name)
    assert 0 < len(want["sample0"]) < CLASSES
    assert set(want["sample0"]) != set(want["sample1"])
    for sizes in ((4, 4), (2, 2, 2, 2)):
        got, _ = by_ranks(sizes, name)
        for key in want:
            if key.startswith("sample"):
                np.testing.assert_array_equal(got[key], want[key])
            else:
                # The second step starts from centres that were summed in another order.
                close(got[key], want[key], 1e-5 if key.endswith("0") else 3e-4)


def test_three_collectives_on_the_path_and_all_are_named():
    _, calls = by_ranks((4, 4), "cosface", steps=1)
    assert [name for name, _ in calls] == [
        "head.config",
        "head.labels",  # before the embeddings are there
        "head.x",
        "head.softmax",
        "head.grad",  # nobody waits for it until the centres' gradients
        "head.gx",
    ]
    assert dict(calls)["head.x"] == (4, SIZE)
    assert dict(calls)["head.gx"] == (8, SIZE)


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


@pytest.mark.parametrize("sampler", ["hash", "exact"])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 1, 3), (1,)])
def test_odd_batches(sampler, sizes):
    want, _ = by_ranks((sum(sizes),), "cosface", steps=1)
    got, _ = by_ranks(sizes, "cosface", steps=1, sampler=sampler)
    if sampler == "hash":
        close(got["loss0"], want["loss0"], 1e-5)
        close(got["grad0"], want["grad0"], 1e-5)
    assert np.isfinite(got["weight"]).all()


def test_float16_on_the_wire():
    want, _ = by_ranks((4, 4), "cosface", steps=1)
    got, _ = by_ranks((4, 4), "cosface", steps=1, wire_dtype="float16")
    # x is known to 2**-11 of its numbers: cosines to about 1e-4 here (D = 8), times the scale 64.
    np.testing.assert_allclose(got["loss0"], want["loss0"], atol=0.03)
    error = np.abs(got["grad0"] - want["grad0"]).max() / np.abs(want["grad0"]).max()
    assert 1e-6 < error < 1e-2


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


def test_ranks_of_unlike_configuration_are_told_so_on_every_rank():
    def work(comm):
        with pytest.raises(InputError) as caught:
            PartialFC("cosface", 40 + comm.rank // 2, SIZE, comm=comm, seed=int(comm.rank == 1))
        return str(caught.value)

    found, _ = on_ranks(3, work)
    assert len(set(found)) == 1
    assert "num_classes is 40 on rank 0, 1; 41 on rank 2" in found[0]
    assert "seed is" in found[0]


def test_disk_leaves_nothing_behind_and_equals_memory(tmp_path, monkeypatch):
    from gluonface.head.storage.disk import DiskStore

    monkeypatch.setattr(DiskStore, "BUDGET", 1)  # let go of the pages at every chance
    results = []
    disk = {"centers": "disk", "centers_path": tmp_path / "new" / "folder"}
    for options, early in (({}, False), (disk, False), (disk, True)):
        head = PartialFC("cosface", 5000, SIZE, sample_rate=0.1, **options)
        if early:  # the centres' file is made, and momentum gets one of its own
            head.set_centers(head.get_centers())
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        for t in range(3):
            backward(head, *batch(seed=t, classes=5000))
            head.update(0.1)
        results.append({k: np.array(v) for k, v in head.row_arrays().items()})
    for name in ("weight", "momentum"):
        np.testing.assert_array_equal(results[1][name], results[0][name])
        np.testing.assert_array_equal(results[2][name], results[0][name])
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_disk_that_is_no_folder_or_has_no_room(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="give a folder"):
        make_store("disk", mx.cpu(), 10, file)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(InputError, match=r"No space left.*room for weight and momentum"):
        head_of(centers="disk", centers_path=tmp_path).set_optimizer("sgd")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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
