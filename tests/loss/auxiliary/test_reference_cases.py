"""The float64 cases of papers and public implementations."""

import numpy as np
import pytest
from aux_paths import close, differentiate

from gluonface._compat import mx
from gluonface.loss import MarginSoftmaxLoss, get_loss
from gluonface.loss.auxiliary import AuxiliaryBlock, get_auxiliary

nd = mx.nd


def load(shared, case):
    return np.load(shared / f"reference/losses/aux_{case}.npz", allow_pickle=False)


def softmax_losses(logits, labels):
    return MarginSoftmaxLoss(get_loss("softmax"))(logits, labels)


def beside_softmax(data, loss, weight, **state):
    """Check a loss that is added to the cross entropy of given logits; return what it gave."""
    loss.initialize(data["logits"].shape[1], data["embeddings"].shape[1])
    loss.load_state_dict(state)
    labels = data["labels"]

    def total(x, z):
        added = loss(x, labels)
        return softmax_losses(z, labels) + weight * added

    losses, (grad_x, grad_z), learned = differentiate(
        total, data["embeddings"], data["logits"], params=loss.collect_params()
    )
    if "loss" in data:
        close(losses, data["loss"], 1e-5)
    assert losses.mean() == pytest.approx(data["loss_mean"].item(), rel=1e-5)
    close(grad_x, data["grad_embeddings"], 1e-4)
    close(grad_z, data["grad_logits"], 1e-4)
    return losses, learned


def differs(ours, wrong):
    assert np.abs(ours - wrong).max() > 1e-3 * np.abs(wrong).max()


def test_center(shared):
    data = load(shared, "center")
    loss = get_auxiliary("center", alpha=data["alpha"].item())
    losses, _ = beside_softmax(data, loss, data["lamda"].item(), centers=data["centers"])
    close(loss.state_dict()["centers"], data["centers_after"], 1e-5)
    differs(losses, data["loss_gluonface"])


def test_git(shared):
    data = load(shared, "git")
    loss = get_auxiliary(
        "git", lambda_c=data["lamda_c"].item(), lambda_g=data["lamda_g"].item(), alpha=0.5
    )
    losses, _ = beside_softmax(data, loss, 1.0, centers=data["centers"])
    differs(losses, data["loss_gluonface"])
    alone = get_auxiliary("git", lambda_c=0.0, lambda_g=1.0).initialize(5, 6)
    alone.load_state_dict({"centers": data["centers"]})
    term = alone(nd.array(data["embeddings"]), data["labels"]).asnumpy()
    close(term, data["loss_git_term"], 1e-5)


def test_ring(shared):
    data = load(shared, "ring")
    loss = get_auxiliary("ring", weight=data["lamda"].item())
    _, learned = beside_softmax(data, loss, loss.weight, radius=data["R"])
    close(learned["radius"], data["grad_R"], 1e-4)
    fresh = get_auxiliary("ring")
    fresh(nd.array(data["embeddings"]), data["labels"])
    close(fresh.state_dict()["radius"], data["R_init_rule"], 1e-6)


@pytest.mark.parametrize("case", ["range", "range_sqrt"])
def test_range(shared, case):
    data = load(shared, case)
    params = {key: data[key].item() for key in ("alpha", "beta", "k", "margin", "squared")}
    loss = get_auxiliary("range", **params)
    beside_softmax(data, loss, data["lamda"].item())
    intra, inter = loss.terms(nd.array(data["embeddings"]), data["labels"])
    assert intra.asscalar() == pytest.approx(data["L_intra"].item(), rel=1e-5)
    assert inter.asscalar() == pytest.approx(data["L_inter"].item(), rel=1e-5)
    # gluon-face's exchanged factors, with the rest put right, would be another loss.
    exchanged = {**params, "alpha": params["beta"], "beta": params["alpha"]}
    other = get_auxiliary("range", **exchanged)(nd.array(data["embeddings"]), data["labels"])
    differs(other.asscalar() + data["L_softmax"], data["loss_mean"])
    if case == "range":
        differs(data["loss_mean"], load(shared, "range_sqrt")["loss_mean"])


def test_coco(shared):
    data = load(shared, "coco")
    loss = get_auxiliary("coco", scale=data["alpha"].item()).initialize(5, 6)
    loss.load_state_dict({"centers": data["centers"]})
    losses, (grad,), learned = differentiate(
        lambda x: loss(x, data["labels"]), data["embeddings"], params=loss.collect_params()
    )
    close(losses, data["loss"], 1e-5)
    close(grad, data["grad_embeddings"], 1e-4)
    close(learned["centers"], data["grad_centers"], 1e-4)


def test_lgm(shared):
    data = load(shared, "lgm")
    loss = get_auxiliary("lgm", alpha=data["alpha"].item(), likelihood=data["lamda"].item())
    loss.initialize(5, 6)
    loss.load_state_dict({"mean": data["mean"], "log_var": np.log(data["var"])})
    losses, (grad,), learned = differentiate(
        lambda x: loss(x, data["labels"]), data["embeddings"], params=loss.collect_params()
    )
    close(losses, data["loss"], 1e-5)
    close(grad, data["grad_embeddings"], 1e-4)
    close(learned["mean"], data["grad_mean"], 1e-4)
    close(learned["log_var"], data["grad_var"] * data["var"], 1e-4)
    without = load(shared, "lgm_nolndet")
    np.testing.assert_array_equal(without["embeddings"], data["embeddings"])
    differs(losses, without["loss"])


def test_lgm_at_512_dimensions_where_products_of_exponentials_are_zero():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 512)) * 3, np.arange(6)
    loss = get_auxiliary("lgm", likelihood=0.0).initialize(6, 512)
    mean = x + 0.1 * rng.normal(size=x.shape)
    loss.load_state_dict({"mean": mean, "log_var": np.zeros_like(mean)})
    assert np.exp(np.float32(-0.5 * ((x[0] - mean[1]) ** 2).sum())) == 0.0
    wrong = (labels + 1) % 6
    d = 0.5 * ((x - mean[wrong]) ** 2).sum(axis=1)
    near = 0.5 * ((x - mean) ** 2).sum(axis=1)
    close(loss(nd.array(x), wrong).asnumpy(), 1.3 * d - near, 1e-5)


def given(case, data):
    """Return a loss and its inputs of a case with given pairs or triplets."""
    if case.startswith("triplet"):
        params = {"margin": data["margin"].item(), "normalize": data["normalize"].item()}
        return get_auxiliary("triplet", **params), ("anchor", "positive", "negative")
    if case == "contrastive":
        loss = get_auxiliary("contrastive", margin=data["margin"].item(), normalize=False)
        return loss, ("x1", "x2")
    return get_auxiliary("mps", margin=data["margin"].item()), ("x1", "x2")


@pytest.mark.parametrize("hybrid", [False, True], ids=["eager", "hybrid"])
@pytest.mark.parametrize("case", ["triplet", "triplet_unit", "contrastive", "mps", "mps_negcos"])
def test_given_pairs(shared, case, hybrid):
    data = load(shared, case)
    loss, keys = given(case, data)
    block = AuxiliaryBlock(loss)
    if hybrid:
        block.hybridize()
    extra = [nd.array(data["same"])] if case == "contrastive" else []
    losses, grads, _ = differentiate(lambda *x: block(*x, *extra), *(data[key] for key in keys))
    close(losses, data["loss"], 1e-5)
    assert losses.shape == data["loss"].shape
    for key, grad in zip(keys, grads):
        close(grad, data[f"grad_{key}"], 1e-4)
    if case == "contrastive":  # gluon-face's root of the sum of fourth powers
        d = np.sqrt(((data["x1"] - data["x2"]) ** 4).sum(axis=1))
        same = data["same"]
        differs(losses, same * d**2 + (1 - same) * np.maximum(data["margin"] - d, 0) ** 2)


def test_mps_from_a_batch_of_the_same_pairs(shared):
    data = load(shared, "mps")
    x = np.concatenate([data["x1"], data["x2"]])
    labels = np.tile(np.arange(8), 2)
    loss = get_auxiliary("mps", margin=data["margin"].item())
    losses, (grad,), _ = differentiate(lambda e: loss(e, labels), x)
    close(losses, data["loss"], 1e-5)
    close(grad, np.concatenate([data["grad_x1"], data["grad_x2"]]), 1e-4)


def test_focal(shared):
    data = load(shared, "focal_g2")
    focal = get_auxiliary("focal", gamma=data["gamma"].item())
    losses, (grad,), _ = differentiate(
        lambda z: focal(softmax_losses(z, data["labels"])), data["logits"]
    )
    close(losses, data["loss"], 1e-5)
    close(grad, data["grad_logits"], 1e-4)
    differs(losses.mean(), data["loss_cavaface_batchlevel"])


def test_ohem(shared):
    data = load(shared, "ohem_half")
    ohem = get_auxiliary("ohem", keep=data["keep"].item())
    losses, (grad,), _ = differentiate(
        lambda z: ohem(softmax_losses(z, data["labels"])), data["logits"]
    )
    assert losses.mean() == pytest.approx(data["loss_mean"].item(), rel=1e-5)
    assert set(np.flatnonzero(losses)) == set(data["kept"].tolist())
    close(grad, data["grad_logits"], 1e-4)


@pytest.mark.parametrize("hybrid", [False, True], ids=["eager", "hybrid"])
def test_label_smoothing(shared, hybrid):
    data = load(shared, "label_smooth")
    loss = get_auxiliary("label_smoothing", smoothing=data["smoothing"].item())
    block = AuxiliaryBlock(loss)
    if hybrid:
        block.hybridize()
    label = nd.array(data["labels"], dtype="int64")
    for compute in (lambda z: block(z, label), lambda z: loss(z, data["labels"])):
        losses, (grad,), _ = differentiate(compute, data["logits"])
        close(losses, data["loss"], 1e-5)
        close(grad, data["grad_logits"], 1e-4)
