import math

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


def slow_groups(classes, rate, seed, step):
    """Return the classes of all groups of 16 that are drawn, one number at a time."""

    def key(number, high, low):
        for add in (0, low):
            number = (number + add) % 2**32 if add else number ^ high
            for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
                number = (number ^ number >> shift) * factor % 2**32
        return number

    high, low = (int(word) for word in sampling._words(seed, step))
    second = high ^ 0x9E3779B9, low ^ 0x7F4A7C15
    chances = [math.comb(16, k) * rate**k * (1 - rate) ** (16 - k) for k in range(17)]
    limits = [round(sum(chances[k + 1 :]) * 2**32) for k in range(16)]
    for group in range(-(-classes // 16)):
        count = sum(key(group, high, low) < limit for limit in limits)
        if count == 1:
            yield 16 * group + (key(group, *second) >> 28)
        elif count:
            yield from sorted(range(16 * group, 16 * group + 16), key=lambda c: key(c, *second))[
                :count
            ]


def test_small_rates_draw_each_class_as_often_and_independently():
    n, steps, rate = 1 << 20, 8, 0.015
    taken = np.zeros((steps, n), bool)
    for step in range(steps):
        taken[step, hash_sample(0, n, rate, NONE, 5, step)] = True
    # Each step, each class, each place in a group: as of independent draws.
    spread = np.sqrt(rate * (1 - rate) / n)
    assert np.abs(taken.mean(axis=1) - rate).max() < 4 * spread
    times = np.bincount(taken.sum(axis=0), minlength=9)[:4]
    chances = [math.comb(8, k) * rate**k * (1 - rate) ** (8 - k) for k in range(4)]
    np.testing.assert_allclose(times / n, chances, rtol=0.1)
    places = taken.reshape(-1, 16).mean(axis=0)
    assert np.abs(places - rate).max() < 4.5 * np.sqrt(rate * (1 - rate) * 16 / taken.size)
    # Neighbours in a group are together as often as any two: the square of the rate.
    groups = taken.reshape(-1, 16).astype(np.float32)
    pairs = groups.T @ groups / len(groups)
    np.fill_diagonal(pairs, rate**2)
    assert np.abs(pairs - rate**2).max() < 5 * rate / np.sqrt(len(groups))
    counts = np.bincount(groups.sum(axis=1).astype(int), minlength=17)[:5]
    chances = [math.comb(16, k) * rate**k * (1 - rate) ** (16 - k) for k in range(5)]
    np.testing.assert_allclose(counts / len(groups), chances, rtol=0.05)


@pytest.mark.parametrize("rate", [0.001, 0.015, 0.1, 0.9])
def test_hash_sample_is_the_same_on_any_number_of_ranks(rate):
    classes, positives = 100_003, np.array([0, 5, 99_999])
    whole = hash_sample(0, classes, rate, positives, 3, 9)
    assert np.isin(positives, whole).all()
    assert (np.diff(whole) > 0).all()
    assert abs(len(whole) - rate * classes) < 5 * np.sqrt(rate * classes) + 3
    if rate > sampling.GROUPS_UP_TO:
        chosen = np.flatnonzero(hash_keys(0, classes, 3, 9) < rate * 2**32)
    else:
        chosen = [c for c in slow_groups(classes, rate, 3, 9) if c < classes]
    np.testing.assert_array_equal(whole, np.union1d(chosen, positives).astype(int))
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
