"""LVFace's loss on shards that sample: stored cases, the twin, CosFace without a bank, stages."""

import numpy as np
import pytest
from loss_paths import close
from reference import lvface as twin
from sampled_cases import backward
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head import PartialFC
from gluonface.head.bank import embedding_bank
from gluonface.head.storage import DeviceStore
from gluonface.loss import get_loss

nd = mx.nd
CASES = [f"lvface_stage{stage}_{form}" for stage in (2, 3) for form in ("bank", "shared")]


def gradient(head):
    """Return the pending gradient of this rank's centres (n, D)."""
    head.gradient_square_sum()  # brings the rows' gradients into their final form
    total = np.zeros((head.stop - head.start, head.width))
    for each in head.class_centers.pending:
        total[each.index] = each.grad
    return total


def head_of(classes=20, size=8, comm=None, bank_rows=None, loss=None, **kwargs):
    params = {key: kwargs.pop(key) for key in ("form", "scale") if key in kwargs}
    margin = loss or get_loss("lvface", **params)
    head = PartialFC(margin, classes, size, comm=comm, **{"sample_rate": 0.5, **kwargs})
    head.load_rows("weight", 0, rows(classes, size))
    if bank_rows is not None:
        head.load_rows("bank", 0, bank_rows)
    return head


def rows(classes=20, size=8, seed=9):
    return np.random.default_rng(seed).normal(size=(classes, size)).astype("f")


def batch(n=6, size=8, classes=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, size)).astype("f"), rng.integers(0, classes, n)


def known(classes=20, size=8):
    """Return rows of a bank in which a quarter of the classes were not seen."""
    bank = rows(classes, size, seed=3)
    bank[::4] = 0.0
    return bank


def test_every_case_is_used(shared):
    folder = shared / "reference/losses2"
    assert {path.stem for path in folder.glob("lvface*.npz")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("ranks", "chunk"), [(1, None), (2, 2), (4, None)])
def test_stored_cases(shared, case, ranks, chunk):
    with np.load(shared / f"reference/losses2/{case}.npz", allow_pickle=False) as file:
        data = dict(file)

    def work(comm):
        margin = get_loss(
            "lvface",
            scale=data["s"].item(),
            margin=data["m1"].item(),
            bank_margin=data["m2"].item(),
            form=data["form"].item(),
            bank="moving" if data["update"] else "frozen",
        )
        # The sample is given; the rate only says that there is one.
        head = PartialFC(margin, *data["weight"].shape, 0.999, comm=comm, chunk=chunk)
        head.load_rows("weight", 0, data["weight"])
        head.load_rows("bank", 0, data["bank"])
        mine = np.array_split(np.arange(9), ranks)[comm.rank]
        index = data["index"]
        index = index[(index >= head.start) & (index < head.stop)] - head.start
        x, labels = data["embeddings"][mine], data["labels"][mine]
        found = backward(head, x, labels, share=1 / 9, index=index)
        score = head.stats()["squared_cosine"]
        return *found, gradient(head), np.array(head.row_arrays()["bank"]), score

    found, _ = on_ranks(ranks, work)
    for each, key in zip(zip(*found), ("loss", "grad_embeddings", "grad_weight", "bank_after")):
        close(np.concatenate(each), data[key], 2e-6)  # float32, times a scale of 64
    for each in found:
        assert each[4] == pytest.approx(data["stage_score"], rel=1e-6)
    for k, loss in enumerate(np.concatenate([each[0] for each in found])):
        assert loss == pytest.approx(data["loss"][k], rel=1e-5, abs=1e-6)  # a small one as well


@pytest.mark.parametrize("form", ["bank", "shared"])
@pytest.mark.parametrize("options", [{}, {"unbiased": True}, {"filter_above": 0.3, "chunk": 3}])
def test_sampled_classes_against_the_twin(form, options):
    (x, labels), bank, index = batch(), known(), np.arange(0, 20, 2)
    index = np.union1d(index, labels)
    head = head_of(form=form, bank_rows=bank, scale=16.0, **options)
    loss, grad = backward(head, x, labels, index=index)
    shift = None
    if "unbiased" in options:
        positives = np.unique(labels)
        ratio = (20 - len(positives)) / (len(index) - len(positives))
        shift = np.where(np.isin(np.arange(20), positives), 0.0, np.log(ratio))
    want = twin.run(
        x, rows(), labels, form=form, scale=16.0, bank_rows=bank, index=index, shift=shift,
        filter_above=options.get("filter_above"),
    )  # fmt: skip
    close(loss, want["loss"], 2e-6)
    close(grad, want["grad_embeddings"], 1e-5)
    close(gradient(head), want["grad_weight"], 1e-5)
    close(head.row_arrays()["bank"], want["bank"], 1e-6)


@pytest.mark.parametrize("form", ["bank", "shared"])
@pytest.mark.parametrize("chunk", [None, 3])
def test_without_rows_it_is_cosface_to_the_last_bit(form, chunk):
    x, labels = batch()
    x = nd.array(x)
    found = []
    for loss in ("lvface", "cosface"):
        margin = get_loss(loss, margin=0.4, **({"form": form} if loss == "lvface" else {}))
        head = head_of(loss=margin, chunk=chunk)
        x.attach_grad()
        with mx.autograd.record(train_mode=False):  # in which no class gets a row
            losses = head(x, labels)
            total = losses.sum()
        total.backward()
        found.append((losses.asnumpy(), x.grad.asnumpy(), gradient(head), head.stats()))
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)
    assert found[0][1].any()


def test_memory_of_a_device(monkeypatch):
    """MXNet's arrays instead of NumPy's, as on a GPU."""

    def states(head):
        head.set_optimizer("sgd", momentum=0.9)
        for seed in range(3):
            found = backward(head, *batch(seed=seed))
            head.begin() if seed == 1 else None
            head.discard() if seed == 1 else head.update(0.01)
        return *found, np.array(head.row_arrays()["bank"])

    want = states(head_of(bank_rows=known()))
    monkeypatch.setattr(
        embedding_bank,
        "make_store",
        lambda place, ctx, classes, *rest: DeviceStore(classes, ctx),
    )
    for a, b in zip(states(head_of(bank_rows=known())), want):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("place", ["host", "disk"])
def test_place_of_the_bank(place, tmp_path):
    found = []
    for where in ("memory", place):
        head = head_of(centers=where, centers_path=tmp_path, bank_rows=known())
        head.set_optimizer("sgd", momentum=0.9)
        for seed in range(3):
            losses = backward(head, *batch(seed=seed))[0]
            head.update(0.01)
        found.append((losses, np.array(head.row_arrays()["bank"])))
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("form", ["bank", "shared"])
def test_stored_and_loaded_it_goes_on_the_same(form, sample_rate):
    def fresh(**kwargs):
        head = head_of(form=form, sample_rate=sample_rate, updates_itself=True, **kwargs)
        head.set_optimizer("sgd", momentum=0.9)
        return head

    def steps(head, first, last):
        for seed in range(first, last):
            backward(head, *batch(seed=seed))
            head.update(0.01)
        return head

    whole = steps(fresh(), 0, 4)
    state = steps(fresh(), 0, 2).state_dict(rows=True)
    again = fresh(bank_rows=known())
    again.load_state_dict(state)
    for key, value in steps(again, 2, 4).state_dict(rows=True).items():
        np.testing.assert_array_equal(whole.state_dict(rows=True)[key], value)
    assert np.abs(state["bank"]).any(axis=1).sum() < 20  # some classes were not seen
    # The state of a run without a bank leaves that of this head as it is.
    again.load_state_dict({key: value for key, value in state.items() if key != "bank"})
    np.testing.assert_array_equal(again.row_arrays()["bank"], whole.row_arrays()["bank"])


def test_a_dropped_pass_leaves_no_trace():
    head = head_of(bank_rows=known())
    head.set_optimizer("sgd", momentum=0.9)
    before = head.state_dict(rows=True)
    for seed in range(2):  # two passes of one step
        backward(head, *batch(seed=seed))
    assert (np.array(head.row_arrays()["bank"]) != before["bank"]).any()
    head.discard()
    head.update(0.1)
    after = head.state_dict(rows=True)
    for key in before.keys() - {"updates", "sampling_step"}:
        np.testing.assert_array_equal(before[key], after[key])


def test_an_embedding_that_is_not_finite_is_not_kept():
    x, labels = batch()
    x[0, 0] = np.nan
    head = head_of()
    backward(head, x, labels)
    bank = head.row_arrays()["bank"]
    assert np.isfinite(bank).all()
    seen = bank.any(axis=1)
    assert not seen[labels[0]]
    assert seen[np.setdiff1d(labels, labels[:1])].all()


def test_stages_of_a_head():
    """CosFace, the bank fills and moves, the bank is frozen but for new classes."""
    head = head_of(loss=get_loss("cosface"), bank=True)
    head.set_optimizer("sgd", momentum=0.9)
    x, labels = batch()
    backward(head, x, labels)
    assert not np.any(head.row_arrays()["bank"])
    banks = []
    for margin in ("moving", "moving", "frozen"):
        head.set_margin(get_loss("lvface", bank=margin))
        head.update(0.01)
        backward(head, x + 0.3, labels)
        banks.append(np.array(head.row_arrays()["bank"]))
        x = x + 0.3
    assert np.any(banks[0][labels] != banks[1][labels])
    np.testing.assert_array_equal(banks[1], banks[2])
    other = np.setdiff1d(np.arange(20), labels)[:1]
    backward(head, x[:1], other)
    np.testing.assert_allclose(
        head.row_arrays()["bank"][other[0]], x[0] / np.linalg.norm(x[0]), rtol=1e-6
    )
    # A head without room for a bank makes it.
    late = head_of(loss=get_loss("cosface"))
    assert not late.banks
    late.set_margin(get_loss("lvface"))
    backward(late, x, labels)


def test_slopes_where_both_anchors_are_equal():
    """Half of the gradient goes to each."""
    margin = get_loss("lvface", form="shared", scale=8.0)
    cosine, bank_cosine = nd.array([0.3, -1.0]), nd.array([0.3, 1e4])
    for each in (cosine, bank_cosine):
        each.attach_grad()
    with mx.autograd.record():
        value = margin.target(nd, cosine, nd.ones((2,)), bank_cosine)
    value.backward()
    np.testing.assert_allclose(value.asnumpy(), [-0.1 - np.log(2) / 8, -1.4], rtol=1e-6)
    np.testing.assert_array_equal(cosine.grad.asnumpy(), [0.5, 1.0])
    np.testing.assert_array_equal(bank_cosine.grad.asnumpy(), [0.5, 0.0])


def test_label_smoothing_is_refused():
    with pytest.raises(InputError, match=r"label_smoothing=0\.1 is not allowed with lvface"):
        head_of(label_smoothing=0.1)
    head = head_of(loss=get_loss("cosface"), label_smoothing=0.1)
    with pytest.raises(InputError, match=r"label_smoothing=0\.1 is not allowed with lvface"):
        head.set_margin(get_loss("lvface"))
