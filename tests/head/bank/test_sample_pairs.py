"""USS beside a head: stored cases, the twin, what starts and is kept, on shards and samples."""

import numpy as np
import pytest
from loss_paths import close
from memory_cases import CLASSES, SIZE, compare, head_of, known, uss_of
from reference import aux_uss as twin
from sampled_cases import batch
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.head import PartialFC
from gluonface.head.bank import embedding_bank
from gluonface.head.binary import step, terms
from gluonface.head.binary.device_terms import DeviceTerms
from gluonface.head.storage import DeviceStore
from gluonface.loss import get_loss

nd = mx.nd


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)


def test_every_case_is_used(shared):
    files = {path.stem for path in (shared / "reference/losses2").glob("uss*.npz")}
    assert files == {"uss_step1", "uss_step2"}


@pytest.mark.parametrize("case", ["uss_step1", "uss_step2"])
@pytest.mark.parametrize(
    ("beside", "ranks", "options"),
    [
        ("uniface", 1, {}),
        ("cosface", 2, {"chunk": 2}),
        ("softmax", 4, {}),  # which has no embeddings of unit length
        ("uniface", 2, "all"),
    ],
)
def test_stored_cases(shared, case, beside, ranks, options):
    with np.load(shared / f"reference/losses2/{case}.npz", allow_pickle=False) as file:
        data = dict(file)
    whole = options == "all"
    options = {"mode": "replicated"} if whole else options

    def work(comm):
        bias = data["bias_in"].item() or None
        loss = uss_of(bias, comm, margin=data["m"].item(), scale=data["s"].item())
        head = PartialFC(get_loss(beside), *data["memory"].shape, comm=comm, **options)
        head.remember()
        head.load_rows("last_embedding", 0, data["memory"])
        mine = np.array_split(np.arange(9), ranks)[comm.rank]
        found = compare(head, loss, data["embeddings"][mine], data["labels"][mine], share=1 / 9)
        memory = np.array(head.row_arrays()["last_embedding"])
        return *found[:2], memory, found[2], loss.value("bias").asnumpy()

    found, _ = on_ranks(ranks, work)
    for number, key in enumerate(("loss", "grad_embeddings")):
        close(np.concatenate([each[number] for each in found]), data[key], 3e-6)
    for each in found:
        close(each[3], data["grad_bias"], 2e-6)
        close(each[4], data["bias"], 2e-7)
    memories = [each[2] for each in found]
    for memory in memories if whole else [np.concatenate(memories)]:
        close(unit(memory), unit(data["memory_after"]), 2e-7)


@pytest.mark.parametrize("weight", ["inclusion", "none"])
@pytest.mark.parametrize("options", [{}, {"chunk": 3, "filter_above": 0.3}])
@pytest.mark.parametrize("bias", [3.0, None])
def test_sampled_classes_and_classes_not_seen_against_the_twin(weight, options, bias):
    (x, labels), memory = batch(8), known()
    labels[0] = 4  # of which there is no earlier sample
    index = np.union1d(np.arange(0, CLASSES, 3), labels)
    head = head_of(memory=memory, sample_rate=0.5, negative_weight=weight, **options)
    loss = uss_of(bias, scale=16.0)
    got = compare(head, loss, x, labels, index=index)
    factors = None
    if weight == "inclusion":
        positives = np.unique(labels)
        ratio = (CLASSES - len(positives)) / (len(index) - len(positives))
        factors = np.where(np.isin(np.arange(CLASSES), positives), 1.0, ratio)
    more = {"scale": 16.0, "index": index, "column_weight": factors}
    if bias is None and not options:
        bias = twin.first_bias(x, memory, labels, **more)
        close(loss.value("bias").asnumpy(), [bias], 1e-6)
    bias = float(loss.value("bias").asscalar())
    want = twin.run(x, memory, labels, bias, filter_above=options.get("filter_above"), **more)
    for array, key in zip(got, ("loss", "grad_embeddings", "grad_bias")):
        close(array, want[key], 5e-6)
    want = twin.remember(memory, x, labels)
    seen = want.any(axis=1)
    close(unit(np.array(head.row_arrays()["last_embedding"]))[seen], want[seen], 3e-7)


@pytest.mark.parametrize("params", twin.CASES)
def test_twin_gradients_agree_with_finite_differences(params):
    (x, labels), memory = batch(8), known()
    out = twin.run(x, memory, labels, 3.0, **params)
    toward = np.random.default_rng(0).normal(size=x.shape)
    for key, shift in (("grad_embeddings", (1e-6, 0.0)), ("grad_bias", (0.0, 1e-6))):
        up, down = (
            twin.run(x + k * shift[0] * toward, memory, labels, 3.0 + k * shift[1], **params)
            for k in (1, -1)
        )
        slope = (up["loss"].mean() - down["loss"].mean()) / 2e-6
        want = (out[key] * toward).sum() if shift[0] else out[key][0]
        assert slope == pytest.approx(want, rel=1e-6, abs=1e-6)


def steps(comm, sizes, **options):
    """Run three steps on this rank's rows; return what it has."""
    head, loss = head_of(comm=comm, **options), uss_of(comm=comm)
    first = sum(sizes[: comm.rank])
    mine, out = slice(first, first + sizes[comm.rank]), {}
    for seed in range(3):
        x, labels = batch(sum(sizes), seed=seed)
        labels %= 5  # the same class on several ranks
        out[f"loss{seed}"], out[f"grad{seed}"], _ = compare(
            head, loss, x[mine], labels[mine], share=1.0 / sum(sizes)
        )
    return {
        **out,
        "memory": np.array(head.row_arrays()["last_embedding"]),
        "bias": loss.value("bias").asnumpy(),
        "stats": head.stats()["accuracy"],
    }


@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"sample_rate": 0.5}])
@pytest.mark.parametrize("sizes", [pytest.param((4, 4), marks=pytest.mark.slow), (3, 1, 2, 2)])
def test_ranks_do_not_matter(sizes, options):
    ((want,), _), (found, calls) = (
        on_ranks(len(each), lambda comm, each=each: steps(comm, each, **options))
        for each in ((sum(sizes),), sizes)
    )
    joined = {
        key: np.concatenate([each[key] for each in found]) for key in want if key[-1] in "012"
    }
    for key, value in joined.items():
        close(value, want[key], 1e-5)
    memory = np.concatenate([each["memory"] for each in found])
    np.testing.assert_array_equal(memory, want["memory"])  # whoever wrote it
    assert memory.dtype == options.get("dtype", "float32")
    for each in found:
        np.testing.assert_array_equal(each["bias"], found[0]["bias"])
        close(each["bias"], want["bias"], 1e-6)
    # The embeddings are gathered once for both losses, and the start of the bias is one exchange.
    names = [name for name, _ in calls]
    assert names.count("head.x") == 3
    assert "head.uss.x" not in names
    assert names.count("head.uss.start") <= 2  # none while the memory is empty would start it


def test_nothing_is_compared_with_an_empty_memory():
    head, loss = head_of(), uss_of()
    x, labels = batch()
    losses, grad, by_bias = compare(head, loss, x, labels)
    assert not losses.any()
    assert not grad.any()
    assert not by_bias.any()
    assert not loss.started
    losses, *_ = compare(head, loss, x, labels)
    assert losses.all()
    assert loss.started


def test_the_memory_fills_without_a_loss_and_stands_still_outside_training():
    head, loss = head_of(), uss_of()
    x, labels = batch()
    with mx.autograd.record():
        head(nd.array(x), labels)
        assert head.compare_with_last(nd.array(x), loss, compute=False) is None
    memory = np.array(head.row_arrays()["last_embedding"])
    close(memory, twin.remember(np.zeros((CLASSES, SIZE)), x, labels), 1e-6)
    head(nd.array(x[::-1]), labels)
    assert head.compare_with_last(nd.array(x[::-1]), loss, compute=False) is None
    head(nd.array(x[::-1]), labels)
    head.compare_with_last(nd.array(x[::-1]), loss)
    np.testing.assert_array_equal(head.row_arrays()["last_embedding"], memory)


def test_both_losses_have_their_gradients():
    x, labels = batch()
    memory, grads = known(), []
    for with_head, with_uss in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        head, loss = head_of("uniface", memory=memory), uss_of(3.0)
        e = nd.array(x)
        e.attach_grad()
        with mx.autograd.record():
            own = head(e, labels)
            total = (with_head * own + with_uss * head.compare_with_last(e, loss)).sum()
        total.backward()
        bias = loss.collect_params()["bias"].grad()
        arrays = (e.grad, head.weight.grad(), head.bias.grad(), bias)
        grads.append([array.asnumpy() for array in arrays])
    for first, second, both in zip(*grads):
        close(both, first + second, 1e-6)
    assert not grads[1][1].any()  # a loss of centres alone


def test_terms_in_operators_of_mxnet(monkeypatch):
    """As on a GPU: terms, memory in its arrays, half precision."""
    x, labels = batch()
    found = []
    for device in (False, True):
        for dtype in ("float32", "float16"):
            if device:
                monkeypatch.setattr(step, "BinaryTerms", DeviceTerms)
                monkeypatch.setattr(embedding_bank, "_Rows", embedding_bank.EmbeddingBank.read)
                monkeypatch.setattr(
                    embedding_bank,
                    "make_store",
                    lambda place, ctx, classes, *rest: DeviceStore(classes, ctx),
                )
            head, loss = head_of(memory=known(), dtype=dtype, sample_rate=0.5), uss_of(3.0)
            got = compare(head, loss, x, labels)
            found.append((*got, np.array(head.row_arrays()["last_embedding"])))
            assert found[-1][-1].dtype == dtype
    for one, two in (found[0::2], found[1::2]):
        for a, b in zip(one, two):
            close(a, b, 3e-6)
    assert (found[0][0] != found[1][0]).any()
    close(found[1][0], found[0][0], 3e-3)  # cosines to 1e-4, times a scale of 64, of losses of 30


@pytest.mark.parametrize("place", ["host", "disk"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_place_of_the_memory(place, dtype, tmp_path):
    found = []
    for where in ("memory", place):
        head = head_of(
            memory=known(), dtype=dtype, sample_rate=0.5, centers=where, centers_path=tmp_path
        )
        got = compare(head, uss_of(3.0), *batch())
        found.append((*got, np.array(head.row_arrays()["last_embedding"])))
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_stored_and_loaded_it_goes_on_the_same(dtype):
    def go(head, loss, first, last):
        for seed in range(first, last):
            found = compare(head, loss, *batch(seed=seed))
        return [*found, np.array(head.row_arrays()["last_embedding"])]

    head, loss = head_of(dtype=dtype), uss_of()
    go(head, loss, 0, 3)
    state, learned = head.state_dict(), loss.state_dict()
    want = go(head, loss, 3, 5)
    again, other = head_of(dtype=dtype), uss_of()
    again.load_state_dict(state)
    other.load_state_dict(learned)
    for a, b in zip(go(again, other, 3, 5), want):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow  # 400 draws
def test_loss_and_gradient_of_a_sample_are_right_on_average():
    (x, labels), memory = batch(), known()
    whole = head_of(memory=memory)
    want = compare(whole, uss_of(3.0), x, labels)
    head, draws = head_of(memory=memory, sample_rate=0.3), 400
    sums, squares = [0.0] * 3, [0.0] * 3
    for _ in range(draws):
        head.load_rows("last_embedding", 0, memory)
        for i, found in enumerate(compare(head, uss_of(3.0), x, labels)):
            found = found.astype(np.float64)
            sums[i], squares[i] = sums[i] + found, squares[i] + found**2
    for i in range(3):
        mean = sums[i] / draws
        spread = np.sqrt(np.maximum(squares[i] / draws - mean**2, 0) / draws)
        # 55 means: the largest of so many normal deviates is below 4.5 with certainty enough.
        assert (np.abs(mean - want[i]) < 4.5 * spread + 1e-5 * np.abs(want[i]).max()).all()


def test_rows_are_read_in_blocks_and_logits_are_not_stored(monkeypatch):
    monkeypatch.setattr(terms, "CACHED", 64)  # eight classes of eight numbers
    read, kept = [], []
    rows, forward = embedding_bank.EmbeddingBank.read_rows, terms.BinaryTerms.forward

    def read_rows(self, index):
        read.append(index)
        return rows(self, index)

    def watched(self, *arguments):
        found = forward(self, *arguments)
        kept.append(self.kept)
        return found

    monkeypatch.setattr(embedding_bank.EmbeddingBank, "read_rows", read_rows)
    monkeypatch.setattr(terms.BinaryTerms, "forward", watched)
    compare(head_of(memory=known()), uss_of(3.0), *batch())
    blocks = [index for index in read if isinstance(index, slice)]
    assert [(each.start, each.stop) for each in blocks] == [(k, k + 8) for k in range(0, 40, 8)]
    assert kept == [None]
