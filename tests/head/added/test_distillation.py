"""Logit distillation through sharded and sampled classes equals its slow twin."""

import numpy as np
import pytest
from reference import aux_kd_logits
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import get_loss
from gluonface.parallel import Local, PartialFC

nd = mx.nd
CASES = ("kd_logits_t4", "kd_logits_t1", "kd_logits_t4_subset")


def case(shared, name):
    data = np.load(shared / f"reference/losses2/{name}.npz", allow_pickle=False)
    return {key: data[key] for key in data.files}


def drawn(n=12, classes=37, size=8, teacher=5, seed=0):
    """Return a batch in the form of the cases, whose teacher has another size."""
    rng = np.random.default_rng(seed)
    return {
        "embeddings": rng.normal(size=(n, size)),
        "weight": rng.normal(size=(classes, size)),
        "teacher_embeddings": rng.normal(size=(n, teacher)),
        "teacher_weight": rng.normal(size=(classes, teacher)),
        "labels": rng.integers(0, classes, n),
        "s": np.float64(16.0),
        "tau": np.float64(4.0),
    }


def twin(data, index=None):
    keys = ("embeddings", "weight", "teacher_embeddings", "teacher_weight")
    arrays = (data[key] for key in keys)
    return aux_kd_logits.run(*arrays, data["s"].item(), data["tau"].item(), index)


def step(data, comm, index=None, head_share=0.0, kd_share=1.0, repeat=1, **kwargs):
    """Return losses of distillation, gradients of the mean objective by embeddings and centres."""
    classes, size = data["weight"].shape
    margin = get_loss("cosface", scale=data["s"].item())
    kwargs.setdefault("sample_rate", 1.0 if index is None else 0.999)
    head = PartialFC(margin, classes, size, comm=comm, **kwargs)
    head.load_rows("weight", 0, data["weight"].astype(np.float32))
    head.set_teacher(data["teacher_weight"])
    total = len(data["embeddings"])
    rows = np.array_split(np.arange(total), comm.size)[comm.rank]
    labels = data.get("labels")
    # The samples of the cases have no labels; a class of the sample stands in for them.
    labels = (
        np.full(len(rows), (index if index is not None else [0])[0])
        if labels is None
        else (labels[rows])
    )
    x = nd.array(data["embeddings"][rows])
    x.attach_grad()
    teacher = nd.array(data["teacher_embeddings"][rows])
    mine = None
    if index is not None:
        mine = np.array([i - head.start for i in index if head.start <= i < head.stop], np.int64)
    with mx.autograd.record():
        given = nd.concat(*[x] * repeat, dim=0)
        losses = head(given, np.tile(labels, repeat), index=mine)
        distilled = head.distill(x, teacher, data["tau"].item())
        objective = head_share * losses.sum() + kd_share * distilled.sum()
        objective = objective / total
    objective.backward()
    if head.updates_itself:
        pending = head.class_centers.merged()
        head.gradient_square_sum()
        grad = np.zeros((head.stop - head.start, size), np.float32)
        if pending is not None:
            grad[pending.index] = pending.grad
    else:
        nd.waitall()
        grad = np.zeros((0, size)) if head.weight is None else head.weight.grad().asnumpy()
    return distilled.asnumpy(), x.grad.asnumpy(), grad


def close(got, want, rtol):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


def compare(found, want, rtol=1e-4):
    """Compare what all ranks gave with the twin. float32: a logit of 64 has an error of 4e-6."""
    losses, grads, rows = zip(*found)
    close(np.concatenate(losses), want["loss"], rtol)
    close(np.concatenate(grads), want["grad_x"], rtol)
    close(np.concatenate(rows), want["grad_weight"], rtol)


@pytest.mark.parametrize("name", CASES)
def test_the_twin_is_the_reference_case(shared, name):
    data = case(shared, name)
    got = twin(data, data["index"])
    np.testing.assert_allclose(got["loss"], data["loss"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got["grad_x"], data["grad_embeddings"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got["grad_weight"], data["grad_weight"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ranks", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_reference_cases_on_ranks(shared, name, ranks):
    data = case(shared, name)
    index = data["index"].tolist() if name.endswith("subset") else None
    found, _ = on_ranks(ranks, lambda comm: step(data, comm, index))
    compare(found, twin(data, data["index"]))


def test_twin_gradients_agree_with_finite_differences():
    data, rng = drawn(), np.random.default_rng(1)
    for key, gradient in (("embeddings", "grad_x"), ("weight", "grad_weight")):
        toward = rng.normal(size=data[key].shape)
        sides = [
            twin({**data, key: data[key] + shift * toward})["loss"].mean()
            for shift in (1e-6, -1e-6)
        ]
        assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(
            (twin(data)[gradient] * toward).sum(), rel=1e-6
        )


@pytest.mark.parametrize(
    "options",
    [{}, {"chunk": 20}, {"centers": "host"}, {"centers": "host", "chunk": 20}, {"repeat": 2}],
    ids=str,
)
@pytest.mark.parametrize("ranks", [1, 3])
def test_every_way_of_holding_centres(options, ranks):
    found, _ = on_ranks(ranks, lambda comm: step(drawn(), comm, **options))
    compare(found, twin(drawn()))


def test_replicated_centres():
    found, _ = on_ranks(2, lambda comm: step(drawn(), comm, mode="replicated"))
    want = twin(drawn())
    close(np.concatenate([each[0] for each in found]), want["loss"], 1e-4)
    close(np.concatenate([each[1] for each in found]), want["grad_x"], 1e-4)
    for each in found:
        close(each[2], want["grad_weight"], 1e-4)


def test_fewer_classes_than_ranks():
    data = drawn(classes=2)
    found, _ = on_ranks(3, lambda comm: step(data, comm))
    compare(found, twin(data))


@pytest.mark.parametrize("options", [{}, {"sample_rate": 0.4}], ids=str)
@pytest.mark.parametrize("ranks", [1, 2])
def test_gradients_add_up_with_those_of_the_head(options, ranks):
    """On two ranks too, whose collectives of both backward passes have one order."""

    def both(comm, a, b):
        return step(drawn(), comm, head_share=a, kd_share=b, **options)

    parts = [on_ranks(ranks, lambda comm, s=s: both(comm, *s))[0] for s in ((1, 0), (0, 2))]
    whole, calls = on_ranks(ranks, lambda comm: both(comm, 1, 2))
    for rank in range(ranks):
        for place in (1, 2):
            # Sums of the same float32 numbers.
            want = parts[0][rank][place] + parts[1][rank][place]
            np.testing.assert_allclose(whole[rank][place], want, rtol=1e-5, atol=1e-7)
    names = [name for name, _ in calls if "gx" in name]
    assert names == ["head.distill.gx", "head.gx"]


def test_a_student_like_its_teacher_has_no_loss():
    data = drawn()
    data.update(teacher_embeddings=data["embeddings"] * 3, teacher_weight=data["weight"])
    loss, grad, rows = step(data, Local())
    assert np.abs(loss).max() < 1e-4  # 16 times the rounding of two sums' logarithms
    assert np.abs(grad).max() < 1e-6
    assert np.abs(rows).max() < 1e-6


def test_mistakes_are_named():
    head = PartialFC("cosface", 5, 8)
    x = nd.ones((2, 8))
    with pytest.raises(InputError, match="after set_teacher"):
        head.distill(x, x)
    with pytest.raises(InputError, match=r"shape \(4, 8\), expected \(5, D\)"):
        head.set_teacher(np.ones((4, 8)))
    with pytest.raises(InputError, match="class 3 is not finite"):
        head.set_teacher(np.where(np.arange(5) == 3, np.nan, 1.0)[:, None] * np.ones((5, 8)))
    head.set_teacher(np.ones((5, 8)))
    with pytest.raises(InputError, match="a call of the head"):
        head.distill(x, x)
    head(x, [0, 1])
    with pytest.raises(InputError, match=r"the teacher's \(2, 7\)"):
        head.distill(x, nd.ones((2, 7)))
    for loss in ("softmax", "subcenter_arcface"):
        with pytest.raises(InputError, match=f"{loss} has others"):
            PartialFC(loss, 5, 8).set_teacher(np.ones((5, 8)))
