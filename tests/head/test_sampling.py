import numpy as np
import pytest

from gluonface.head import sampling
from gluonface.head.sampling import BLOCK, HashSampler, exact_sample, hash_keys, hash_sample

NONE = np.array([], np.int64)
KEYS = [1571136594, 283933389, 2472023906, 4197935291]


def test_the_keys_mean_the_same_for_ever():
    assert hash_keys(0, 4, seed=0, step=0).tolist() == KEYS
    assert hash_keys(5, 5, 0, 0).shape == (0,)


def test_the_keys_are_the_hash_that_is_documented():
    def mix(key):
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            key = (key ^ key >> shift) * factor % 2**32
        return key

    high, low = (int(word) for word in sampling._words(7, 123))
    ids = [0, 1, BLOCK - 1, BLOCK, 5 * BLOCK + 77, 29_000_000]
    want = [mix((mix(each ^ high) + low) % 2**32) for each in ids]
    assert [int(hash_keys(each, each + 1, 7, 123)[0]) for each in ids] == want


def test_draws_made_ahead_are_those_made_when_asked(monkeypatch):
    positives = np.array([4, 8000])
    steps = (0, 1, 1, 2, 9, 3, 4, 4)  # twice without training, a jump, and back
    want = [hash_sample(500, 9500, 0.05, positives, 3, step) for step in steps]
    made, draw = [], sampling._draw

    def count(*arguments):
        made.append(arguments[-1])
        return draw(*arguments)

    monkeypatch.setattr(sampling, "_draw", count)
    monkeypatch.setattr(sampling, "THREAD_FROM", 1000)
    draws = HashSampler(500, 9500, 0.05, 3)
    for step, each in zip(steps, want):
        np.testing.assert_array_equal(draws(positives, step), each)
    assert made == [0, 1, 2, 3, 9, 10, 3, 4, 5]


def test_keys_belong_to_the_class_not_to_the_shard():
    whole = hash_keys(0, 3 * BLOCK, 7, 5)
    for start, stop in ((0, 9), (BLOCK - 1, BLOCK + 1), (100, 2 * BLOCK + 3)):
        np.testing.assert_array_equal(hash_keys(start, stop, 7, 5), whole[start:stop])


def test_keys_are_uniform_and_independent():
    n, steps = 20000, 100
    keys = np.stack([hash_keys(0, n, 1, t) for t in range(steps)]) / 2.0**32
    assert abs(keys.mean() - 0.5) < 4 / np.sqrt(12 * n * steps)
    counts = np.histogram(keys, bins=64, range=(0, 1))[0]
    expected = n * steps / 64
    chi = ((counts - expected) ** 2 / expected).sum()
    assert 63 - 5 * np.sqrt(126) < chi < 63 + 5 * np.sqrt(126)
    between = np.corrcoef(keys) - np.eye(steps)  # of steps, over the classes
    assert np.abs(between).max() < 5.5 / np.sqrt(n)
    along = np.corrcoef(keys[:, :-1].ravel(), keys[:, 1:].ravel())[0, 1]
    assert abs(along) < 4 / np.sqrt(n * steps)
    # The number of sampled classes varies as that of independent draws does.
    taken = (keys < 0.1).sum(axis=1)
    assert taken.std() == pytest.approx(np.sqrt(0.09 * n), rel=0.3)
    assert len({hash_keys(0, 1, seed, 0)[0] for seed in range(50)}) == 50


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.9])
def test_hash_sample_is_the_same_on_any_number_of_ranks(rate):
    classes, positives = 100_003, np.array([0, 5, 99_999])
    whole = hash_sample(0, classes, rate, positives, 3, 9)
    assert np.isin(positives, whole).all()
    assert (np.diff(whole) > 0).all()
    assert abs(len(whole) - rate * classes) < 5 * np.sqrt(rate * classes) + 3
    keys = hash_keys(0, classes, 3, 9)
    want = np.union1d(np.flatnonzero(keys < rate * 2**32), positives)
    np.testing.assert_array_equal(whole, want)
    for ranks in (2, 3, 8):
        bounds = np.linspace(0, classes, ranks + 1).astype(int)
        parts = []
        for start, stop in zip(bounds, bounds[1:]):
            own = positives[(positives >= start) & (positives < stop)] - start
            parts.append(hash_sample(start, stop, rate, own, 3, 9) + start)
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(hash_sample(0, classes, rate, positives, 3, 10), whole)
    assert len(hash_sample(0, 50, 1.0, NONE, 0, 0)) == 50


def test_exact_sample_has_its_quota():
    for n, rate, positives, want in (
        (1000, 0.1, [3, 999], 100),
        (10, 0.05, [], 1),  # the quota is at least one
        (20, 0.1, list(range(6)), 6),  # more positives than the quota: all stay
        (7, 1.0, [2], 7),
        (0, 0.5, [], 0),
        (1000, 0.999, [0], 999),
    ):
        positives = np.array(positives, np.int64)
        found = exact_sample(50, 50 + n, rate, positives, 1, 2)
        assert len(found) == want
        assert np.isin(positives, found).all()
        assert (np.diff(found) > 0).all()
    keys = hash_keys(50, 1050, 1, 2)
    found = exact_sample(50, 1050, 0.1, NONE, 1, 2)
    assert keys[found].max() < np.delete(keys, found).min()
