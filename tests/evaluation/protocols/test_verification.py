import dataclasses
import json

import numpy as np
import pytest
from reference import verification as twin

from gluonface.data.pair_folds import stretches
from gluonface.errors import DataError, InputError
from gluonface.evaluation import evaluate
from gluonface.evaluation.metrics import bootstrap, folds
from gluonface.evaluation.protocols import verification
from gluonface.evaluation.scores import pair_comparison
from gluonface.evaluation.scores.feature_matrix import unit_matrix
from gluonface.evaluation.scores.flip import FLIP_FORMS, merge_outputs

FORMS = tuple(FLIP_FORMS)


def figures(result):
    """Return what a result says, without the arrays, to compare results as a whole."""
    return json.dumps(result.to_dict())


# --- the result against the loops and the public program ---


def test_every_figure_equals_the_loops(noisy_pairs):
    e, _, issame = noisy_pairs(46, seed=1, ties=True)
    result = evaluate(e[0::2], e[1::2], issame, folds=4, fars=[0.2, 0.05])
    slow = [twin.compare(a, b) for a, b in zip(e[0::2], e[1::2])]
    distance, score = (list(column) for column in zip(*slow))
    mean, std, accuracies, chosen = twin.accuracy(
        distance, issame, 4, folds.ACCURACY_THRESHOLDS.tolist()
    )
    assert list(result.fold_accuracies) == accuracies
    assert list(result.thresholds) == chosen
    assert result.threshold == pytest.approx(np.mean(chosen), abs=1e-14)
    assert result.accuracy == pytest.approx(mean, abs=1e-15)
    assert result.accuracy_std == pytest.approx(std, abs=1e-15)
    # ties of exact arithmetic are apart by rounding in both programs: count on our own scores
    score = result.score.tolist()
    assert result.auc == pytest.approx(twin.auc(score, issame), abs=1e-15)
    assert result.eer == pytest.approx(twin.eer(score, issame), abs=1e-15)
    for far in (0.2, 0.05):
        assert result.tar[far] == twin.tar_strict(score, issame, far)[0]
        assert result.tar_reference[far] == twin.tar_reference(score, issame, far)[0]
    assert (result.n_same, result.n_different, result.n_pairs) == (23, 23, 46)
    assert result.embedding_size == 16


@pytest.mark.parametrize("case", ["verif_600_mid", "verif_607_mid"])
def test_known_answers_of_the_public_program(shared, case):
    data = np.load(shared / f"reference/eval/{case}.npz")
    results = verification.evaluate_variants(data["emb"], data["emb_flip"], data["issame"], FORMS)
    assert tuple(results) == FORMS
    for form, result in results.items():
        known = "exp_noflip" if form == "none" else f"exp_{form}"
        assert result.accuracy == data[f"{known}_acc_mean"]
        assert result.accuracy_std == data[f"{known}_acc_std"]
        assert list(result.fold_accuracies) == data[f"{known}_acc_folds"].tolist()
        assert list(result.thresholds) == data[f"{known}_best_thr"].tolist()
        assert result.val == data[f"{known}_val"]
        assert result.val_std == data[f"{known}_val_std"]
        assert result.far == data[f"{known}_far"]
        assert result.flip == form
        # a mean of norms of about 1000, summed in another order
        assert result.xnorm == pytest.approx(float(data["exp_xnorm"]), rel=1e-14)


def test_float32_outputs_stay_within_a_pair_per_fold(shared):
    data = np.load(shared / "reference/eval/verif_600_mid.npz")
    unit = [
        unit_matrix(data[name], name, np.float64)[0].astype(np.float32)
        for name in ("emb", "emb_flip")
    ]
    result = verification.evaluate_variants(*unit, data["issame"], ("normsum",))["normsum"]
    off = np.abs(np.array(result.fold_accuracies) - data["exp_normsum_acc_folds"])
    assert off.max() <= 1 / 60 + 1e-12


# --- the flip bug of a published table: state kept between packs ---

ORDERS = (("lfw", "calfw", "cplfw", "cfp_ff"), ("cfp_ff", "cplfw", "calfw", "lfw"))


@pytest.fixture(scope="module")
def flip_sets(verification_pairs, shared):
    sets = json.loads((shared / "reference/eval/expected.json").read_text())["flip_bug"]["sets"]
    return {name: verification_pairs(*how) for name, how in sets.items()}


def euclidean(e, f):
    outputs = merge_outputs(e, f, "concat", np.float64)
    return np.sqrt(pair_comparison.compare_pairs(outputs[0::2], outputs[1::2]).distance)


@pytest.mark.parametrize("order", ORDERS, ids=["forwards", "backwards"])
def test_flip_numbers_are_those_of_each_pack_alone_and_not_the_pooled_ones(
    flip_sets, expected, order
):
    grid = np.arange(0, 2, 0.01)  # the grid of the script that published them
    printed = expected["flip_bug"]["runs_of_public_script"][",".join(order)]
    pooled_distance, pooled_same = [], []
    for place, name in enumerate(order):
        e, f, issame = flip_sets[name]
        distance = euclidean(e, f)
        ours = folds.kfold_accuracy(distance, issame, 10, grid)
        # printed with six decimals
        alone = pytest.approx(expected["flip_bug"]["correct_flip"][name], abs=5e-7)
        assert [ours.accuracy, ours.std] == alone
        assert ours.accuracy * len(issame) == pytest.approx(round(ours.accuracy * len(issame)))

        pooled_distance.append(distance)
        pooled_same.append(issame)
        pooled = folds.kfold_accuracy(
            np.concatenate(pooled_distance), np.concatenate(pooled_same), 10, grid
        )
        # this is how the script's numbers came about, and they are not ours
        assert [pooled.accuracy, pooled.std] == pytest.approx(printed[f"{name}-flip"], abs=5e-7)
        assert place == 0 or abs(pooled.accuracy - ours.accuracy) > 1e-3


@pytest.mark.parametrize("order", ORDERS, ids=["forwards", "backwards"])
def test_results_do_not_depend_on_the_packs_before(flip_sets, order):
    fresh = {
        name: verification.evaluate_variants(*flip_sets[name])["sum"] for name in reversed(order)
    }
    for name in order:
        for _ in range(2):  # nor on an earlier evaluation of the same pack
            again = verification.evaluate_variants(*flip_sets[name])
            assert figures(again["sum"]) == figures(fresh[name])


def test_a_form_does_not_depend_on_the_forms_beside_it(noisy_pairs):
    e, f, issame = noisy_pairs(60, seed=0)
    together = verification.evaluate_variants(e, f, issame, FORMS)
    for form in FORMS:
        alone = verification.evaluate_variants(e, f, issame, (form,))[form]
        assert figures(alone) == figures(together[form])


# --- what must not matter ---


@pytest.fixture
def case(noisy_pairs):
    e, _, issame = noisy_pairs(123, seed=5)
    return e[0::2], e[1::2], issame


FAITHFUL = ("accuracy", "accuracy_std", "val", "val_std", "far", "tar", "auc", "eer", "thresholds")


def assert_same_figures(one, other):
    for name in FAITHFUL:
        a, b = getattr(one, name), getattr(other, name)
        assert a == pytest.approx(b, abs=1e-12), name


def test_swapping_the_sides_of_pairs_changes_nothing(case):
    a, b, issame = case
    swap = np.random.default_rng(0).random(len(a)) < 0.5
    swapped = evaluate(np.where(swap[:, None], b, a), np.where(swap[:, None], a, b), issame)
    assert_same_figures(swapped, evaluate(a, b, issame))


def test_rotating_the_space_changes_nothing(case):
    a, b, issame = case
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))
    assert_same_figures(evaluate(a @ turn, b @ turn, issame), evaluate(a, b, issame))


def test_the_length_of_embeddings_changes_nothing(case):
    a, b, issame = case
    rng = np.random.default_rng(0)
    stretched = (x * rng.uniform(0.01, 100, (len(x), 1)) for x in (a, b))
    assert_same_figures(evaluate(*stretched, issame), evaluate(a, b, issame))


def test_the_order_within_folds_changes_nothing(case):
    a, b, issame = case
    fold, rng = stretches(len(a), 10), np.random.default_rng(0)
    order = np.concatenate([rng.permutation(np.flatnonzero(fold == k)) for k in range(10)])
    assert_same_figures(evaluate(a[order], b[order], issame[order]), evaluate(a, b, issame))


def test_labels_may_be_a_list_of_anything_true_or_false(case):
    a, b, issame = case
    for labels in (issame.tolist(), issame.astype(int).tolist(), issame.astype(np.uint8)):
        assert figures(evaluate(a, b, labels)) == figures(evaluate(a, b, issame))


# --- small, one-sided and broken inputs ---


@pytest.mark.parametrize("same", [True, False])
def test_one_kind_of_pairs_has_an_accuracy_and_says_what_it_lacks(noisy_pairs, same):
    e, _, _ = noisy_pairs(30, seed=0)
    result = evaluate(e[0::2], e[1::2], [same] * 30)
    assert 0 <= result.accuracy <= 1
    assert [result.val, result.val_std, result.far, result.tar, result.tar_reference] == [None] * 5
    assert (result.auc, result.eer, result.operating_points) == (None, None, ())
    (note,) = result.notes
    assert ("all 30 pairs are same pairs" if same else "all 30 pairs are different pairs") in note
    assert "nan" not in figures(result).lower()
    assert " -  " in result.table()
    with pytest.raises(InputError, match="both kinds"):
        result.roc()


@pytest.mark.parametrize("same_first", [True, False])
@pytest.mark.parametrize("folds", [2, 5, 10])
def test_pairs_sorted_by_kind_are_folded_fairly(noisy_pairs, folds, same_first):
    """Contiguous folds of one kind would show an error-free model as 0.970 +- 0.090."""
    issame = (np.arange(200) < 100) == same_first
    a = np.tile([1.0, 0.0], (200, 1))
    b = np.where(issame[:, None], [1.0, 0.3], [0.3, 1.0])
    result = evaluate(a, b, issame, folds)
    assert (result.accuracy, result.accuracy_std, result.val, result.far) == (1, 0, 1, 0)
    assert any("sorted by kind" in note for note in result.notes)
    e, _, mixed = noisy_pairs(200, seed=1)
    order = np.argsort(mixed != same_first, kind="stable")
    a, b = e[0::2][order], e[1::2][order]
    turns = np.arange(200).reshape(2, 100).T.ravel()  # one of each kind after the other
    plain = evaluate(a[turns], b[turns], mixed[order][turns], folds)
    assert_same_figures(evaluate(a, b, mixed[order], folds), plain)


def test_a_fold_of_one_kind_leaves_out_val_but_not_the_rest(noisy_pairs):
    e, _, issame = noisy_pairs(40, seed=0)
    order = np.argsort(~issame, kind="stable")
    fold = np.arange(40) // 4
    result = evaluate(e[0::2][order], e[1::2][order], issame[order], fold)
    assert (result.val, result.val_std, result.far) == (None, None, None)
    assert any("val is left out: fold 1 of 10 has no different pair" in n for n in result.notes)
    assert result.auc is not None
    assert result.tar


@pytest.mark.parametrize("value", [0.0, 3.0], ids=["zeros", "constant"])
def test_collapsed_embeddings_are_flagged_and_never_look_good(value):
    constant, issame = np.full((60, 8), value), np.arange(60) % 2 == 0
    result = evaluate(constant, constant, issame)
    assert result.collapsed
    assert result.notes[0].startswith("COLLAPSED")
    assert result.accuracy == 0.5
    assert result.val is None  # the public program says 1.0, at a far of 1.0
    assert set(result.tar.values()) == set(result.tar_reference.values()) == {0.0}
    assert (result.auc, result.eer) == (0.5, 0.5)


def test_zero_vectors_are_counted(case):
    a, b, issame = (np.array(x) for x in case)
    a[3], b[3], a[7] = 0, 0, 0
    result = evaluate(a, b, issame)
    assert not result.collapsed
    assert any("3 of 246 embeddings are zero vectors" in note for note in result.notes)


def test_default_fars_are_those_the_sample_supports(noisy_pairs):
    def fars(different):
        e, _, _ = noisy_pairs(different + 10, seed=0)
        issame = np.arange(different + 10) < 10
        return list(evaluate(e[0::2], e[1::2], issame, folds=2).tar)

    assert fars(9) == [0.1]
    assert fars(99) == [0.1]
    assert fars(100) == [0.1, 0.01]
    assert fars(1000) == [0.1, 0.01, 0.001]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"issame": [True] * 29}, r"issame has shape \(29,\) for 30 pairs"),
        ({"folds": 31}, "30 pairs for 31 folds"),
        ({"folds": 1}, "folds is 1"),
        ({"fars": [2.0]}, "false-accept rate is 2.0"),
        ({"far_target": -1}, "false-accept rate is -1"),
        ({"emb_b": np.ones((30, 15))}, r"\(30, 16\) and emb_b \(30, 15\)"),
        ({"emb_a": np.full((30, 16), np.nan)}, "emb_a row 0 is not finite"),
    ],
)
def test_wrong_use_is_refused(noisy_pairs, change, said):
    e, _, issame = noisy_pairs(30, seed=0)
    arguments = {"emb_a": e[0::2], "emb_b": e[1::2], "issame": issame, **change}
    with pytest.raises(InputError, match=said):
        evaluate(**arguments)


def test_variants_refuse_outputs_that_do_not_fit(noisy_pairs):
    e, f, issame = noisy_pairs(30, seed=0)
    with pytest.raises(InputError, match=r"e has shape \(58, 16\) for 30 pairs; expected \(60,"):
        verification.evaluate_variants(e[:-2], f[:-2], issame)
    with pytest.raises(InputError, match=r"flip forms \['flip'\]: choose from none, sum"):
        verification.evaluate_variants(e, f, issame, ("none", "flip"))
    with pytest.raises(InputError, match="needs the outputs of the mirrored images"):
        verification.evaluate_variants(e, None, issame)
    f[41, 3] = np.inf
    with pytest.raises(InputError, match="f row 41 is not finite"):
        verification.evaluate_variants(e, f, issame)


# --- what a result can do ---


# --- from packs and files ---


def test_a_pack_runs_through_a_model_in_batches(make_pack, pixel_embedder):
    pack = make_pack(pairs=24)
    results = verification.evaluate_pack(pixel_embedder, pack, FORMS, batch_size=10)
    assert pixel_embedder.seen == [10, 10, 10, 10, 8]  # one pass, however many forms
    images = np.concatenate([pack.images(i) for i in range(24)])
    e, f = pixel_embedder.embed_views(images, 48)
    direct = verification.evaluate_variants(e, f, pack.issame, FORMS)
    for form in FORMS:
        assert results[form].pack == "made"
        expected = dataclasses.replace(direct[form], name="made", pack_sha256=pack.sha256)
        assert figures(results[form]) == figures(expected)


def test_the_image_alone_needs_no_mirrors(make_pack, pixel_embedder):
    pack = make_pack(pairs=24)
    alone = verification.evaluate_pack(pixel_embedder, pack, ("none",))["none"]
    both = verification.evaluate_pack(pixel_embedder, pack, ("none", "sum"))["none"]
    assert alone.xnorm is None
    np.testing.assert_allclose(alone.score, both.score, rtol=0, atol=1e-6)  # float32 unit vectors


def test_progress_is_shown_when_asked_for(make_pack, pixel_embedder, capfd):
    pack = make_pack(pairs=20)
    verification.evaluate_pack(pixel_embedder, pack, progress=False)
    assert capfd.readouterr() == ("", "")
    verification.evaluate_pack(pixel_embedder, pack, progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "made: 100%" in captured.err
    assert "40/40" in captured.err


def test_a_model_that_gives_nan_fails_with_the_image(make_pack, pixel_embedder, monkeypatch):
    def broken(images, batch_size):
        e, f = type(pixel_embedder).embed_views(pixel_embedder, images, batch_size)
        f[13, 2] = np.nan
        return e, f

    monkeypatch.setattr(pixel_embedder, "embed_views", broken)
    with pytest.raises(DataError, match="pack made: the model's output for the mirror row 13"):
        verification.evaluate_pack(pixel_embedder, make_pack(pairs=20))


def test_an_error_of_the_model_names_the_pack(make_pack, pixel_embedder, monkeypatch):
    def broken(images, batch_size):
        raise DataError("values that are not finite")

    monkeypatch.setattr(pixel_embedder, "embed_views", broken)
    with pytest.raises(DataError, match="pack made: values that are not finite"):
        verification.evaluate_pack(pixel_embedder, make_pack(pairs=20))


def test_too_few_pairs_are_refused_before_the_model_runs(make_pack, pixel_embedder):
    with pytest.raises(InputError, match="9 pairs for 10 folds"):
        verification.evaluate_pack(pixel_embedder, make_pack(pairs=9))
    assert pixel_embedder.seen == []


def test_stored_outputs(tmp_path, noisy_pairs):
    e, f, issame = noisy_pairs(30, seed=0)
    np.savez(tmp_path / "full.npz", e=e, f=f, issame=issame, name="LFW", sha256="ab12")
    stored = verification.load_outputs(tmp_path / "full.npz")
    np.testing.assert_array_equal(stored["f"], f)
    assert (stored["name"], stored["sha256"]) == ("LFW", "ab12")
    np.savez(tmp_path / "bare.npz", e=e, issame=issame)
    stored = verification.load_outputs(tmp_path / "bare.npz")
    assert (stored["f"], stored["name"], stored["sha256"]) == (None, "bare", None)


def test_broken_stored_outputs(tmp_path, noisy_pairs):
    e, _, issame = noisy_pairs(30, seed=0)
    path = tmp_path / "x.npz"
    with pytest.raises(InputError, match="there is no file"):
        verification.load_outputs(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(DataError, match="cannot be read as plain arrays"):
        verification.load_outputs(path)
    np.savez(path, embeddings=e)
    with pytest.raises(DataError, match="no array e and no array issame; it holds embeddings"):
        verification.load_outputs(path)
    np.savez(path, e=e[0], issame=issame)
    with pytest.raises(DataError, match=r"e has shape \(16,\)"):
        verification.load_outputs(path)
    np.savez(path, e=np.where(np.arange(16) == 3, np.nan, e), issame=issame)
    with pytest.raises(DataError, match="e row 0 is not finite"):
        verification.load_outputs(path)
    np.savez(path, e=np.array([{"a": 1}], object), issame=issame)  # a pickle inside
    with pytest.raises(DataError, match="plain arrays"):
        verification.load_outputs(path)
    whole = (tmp_path / "whole.npz").open("wb")
    np.savez(whole, e=e, issame=issame)
    whole.close()
    path.write_bytes((tmp_path / "whole.npz").read_bytes()[:700])
    with pytest.raises(DataError, match="cannot be read"):
        verification.load_outputs(path)


# --- real faces; scores measured with MXNet's own SymbolBlock, four decimals ---

LOWEST_SAME = {"lfw_small": (0.5829, 0.5742), "att_test": (0.4246, 0.4326)}
HIGHEST_DIFFERENT = {"att_test": (0.3754, 0.3425)}


def test_intervals_equal_the_loops(noisy_pairs):
    e, _, issame = noisy_pairs(200, 3)
    fars, draws = (0.02, 0.1), 30
    result = verification.evaluate(e[::2], e[1::2], issame, 10, fars=fars, draws=draws)
    right = np.array([not call.error for call in result.calls()])
    accuracies, tars = [], []
    for drawn in bootstrap.draw(200, draws):
        times = np.repeat(np.arange(200), drawn)
        accuracies.append(right[times].mean())
        score, same = result.score[times], issame[times]
        tars.append([twin.tar_strict(score, same, far)[0] for far in fars])
    ends = [0.025, 0.975]
    assert (result.accuracy_low, result.accuracy_high) == pytest.approx(
        np.quantile(accuracies, ends), abs=1e-12
    )
    strict = [p for p in result.operating_points if p.convention == "strict"]
    np.testing.assert_allclose(
        [(p.low, p.high) for p in strict], np.quantile(tars, ends, axis=0).T, rtol=0, atol=1e-12
    )
    low, high = result.accuracy_low, result.accuracy_high
    assert f"{low:.4f}-{high:.4f}" in result.table()
    assert "95 % interval" not in verification.evaluate(e[::2], e[1::2], issame).table()


@pytest.mark.parametrize(
    "name", ["lfw_small", pytest.param("att_test", marks=pytest.mark.slow)], ids=str
)
def test_a_real_model_on_real_faces(shared, name):
    from gluonface.data import VerificationPack
    from gluonface.deploy import Embedder

    path = next((shared / "data").rglob(f"{name}.bin"))
    model = Embedder.load(str(shared / "data/insightface-mobilefacenet/model"), ctx="cpu")
    pack = VerificationPack.load(path)
    results = verification.evaluate_pack(model, pack, batch_size=20)
    for place, form in enumerate(("none", "sum")):
        result = results[form]
        same, different = result.score[result.issame], result.score[~result.issame]
        assert same.min() == pytest.approx(LOWEST_SAME[name][place], abs=1e-4)
        if name in HIGHEST_DIFFERENT:
            assert different.max() == pytest.approx(HIGHEST_DIFFERENT[name][place], abs=1e-4)
            assert result.auc == 1.0
            assert result.accuracy >= 0.99


def test_embeddings_that_are_nearly_the_same_are_called_collapsed(noisy_pairs):
    """All distances below the first threshold: the accuracy is 0.5 and the AUC is not."""
    e, _, issame = noisy_pairs(60, seed=3)
    near = np.ones(e.shape[1]) + 0.1 * e / np.linalg.norm(e, axis=1, keepdims=True)
    result = evaluate(near[0::2], near[1::2], issame, folds=5)
    assert result.collapsed
    assert abs(result.accuracy - np.mean(issame)) < 0.3
    assert result.auc > 0.7
    (note,) = [note for note in result.notes if "COLLAPSED" in note]
    assert "the cosine of two people is 0.99" in note
    assert "(collapsed)" in result.table()
    whole = evaluate(e[0::2], e[1::2], issame, folds=5)
    assert not whole.collapsed
    assert "collapsed" not in whole.table()
