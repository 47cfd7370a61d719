import dataclasses

import numpy as np
import pytest
from reference.ijb import unit

from gluonface.errors import InputError
from gluonface.evaluation.protocols import ifrt

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
GROUPS = np.array(["African", "Caucasian", "Indian", "Asian"])


@pytest.fixture(scope="module")
def races(shared):
    case = np.load(shared / "reference/eval/ifrt.npz")
    return case["emb"], case["identity"], GROUPS[case["group"]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_known_answers(races, expected, dtype):
    result = ifrt.evaluate(*races, fars=FARS, dtype=dtype)
    assert [part.name for part in result.subsets] == sorted(GROUPS)
    for found in (result, *result.subsets):
        known = expected["ifrt"][found.name]
        counts = [found.counts[name] for name in ("images", "same", "different")]
        assert counts == [known["n_images"], known["n_pos"], known["n_neg"]]
        assert list(found.tar_by_far().values()) == known["tar_strict"]
        assert list(found.tar_by_far("reference").values()) == known["tar_nearest"]
        strict = [p.threshold for p in found.operating_points if p.convention == "strict"]
        np.testing.assert_allclose(strict, known["thr_strict"], rtol=0, atol=2e-7)


def made(seed, images=48, people=12, size=6):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    features = rng.normal(size=(people, size))[person] + 0.9 * rng.normal(size=(images, size))
    return features, person, np.array(["x", "y", "z"])[person % 3]


def test_masked_against_plain_faces():
    features, person, _ = made(6)
    other = features + 0.3 * np.random.default_rng(1).normal(size=features.shape)
    result = ifrt.evaluate_mask(features, person, other, person, fars=(0.01, 0.1), dtype=float)
    a, b = (np.array([unit(row) for row in side]) for side in (features, other))
    score, same = a @ b.T, person[:, None] == person
    assert result.counts["same"] == same.sum()
    for far in (0.01, 0.1):
        falling = np.sort(score[~same])[::-1]
        limit = falling[int(far * len(falling))]
        assert result.tar_by_far()[far] == (score[same] > limit).mean()
    whole = result.operating_points[0]
    better = dataclasses.replace(whole, tar=1.0)
    known = 0.25 * whole.tar + 0.75
    assert ifrt.ranking_score(whole, better) == pytest.approx(known, abs=1e-15)
    with pytest.raises(InputError, match="strict OperatingPoint"):
        ifrt.ranking_score(result.operating_points[-1], whole)
    same = np.ones((len(person), 3))
    assert ifrt.evaluate_mask(same, person, same, person).tar_by_far() == {1e-4: 0.0}
