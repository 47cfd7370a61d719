import numpy as np
import pytest
from reference.ijb import unit

from gluonface.errors import DataError
from gluonface.evaluation.protocols import folder


def made(seed, images=48, people=12, size=6):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    features = rng.normal(size=(people, size))[person] + 0.9 * rng.normal(size=(images, size))
    return features, person, np.array(["x", "y", "z"])[person % 3]


def test_own_folders():
    features, person, _ = made(8)
    people = np.array([f"p{i}" for i in person])
    result = folder.evaluate(features, people, dtype=np.float64)
    assert set(result.tar_by_far()) == {1e-3, 1e-2, 1e-1}  # what a thousand pairs allow
    units = np.array([unit(row) for row in features])
    score, same = (units @ units.T), people[:, None] == people
    upper = np.triu_indices(len(people), 1)
    falling = np.sort(score[upper][~same[upper]])[::-1]
    limit = falling[int(0.1 * len(falling))]
    assert result.tar_by_far()[0.1] == (score[upper][same[upper]] > limit).mean()
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


def test_pairs_in_folds_that_share_no_person():
    rng = np.random.default_rng(0)
    people = {f"p{person}/{n}.jpg": f"p{person}" for person in range(40) for n in range(2)}
    a, b, same = [], [], []
    for person in rng.permutation(40).tolist():  # each with itself and with the one beside it
        for other in (person, person ^ 1):
            a.append(f"p{person}/0.jpg")
            b.append(f"p{other}/1.jpg")
            same.append(other == person)
    pairs = a, b, np.array(same)
    fold, reason = folder.folds_by_people(pairs, people, 5)
    assert reason == ""
    assert np.bincount(fold).tolist() == [16] * 5
    sides = [
        {people[n] for side in pairs[:2] for n, own in zip(side, fold) if own == number}
        for number in range(5)
    ]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 40
    features = rng.standard_normal((80, 8))
    result = folder.evaluate_listed(features, list(people), pairs, fold)
    assert result.folds == 5
    np.testing.assert_array_equal(result.fold, fold)
    joined = ([*a, "p0/0.jpg"] * 2, [*b, "p2/0.jpg"] * 2, np.append(same, False).repeat(2))
    chain = [f"p{n}/0.jpg" for n in range(40)]
    number, reason = folder.folds_by_people((chain[:-1], chain[1:], np.zeros(39)), people, 5)
    assert number == 5
    assert "a block of 39 of the 39 pairs" in reason
    assert folder.folds_by_people(joined, people, 2)[1] == ""
