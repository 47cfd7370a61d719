"""The float64 cases of public implementations and papers."""

import loss_paths
import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.loss import MarginSoftmaxLoss, get_loss

SCALE, MARGIN = {"s": "scale"}, {"s": "scale", "m": "margin"}
COMBINED = {"s": "scale", "m1": "m1", "m2": "m2", "m3": "m3", "policy": "policy"}
ARCFACE = {**MARGIN, "policy": "policy"}
CASES = {
    "softmax": ("softmax", {}),
    "normface": ("normface", SCALE),
    "cosface": ("cosface", MARGIN),
    "cosface_m04": ("cosface", MARGIN),
    "amsoftmax": ("cosface", MARGIN),
    "edge_big_loss_cosface_s512": ("cosface", MARGIN),
    "arcface": ("arcface", ARCFACE),
    "arcface_easy": ("arcface", ARCFACE),
    "arcface_none": ("arcface", ARCFACE),
    "arcface_psi": ("arcface", ARCFACE),
    "arcface_inner": ("arcface", ARCFACE),
    "combined_1_03_02": ("combined", COMBINED),
    "combined_1_03_02_inner": ("combined", COMBINED),
    "combined_1_0_04": ("combined", COMBINED),
    "combined_09_04_015_none": ("combined", COMBINED),
    "combined_09_04_015_psi": ("combined", COMBINED),
    "combined_12_04_0_none": ("combined", COMBINED),
    "combined_12_04_0_psi": ("combined", COMBINED),
    "combined_135_0_0_none": ("combined", COMBINED),
    "combined_135_0_0_psi": ("combined", COMBINED),
}


def load(shared, case):
    return np.load(shared / f"reference/losses/{case}.npz", allow_pickle=False)


def margin_of(data, loss, names):
    return get_loss(
        loss, **{ours: data[name].item() for name, ours in names.items() if name in data}
    )


@pytest.mark.parametrize("path", ["eager", "hybrid", "sharded"])
@pytest.mark.parametrize("case", CASES)
def test_case(shared, case, path):
    data = load(shared, case)
    margin = margin_of(data, *CASES[case])
    bias = data.get("bias")
    loss, grad_x, grad_w, *_ = loss_paths.PATHS[path](
        margin, data["embeddings"], data["weight"], data["labels"], bias=bias
    )
    loss_paths.close(loss, data["loss"], 1e-5)
    loss_paths.close(grad_x, data["grad_embeddings"], 1e-4)
    loss_paths.close(grad_w, data["grad_weight"], 1e-4)
    x, w, b = (
        None if array is None else mx.nd.array(array)
        for array in (data["embeddings"], data["weight"], bias)
    )
    logits = MarginSoftmaxLoss(margin).logits(loss_paths.scores(margin, x, w, b), data["labels"])
    loss_paths.close(logits.asnumpy(), data["logits"], 1e-5)


@pytest.mark.parametrize("path", ["eager", "hybrid", "sharded"])
def test_targets_exactly_at_the_ends(shared, path):
    data = load(shared, "edge_arcface_exact_cos1")
    margin = margin_of(data, "arcface", ARCFACE)
    got = loss_paths.PATHS[path](margin, data["embeddings"], data["weight"], data["labels"])
    # The file holds the limit of an epsilon that goes to 0.
    for array, name in zip(got, ("loss", "grad_embeddings", "grad_weight")):
        loss_paths.close(array, data[name], 1e-3)


@pytest.mark.parametrize(
    ("bug", "loss", "wrong"),
    [
        ("refbug_arcface_insightface_head", "arcface", "grad_embeddings"),
        ("refbug_arcface_cavaface", "arcface", "loss"),
        ("refbug_combined_cavaface", "combined", "loss"),
    ],
)
def test_known_faults_of_public_code_are_not_ours(shared, bug, loss, wrong):
    data = load(shared, bug)
    names = COMBINED if loss == "combined" else ARCFACE
    margin = margin_of(data, loss, names)
    loss, grad_x, _ = loss_paths.sharded(margin, data["embeddings"], data["weight"], data["labels"])
    ours = {"loss": loss, "grad_embeddings": grad_x}[wrong]
    assert np.abs(ours - data[wrong]).max() > 0.1 * np.abs(data[wrong]).max()


@pytest.mark.parametrize(
    ("column", "loss", "params"),
    [
        *((f"arc_{p}", "arcface", {"policy": p}) for p in ("hard", "easy", "none", "psi")),
        ("comb_1_03_02_hard", "combined", {"policy": "hard"}),
        ("comb_12_04_0_psi", "combined", {"m1": 1.2, "m2": 0.4, "m3": 0.0, "policy": "psi"}),
    ],
)
def test_target_curve_over_the_angle(shared, column, loss, params):
    data = load(shared, "scan_target_logit")
    margin = get_loss(loss, **params)
    cosine = np.cos(data["theta"])
    got = margin.target(mx.nd, mx.nd.array(cosine), mx.nd.ones(cosine.shape)).asnumpy()
    want = data[column]
    # float32 cosines near 1 resolve angles to 3.5e-4 only; there and at a policy's seam the
    # nearest angle that float32 can tell apart decides.
    resolution = 6e-8 / np.maximum(np.sin(data["theta"]), 3.5e-4)
    seam = np.abs(np.diff(want, append=want[-1])) > 0.05
    seam |= np.roll(seam, 1)
    np.testing.assert_array_less(np.abs(got - want)[~seam], (1e-6 + 2 * resolution)[~seam])


@pytest.mark.parametrize(
    ("case", "ranks"), [("k1_arcface", 1), ("k2_cosface", 2), ("k4_cosface", 4), ("small_c3_k4", 4)]
)
def test_partial_fc_cases_of_many_ranks_in_one_process(shared, case, ranks):
    data = load(shared, f"pfc_{case}_r100")
    margin = get_loss(data["head"].item(), margin=data["m"].item(), scale=data["s"].item())
    got = loss_paths.sharded(
        margin, data["embeddings_step0"], data["weight0"], data["labels_step0"]
    )
    grad_w = np.concatenate([data[f"grad_weight_step0_rank{rank}"] for rank in range(ranks)])
    loss_paths.close(got[0], data["loss_step0"], 1e-5)
    loss_paths.close(got[1], data["grad_embeddings_step0"], 1e-4)
    loss_paths.close(got[2], grad_w, 1e-4)


@pytest.mark.parametrize("path", ["eager", "hybrid"])
def test_label_smoothing_case(shared, path):
    data = load(shared, "aux_label_smooth")
    block = MarginSoftmaxLoss(get_loss("softmax"), label_smoothing=data["smoothing"].item())
    if path == "hybrid":
        block.hybridize()
    loss, grad = loss_paths.differentiate(lambda z: block(z, data["labels"]), data["logits"])
    loss_paths.close(loss, data["loss"], 1e-5)
    loss_paths.close(grad, data["grad_logits"], 1e-4)
