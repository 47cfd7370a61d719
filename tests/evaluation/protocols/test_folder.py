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
