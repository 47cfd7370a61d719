"""Random numbers that are hashes."""

import numpy as np
import pytest
from reference import augment as twin

from gluonface.data.augment import (
    FLIP,
    Pipeline,
    flips,
    hash64,
    uniform,
)


def test_splitmix64_known_values():
    """The first outputs of SplitMix64 with seed 0, as its authors publish them."""
    assert [twin.mix(twin.STEP * n & twin.MASK) for n in (1, 2, 3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**40 + 3])
@pytest.mark.parametrize("epoch", [0, 7])
def test_hash_equals_twin(seed, epoch):
    index = np.array([0, 1, 2, 1000, 17_000_000, 2**40])
    expected = [twin.slow_hash(seed, epoch, int(i), 3) for i in index]
    assert hash64(seed, epoch, index, 3).tolist() == expected
    assert hash64(seed, epoch, index.astype(np.int32)[:4], 3).tolist() == expected[:4]
    assert flips(seed, epoch, index).tolist() == [
        twin.slow_hash(seed, epoch, int(i), FLIP) >> 63 == 1 for i in index
    ]


def test_choice_is_of_the_sample_alone():
    index = np.random.Generator(np.random.PCG64(0)).permutation(1000)
    together = flips(5, 2, np.arange(1000))
    np.testing.assert_array_equal(flips(5, 2, index), together[index])
    assert [bool(flips(5, 2, [i])[0]) for i in range(20)] == together[:20].tolist()
    assert Pipeline(["flip"]).flips(5, 2, index) == together[index].tolist()


def test_choices_are_balanced_and_independent():
    n = 40_000
    index = np.arange(n)
    tables = [flips(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1, 2)]
    sigma = 0.5 / np.sqrt(n)
    for i, one in enumerate(tables):
        assert abs(one.mean() - 0.5) < 4 * sigma
        assert abs((one[1:] == one[:-1]).mean() - 0.5) < 4 * sigma  # neighbours
        for other in tables[:i]:
            assert abs((one == other).mean() - 0.5) < 4 * sigma


def test_uniform():
    values = uniform(3, 1, np.arange(50_000), 9)
    assert values.dtype == np.float64
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, 20, (0, 1))[0]
    chi2 = ((counts - 2500) ** 2 / 2500).sum()
    assert chi2 < 45  # 19 degrees of freedom: 0.07 % beyond
