"""The float64 cases of public implementations and papers."""

import loss_paths
import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.loss import MarginSoftmaxLoss, get_loss

SCALE, MARGIN = {"s": "scale"}, {"s": "scale", "m": "margin"}
COMBINED = {"s": "scale", "m1": "m1", "m2": "m2", "m3": "m3", "policy": "policy"}
ARCFACE = {**MARGIN, "policy": "policy"}
MV = {**MARGIN, "t": "t"}
SPHERE = {"m": "margin"}
CASES = {
    "softmax": ("softmax", {}),
    "normface": ("normface", SCALE),
    "cosface": ("cosface", MARGIN),
    "cosface_m04": ("cosface", MARGIN),
    "amsoftmax": ("amsoftmax", MARGIN),
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
    "l2_softmax": ("l2softmax", {"alpha": "scale"}),
    "sphereface_m1_lam0": ("sphereface", SPHERE, {"base": 0, "lambda_min": 0}),
    "sphereface_m2_lam0": ("sphereface", SPHERE, {"base": 0, "lambda_min": 0}),
    "sphereface_m3_lam0": ("sphereface", SPHERE, {"base": 0, "lambda_min": 0}),
    "sphereface_m4_lam0_s30": (
        "sphereface",
        {**SPHERE, "s": "scale"},
        {"base": 0, "lambda_min": 0, "radius": "fixed"},
    ),
    "sphereface_m4_lam5": ("sphereface", SPHERE, {"base": 0, "lambda_min": 5}),
    "sphereface_m4_iter1": (
        "sphereface",
        {**SPHERE, "base": "base", "gamma": "gamma", "power": "power", "lam_min": "lambda_min"},
    ),
    "svx_softmax_t12": ("svx", {"s": "scale", "t": "t"}, {"kind": "softmax"}),
    "svx_am_t12": ("svx", {"s": "scale", "t": "t", "m3_cos": "margin"}, {"kind": "am"}),
    "svx_arc_t12": ("svx", {"s": "scale", "t": "t", "m2_arc": "margin", "policy": "policy"}),
    "mv_am": ("mv", MV, {"kind": "am"}),
    "mv_am_fixed": ("mv", MV, {"kind": "am", "mode": "fixed"}),
    "mv_arc": ("mv", {**MV, "policy": "policy"}),
    "mv_arc_none": ("mv", {**MV, "policy": "policy"}),
    "mv_arc_fixed": ("mv", {**MV, "policy": "policy"}, {"mode": "fixed"}),
    "curricularface_t00": ("curricularface", {**MARGIN, "alpha_batch": "share"}),
    "curricularface_t30": ("curricularface", {**MARGIN, "alpha_batch": "share"}),
    "arcnegface": ("arcnegface", {**MARGIN, "alpha": "alpha", "sigma": "sigma"}),
    "adacos_fixed": ("adacos", {}, {"mode": "fixed"}),
    "adacos_step1": ("adacos", {}),
    "adacos_step2_even": ("adacos", {}),
    "li_arcface": ("li_arcface", MARGIN),
    "qamface": ("qamface", MARGIN),
    "circleloss": ("circleloss", {"gamma": "scale", "m": "margin"}),
    "circleloss_g64": ("circleloss", {"gamma": "scale", "m": "margin"}),
    "adam_softmax": ("adam_softmax", {"s": "scale", "lamb": "weight"}),
    "adaface": ("adaface", {**MARGIN, "h": "h", "t_alpha": "share"}),
}


def load(shared, case):
    return np.load(shared / f"reference/losses/{case}.npz", allow_pickle=False)


def margin_of(data, loss, names, fixed=None):
    given = {ours: data[name].item() for name, ours in names.items() if name in data}
    return get_loss(loss, **given, **(fixed or {}))


def state_of(data, margin, when):
    """Return the state that a file holds before (`in`) or after (`out`) its step."""
    return {k: data[f"{k}_{when}"].item() for k in margin.state if f"{k}_{when}" in data}


@pytest.mark.parametrize("path", ["eager", "hybrid", "sharded"])
@pytest.mark.parametrize("case", CASES)
def test_case(shared, case, path):
    data = load(shared, case)
    margin = margin_of(data, *CASES[case])
    extra = {key: data[key] for key in ("bias", "class_margin") if key in data}
    before, after = (state_of(data, margin, when) for when in ("in", "out"))
    loss, grad_x, grad_w, *rest = loss_paths.PATHS[path](
        margin, data["embeddings"], data["weight"], data["labels"], state=before, **extra
    )
    want = data["loss"]
    if "loss_total" in data:  # the file's own losses are without the penalty
        want = want - data["lamb"] * data["class_margin"].mean()
        assert loss.mean() == pytest.approx(data["loss_total"].item(), rel=1e-5)
        loss_paths.close(rest[-1], data["grad_class_margin"], 1e-4)
    loss_paths.close(loss, want, 1e-5)
    loss_paths.close(grad_x, data["grad_embeddings"], 1e-4)
    loss_paths.close(grad_w, data["grad_weight"], 1e-4)
    learnt = loss_paths.states(margin)
    assert {key: learnt[key] for key in after} == pytest.approx(after, rel=1e-5)
    x, w = mx.nd.array(data["embeddings"]), mx.nd.array(data["weight"])
    more = {key: mx.nd.array(value) for key, value in extra.items()}
    scores = loss_paths.scores(margin, x, w, more.pop("bias", None))
    if margin.uses_norm:
        more["norm"] = mx.nd.norm(x, axis=1)
    logits = MarginSoftmaxLoss(margin).logits(scores, data["labels"], **more)
    loss_paths.close(logits.asnumpy(), data["logits"], 1e-5)


def test_every_head_case_is_used(shared):
    """A case file that nobody compares with would go unnoticed."""
    files = {path.stem for path in (shared / "reference/losses").glob("*.npz")}
    heads = {name for name in files if not name.startswith(("aux_", "pfc_", "refbug_"))}
    assert heads - set(CASES) == {"base_inputs", "edge_arcface_exact_cos1", "scan_target_logit"}


def test_coco_case(shared):
    data = load(shared, "aux_coco")
    keys = [key for key in data if key not in ("loss", "labels")]
    margin = get_loss("coco", scale=data["alpha"].item())
    loss, *grads = loss_paths.sharded(margin, data["embeddings"], data["centers"], data["labels"])
    loss_paths.close(loss, data["loss"], 1e-5)
    for got, key in zip(grads, ("grad_embeddings", "grad_centers")):
        assert key in keys
        loss_paths.close(got, data[key], 1e-4)


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
