import numpy as np
import pytest
from evaluation_cases import pooled
from reference import ijb as twin
from reference import verification as pairs_twin

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import ijb_lists
from gluonface.evaluation.metrics import bootstrap
from gluonface.evaluation.protocols import identification, ijb
from gluonface.evaluation.scores import listed_pairs

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
MODES = ("N0D0F0", "N0D0F1", "N0D1F0", "N0D1F1", "N1D0F0", "N1D0F1", "N1D1F0", "N1D1F1")


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_of_the_public_script_to_the_last_pair(janus, expected, mode):
    known = expected["ijb"][f"evals_{mode}"]
    result = ijb.verify(*pooled(janus, mode, np.float64), janus[1])
    assert list(result.tar_by_far().values()) == known["tar_strict"]
    assert list(result.tar_by_far("reference").values()) == known["tar_nearest"]
    strict = [p.threshold for p in result.operating_points if p.convention == "strict"]
    np.testing.assert_allclose(strict, known["thr_strict"], rtol=0, atol=1e-7)
    # One pair of 708 x 140,892 may change places by the last bit: 1.003e-8 of the area.
    assert result.measures["auc"] == pytest.approx(known["auc"], abs=1.1e-8)
    assert result.counts == {"templates": 908, "pairs": 141600, "same": 708, "different": 140892}


def test_float32_stays_within_one_pair_per_target(janus, expected):
    for mode in ("N0D1F1", "N1D0F0"):
        known = expected["ijb"][f"evals_{mode}"]
        result = ijb.verify(*pooled(janus, mode, np.float32), janus[1])
        for convention, name in (("strict", "tar_strict"), ("reference", "tar_nearest")):
            rates = np.array(list(result.tar_by_far(convention).values()))
            assert np.abs(rates - known[name]).max() <= 1 / 708 + 1e-12


def test_the_library_option_matters(janus, expected):
    """The nearest point of the whole ROC is another one: not what published tables use."""
    known = expected["ijb"]["N0D1F1_nearest_full_roc"]
    nearest = ijb.verify(*pooled(janus, "N0D1F1", np.float64), janus[1]).tar_by_far("reference")
    wrong = [abs(rate - full) > 1e-9 for rate, full in zip(nearest.values(), known)]
    assert wrong == [False, False, False, False, True, True]


def test_search_in_both_galleries(janus, folder, expected):
    galleries = {
        name: ijb_lists.read_template_subjects(folder / f"ijbc_1N_gallery_{name}.csv")
        for name in ("G1", "G2")
    }
    probes = ijb_lists.read_template_subjects(folder / "ijbc_1N_probe_mixed.csv")
    ids, units = pooled(janus, "N0D1F1", np.float64)
    result = ijb.identify(ids, units, probes, galleries, fpirs=(1e-3, 1e-2, 1e-1))
    known = expected["ijb"]
    for part, name in zip(result.subsets, ("1N_g1", "1N_g2")):
        assert [r.hits for r in part.ranks] == [known[name][f"top{k}"] for k in (1, 5, 10)]
        assert part.counts["mated"] == known[name]["n_mated"]
        assert list(part.tpir_by_fpir("reference").values()) == known[name]["tpir"]
        assert list(part.tpir_by_fpir().values()) == known[name]["tpir_strict"]
        reference = [s.threshold for s in part.searches if s.convention == "reference"]
        np.testing.assert_allclose(reference, known[name]["thr"], rtol=0, atol=1e-7)
    assert result.rate_by_rank() == {k: known["1N_mean"][f"top{k}"] for k in (1, 5, 10)}
    np.testing.assert_allclose(
        list(result.tpir_by_fpir("reference").values()), known["1N_mean"]["tpir"], rtol=1e-12
    )


def test_search_as_the_older_script(janus, folder, expected):
    galleries = {
        name: ijb_lists.read_template_subjects(folder / f"ijbc_1N_gallery_{name}.csv")
        for name in ("G1", "G2")
    }
    probes = ijb_lists.read_template_subjects(folder / "ijbc_1N_probe_mixed.csv")
    result = ijb.identify_jointly(*pooled(janus, "N0D1F1", np.float64), probes, galleries)
    known = expected["ijb"]["ijb_1n_script"]
    assert result.rate_by_rank() == {k: known[f"top{k}"] for k in (1, 5, 10)}
    for share, recall, threshold in zip(known["fars"], known["recall"], known["thr"]):
        assert result.measures[f"recall@{share:g}"] == pytest.approx(recall, abs=5e-11)
        assert result.measures[f"threshold@{share:g}"] == pytest.approx(threshold, abs=5e-8)


# ------------------------------------------------------------------ made sets, against the loops


def made(seed, images=60, templates_=14, size=8):
    rng = np.random.default_rng(seed)
    template = rng.permutation(np.arange(images) % templates_) * 7 + 3
    media = rng.integers(0, 4, images)
    e, f = rng.normal(size=(2, images, size))
    return e, f, template, media, rng.uniform(0.1, 1, images)


def listed(seed, n=400, count=30, subjects=6):
    rng = np.random.default_rng(seed)
    owner = np.arange(count) % subjects
    units = rng.normal(size=(subjects, 12))[owner] + 0.9 * rng.normal(size=(count, 12))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    ids = np.sort(rng.choice(1000, count, replace=False))
    first, second = rng.integers(0, count, (2, n))
    pairs = ijb_lists.Pairs(ids[first], ids[second], owner[first] == owner[second], "list", {})
    return ids, units, pairs, first, second


@pytest.mark.parametrize("direct", [True, False])
def test_listed_pairs_equal_the_loops(direct, monkeypatch):
    monkeypatch.setattr(listed_pairs, "_DIRECT", 0 if direct else 10**9)
    monkeypatch.setattr(listed_pairs, "_TILE", 64)
    monkeypatch.setattr(listed_pairs, "_CHUNK", 50)
    ids, units, pairs, first, second = listed(0)
    result = ijb.verify(ids, units, pairs, fars=(0.0, 0.01, 0.1, 0.5, 1.0))
    score = [twin.dot(units[i], units[j]) for i, j in zip(first, second)]
    for point in result.operating_points:
        if point.convention == "strict":
            known = pairs_twin.tar_strict(score, pairs.same, point.target)
            assert (point.tar, point.far, point.false_accepts) == known
        else:
            known = pairs_twin.tar_reference(score, pairs.same, point.target)
            assert (point.tar, point.far) == known
    assert result.measures["auc"] == pytest.approx(pairs_twin.auc(score, pairs.same), abs=1e-12)
    assert result.measures["eer"] == pytest.approx(pairs_twin.eer(score, pairs.same), abs=1e-12)
    histogram = result.histogram
    assert histogram.same.sum() == pairs.same.sum()
    wrong = np.array(score)[~pairs.same]
    np.testing.assert_array_equal(histogram.different, np.histogram(wrong, histogram.edges)[0])
    top = max(range(len(score)), key=lambda i: -2 if pairs.same[i] else score[i])
    assert (result.worst_errors[0].a, result.worst_errors[0].b) == (
        pairs.first[top],
        pairs.second[top],
    )


def figures(result):
    return [
        (p.target, p.convention, p.tar, p.far, p.false_accepts) for p in result.operating_points
    ], result.measures


def test_order_sides_and_rotation_of_the_space_change_nothing():
    ids, units, pairs, _, _ = listed(1)
    known = figures(ijb.verify(ids, units, pairs))
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = ijb_lists.Pairs(
        pairs.first[order], pairs.second[order], pairs.same[order], "list", {}
    )
    swapped = ijb_lists.Pairs(pairs.second, pairs.first, pairs.same, "list", {})
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    assert figures(ijb.verify(ids, units, shuffled)) == known
    assert figures(ijb.verify(ids, units, swapped)) == known
    assert figures(ijb.verify(ids, units @ turn, pairs)) == known
    assert figures(ijb.verify(ids, units, pairs)) == known  # and nothing is remembered


def test_a_collapsed_model_scores_nothing():
    ids, units, pairs, _, _ = listed(2)
    same = np.repeat(units[:1], len(units), axis=0)
    same *= 1 + 1e-9 * np.random.default_rng(0).normal(size=same.shape)  # rounding decides nothing
    result = ijb.verify(ids, same, pairs, fars=(1e-3, 1e-1))
    assert (
        set(result.tar_by_far().values()) == set(result.tar_by_far("reference").values()) == {0.0}
    )
    assert any("COLLAPSED" in note for note in result.notes)
    found = identification.evaluate(same[:9], same, np.arange(9), np.arange(len(same)))
    assert set(found.rate_by_rank().values()) == {0.0}


def test_a_zero_template_matches_nobody():
    ids, units, pairs, first, second = listed(3)
    units[4] = 0
    touched = ((first == 4) | (second == 4)) & pairs.same
    assert touched.any()
    result = ijb.verify(ids, units, pairs, fars=(1.0,))
    assert result.tar_by_far()[1.0] == 1 - touched.sum() / pairs.same.sum()
    assert any("1 templates have a zero vector" in note for note in result.notes)


def test_a_pair_of_an_unknown_template_is_named():
    ids, units, pairs, _, _ = listed(0)
    second = pairs.second.copy()
    second[7] = 4321
    broken = ijb_lists.Pairs(pairs.first, second, pairs.same, "pairs.txt", {})
    with pytest.raises(DataError, match=r"pairs.txt, line 8: template 4321 has no image \(1 ids"):
        ijb.verify(ids, units, broken)


def test_gallery_and_probes_against_the_loops():
    rng = np.random.default_rng(5)
    centre = rng.normal(size=(12, 6))
    probe_ids = rng.integers(0, 12, 40)
    probes = centre[probe_ids] + rng.normal(size=(40, 6))
    gallery_ids = np.arange(7)
    gallery = centre[:7] + 0.5 * rng.normal(size=(7, 6))
    ids = np.arange(47)
    units = np.concatenate([probes, gallery])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    fpirs = (0.0, 0.05, 0.29, 1.0)
    result = ijb.identify(
        ids, units, (ids[:40], probe_ids), {"G1": (ids[40:], gallery_ids)}, fpirs=fpirs
    )
    ranks, tpir = twin.search_gallery(
        units[:40], probe_ids, units[40:], gallery_ids, (1, 5, 10), fpirs
    )
    assert result.subset("G1").rate_by_rank() == ranks
    assert result.tpir_by_fpir() == {f: pair[0] for f, pair in tpir.items()}
    assert result.tpir_by_fpir("reference") == {f: pair[1] for f, pair in tpir.items()}


def test_a_gallery_with_a_double_identity_is_refused():
    units = np.eye(4)
    with pytest.raises(InputError, match="holds 8 twice, at entries 1 and 3"):
        ijb.identify(
            np.arange(4), units, (np.array([0]), np.array([8])),
            {"G1": (np.array([1, 2, 3]), np.array([8, 9, 8]))},
        )  # fmt: skip


def test_intervals_hold_the_figure_and_shrink_with_more_templates():
    widths = []
    for count in (30, 300):
        ids, units, pairs, _, _ = listed(4, n=4000, count=count)
        result = ijb.verify(ids, units, pairs, fars=(0.1,), draws=100)
        (point,) = (p for p in result.operating_points if p.convention == "strict")
        assert point.low <= point.tar <= point.high
        widths.append(point.high - point.low)
    assert 0 < widths[1] < widths[0] / 1.5
    again = ijb.verify(ids, units, pairs, fars=(0.1,), draws=100)
    assert again.operating_points == result.operating_points  # seeded


# ------------------------------------------------------------ intervals of the mean over galleries


def two_galleries(seed, people=24, probes=120):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(people, 6))
    subjects = rng.integers(0, people, probes)
    units = np.concatenate(
        [
            centre[subjects] + 0.7 * rng.normal(size=(probes, 6)),
            centre + 0.5 * rng.normal(size=(people, 6)),
        ]
    )
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    enrolled = np.arange(people)
    galleries = {
        "G1": (probes + enrolled[: people // 2], enrolled[: people // 2]),
        "G2": (probes + enrolled[people // 2 :], enrolled[people // 2 :]),
    }
    return np.arange(len(units)), units, (np.arange(probes), subjects), galleries


def test_the_interval_of_the_mean_over_galleries_equals_the_loops():
    """Subjects are drawn once for both galleries: each draw gives one mean."""
    ids, units, probes, galleries = two_galleries(0)
    ranks, fpirs, draws = (1, 5), (0.1, 0.3), 40
    result = ijb.identify(ids, units, probes, galleries, ranks=ranks, fpirs=fpirs, draws=draws)
    people, person = np.unique(probes[1], return_inverse=True)
    rank_rates, tpirs = [], []
    for drawn in bootstrap.draw(len(people), draws):
        times = np.repeat(np.arange(len(person)), drawn[person])  # each search as often as drawn
        hits, mated, found = dict.fromkeys(ranks, 0), 0, []
        for templates_, subjects in galleries.values():
            score = units[probes[0][times]] @ units[templates_].T
            own = probes[1][times][:, None] == subjects
            known = own.any(axis=1)
            mate = np.where(own, score, -np.inf).max(axis=1)
            ahead = (np.where(own, -np.inf, score) >= mate[:, None]).sum(axis=1)
            best = np.where(own, -np.inf, score).max(axis=1)
            mated += known.sum()
            for rank in ranks:
                hits[rank] += (ahead[known] < rank).sum()
            rates = []
            for fpir in fpirs:
                limit = twin.strict_threshold(best[~known].tolist(), fpir)
                rates.append((known & (ahead == 0) & (mate > limit)).sum() / known.sum())
            found.append(rates)
        rank_rates.append([hits[rank] / mated for rank in ranks])
        tpirs.append(np.mean(found, axis=0))
    for figures, replicates in (
        (result.ranks, rank_rates),
        ([s for s in result.searches if s.convention == "strict"], tpirs),
    ):
        known = np.quantile(replicates, [0.025, 0.975], axis=0)
        np.testing.assert_allclose([(f.low, f.high) for f in figures], known.T, rtol=0, atol=1e-12)
    assert all(s.low is None for s in result.searches if s.convention == "reference")
    assert result.ranks[0].low < result.ranks[0].rate < result.ranks[0].high


def test_the_mean_is_surer_than_one_gallery():
    ids, units, probes, galleries = two_galleries(1, people=60, probes=600)
    result = ijb.identify(ids, units, probes, galleries, draws=100)
    for part in result.subsets:
        wide = part.searches[1].high - part.searches[1].low
        assert result.searches[1].high - result.searches[1].low < wide
    assert "95 % interval" in result.table()
