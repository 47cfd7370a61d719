import numpy as np
import pytest
from reference import ifrt as twin
from reference.ijb import unit

from gluonface.errors import InputError
from gluonface.evaluation.protocols import ifrt
from gluonface.evaluation.protocols.all_pairs import compare_all
from gluonface.evaluation.scores import all_pairs, pair_scores


def made(seed, images=48, people=12, size=6):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    features = rng.normal(size=(people, size))[person] + 0.9 * rng.normal(size=(images, size))
    return features, person, np.array(["x", "y", "z"])[person % 3]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("copy", [True, False])
def test_every_figure_equals_the_loops(seed, copy, monkeypatch):
    monkeypatch.setattr(all_pairs, "BLOCK", 5)
    if not copy:
        monkeypatch.setattr(all_pairs, "_COPY", 0)
    features, person, group = made(seed, images=26, people=8)
    fars = (0.0, 0.1, 0.5)
    result = ifrt.evaluate(features, person, group, fars=fars, dtype=np.float64)
    known = twin.evaluate(features, person.tolist(), group.tolist(), fars)
    for found in (result, *result.subsets):
        same, different, rates = known[found.name]
        assert (found.counts["same"], found.counts["different"]) == (same, different)
        for far, (strict, nearest) in rates.items():
            assert (found.tar_by_far()[far], found.tar_by_far("reference")[far]) == (
                strict,
                nearest,
            )


@pytest.mark.parametrize("whole", [True, False])
def test_the_threshold_of_all_in_each_group(whole, monkeypatch):
    """Also where the group is so bad that its kept scores do not reach down to that threshold."""
    if not whole:
        monkeypatch.setattr(pair_scores, "KEEP_ALL", 0)
        monkeypatch.setattr(pair_scores, "scores_needed", lambda fars, n: min(4, n))
        monkeypatch.setattr(all_pairs, "BLOCK", 5)
    features, person, group = made(2)
    features[group == "z"] += 2  # all alike
    target = 0.001 if not whole else 0.05
    result = ifrt.evaluate(features, person, group, fars=(target,), dtype=np.float64)
    limit = result.operating_points[0].threshold
    units = np.array([unit(row) for row in features])
    for part in result.subsets:
        own = np.flatnonzero(group == part.name)
        score = (units[own] @ units[own].T)[np.triu_indices(len(own), 1)]
        same = (person[own][:, None] == person[own])[np.triu_indices(len(own), 1)]
        fmr = part.measures[f"FMR at ALL's {target:g}"]
        assert fmr == (score[~same] > limit).mean()
        fnmr = part.measures[f"FNMR at ALL's {target:g}"]
        assert fnmr == pytest.approx((score[same] <= limit).mean(), abs=1e-12)
    assert result.subset("z").measures[f"FMR at ALL's {target:g}"] > 0


def test_a_kept_tail_gives_the_figures_of_the_whole(monkeypatch):
    features, person, group = made(3, images=300, people=40)
    fars = (1e-3, 1e-2)
    known = ifrt.evaluate(features, person, group, fars=fars)
    monkeypatch.setattr(pair_scores, "KEEP_ALL", 0)
    monkeypatch.setattr(all_pairs, "BLOCK", 64)
    found = ifrt.evaluate(features, person, group, fars=fars)
    for one, other in zip((known, *known.subsets), (found, *found.subsets)):
        assert one.tar_by_far() == other.tar_by_far()
        assert one.tar_by_far("reference") == other.tar_by_far("reference")
        assert [h.score for h in one.worst_errors] == pytest.approx(
            [h.score for h in other.worst_errors]
        )
    assert "auc" not in found.measures
    assert found.histogram.different.sum() < known.histogram.different.sum()


def test_order_and_scale_change_nothing():
    features, person, group = made(4)
    order = np.random.default_rng(0).permutation(len(person))
    known = ifrt.evaluate(features, person, group, fars=(0.01, 0.1), dtype=np.float64)
    for found in (
        ifrt.evaluate(features[order], person[order], group[order], fars=(0.01, 0.1), dtype=float),
        ifrt.evaluate(9 * features, person, group, fars=(0.01, 0.1), dtype=np.float64),
        ifrt.evaluate(features, person, group, fars=(0.01, 0.1), dtype=np.float64),
    ):
        assert found.tar_by_far() == known.tar_by_far()
        assert [part.tar_by_far() for part in found.subsets] == [
            part.tar_by_far() for part in known.subsets
        ]


def test_the_worst_errors_are_named_by_the_callers_rows():
    features, person, group = made(5)
    result = ifrt.evaluate(features, person, group, fars=(0.1,), dtype=np.float64)
    units = np.array([unit(row) for row in features])
    for error in result.worst_errors:
        assert units[error.a] @ units[error.b] == pytest.approx(error.score, abs=1e-12)
        assert (person[error.a] == person[error.b]) == (error.kind == "lowest same")
    score = np.where(person[:, None] == person, -2, units @ units.T)
    assert result.worst_errors[0].score == pytest.approx(score.max(), abs=1e-12)


@pytest.mark.parametrize("copy", [True, False])
def test_a_collapsed_model_scores_nothing(copy, monkeypatch):
    if not copy:
        monkeypatch.setattr(all_pairs, "_COPY", 0)
    _, person, group = made(0)
    same = np.linspace(1, 9, len(person))[:, None] * np.ones(5)
    result = ifrt.evaluate(same, person, group, fars=(0.01, 0.1))
    for found in (result, *result.subsets):
        assert (
            set(found.tar_by_far().values()) == set(found.tar_by_far("reference").values()) == {0.0}
        )
    assert any("COLLAPSED" in note for note in result.notes)


def test_zero_vectors_never_match():
    features, person, group = made(0)
    features[7] = 0
    result = ifrt.evaluate(features, person, group, fars=(1.0,))
    lost = (person == person[7]).sum() - 1
    assert lost
    assert result.tar_by_far()[1.0] == pytest.approx(1 - lost / result.counts["same"], abs=1e-12)
    assert any("1 images have a zero vector" in note for note in result.notes)


def test_targets_that_billions_of_scores_decide_are_left_out(monkeypatch):
    monkeypatch.setattr(pair_scores, "_MOST", 200)
    features, person, group = made(1)
    result = ifrt.evaluate(features, person, group, fars=(1e-3, 0.5))
    assert list(result.tar_by_far()) == [1e-3]
    assert any("FAR 0.5 is left out" in note for note in result.notes)


def test_intervals_hold_the_figure():
    features, person, group = made(7, images=200, people=40)
    result = ifrt.evaluate(features, person, group, fars=(0.01, 0.1), draws=80)
    for found in (result, *result.subsets):
        for point in found.operating_points[:2]:
            assert point.low < point.high
            assert point.low - 0.05 <= point.tar <= point.high + 0.05


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identity": np.zeros(48, int), "group": None}, "0 different pairs"),
        ({"identity": np.arange(48), "group": None}, "0 same"),
        ({"identity": [1, 2]}, "identity has shape"),
        ({"group": ["x"]}, "group has shape"),
        ({"features": np.ones((48, 0))}, "neither of them 0"),
    ],
)
def test_wrong_use_is_refused(change, said):
    features, person, group = made(0)
    given = {"features": features, "identity": person, "group": group, "fars": (0.1,)}
    with pytest.raises(InputError, match=said):
        compare_all(**{**given, **change})
