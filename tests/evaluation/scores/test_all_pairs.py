import dataclasses

import numpy as np
import pytest
from reference import ifrt as twin
from reference.ijb import unit

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import image_list
from gluonface.evaluation.protocols import folder, ifrt
from gluonface.evaluation.scores import all_pairs, pair_scores

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
GROUPS = np.array(["African", "Caucasian", "Indian", "Asian"])


@pytest.fixture(scope="module")
def races(shared):
    case = np.load(shared / "reference/eval/ifrt.npz")
    return case["emb"], case["identity"], GROUPS[case["group"]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_known_answers(races, expected, dtype):
    outcome = ifrt.evaluate(*races, fars=FARS, dtype=dtype)
    assert [part.name for part in outcome.parts] == sorted(GROUPS)
    for found in (outcome, *outcome.parts):
        known = expected["ifrt"][found.name]
        counts = [found.counts[name] for name in ("images", "same", "different")]
        assert counts == [known["n_images"], known["n_pos"], known["n_neg"]]
        assert list(found.tar().values()) == known["tar_strict"]
        assert list(found.tar("reference").values()) == known["tar_nearest"]
        strict = [p.threshold for p in found.points if p.convention == "strict"]
        np.testing.assert_allclose(strict, known["thr_strict"], rtol=0, atol=2e-7)


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
    outcome = ifrt.evaluate(features, person, group, fars=fars, dtype=np.float64)
    known = twin.evaluate(features, person.tolist(), group.tolist(), fars)
    for found in (outcome, *outcome.parts):
        same, different, rates = known[found.name]
        assert (found.counts["same"], found.counts["different"]) == (same, different)
        for far, (strict, nearest) in rates.items():
            assert (found.tar()[far], found.tar("reference")[far]) == (strict, nearest)


@pytest.mark.parametrize("whole", [True, False])
def test_the_threshold_of_all_in_each_group(whole, monkeypatch):
    """Also where the group is so bad that its kept scores do not reach down to that threshold."""
    if not whole:
        monkeypatch.setattr(pair_scores, "WHOLE", 0)
        monkeypatch.setattr(pair_scores, "keep_for", lambda fars, n: min(4, n))
        monkeypatch.setattr(all_pairs, "BLOCK", 5)
    features, person, group = made(2)
    features[group == "z"] += 2  # all alike
    target = 0.001 if not whole else 0.05
    outcome = ifrt.evaluate(features, person, group, fars=(target,), dtype=np.float64)
    limit = outcome.points[0].threshold
    units = np.array([unit(row) for row in features])
    for part in outcome.parts:
        own = np.flatnonzero(group == part.name)
        score = (units[own] @ units[own].T)[np.triu_indices(len(own), 1)]
        same = (person[own][:, None] == person[own])[np.triu_indices(len(own), 1)]
        fmr = part.measures[f"FMR at ALL's {target:g}"]
        assert fmr == (score[~same] > limit).mean()
        fnmr = part.measures[f"FNMR at ALL's {target:g}"]
        assert fnmr == pytest.approx((score[same] <= limit).mean(), abs=1e-12)
    assert outcome.part("z").measures[f"FMR at ALL's {target:g}"] > 0


def test_a_kept_tail_gives_the_figures_of_the_whole(monkeypatch):
    features, person, group = made(3, images=300, people=40)
    fars = (1e-3, 1e-2)
    known = ifrt.evaluate(features, person, group, fars=fars)
    monkeypatch.setattr(pair_scores, "WHOLE", 0)
    monkeypatch.setattr(all_pairs, "BLOCK", 64)
    found = ifrt.evaluate(features, person, group, fars=fars)
    for one, other in zip((known, *known.parts), (found, *found.parts)):
        assert one.tar() == other.tar()
        assert one.tar("reference") == other.tar("reference")
        assert [h.score for h in one.hardest] == pytest.approx([h.score for h in other.hardest])
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
        assert found.tar() == known.tar()
        assert [part.tar() for part in found.parts] == [part.tar() for part in known.parts]


def test_the_worst_errors_are_named_by_the_callers_rows():
    features, person, group = made(5)
    outcome = ifrt.evaluate(features, person, group, fars=(0.1,), dtype=np.float64)
    units = np.array([unit(row) for row in features])
    for hard in outcome.hardest:
        assert units[hard.a] @ units[hard.b] == pytest.approx(hard.score, abs=1e-12)
        assert (person[hard.a] == person[hard.b]) == (hard.kind == "lowest same")
    score = np.where(person[:, None] == person, -2, units @ units.T)
    assert outcome.hardest[0].score == pytest.approx(score.max(), abs=1e-12)


@pytest.mark.parametrize("copy", [True, False])
def test_a_collapsed_model_scores_nothing(copy, monkeypatch):
    if not copy:
        monkeypatch.setattr(all_pairs, "_COPY", 0)
    _, person, group = made(0)
    same = np.linspace(1, 9, len(person))[:, None] * np.ones(5)
    outcome = ifrt.evaluate(same, person, group, fars=(0.01, 0.1))
    for found in (outcome, *outcome.parts):
        assert set(found.tar().values()) == set(found.tar("reference").values()) == {0.0}
    assert any("COLLAPSED" in note for note in outcome.notes)


def test_zero_vectors_never_match():
    features, person, group = made(0)
    features[7] = 0
    outcome = ifrt.evaluate(features, person, group, fars=(1.0,))
    lost = (person == person[7]).sum() - 1
    assert lost
    assert outcome.tar()[1.0] == pytest.approx(1 - lost / outcome.counts["same"], abs=1e-12)
    assert any("1 images have a zero vector" in note for note in outcome.notes)


def test_targets_that_billions_of_scores_decide_are_left_out(monkeypatch):
    monkeypatch.setattr(pair_scores, "_KEEP", 200)
    features, person, group = made(1)
    outcome = ifrt.evaluate(features, person, group, fars=(1e-3, 0.5))
    assert list(outcome.tar()) == [1e-3]
    assert any("FAR 0.5 is left out" in note for note in outcome.notes)


def test_masked_against_plain_faces():
    features, person, _ = made(6)
    other = features + 0.3 * np.random.default_rng(1).normal(size=features.shape)
    outcome = ifrt.evaluate_mask(features, person, other, person, fars=(0.01, 0.1), dtype=float)
    a, b = (np.array([unit(row) for row in side]) for side in (features, other))
    score, same = a @ b.T, person[:, None] == person
    assert outcome.counts["same"] == same.sum()
    for far in (0.01, 0.1):
        falling = np.sort(score[~same])[::-1]
        limit = falling[int(far * len(falling))]
        assert outcome.tar()[far] == (score[same] > limit).mean()
    whole = outcome.points[0]
    better = dataclasses.replace(whole, tar=1.0)
    known = 0.25 * whole.tar + 0.75
    assert ifrt.ranking_score(whole, better) == pytest.approx(known, abs=1e-15)
    with pytest.raises(InputError, match="strict OperatingPoint"):
        ifrt.ranking_score(outcome.points[-1], whole)
    same = np.ones((len(person), 3))
    assert ifrt.evaluate_mask(same, person, same, person).tar() == {1e-4: 0.0}


def test_intervals_hold_the_figure():
    features, person, group = made(7, images=200, people=40)
    outcome = ifrt.evaluate(features, person, group, fars=(0.01, 0.1), draws=80)
    for found in (outcome, *outcome.parts):
        for point in found.points[:2]:
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
        all_pairs.compare_all(**{**given, **change})


def test_an_identity_in_two_groups_is_named():
    features, person, group = made(0)
    group = group.copy()
    row = int(np.flatnonzero(person == person[0])[-1])
    group[row] = "w"
    with pytest.raises(InputError, match=rf"identity {person[0]} is in group \w and, at image"):
        ifrt.evaluate(features, person, group)


@pytest.mark.parametrize("copy", [True, False])
def test_a_value_that_is_not_finite_is_named(copy, monkeypatch):
    if not copy:
        monkeypatch.setattr(all_pairs, "_COPY", 0)
    features, person, group = made(0)
    features[31, 3] = np.inf
    with pytest.raises(InputError, match="features row 31 is not finite"):
        ifrt.evaluate(features, person, group)


def test_own_folders():
    features, person, _ = made(8)
    people = np.array([f"p{i}" for i in person])
    outcome = folder.evaluate(features, people, dtype=np.float64)
    assert set(outcome.tar()) == {1e-3, 1e-2, 1e-1}  # what a thousand pairs allow
    units = np.array([unit(row) for row in features])
    score, same = (units @ units.T), people[:, None] == people
    upper = np.triu_indices(len(people), 1)
    falling = np.sort(score[upper][~same[upper]])[::-1]
    limit = falling[int(0.1 * len(falling))]
    assert outcome.tar()[0.1] == (score[upper][same[upper]] > limit).mean()
    names = [f"{name}/{i}.jpg" for i, name in enumerate(people)]
    pairs = ([names[0]] * 10, names[1:11], np.arange(10) % 2 == 0)
    listed = folder.evaluate_listed(features, names, pairs, folds=5)
    assert listed.n_pairs == 10


def test_lists_name_the_wrong_line(tmp_path):
    file = tmp_path / "pairs.txt"
    for text, said in (
        ("a b 1\n# c\nc b 0\n", "line 3: there is no image c"),
        ("a b 1\na b\n", "line 2: 'a b'; expected image, image, 1 or 0"),
        ("a b yes\n", "line 1"),
        ("", "lists no pairs"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            folder.read_pairs(file, ["a", "b"])
    file.write_text("a b 1\nb a 0\n")
    assert folder.read_pairs(file, ["a", "b"])[2].tolist() == [True, False]
    for text, said in (
        ("x 1 g\ny 2\n", "line 2: 'y 2'; expected p, i, g"),
        ("x 1 g\nx 2 g\n", "line 2: x is listed in line 1 already"),
        ("\n", "lists nothing"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            image_list.read_list(file, 3, "p, i, g")
    file.write_text("my face.jpg 1 g\nthe\tother\tone\n")
    assert image_list.read_list(file, 3, "")[0] == ["my face.jpg", "the"]
