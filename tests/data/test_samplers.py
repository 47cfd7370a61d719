"""Samplers: what an epoch holds, and that it is a function of (seed, epoch, position)."""

import numpy as np
import pytest
from reference import augment as twin

from gluonface.data import Loader
from gluonface.data.samplers import SAMPLERS, cumulative_count, get_sampler
from gluonface.errors import DataError, InputError

SIZES = [5, 1, 8, 4, 0, 3, 9, 2, 4, 4, 6, 4]  # images of each identity


class Faces:
    """A data set in memory: image i is filled with i; identities of different sizes."""

    image_size = (4, 6)

    def __init__(self, sizes=SIZES):
        self.labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)

    def __len__(self):
        return len(self.labels)

    def load(self, index, out, flip=False, change=None):
        out[...] = index
        out[..., 0] = 255 if flip else 0
        if change is not None:
            out[...] = change(out.transpose(1, 2, 0).copy()).transpose(2, 0, 1)
        return self.labels[index]


def bound(entry, sizes=SIZES, batch=8, seed=3):
    return get_sampler(entry).bind(Faces(sizes), batch, seed)


ENTRIES = [
    "sequential",
    "shuffled",
    {"identity_balanced": {"images": 2}},
    {"identity_balanced": {"images": 4, "min_images": 3}},
    "class_weighted",
    {"class_weighted": {"power": 0}},
]


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_same_on_any_number_of_ranks_and_workers_and_after_a_resume(entry):
    options = {"seed": 3, "sampler": entry, "augment": ["color_jitter"]}
    whole = list(Loader(Faces(), 8, workers=1, **options).epoch(2))
    assert len(whole) == 6
    for size in (1, 2):
        parts = [
            list(Loader(Faces(), 8 // size, rank=r, size=size, workers=3, **options).epoch(2))
            for r in range(size)
        ]
        for step, batch in enumerate(whole):
            for field, expected in zip(zip(*(part[step] for part in parts)), batch):
                if expected is not None:
                    np.testing.assert_array_equal(np.concatenate(field), expected)
    for start in range(7):
        resumed = list(Loader(Faces(), 8, **options).epoch(2, start))
        for batch, expected in zip(resumed, whole[start:]):
            np.testing.assert_array_equal(batch.images, expected.images)
    assert len(resumed) == 0


@pytest.mark.parametrize("entry", ENTRIES[1:], ids=str)
def test_epochs_and_seeds_differ(entry):
    orders = [
        tuple(bound(entry, seed=seed).order(epoch).tolist())
        for seed in (0, 1, -1, 1 << 63)
        for epoch in (0, 1, 2)
    ]
    assert len(set(orders)) == 12


@pytest.mark.parametrize("images", [2, 4])
@pytest.mark.parametrize("batch", [8, 12])
def test_identity_balanced_batches(images, batch):
    """P identities, no one twice; each image of an identity once before any comes again."""
    sampler = bound({"identity_balanced": {"images": images}}, batch=batch)
    labels = Faces().labels
    known = {person for person, size in enumerate(SIZES) if size >= 2}
    rounds = len(known) // (batch // images) * (batch // images)
    for epoch in range(3):
        order = sampler.order(epoch)
        assert len(order) == len(labels) // batch * batch
        assert order.dtype == np.int64
        visits = order.reshape(-1, images)
        people = labels[visits]
        assert (people == people[:, :1]).all()
        people = people[:, 0]
        assert set(people.tolist()) <= known
        for group in people.reshape(-1, batch // images):
            assert len(set(group.tolist())) == batch // images
        for begin in range(0, len(people), rounds):  # a round has everybody once
            part = people[begin : begin + rounds].tolist()
            assert len(set(part)) == len(part)
        for person in known:
            seen = order[labels[order] == person]
            for begin in range(0, len(seen), SIZES[person]):
                part = seen[begin : begin + SIZES[person]].tolist()
                assert len(set(part)) == len(part)
    counts = np.bincount(
        np.concatenate([labels[sampler.order(epoch)] for epoch in range(300)]), minlength=12
    )
    share = counts[sorted(known)] / counts.sum() * len(known)
    assert share.min() > 0.93
    assert share.max() < 1.07


def test_identity_balanced_order_is_fixed_for_good():
    order = bound({"identity_balanced": {"images": 2}}).order(0)
    assert order.tolist()[:16] == [49, 47, 38, 39, 1, 4, 14, 17, 19, 18, 11, 8, 30, 31, 34, 33]


def test_twin_of_identity_balanced():
    """The same by lists, one visit after the other."""
    seed, epoch, images, batch = 3, 1, 4, 8
    labels = Faces().labels.tolist()
    known = [person for person, size in enumerate(SIZES) if size >= 2]
    queue = {
        person: sorted(
            (i for i, label in enumerate(labels) if label == person),
            key=lambda i: twin.slow_hash(seed, epoch, i, 0x10000) >> 24,
        )
        for person in known
    }
    expected, taken = [], dict.fromkeys(known, 0)
    visits, number = len(labels) // batch * batch // images, 0
    while len(expected) < visits * images:
        ranked = sorted(
            range(len(known)),
            key=lambda k: twin.slow_hash(seed, epoch, number * len(known) + k, 0x10001),
        )
        for k in ranked[: len(known) // (batch // images) * (batch // images)]:
            person = known[k]
            for _ in range(images):
                expected.append(queue[person][taken[person] % len(queue[person])])
                taken[person] += 1
        number += 1
    order = bound({"identity_balanced": {"images": images}}).order(epoch)
    assert order.tolist() == expected[: visits * images]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_class_weighted_shares(power):
    sampler = bound({"class_weighted": {"power": power}})
    labels = Faces().labels
    drawn = np.concatenate([sampler.order(epoch) for epoch in range(400)])
    counts = np.bincount(labels[drawn], minlength=12)
    weight = np.array([size**power if size else 0 for size in SIZES])
    expected = weight / weight.sum() * len(drawn)
    assert counts[4] == 0
    used = expected > 0
    chi2 = ((counts - expected)[used] ** 2 / expected[used]).sum()
    assert chi2 < 30  # 10 degrees of freedom: 0.09 % beyond
    order = sampler.order(0)
    for person in range(12):  # no image again before all were there
        seen = order[labels[order] == person]
        for begin in range(0, len(seen), max(1, SIZES[person])):
            part = seen[begin : begin + SIZES[person]].tolist()
            assert len(set(part)) == len(part)


def test_class_weights_of_a_file(tmp_path):
    weights = np.zeros(12)
    weights[[2, 5]] = 1, 3
    np.save(tmp_path / "weights.npy", weights)
    entry = {"class_weighted": {"power": 0, "weights": str(tmp_path / "weights.npy")}}
    sampler = bound(entry)
    labels = Faces().labels
    drawn = np.concatenate([labels[sampler.order(epoch)] for epoch in range(100)])
    assert set(drawn.tolist()) == {2, 5}
    assert abs((drawn == 5).mean() - 0.75) < 0.03
    (tmp_path / "text.npy").write_text("no array")
    for wrong, error, message in (
        (np.ones(11), InputError, r"has the shape \(11,\); the data set has 12 identities"),
        (-weights, InputError, "one finite number, 0 or more"),
        (np.zeros(12), InputError, "leaves no identity"),
        (str(tmp_path / "none.npy"), InputError, r"there is no file .*none\.npy"),
        (str(tmp_path / "text.npy"), DataError, r"text\.npy cannot be read"),
        ({"a": 1}, InputError, "numbers or a .npy file of them were expected"),
    ):
        with pytest.raises(error, match=message):
            bound({"class_weighted": {"weights": wrong}})


def test_a_sample_that_comes_again_is_augmented_anew():
    loader = Loader(Faces([2] * 4), 8, sampler={"identity_balanced": {"images": 4}}, max_bad=0)
    with pytest.raises(
        InputError, match="batch_size 6 on 1 process: identity_balanced puts 4 images"
    ):
        Loader(Faces([2] * 4), 6, sampler={"identity_balanced": {"images": 4}})
    repeated = changed = 0
    for epoch in range(20):
        (batch,) = loader.epoch(epoch)
        for index in set(batch.index.tolist()):
            images = batch.images[batch.index == index]
            repeated += len(images) > 1
            changed += len(images) > 1 and (images[0] != images[1]).any()
    assert repeated > 50
    assert 0.3 < changed / repeated < 0.7  # flipped alike or not


def test_occurrences():
    values = np.random.Generator(np.random.PCG64(0)).integers(0, 9, 200)
    seen = {}
    expected = []
    for value in values.tolist():
        expected.append(seen.get(value, 0))
        seen[value] = expected[-1] + 1
    assert cumulative_count(values).tolist() == expected
    assert cumulative_count(np.array([], np.int64)).tolist() == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("suffled", "unknown sampler 'suffled'. Did you mean 'shuffled'"),
        (3, "sampler = 3 is no sampler"),
        ({"shuffled": {}, "sequential": {}}, "is no sampler"),
        ({"identity_balanced": {"k": 2}}, "identity_balanced has no parameter 'k'"),
        ({"identity_balanced": {"images": 1}}, r"images=1\.0 is not allowed"),
        ({"identity_balanced": 4}, "4 are no parameters"),
        ({"class_weighted": {"power": 2}}, r"power=2\.0 is not allowed"),
    ],
)
def test_wrong_entries(entry, message):
    with pytest.raises(InputError, match=message):
        get_sampler(entry)


def test_too_few_identities():
    with pytest.raises(InputError, match="needs 12 identities with 2 images or more, the data set"):
        bound({"identity_balanced": {"images": 2}}, batch=24)
    with pytest.raises(InputError, match="puts 2 images of each identity into a batch"):
        bound({"identity_balanced": {"images": 2}}, batch=9)


def test_every_sampler_is_tried_here():
    tried = {entry if isinstance(entry, str) else next(iter(entry)) for entry in ENTRIES}
    assert tried == set(SAMPLERS.list())
