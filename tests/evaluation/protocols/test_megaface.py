import numpy as np
import pytest
from evaluation_cases import made_probes
from reference import megaface as twin

from gluonface.errors import InputError
from gluonface.evaluation.files import megaface_lists
from gluonface.evaluation.metrics.operating_points import strict_points
from gluonface.evaluation.protocols import megaface
from gluonface.evaluation.scores import pair_scores
from gluonface.evaluation.scores.feature_matrix import multiply

FARS = (1e-6, 1e-5, 1e-4, 1e-3)


@pytest.fixture(scope="module")
def scrub(shared):
    """Return the arrays of the reference case and the masks that its lists give."""
    folder = shared / "reference/eval"
    case = dict(np.load(folder / "megaface_expected.npz"))
    paths, people = megaface_lists.read_probes(folder / "facescrub_features_list.json")
    names = megaface_lists.read_distractors(folder / "megaface_features_list.json_2000_1")
    noise = megaface_lists.read_noise(folder / "facescrub_noises.txt")
    case["probe_mask"] = megaface_lists.mark_probes(paths, noise)
    noise = megaface_lists.read_noise(folder / "megaface_noises.txt")
    case["distractor_mask"] = megaface_lists.mark_distractors(names, noise)
    case["people"], case["names"], case["noise"] = people, names, noise
    return case


def test_the_lists_name_the_noise(scrub):
    assert np.flatnonzero(scrub["probe_mask"]).tolist() == scrub["noisy_probe"].tolist()
    assert np.flatnonzero(scrub["distractor_mask"]).tolist() == scrub["noisy_distractor"].tolist()
    assert len(np.unique(scrub["people"])) == 24


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("which", ["raw", "clean"])
def test_known_answers_of_the_public_programs(scrub, expected, which, dtype):
    known = expected["megaface"][which]
    probes, extra = scrub["probe"], {}
    if which == "clean":
        probes = scrub["clean_probe"]
        extra = {"noisy_distractors": scrub["distractor_mask"], "removed": "zero"}
    result = megaface.evaluate(
        probes, scrub["people"], scrub["distractor"], fars=FARS, dtype=dtype, **extra
    )
    assert list(result.rate_by_rank().values()) == known["cmc"]
    assert list(result.tar_by_far().values()) == known["ver_strict"]
    assert list(result.tar_by_far("reference").values()) == known["ver_nearest"]
    assert result.counts["same"] == known["n_pairs"] == 1852
    assert result.counts["different"] == 418000
    assert result.protocol == ("MegaFace (R)" if which == "clean" else "MegaFace")


def refined(scrub, **change):
    given = {
        "noisy_probes": scrub["probe_mask"],
        "noisy_distractors": scrub["distractor_mask"],
        "fars": FARS,
        "dtype": np.float64,
    }
    return megaface.evaluate(
        scrub["probe"], scrub["people"], scrub["distractor"], **{**given, **change}
    )


def test_refined_by_mask_without_random_noise(scrub, expected):
    """The public program adds 0.001 of noise to nine probes: its rank-1 is ours here."""
    result = refined(scrub)
    assert result.rate_by_rank()[1] == pytest.approx(
        expected["megaface"]["clean"]["cmc"][0], abs=1e-12
    )
    assert result.counts["distractors"] == 1960
    assert result.counts["noisy probes"] == 9
    again = refined(scrub)
    assert (again.ranks, again.operating_points) == (result.ranks, result.operating_points)


def rank1(probes, person, distractors):
    """Rank-1 by dot product of whatever is given."""
    score, best = probes @ probes.T, (probes @ distractors.T).max(axis=1)
    same = (person[:, None] == person) & ~np.eye(len(person), dtype=bool)
    return (best[:, None] < score.T)[same].mean()


def test_the_wrong_ways_of_removing_noise_give_other_figures(scrub, expected):
    known, mask = expected["megaface"], scrub["distractor_mask"]
    right = known["clean"]["cmc"][0]
    probes = scrub["clean_probe"].astype(np.float64)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    distractors = scrub["distractor"] / np.linalg.norm(
        scrub["distractor"].astype(np.float64), axis=1, keepdims=True
    )
    not_removed = rank1(probes, scrub["probe_id"], distractors)  # the 513th value meets a 0
    hundred = np.where(mask[:, None], 100.0, distractors)
    assert not_removed == pytest.approx(known["wrong_dot_on_513"], abs=1e-12)
    assert rank1(probes, scrub["probe_id"], hundred) == pytest.approx(
        known["wrong_dot_on_all100"], abs=1e-12
    )
    ours = refined(scrub, noisy_probes=None).rate_by_rank()[1]
    assert min(abs(ours - not_removed), abs(ours - known["wrong_dot_on_all100"])) > 0.2
    result = megaface.evaluate(
        scrub["clean_probe"], scrub["people"], scrub["distractor"], noisy_distractors=mask
    )
    assert result.rate_by_rank()[1] == right


def test_distractors_are_matched_by_their_whole_path(scrub):
    """One public tool compares base names: it would drop others of the same name."""
    name = sorted(scrub["noise"])[0]
    elsewhere = ["999/somewhere@N00/" + name.split("/")[-1], name]
    assert megaface_lists.mark_distractors(elsewhere, scrub["noise"]).tolist() == [False, True]


# ------------------------------------------------------------------ made sets, against the loops


@pytest.mark.parametrize(("seed", "ties"), [(0, False), (1, False), (2, True)])
@pytest.mark.parametrize("removed", ["drop", "zero"])
@pytest.mark.parametrize("crossed", [False, True])
def test_every_figure_equals_the_loops(seed, ties, removed, crossed, monkeypatch):
    monkeypatch.setattr(megaface, "_BLOCK", 7)
    monkeypatch.setattr(megaface, "_TILE", 35)
    p, person, d = made_probes(seed, ties=ties)
    noisy = np.zeros(len(d), bool)
    noisy[[3, 20, 21, 22, 23, 24, 25, 26, 27]] = True  # one block of 7 is all noise
    ranks, fars = (1, 2, 3, 5, 8), (0.0, 0.01, 0.29, 1.0)
    result = megaface.evaluate(
        p, person, d, noisy_distractors=noisy, removed=removed, ranks=ranks, fars=fars,
        dtype=np.float64, product=exact, probe_pairs=crossed,
    )  # fmt: skip
    rates, tar = twin.evaluate(p, person, d, ranks, fars, np.flatnonzero(noisy), removed, crossed)
    assert result.rate_by_rank() == rates
    found = {p.target: (p.tar, p.false_accepts) for p in strict_points(result.operating_points)}
    assert found == tar


def exact(a, b, out=None):
    """Multiply without rounding, as the loops do: equal scores are equal."""
    import math

    return np.array([[math.fsum(x * y for x, y in zip(r, s)) for s in b] for r in a])


def test_only_the_kept_tail_decides(monkeypatch):
    """With a million distractors not all scores are kept: the figures are the same."""
    p, person, d = made_probes(3, probes=30, distractors=4000)
    fars = (1e-4, 1e-3, 1e-2)
    whole = megaface.evaluate(p, person, d, fars=fars)
    monkeypatch.setattr(pair_scores, "KEEP_ALL", 0)
    tail = megaface.evaluate(p, person, d, fars=fars)
    assert (tail.operating_points, tail.ranks) == (whole.operating_points, whole.ranks)
    assert "auc" in whole.measures
    assert "auc" not in tail.measures
    assert 0 < tail.histogram.share < 0.2


def test_order_changes_nothing():
    p, person, d = made_probes(4)
    rng = np.random.default_rng(0)
    one, other = rng.permutation(len(p)), rng.permutation(len(d))
    known = megaface.evaluate(p, person, d, fars=(0.01, 0.1), dtype=np.float64)
    found = megaface.evaluate(p[one], person[one], d[other], fars=(0.01, 0.1), dtype=np.float64)
    assert found.rate_by_rank() == known.rate_by_rank()
    assert found.tar_by_far() == known.tar_by_far()
    scaled = megaface.evaluate(7 * p, person, d / 3, fars=(0.01, 0.1), dtype=np.float64)
    assert scaled.rate_by_rank() == known.rate_by_rank()


def test_a_collapsed_model_finds_nobody():
    _, person, _ = made_probes(0)
    ones = np.ones((len(person), 6)) * np.linspace(1, 5, len(person))[:, None]
    result = megaface.evaluate(ones, person, np.ones((50, 6)), fars=(0.1,))
    assert set(result.rate_by_rank().values()) == {0.0}
    assert result.tar_by_far()[0.1] == result.tar_by_far("reference")[0.1] == 0
    assert any("COLLAPSED" in note for note in result.notes)


def test_pairs_of_probes_are_named_and_drawn():
    p, person, d = made_probes(5, probes=40)
    twin_of = int(np.flatnonzero(person != person[1])[-1])
    p[1] = p[twin_of]  # two people look the same
    result = megaface.evaluate(p, person, d, fars=(0.01,), probe_pairs=True, draws=30)
    assert result.counts["different"] == 40 * 60 + result.counts["probe pairs"]
    worst = result.worst_errors[0]
    assert worst.score == pytest.approx(1, abs=1e-6)
    assert (worst.a, worst.b - len(d)) == (1, twin_of)
    assert (
        result.operating_points[0].low
        <= result.operating_points[0].tar
        <= result.operating_points[0].high
    )


def test_zero_vectors_match_nobody():
    p, person, d = made_probes(0)
    p[0] = 0
    mates = (person == person[0]).sum() - 1
    result = megaface.evaluate(p, person, 0.01 * d, ranks=(1, 60), fars=(1.0,))
    lost = 2 * mates / result.counts["same"]
    assert result.rate_by_rank()[60] <= 1 - lost
    assert result.tar_by_far()[1.0] == pytest.approx(1 - lost, abs=1e-12)


def test_noisy_probes_become_the_sum_of_clean_ones():
    units = np.eye(4)[[0, 1, 2, 3]]
    people = np.array(["a", "a", "a", "b"])
    fixed = megaface.repair_probes(units, people, np.array([False, False, True, False]))
    np.testing.assert_allclose(fixed[2], [0.5**0.5, 0.5**0.5, 0, 0], rtol=1e-15)
    np.testing.assert_array_equal(fixed[[0, 1, 3]], units[[0, 1, 3]])
    with pytest.raises(InputError, match="all probes of b are noisy"):
        megaface.repair_probes(units, people, np.array([False, False, True, True]))


def test_intervals(monkeypatch):
    p, person, d = made_probes(6, probes=60, distractors=300)
    result = megaface.evaluate(p, person, d, fars=(0.01,), draws=60)
    for figure in (*result.ranks, result.operating_points[0]):
        rate = getattr(figure, "rate", None) or getattr(figure, "tar", 0)
        assert figure.low <= rate <= figure.high
        assert figure.high > figure.low


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identities": np.arange(17)}, "no identity has two probes"),
        ({"distractors": np.ones((3, 5))}, "6 values each and distractors 5"),
        ({"noisy_distractors": np.ones(60, bool)}, "all distractors are noisy"),
        ({"noisy_distractors": np.ones(9, bool)}, "expected 60 bool"),
        ({"removed": "hundred"}, "expected 'drop' or 'zero'"),
    ],
)
def test_wrong_use_is_refused(change, said):
    p, person, d = made_probes(0)
    given = {"probes": p, "identities": person, "distractors": d}
    with pytest.raises(InputError, match=said):
        megaface.evaluate(**{**given, **change})


def test_a_distractor_that_is_not_finite_is_named(monkeypatch):
    monkeypatch.setattr(megaface, "_BLOCK", 7)
    p, person, d = made_probes(0)
    d[33, 2] = np.nan
    with pytest.raises(InputError, match="distractors row 33 is not finite"):
        megaface.evaluate(p, person, d)


def test_the_product_function_is_used():
    p, person, d = made_probes(0)
    seen = []

    def product(a, b, out=None):
        seen.append((len(a), len(b)))
        return multiply(a, b, out)

    megaface.evaluate(p, person, d, product=product)
    assert (17, 60) in seen


# ------------------------------------------------------------------------------------ files


def test_a_distractor_equal_to_the_mate_is_a_tie():
    rng = np.random.default_rng(0)
    probes = rng.normal(size=(60, 131)).astype(np.float32)
    people = np.repeat(np.arange(30), 2)
    probes[1::2] = probes[0::2] + 0.1 * probes[1::2]
    places = rng.permutation(200)[:60]
    distractors = rng.normal(size=(200, 131)).astype(np.float32)
    distractors[places] = probes
    result = megaface.evaluate(probes, people, distractors, fars=(1e-2,), dtype=np.float32)
    assert result.rate_by_rank()[1] == 0
