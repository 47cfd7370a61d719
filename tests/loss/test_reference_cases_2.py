"""The second set of float64 cases: binary losses, SphereFace-R, ElasticFace."""

import loss_paths
import numpy as np
import pytest
from reference import _elastic

from gluonface._compat import mx
from gluonface.loss import MarginSoftmaxLoss, get_loss

UCE = {"s": "scale", "m": "margin", "l": "weight"}
SPHEREFACE2 = {
    **{"alpha": "alpha", "r": "scale", "m": "margin", "t": "t", "lw": "weight"},
    **{"kind": "kind", "detached": "gradient"},
}
SPHEREFACE_R = {
    **{"kind": "version", "s": "scale", "m": "margin", "norm": "norm"},
    **{"lw": "weight", "t": "t", "detached": "gradient"},
}
ELASTIC = {"s": "scale", "m": "margin", "std": "std"}
ELASTIC_ARC = {**ELASTIC, "policy": "policy"}
CASES = {
    **dict.fromkeys(("uce", "uce_l05_m01", "edge_uce_s512"), ("uniface", UCE)),
    "bce_per_class": ("bce", UCE),
    **dict.fromkeys(
        [f"sphereface2{more}" for more in ("", "_r64", "_arc", "_mul", "_exact", "_arc_exact")],
        ("sphereface2", SPHEREFACE2),
    ),
    **dict.fromkeys(("sphereface2_t1", "edge_sphereface2_r512"), ("sphereface2", SPHEREFACE2)),
    **dict.fromkeys(
        [f"sphereface_r_{v}{e}" for v in ("v0", "v1", "v2") for e in ("", "_exact")]
        + ["sphereface_r_v2_soft"],
        ("sphereface_r", SPHEREFACE_R),
    ),
    **dict.fromkeys(("elasticface_arc", "elasticface_arc_none"), ("elastic_arcface", ELASTIC_ARC)),
    "elasticface_arc_plus": ("elastic_arcface", ELASTIC_ARC, {"order": "plus"}),
    "elasticface_cos": ("elastic_cosface", ELASTIC),
    "elasticface_cos_plus": ("elastic_cosface", ELASTIC, {"order": "plus"}),
}


def load(shared, case):
    return np.load(shared / f"reference/losses2/{case}.npz", allow_pickle=False)


def margin_of(data, loss, names, fixed=None):
    given = {ours: data[name].item() for name, ours in names.items() if name in data}
    if "gradient" in given:
        given["gradient"] = "detached" if given["gradient"] else "exact"
    margin = get_loss(loss, **given, **(fixed or {}))
    if "margins_drawn" in data:
        margin.drawn = lambda count: data["margins_drawn"]
    return margin


def extra_of(data):
    return {"bias": data["bias"].reshape(-1)} if "bias" in data else {}


@pytest.mark.parametrize("path", ["eager", "hybrid", "sharded"])
@pytest.mark.parametrize("case", CASES)
def test_case(shared, case, path):
    data = load(shared, case)
    margin, extra = margin_of(data, *CASES[case]), extra_of(data)
    loss, grad_x, grad_w, *rest = loss_paths.PATHS[path](
        margin, data["embeddings"], data["weight"], data["labels"], **extra
    )
    # float32: sums of some ten terms, times scales up to 512.
    loss_paths.close(loss, data["loss_total" if "loss_total" in data else "loss"], 2e-6)
    loss_paths.close(grad_x, data["grad_embeddings"], 1e-5)
    loss_paths.close(grad_w, data["grad_weight"], 1e-5)
    if rest:
        loss_paths.close(rest[0], data["grad_bias"].reshape(-1), 2e-6)
    if path == "eager":
        x, w = mx.nd.array(data["embeddings"]), mx.nd.array(data["weight"])
        more = {key: mx.nd.array(value) for key, value in extra.items()}
        if margin.uses_norm:
            more["norm"] = mx.nd.norm(x, axis=1)
        logits = MarginSoftmaxLoss(margin).logits(
            loss_paths.scores(margin, x, w), data["labels"], **more
        )
        loss_paths.close(logits.asnumpy(), data["logits"], 2e-6)


def test_every_case_is_used(shared):
    """A case file that nobody compares with would go unnoticed."""
    heads = ("uce", "bce", "sphereface", "elasticface", "edge_uce", "edge_sphereface")
    files = {path.stem for path in (shared / "reference/losses2").glob("*.npz")}
    left = {name for name in files if name.startswith(heads)} - set(CASES)
    sampled = {f"{n}_sampled{u}" for n in ("uce", "sphereface2") for u in ("", "_unscaled")}
    exact = {"edge_uce_exact_cos1", "edge_sphereface2_exact_cos1"}
    assert left == {*sampled, *exact, "sphereface2_bias_init"}  # head/binary/test_step and below


@pytest.mark.parametrize("path", ["eager", "hybrid", "sharded"])
@pytest.mark.parametrize(
    ("case", "loss", "names"),
    [
        ("edge_uce_exact_cos1", "uniface", UCE),
        ("edge_sphereface2_exact_cos1", "sphereface2", SPHEREFACE2),
    ],
)
def test_cosines_exactly_at_the_ends(shared, case, loss, names, path):
    data = load(shared, case)
    got = loss_paths.PATHS[path](
        margin_of(data, loss, names),
        *(data[key] for key in ("embeddings", "weight", "labels")),
        **extra_of(data),
    )
    for array, key in zip(got, ("loss", "grad_embeddings", "grad_weight", "grad_bias")):
        loss_paths.close(array, data[key].reshape(array.shape), 1e-6)


def test_first_biases_of_sphereface2(shared):
    data = load(shared, "sphereface2_bias_init")
    for key, params in (
        ("bias_C", {}),
        ("bias_C_r64", {"scale": 64, "margin": 0.5, "alpha": 0.8}),
        ("bias_A", {"kind": "A"}),
        ("bias_M_m16", {"kind": "M", "margin": 1.6}),
    ):
        margin = get_loss("sphereface2", **params)
        got = [margin.initial_bias(int(classes)) for classes in data["classes"]]
        np.testing.assert_allclose(got, data[key], rtol=1e-13, atol=1e-13)


def test_clamped_logits_of_public_code_are_not_ours(shared):
    data = load(shared, "refbug_uce_clamped")
    loss, *_ = loss_paths.sharded(
        margin_of(data, "uniface", UCE),
        *(data[key] for key in ("embeddings", "weight", "labels")),
        **extra_of(data),
    )
    assert np.abs(loss - data["loss"]).max() > 20  # 28.7 of one row


@pytest.mark.parametrize("kind", ["arc", "cos"])
def test_published_order_of_elasticface_has_its_own_name(shared, kind):
    data = load(shared, f"refbug_elasticface_{kind}_plus")
    cosine = np.cos(load(shared, "base_inputs_2")["theta_target"])
    for order, want in (("plus_as_published", "margins"), ("plus", "margins_intended")):
        margin = get_loss(f"elastic_{kind}face", order=order)
        margin.drawn = lambda count: data["margins_drawn"]
        np.testing.assert_allclose(margin.row_margins(9, cosine), data[want], rtol=1e-6)


def test_drawn_margins_are_normal_and_those_of_their_step():
    margin = get_loss("elastic_arcface", seed=3)
    margin.state["step"] = 5.0
    drawn = margin.drawn(20_000)
    assert drawn.mean() == pytest.approx(0.5, abs=4 * 0.05 / 20_000**0.5)
    assert drawn.std() == pytest.approx(0.05, rel=0.03)
    assert np.abs(drawn - 0.5).max() > 0.05 * 3.3  # not clipped
    np.testing.assert_array_equal(drawn[:7], margin.drawn(7))
    np.testing.assert_allclose(drawn[:7], _elastic.drawn(7, 0.5, 0.05, 3, 5), rtol=1e-12)
    margin.state["step"] = 6.0
    assert not np.intersect1d(drawn, margin.drawn(20_000)).size
