"""Binary losses on shards that sample: stored cases, unbiased on average, state, one sum."""

import numpy as np
import pytest
from loss_paths import close
from sampled_cases import backward, batch, head_of
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head import PartialFC, partial_fc
from gluonface.loss import get_loss

nd = mx.nd
NAMES = ("uniface", "bce", "sphereface2")
PARAMETERS = {
    "uce": {"s": "scale", "m": "margin", "l": "weight"},
    "sphereface2": {"alpha": "alpha", "r": "scale", "m": "margin", "t": "t", "lw": "weight"},
}
LOSS = {"uce": "uniface", "sphereface2": "sphereface2"}


def gradient(head):
    """Return the pending gradient of this rank's centres (n, D)."""
    (pending,) = head.class_centers.pending
    rows = slice(0, len(pending.index))
    found, total = pending.grad[rows], np.zeros((head.stop - head.start, head.width))
    head.class_centers._subtract_radial(pending, rows, found)
    total[pending.index] = found
    return total


@pytest.mark.parametrize("weight", ["inclusion", "none"])
@pytest.mark.parametrize("case", ["uce", "sphereface2"])
@pytest.mark.parametrize("chunk", [None, 2])
def test_stored_cases_of_sampled_classes_on_two_ranks(shared, monkeypatch, case, weight, chunk):
    name = f"{case}_sampled" + ("_unscaled" if weight == "none" else "")
    with np.load(shared / f"reference/losses2/{name}.npz", allow_pickle=False) as file:
        data = dict(file)
    starts = data["class_start"]
    monkeypatch.setattr(
        partial_fc, "shard_range", lambda classes, rank, ranks: starts[rank : rank + 2].tolist()
    )

    def work(comm):
        given = {ours: data[theirs].item() for theirs, ours in PARAMETERS[case].items()}
        head = PartialFC(
            get_loss(LOSS[case], **given),
            *data["weight"].shape,
            sample_rate=0.999,  # the sample is given; this only says that there is one
            comm=comm,
            negative_weight=weight,
            chunk=chunk,
        )
        head.load_rows("weight", 0, data["weight"])
        head.class_centers.load_shared("bias", data["bias"].item())
        rows = (slice(0, 5), slice(5, 9))[comm.rank]
        x, labels, index = data["embeddings"], data["labels"], data[f"index_rank{comm.rank}"]
        loss, grad = backward(head, x[rows], labels[rows], share=1 / 9, index=index)
        square = head.gradient_square_sum().asscalar()
        return loss, grad, gradient(head), head.class_centers._shared_gradient(), square

    (found_0, found_1), _ = on_ranks(2, work)
    for key, a, b in zip(("loss", "grad_embeddings", "grad_weight"), found_0, found_1):
        close(np.concatenate([a, b]), data[key], 2e-6)  # float32, times scales of 40 and 64
    for each in (found_0, found_1):
        close(each[3], data["grad_bias"].reshape(-1), 2e-6)
    square = np.square(data["grad_weight"]).sum() + np.square(data["grad_bias"]).sum()
    assert found_0[4] + found_1[4] == pytest.approx(square, rel=1e-6)  # the bias counts once


@pytest.mark.slow  # 400 draws
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sampler", ["hash", "exact"])
def test_loss_and_gradient_of_a_sample_are_right_on_average(name, sampler):
    x, labels = batch()
    whole = head_of(name, sample_rate=1.0, updates_itself=True)
    want = backward(whole, x, labels)
    sums, squares, draws = [0.0, 0.0], [0.0, 0.0], 400
    head = head_of(name, sampler=sampler)
    for _ in range(draws):
        for i, found in enumerate(backward(head, x, labels)):
            found = found.astype(np.float64)
            sums[i], squares[i] = sums[i] + found, squares[i] + found**2
        head.zero_grad()
    for i in range(2):
        mean = sums[i] / draws
        spread = np.sqrt(np.maximum(squares[i] / draws - mean**2, 0) / draws)
        # 54 means: the largest of so many normal deviates is below 4.5 with certainty enough.
        assert (np.abs(mean - want[i]) < 4.5 * spread + 1e-5 * np.abs(want[i]).max()).all()
    # Without the weights they are far off.
    plain = head_of(name, sampler=sampler, negative_weight="none")
    plain.load_rows("bias", 0, np.asarray(head.row_arrays()["bias"])) if name == "bce" else (
        plain.class_centers.load_shared("bias", head.class_centers.shared_state()["bias"])
    )
    low = np.mean([backward(plain, x, labels)[0] for _ in range(50)], axis=0)
    assert low.sum() < 0.9 * want[0].sum()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", ["sgd", "nag", "adamw"])
@pytest.mark.parametrize("size", [4, 40])
def test_a_head_that_updates_itself_trains_as_gluon_parameters_do(name, rule, size):
    """With fewer samples than numbers of an embedding, and with more."""
    from gluonface.training import optimizers  # noqa: F401  (registers adamw)

    options = {} if rule == "adamw" else {"momentum": 0.9}
    own = head_of(name, sample_rate=1.0, updates_itself=True)
    own.set_optimizer(rule, wd=0.01, **options)
    other = head_of(name, sample_rate=1.0)
    trainer = mx.gluon.Trainer(
        other.collect_params(), rule, {"learning_rate": 0.01, "wd": 0.01, **options}, kvstore=None
    )
    for t in range(3):
        x, labels = batch(size, seed=t)
        a, b = (backward(each, x, labels, share=0.01) for each in (own, other))
        own.update(0.01)
        trainer.step(1)
    # Three steps: Adam divides by roots of gradients, of which small ones keep fewer digits.
    limit = 2e-4 if rule == "adamw" else 1e-5
    for got, want in zip(a, b):
        close(got, want, limit)
    close(own.get_centers(), other.get_centers(), limit)
    bias = own.row_arrays()["bias"] if name == "bce" else own.class_centers.shared["bias"]
    close(bias, other.bias.data().asnumpy(), limit)
    assert own.weight is None


@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_parts_of_a_batch_add_up(name, sample_rate):
    whole, parts = (head_of(name, sample_rate=sample_rate, updates_itself=True) for _ in range(2))
    x, labels = batch(8)
    index = None if sample_rate == 1.0 else np.arange(40)
    for head in (whole, parts):
        head.set_optimizer("sgd", momentum=0.9)
    backward(whole, x, labels, share=1.0, index=index)
    for rows in (slice(0, 5), slice(5, 8)):
        backward(parts, x[rows], labels[rows], share=1.0, index=index)
    squares = [head.gradient_square_sum().asscalar() for head in (whole, parts)]
    assert squares[1] == pytest.approx(squares[0], rel=1e-5)
    for head in (whole, parts):
        head.update(0.01, scale=0.5)
    close(parts.get_centers(), whole.get_centers(), 1e-6)
    assert parts.class_centers.shared_state() == pytest.approx(
        whole.class_centers.shared_state(), rel=1e-5
    )


@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", ["sgd", "adamw"])
def test_stored_and_loaded_it_goes_on_the_same(name, sample_rate, rule):
    def fresh():
        head = head_of(name, sample_rate=sample_rate, updates_itself=True)
        head.set_optimizer(rule, wd=0.01, **({"momentum": 0.9} if rule == "sgd" else {}))
        return head

    def steps(head, first, last):
        for t in range(first, last):
            backward(head, *batch(seed=t))
            head.update(0.01)
        return head

    whole = steps(fresh(), 0, 4)
    state = steps(fresh(), 0, 2).state_dict(rows=True)
    again = fresh()
    again.load_state_dict(state)
    assert steps(again, 2, 4).state_dict(rows=True).keys() == whole.state_dict(rows=True).keys()
    for key, value in whole.state_dict(rows=True).items():
        np.testing.assert_array_equal(again.state_dict(rows=True)[key], value)
    if name != "bce":
        assert state["shared_bias"] != whole.state_dict()["shared_bias"]
        with pytest.raises(InputError, match="no shared_bias"):
            again.load_state_dict({k: v for k, v in state.items() if k != "shared_bias"})


def test_a_dropped_pass_leaves_no_trace():
    head = head_of("uniface", updates_itself=True)
    head.set_optimizer("sgd", momentum=0.9)
    before = head.state_dict(rows=True)
    x, labels = batch()
    x[0, 0] = np.nan
    backward(head, x, labels)
    assert not np.isfinite(head.gradient_square_sum().asscalar())
    head.discard()
    head.update(0.1)
    after = head.state_dict(rows=True)
    for key in before.keys() - {"updates", "sampling_step"}:
        np.testing.assert_array_equal(before[key], after[key])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unbiased": True}, "negative_weight='inclusion'"),
        ({"negative_weight": "half"}, "negative_weight='half' is not known"),
        ({"updates_itself": False}, "updates_itself=False is not allowed with sample_rate"),
        ({"sample_rate": 1.0, "updates_itself": True, "mode": "replicated"}, "mode='sharded'"),
    ],
)
def test_options_that_do_not_go_together(options, words):
    with pytest.raises(InputError, match=words):
        PartialFC("uniface", 40, 8, **{"sample_rate": 0.5, **options})


def test_the_first_bias_is_of_the_classes_whose_terms_count():
    bias = [
        PartialFC(
            "uniface", 1000, 8, sample_rate=0.1, negative_weight=each
        ).class_centers.shared_state()["bias"]
        for each in ("inclusion", "none")
    ]
    np.testing.assert_allclose(bias, np.log([10_000, 1_000]), rtol=1e-6)
