import json

import numpy as np
import pytest

from gluonface.errors import InputError
from gluonface.evaluation.protocols import overlap


def test_the_reference(shared):
    folder = shared / "reference/recognition"
    arrays = np.load(folder / "use.npz")
    known = json.loads((folder / "use.json").read_text())["overlap"]
    images = arrays["overlap_image"]
    person = np.repeat(np.arange(len(images)), images.shape[1])
    sums, people = overlap.people_templates(images.reshape(len(person), -1), person)
    assert people == list(range(30))
    found = overlap.find_overlap(arrays["overlap_centres"], sums, known["threshold"])
    np.testing.assert_allclose(found.best, arrays["overlap_best"], rtol=1e-12)
    np.testing.assert_array_equal(found.match, arrays["overlap_with"])
    assert [row[:2] for row in found.flagged] == [tuple(row[:2]) for row in known["flagged"]]
    np.testing.assert_allclose(
        [row[2] for row in found.flagged], [row[2] for row in known["flagged"]], rtol=1e-12
    )
    assert found.share == known["share"]
    assert {str(a): b for a, b, _ in found.flagged} == known["planted"]


@pytest.mark.parametrize("block", [1, 50, 1 << 22])
def test_planted_people(monkeypatch, block):
    monkeypatch.setattr(overlap, "BLOCK", block)
    rng = np.random.default_rng(0)
    train = rng.standard_normal((50, 32)) * rng.uniform(0.1, 9, (50, 1))
    test = rng.standard_normal((20, 32))
    test[[3, 8]] = train[[40, 2]] + 0.1 * rng.standard_normal((2, 32))
    found = overlap.find_overlap(train, test, 0.9)
    assert {(a, b) for a, b, _ in found.flagged} == {(3, 40), (8, 2)}
    assert found.to_dict()["share"] == 0.1
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -1)
    np.testing.assert_allclose(overlap.best_others(train), scores.max(axis=1), rtol=1e-12)
    person = np.arange(100) % 50
    images = train[person]
    np.testing.assert_allclose(
        overlap.best_others(train, images, person), np.tile(scores.max(axis=1), 2), rtol=1e-12
    )


def test_the_threshold_is_strict():
    best = np.arange(200) / 200
    for share in (0.0, 0.01, 0.1):
        limit = overlap.strict_threshold(best, share)
        assert (best > limit).sum() == round(200 * share)


def test_people_of_pairs():
    images = [b"a", b"b", b"b", b"c", b"d", b"a", b"e", b"e"]
    person = overlap.people_of_pairs(images, [True, True, False, True])
    assert person.tolist() == [0, 0, 0, 0, 1, 0, 2, 2]
    assert overlap.kept_pairs(person, {1}).tolist() == [True, True, False, True]
    assert overlap.kept_pairs(person, set()).all()


def test_bad_input():
    with pytest.raises(InputError, match="embeddings of one model"):
        overlap.find_overlap(np.ones((2, 3)), np.ones((2, 4)), 0.5)
    with pytest.raises(InputError, match="one training person"):
        overlap.best_others(np.ones((1, 3)))
