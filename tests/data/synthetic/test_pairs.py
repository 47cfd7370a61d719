"""The pairs of the pack, and raw pixels on them."""

import numpy as np

from gluonface.data import VerificationPack
from gluonface.data.synthetic import face_set
from gluonface.data.synthetic.face_set import plan_pairs
from gluonface.evaluation.metrics.folds import kfold_accuracy


def test_folds_share_no_identity_and_no_pair_comes_twice():
    plan = plan_pairs(7, 45, 5, 400)
    assert len(set(plan)) == len(plan) == 400
    people = [{who for pair in plan[i : i + 40] for who in pair[0:3:2]} for i in range(0, 400, 40)]
    for i, fold in enumerate(people):
        assert all(fold.isdisjoint(other) for other in people[i + 1 :])
    for one, first, other, second in plan:
        assert 0 <= one < 45
        assert 0 <= other < 45
        assert 0 <= first < 5
        assert 0 <= second < 5
        assert (one, first) != (other, second)
    assert plan != plan_pairs(8, 45, 5, 400)


def test_raw_pixels_tell_pictures_apart_that_differ_in_nothing_else():
    rng = np.random.default_rng(0)
    people = rng.integers(0, 256, (40, 112, 112, 3), np.uint8)
    bins, issame = [], []
    for i in range(40):
        other = people[i] if i % 2 else people[(i + 1) % 40]
        bins += [face_set.codec.encode(people[i]), face_set.codec.encode(other)]
        issame.append(bool(i % 2))
    pack = VerificationPack(bins, issame)
    assert face_set.raw_pixel_accuracy(pack, kfold_accuracy)["best"] == 1.0
