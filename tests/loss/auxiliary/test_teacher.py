"""What holds for every loss that compares a student with a teacher."""

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
    state_of,
    twin_of,
)

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss.auxiliary import Auxiliaries, AuxiliaryBlock, get_auxiliary

nd = mx.nd
LOSSES = names("teacher")
# Loss of the cases -> file of the case, the parameters that it names, the loss and its gradient.
REFERENCE = {
    "kd_cosine": ("kd_cosine", {}, "loss_mean", "grad_student"),
    "kd_l2": ("kd_l2", {"normalize": False}, "loss_mean", "grad_student"),
    "kd_l2-unit": ("kd_l2_unit", {}, "loss_mean", "grad_student"),
    "rkd_distance": ("rkd", {}, "loss_distance", "grad_student_distance"),
    "rkd_angle": ("rkd", {}, "loss_angle", "grad_student_angle"),
    "rkd_distance-distinct": (
        "rkd_offdiagonal",
        {"mean": "distinct"},
        "loss_distance",
        "grad_student_distance",
    ),
    "rkd_angle-distinct": (
        "rkd_offdiagonal",
        {"mean": "distinct"},
        "loss_angle",
        "grad_student_angle",
    ),
    "rkd_distance-equal": ("edge_rkd_equal_rows", {}, "loss_distance", "grad_student_distance"),
    "rkd_angle-equal": ("edge_rkd_equal_rows", {}, "loss_angle", "grad_student_angle"),
    **{f"ekd-{n}": (f"ekd_{n}", {"hardest": 50}, "loss_mean", "grad_student")
       for n in ("step1", "step2", "warm")},
}  # fmt: skip


def teacher_of(x, seed=3, size=None):
    """Return embeddings that resemble those of a student, of another size if it is given."""
    rng = np.random.default_rng(seed)
    near = x + 0.7 * rng.normal(size=x.shape)
    return near if size is None else near @ rng.normal(size=(x.shape[1], size))


def ready(name, params=None, comm=None, state=None, teacher_size=SIZE):
    loss = get_auxiliary(name, **(params or {}))
    loss.initialize(CLASSES, SIZE, comm, teacher_size=teacher_size)
    state = state_of(name) if state is None else state
    if state:
        loss.load_state_dict(state)
    return loss


@pytest.mark.parametrize(("name", "params"), cases("teacher"))
def test_twin_gradients_agree_with_finite_differences(name, params):
    twin, (x, labels) = twin_of(name), batch()
    teacher, toward = teacher_of(x), np.random.default_rng(1).normal(size=x.shape)
    if name == "ekd":  # thresholds that stand still: they have no gradient
        params = {**params, "momentum": 1e-12}

    def mean(shift):
        return twin.run(x + shift * toward, teacher, labels, state_of(name), **params)[
            "loss"
        ].mean()

    got = (twin.run(x, teacher, labels, state_of(name), **params)["grad_x"] * toward).sum()
    assert (mean(1e-6) - mean(-1e-6)) / 2e-6 == pytest.approx(got, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("name", "params"), cases("teacher"))
def test_values_gradients_and_state_are_the_twins(name, params):
    x, labels = batch()
    teacher, loss = teacher_of(x), ready(name, params)
    want = twin_of(name).run(x, teacher, labels, state_of(name), **params)
    got, (grad,), _ = differentiate(lambda e: loss(e, teacher, labels), x)
    close(got, want["loss"], 1e-5)
    close(grad, want["grad_x"], 1e-4)
    for key, value in want["state"].items():
        close(loss.state_dict()[key], value, 1e-5)


@pytest.mark.parametrize("case", REFERENCE)
def test_reference_cases(case, shared):
    name = case.split("-")[0]
    file, params, value, gradient = REFERENCE[case]
    data = dict(np.load(shared / f"reference/losses2/{file}.npz", allow_pickle=False))
    labels = data.get("labels", np.zeros(len(data["student"]), np.int64))
    state = {}
    if name == "ekd":
        anchors = np.stack([data["s_anchor_in"], data["t_anchor_in"]])
        state = {"anchors": anchors, "started": np.float64(1.0)}
    twin = twin_of(name).run(data["student"], data["teacher"], labels, state, **params)
    np.testing.assert_allclose(twin["loss"].mean(), data[value], rtol=1e-10)
    np.testing.assert_allclose(twin["grad_x"], data[gradient], rtol=1e-10, atol=1e-12)
    loss = get_auxiliary(name, **params)
    loss.initialize(3, teacher_size=data["teacher"].shape[1])
    if name == "ekd":
        np.testing.assert_allclose(
            twin["state"]["anchors"], [data["s_anchor"], data["t_anchor"]], rtol=1e-12
        )
        loss.load_state_dict(state)
    loss.num_classes = None  # the cases have labels of their own
    got, (grad,), _ = differentiate(lambda e: loss(e, data["teacher"], labels), data["student"])
    close(got.mean(), data[value], 1e-4)
    close(grad, data[gradient], 1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [2, 3])
def test_several_ranks_are_as_one(name, size):
    x, labels = batch()
    teacher, alone = teacher_of(x), ready(name)
    want, (grad,), _ = differentiate(lambda e: alone(e, teacher, labels), x)
    parts = np.array_split(np.arange(len(x)), [3] if size == 2 else [3, 7])

    def work(comm):
        loss, rows = ready(name, comm=comm), parts[comm.rank]
        out = differentiate(lambda e: loss(e, teacher[rows], labels[rows]), x[rows])
        return (*out[:2], loss.state_dict())

    for rows, (got, (own,), state) in zip(parts, on_ranks(size, work)):
        np.testing.assert_array_equal(got, want)  # the same operations on the same batch
        np.testing.assert_array_equal(own, grad[rows])
        for key, value in alone.state_dict().items():
            np.testing.assert_array_equal(state[key], value)


EDGES = {
    "one sample": np.ones((1, SIZE)),
    "all equal": np.ones((4, SIZE)),
    "all zero": np.zeros((4, SIZE)),
    "opposite": np.outer([1, -1, 1, -1], np.ones(SIZE)),
    "large": np.arange(4 * SIZE).reshape(4, SIZE) * 1e4,
    "small": np.arange(4 * SIZE).reshape(4, SIZE) * 1e-14,
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("name", "params"), cases("teacher"))
def test_edges_are_finite(name, params, edge):
    x = EDGES[edge]
    labels = np.array([0, 0, 1, 1])[: len(x)]
    for teacher in (x, teacher_of(x)):
        loss = ready(name, params)
        got, (grad,), _ = differentiate(lambda e, t=teacher, f=loss: f(e, t, labels), x)
        for array in (got, grad, *loss.state_dict().values()):
            assert np.isfinite(array).all()


@pytest.mark.parametrize("name", LOSSES)
def test_the_teacher_itself_costs_nothing(name):
    x, labels = batch()
    loss = ready(name, state={})
    got, (grad,), _ = differentiate(lambda e: loss(e, x, labels), x)
    close(got, 0.0 * got, 1e-5, scale=1.0)
    close(grad, 0.0 * grad, 1e-5, scale=1.0)


@pytest.mark.parametrize("name", [n for n in LOSSES if get_auxiliary(n).same_size])
def test_another_size_goes_through_a_learned_matrix(name):
    x, labels = batch()
    teacher, loss = teacher_of(x, size=5), ready(name, teacher_size=5)
    matrix = loss.state_dict()["projection"]
    assert matrix.shape == (5, SIZE)
    want = twin_of(name).run(x @ matrix.T.astype(np.float64), teacher, labels, {})
    got, (grad,), learned = differentiate(
        lambda e: loss(e, teacher, labels), x, params=loss.collect_params()
    )
    close(got, want["loss"], 1e-5)
    close(grad, want["grad_x"] @ matrix, 1e-4)
    close(learned["projection"], want["grad_x"].T @ x, 1e-4)
    again = ready(name, teacher_size=5, state={"projection": matrix + 1})
    np.testing.assert_array_equal(again.state_dict()["projection"], matrix + 1)
    with pytest.raises(InputError, match="stored projection"):
        ready(name, teacher_size=5, state={"projection": matrix[:4]})
    plain = get_auxiliary(name)
    with pytest.raises(InputError, match=f"{SIZE} numbers, the teacher's 5"):
        plain(nd.array(x), teacher, labels)


@pytest.mark.parametrize("name", [n for n in LOSSES if not get_auxiliary(n).same_size])
def test_relations_take_any_size(name):
    x, labels = batch()
    teacher = teacher_of(x, size=5)
    got = ready(name, teacher_size=5)(nd.array(x), teacher, labels).asnumpy()
    close(got, twin_of(name).run(x, teacher, labels, state_of(name))["loss"], 1e-4)


def test_vertices_in_blocks_are_as_at_once(monkeypatch):
    from gluonface.loss.auxiliary import _relations

    x, labels = batch()
    teacher = teacher_of(x)
    for name in ("rkd_distance", "rkd_angle"):
        out = []
        for numbers in (1 << 22, 300):
            monkeypatch.setattr(_relations, "NUMBERS", numbers)
            out.append(differentiate(lambda e, n=name: ready(n)(e, teacher, labels), x)[:2])
        close(out[1][0], out[0][0], 1e-6)
        close(out[1][1][0], out[0][1][0], 1e-6)


def test_the_thresholds_begin_with_those_of_the_first_batch_and_are_undone():
    x, labels = batch()
    loss = ready("ekd", state={})
    before = loss.state_dict()
    loss.begin()
    loss(nd.array(x), teacher_of(x), labels)  # not in training
    assert not loss.state_dict()["started"]
    differentiate(lambda e: loss(e, teacher_of(x), labels), x)
    unit = x / np.linalg.norm(x, axis=1)[:, None]
    cosines = (unit @ unit.T)[labels[:, None] != labels]
    assert loss.state_dict()["anchors"][0, -1] == pytest.approx(cosines.max(), abs=1e-6)
    loss.undo()
    for key, value in loss.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("labels", [np.arange(4), np.zeros(4, np.int64)])
def test_pairs_of_one_kind_alone_are_no_nan(labels):
    x, _ = batch()
    loss = ready("ekd", state={})
    got, (grad,), _ = differentiate(lambda e: loss(e, teacher_of(x[:4]), labels), x[:4])
    assert np.isfinite(got).all()
    assert np.isfinite(grad).all()


def test_wrong_teachers_are_named():
    x, labels = batch()
    loss = ready("kd_cosine")
    with pytest.raises(InputError, match=r"teacher's embeddings have the shape \(3, 8\)"):
        loss(nd.array(x), x[:3], labels)
    with pytest.raises(InputError, match="teacher_size=0"):
        ready("kd_cosine", teacher_size=0)
    with pytest.raises(InputError, match="kd_cosine compares with a teacher, and there is none"):
        Auxiliaries({"kd_cosine": 1.0}, CLASSES, SIZE)


def test_weights_factors_and_the_logits_of_the_head():
    x, labels = batch()
    teacher = teacher_of(x)
    entries = {"kd_cosine": 2.0, "kd_l2": {"weight": 3.0}, "kd_logits": {"weight": 0.5}}
    several = Auxiliaries(entries, CLASSES, SIZE, teacher_size=SIZE)
    asked = []

    def distill(temperature):
        asked.append(temperature)
        return nd.array(np.arange(len(x)))

    several.factors = {"kd_l2": 0.5}
    heads = nd.ones((len(x),))
    losses, extra = several(heads, nd.array(x), labels, teacher, distill)
    np.testing.assert_allclose(losses.asnumpy(), 1.0 + 0.5 * np.arange(len(x)))
    assert asked == [4.0]
    cosine = twin_of("kd_cosine").run(x, teacher, labels, {})["loss"].mean()
    close(extra.asnumpy(), [2.0 * cosine + 0.5 * 3.0 * 2.0 * cosine], 1e-5)
    assert several.use_teacher
    several.factors = dict.fromkeys(entries, 0.0)
    assert not several.use_teacher
    losses, extra = several(heads, nd.array(x), labels)
    assert extra is None
    assert several.values() == {}


@pytest.mark.parametrize("params", twin_of("kd_logits").CASES)
def test_given_logits_are_the_twins(params):
    rng = np.random.default_rng(0)
    logits = [rng.normal(size=(7, CLASSES)) * 5 for _ in range(2)]
    want, grad = twin_of("kd_logits").given(*logits, **params)
    block = AuxiliaryBlock(get_auxiliary("kd_logits", **params))
    teacher = nd.array(logits[1])
    got, (own,), _ = differentiate(lambda s: block(s, teacher), logits[0])
    close(got, want, 1e-5)
    close(own, grad / len(grad), 1e-4)
