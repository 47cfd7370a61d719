"""Mixup and CutMix: the images and the partners over ranks (the loss: training/test_mixing.py)."""

import numpy as np
import pytest
from reference import augment as twin

from gluonface.data import Loader, RecordDataset
from gluonface.data.augment import AUGMENTATIONS, Pipeline, beta
from gluonface.errors import InputError

SHAPE = (12, 18)


def pictures(count, seed=0, shape=SHAPE):
    random = np.random.Generator(np.random.PCG64(seed))
    return random.integers(0, 256, (count, 3, *shape), dtype=np.uint8)


class Pictures:
    """A data set in memory: image i is noise of its own, label i."""

    image_size = SHAPE

    def __init__(self, count, broken=()):
        self.data = pictures(count)
        self.broken = broken

    def __len__(self):
        return len(self.data)

    def load(self, index, out, flip=False, change=None):
        from gluonface.errors import DataError

        if index in self.broken:
            raise DataError(f"record {index} is broken")
        out[...] = self.data[index][..., ::-1] if flip else self.data[index]
        if change is not None:
            out[...] = change(out.transpose(1, 2, 0).copy()).transpose(2, 0, 1)
        return index


# --- shares


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_beta_by_closed_forms(alpha):
    """The inverse of F: sin(pi u / 2)**2 for 1/2, u for 1; F itself, 3 x**2 - 2 x**3, for 2."""
    u = np.linspace(0, 0.999999, 1001)
    x = beta(alpha, u)
    if alpha == 2:
        assert np.abs(3 * x**2 - 2 * x**3 - u).max() < 1e-6
    else:
        expected = np.sin(np.pi * u / 2) ** 2 if alpha == 0.5 else u
        assert np.abs(x - expected).max() < 1e-6


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.7, 3.0, 10.0])
def test_beta_by_its_moments(alpha):
    u = (np.arange(200_000) + 0.5) / 200_000
    x = beta(alpha, u)
    assert (np.diff(x) >= 0).all()
    assert x.min() >= 0
    assert x.max() <= 1
    assert abs(x.mean() - 0.5) < 1e-6
    assert abs(x.var() - 0.25 / (2 * alpha + 1)) < 1e-5


# --- images


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_equals_twin(name, alpha):
    op = AUGMENTATIONS.get(name)(alpha=alpha)
    own, other = pictures(30, 1), pictures(30, 2)
    mixed, shares = Pipeline([op]).mix(own, other, 5, 2, np.arange(30))
    assert shares.dtype == np.float32
    for i in range(30):
        drawn = [twin.slow_uniform(5, 2, i, op.stream + 1 + k) for k in range(op.draws)]
        share = float(beta(alpha, np.array(drawn[:1]))[0])
        if name == "mixup":
            wanted = twin.mixup(own[i], other[i], share)
            # half a level rounds to the even one in OpenCV
            assert np.abs(mixed[i] - wanted).max() <= 1
            assert (mixed[i] != wanted).mean() < 0.02
        else:
            wanted, share = twin.cutmix(own[i], other[i], share, drawn[1:])
            np.testing.assert_array_equal(mixed[i], wanted)
        assert shares[i] == pytest.approx(share, abs=1e-6)
    assert len(set(shares.tolist())) > 15


def test_share_1_is_the_image_itself():
    own, other = pictures(8, 1), pictures(8, 2)
    mixed, shares = Pipeline([{"cutmix": {"p": 0.0}}]).mix(own, other, 0, 0, np.arange(8))
    np.testing.assert_array_equal(mixed, own)
    assert (shares == 1).all()


# --- batches


def same(left, right):
    for one, other in zip(left, right):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("count", [60, 67])
@pytest.mark.parametrize("size", [2, 3, 4, 12])
def test_the_same_on_any_number_of_ranks(name, count, size):
    """Partners may be another rank's samples: with 12 ranks every one is."""
    options = {"seed": 3, "augment": [name, "color_jitter"]}
    data = Pictures(count)
    parts = [
        list(Loader(data, 12 // size, rank=r, size=size, **options).epoch(1)) for r in range(size)
    ]
    whole = list(Loader(data, 12, workers=3, **options).epoch(1))
    assert len(whole) == count // 12
    for step, batch in enumerate(whole):
        same([np.concatenate(field) for field in zip(*(part[step] for part in parts))], batch)
    for start in range(len(whole)):
        resumed = Loader(data, 12, **options).epoch(1, start)
        for batch, expected in zip(resumed, whole[start:]):
            same(batch, expected)


@pytest.mark.parametrize("last", ["drop", "keep"])
def test_batches_hold_what_they_say(last):
    data = Pictures(37)
    loader = Loader(data, 8, seed=1, augment=["cutmix"], last=last)
    batches = list(loader.epoch(0))
    assert len(batches) == len(loader) == (4 if last == "drop" else 5)
    order = loader.order(0)
    for step, batch in enumerate(batches):
        assert batch.others.dtype == np.int32
        assert batch.labels.tolist() == batch.index.tolist()
        for at, place in enumerate(range(8 * step, min(8 * step + 8, 37))):
            assert batch.index[at] == order[place]
            assert batch.others[at] == order[(place ^ 1) % 37]
            flips = loader.pipeline.flips(1, 0, order[[place, (place ^ 1) % 37]])
            own, other = (
                data.data[i][..., ::-1] if flip else data.data[i]
                for i, flip in zip((batch.labels[at], batch.others[at]), flips)
            )
            foreign = (batch.images[at] != own).any(0)
            np.testing.assert_array_equal(batch.images[at][:, foreign], other[:, foreign])
            assert foreign.mean() == pytest.approx(1 - batch.shares[at], abs=1e-6)


def test_replayed_batches_are_mixed_too():
    loader = Loader(Pictures(12), 5, augment=["mixup"])
    batches = list(loader.batches([[3, 1, 4], [1, 5, 9, 2]]))
    assert batches[0].others.tolist() == [1, 3, 4]  # who has no neighbour stays
    assert batches[1].others.tolist() == [5, 1, 2, 9]


def test_a_broken_partner_is_replaced():
    loader = Loader(Pictures(12, broken=[7]), 12, augment=["mixup"], max_bad=1)
    (batch,) = loader.epoch(0)
    assert 7 not in batch.labels
    assert 7 not in batch.others
    assert batch.others.tolist().count(8) == 2
    assert loader.bad == [(7, "record 7 is broken")]


def test_plain_batches_have_no_second_label(made):
    batch = next(Loader(RecordDataset(made().folder), 8, augment=["cutout"]).epoch(0))
    assert batch.others is None
    assert batch.shares is None


def test_identities_side_by_side_are_not_mixed():
    class Faces(Pictures):
        labels = np.repeat(np.arange(8), 4)

    with pytest.raises(InputError, match="mixup mixes neighbours of a batch"):
        Loader(Faces(32), 8, augment=["mixup"], sampler="identity_balanced")
