import contextlib
import threading
import time

import numpy as np
import pytest

from gluonface.data import Loader, RecordDataset
from gluonface.data.augment import flips
from gluonface.errors import DataError, InputError


class Numbers:
    """A data set in memory: image i is filled with i, label i % 7; some positions are broken."""

    image_size = (4, 6)

    def __init__(self, count, broken=(), delay=0.0, error=DataError):
        self.count = count
        self.broken = frozenset(broken)
        self.delay = delay
        self.error = error
        self.loaded = 0
        self.lock = threading.Lock()

    def __len__(self):
        return self.count

    def load(self, index, out, flip=False, change=None):
        time.sleep(self.delay)
        with self.lock:
            self.loaded += 1
        if index in self.broken:
            raise self.error(f"record {index} is broken")
        out[...] = index % 251
        out[..., 0] = 255 if flip else 0
        return index % 7


def same(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for one, other in zip(left, right):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("gluonface-loader")]


def wait_for_no_threads():
    deadline = time.monotonic() + 20
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []


def test_batches_hold_what_they_say(made):
    faces = made(people=7, each=5)
    loader = Loader(RecordDataset(faces.folder), 8, seed=3)
    assert len(loader) == 4
    batches = list(loader.epoch(2))
    assert len(batches) == 4
    for batch in batches:
        assert (batch.images.shape, batch.images.dtype) == ((8, 3, 16, 16), np.uint8)
        assert (batch.labels.dtype, batch.index.dtype) == (np.int32, np.int64)
        np.testing.assert_array_equal(batch.labels, faces.labels[batch.index])
        flipped = flips(3, 2, batch.index)
        for image, index, flip in zip(batch.images, batch.index, flipped):
            expected = faces.pixels[index][:, ::-1] if flip else faces.pixels[index]
            np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))
    flipped = flips(3, 2, np.concatenate([batch.index for batch in batches]))
    assert flipped.any()
    assert not flipped.all()
    seen = np.concatenate([batch.index for batch in batches])
    assert len(set(seen.tolist())) == 32


def test_same_on_any_number_of_workers():
    expected = list(Loader(Numbers(100), 8, seed=1, workers=1, prefetch=1).epoch(4))
    for workers, prefetch in ((2, 1), (3, 9), (8, 30)):
        loader = Loader(Numbers(100, delay=1e-5), 8, seed=1, workers=workers, prefetch=prefetch)
        same(loader.epoch(4), expected)


def test_resume_at_every_batch():
    loader = Loader(Numbers(70), 8, seed=1, last="keep")
    whole = list(loader.epoch(3))
    for start in range(len(loader) + 1):
        same(loader.epoch(3, start), whole[start:])
    with pytest.raises(InputError, match="start 10: batches 0 to 9"):
        loader.epoch(3, 10)


def test_epochs_and_seeds_differ():
    orders = [
        tuple(Loader(Numbers(50), 5, seed=seed).order(epoch).tolist())
        for seed in (0, 1, -1, 1 << 63)
        for epoch in (0, 1, 2)
    ]
    assert len(set(orders)) == 12
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert Loader(Numbers(50), 5, shuffle=False).order(3).tolist() == list(range(50))


def test_order_is_fixed_for_good():
    """A run that is resumed on another machine, years later, sees the same batches."""
    assert Loader(Numbers(10), 5, seed=0).order(0).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert Loader(Numbers(10), 5, seed=7).order(3).tolist() == [2, 5, 9, 7, 3, 0, 6, 8, 4, 1]


def test_every_position_is_equally_likely():
    places = np.stack([np.argsort(Loader(Numbers(10), 5).order(epoch)) for epoch in range(2000)])
    counts = np.stack([np.bincount(places[:, i], minlength=10) for i in range(10)])
    chi2 = ((counts - 200) ** 2 / 200).sum()
    assert chi2 < 140  # 81 degrees of freedom: 5e-5 beyond


@pytest.mark.parametrize("last", ["drop", "keep"])
@pytest.mark.parametrize("count", [64, 65, 71, 79, 80])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_ranks_share_nothing_and_have_equally_many(last, count, size):
    batch = 16 // size
    loaders = [
        Loader(Numbers(count), batch, seed=2, rank=rank, size=size, last=last)
        for rank in range(size)
    ]
    parts = [list(loader.epoch(1)) for loader in loaders]
    assert {len(part) for part in parts} == {len(loaders[0])}
    for step in range(len(loaders[0])):
        assert len({len(part[step].labels) for part in parts}) == 1
    joined = [
        np.concatenate([part[step].index for part in parts]) for step in range(len(loaders[0]))
    ]
    seen = np.concatenate(joined)
    if last == "drop":
        assert len(seen) == len(set(seen.tolist())) == count // 16 * 16
        # the global batches do not depend on the number of ranks
        alone = Loader(Numbers(count), 16, seed=2).epoch(1)
        for one, other in zip(joined, alone):
            np.testing.assert_array_equal(one, other.index)
    else:
        extra = -count % size  # filled up from the start of the epoch, to be divisible
        assert sorted(set(seen.tolist())) == list(range(count))
        assert len(seen) == count + extra
        np.testing.assert_array_equal(seen[count:], seen[:extra])


def test_flips_do_not_depend_on_ranks():
    whole = next(Loader(Numbers(64), 16, seed=2).epoch(0))
    parts = [next(Loader(Numbers(64), 4, seed=2, rank=r, size=4).epoch(0)) for r in range(4)]
    np.testing.assert_array_equal(np.concatenate([p.images for p in parts]), whole.images)
    assert not any(b.images[..., 0].any() for b in Loader(Numbers(64), 16, flip=False).epoch(0))


def test_given_batches():
    indices = np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]])
    loader = Loader(Numbers(12), 5, flip=False)
    batches = list(loader.batches(indices))
    np.testing.assert_array_equal([batch.index for batch in batches], indices)
    np.testing.assert_array_equal([batch.labels for batch in batches], indices % 7)
    np.testing.assert_array_equal([batch.images[:, 0, 0, 1] for batch in batches], indices)


def test_reference_batches(shared):
    """The batches of the reference training run hold the identities of `att`, ten images each."""
    index = np.load(shared / "reference/training/mobilefacenet_arcface_att.npz")["index"]
    loader = Loader(RecordDataset(shared / "data" / "att"), 32, flip=False)
    for batch, row in zip(loader.batches(index), index):
        np.testing.assert_array_equal(batch.labels, row // 10)


# --- broken records


def test_first_broken_record_stops():
    loader = Loader(Numbers(40, broken=[11]), 8)
    with pytest.raises(DataError, match=r"record 11 is broken\. \(max_bad=N"):
        list(loader.epoch(0))
    assert loader.bad == [(11, "record 11 is broken")]
    wait_for_no_threads()


@pytest.mark.parametrize("workers", [1, 3])
def test_broken_records_are_counted_and_replaced(workers, caplog):
    broken = [3, 4, 39]
    loader = Loader(Numbers(40, broken), 8, max_bad=3, workers=workers)
    clean = Loader(Numbers(40), 8)
    for epoch in (0, 1):  # the second time they are known
        for batch, expected in zip(loader.epoch(epoch), clean.epoch(epoch)):
            want = np.array([{3: 5, 4: 5, 39: 0}.get(i, i) for i in expected.index.tolist()])
            np.testing.assert_array_equal(batch.index, want)
            np.testing.assert_array_equal(batch.labels, want % 7)
            np.testing.assert_array_equal(batch.images[:, 0, 0, 1], want)
    assert sorted(index for index, _ in loader.bad) == broken
    assert caplog.text.count("is replaced by the next one") == 3
    assert "record 39 is broken" in caplog.text


def test_too_many_broken_records():
    loader = Loader(Numbers(40, [3, 4, 20, 30]), 8, max_bad=3)
    with pytest.raises(DataError, match=r"4 unreadable records, more than max_bad=3: images \d+, "):
        list(loader.epoch(0))
    nothing = Loader(Numbers(8, range(8)), 8, max_bad=100)
    with pytest.raises(DataError, match="no record of the data set is readable"):
        list(nothing.epoch(0))


def test_broken_record_of_a_real_file(made):
    from gluonface.data.recordio.index import read_index

    faces = made(people=4, each=4)
    rec = faces.folder / "train.rec"
    data = bytearray(rec.read_bytes())
    at = int(read_index(faces.folder / "train.idx")[1][6])
    data[at : at + 4] = b"----"
    rec.write_bytes(data)
    with pytest.raises(DataError, match=r"train\.rec: record 6 at byte \d+ starts with b'----'"):
        list(Loader(RecordDataset(faces.folder), 16).epoch(0))
    loader = Loader(RecordDataset(faces.folder), 16, max_bad=1)
    batch = next(loader.epoch(0))
    assert [index for index, _ in loader.bad] == [5]
    assert sorted(batch.index.tolist()) == [0, 1, 2, 3, 4, 6, 6, *range(7, 16)]


# --- threads


def test_other_errors_reach_the_caller():
    loader = Loader(Numbers(40, [11], error=ZeroDivisionError), 8, max_bad=5)
    with pytest.raises(ZeroDivisionError):
        list(loader.epoch(0))
    wait_for_no_threads()


def test_stopping_early_ends_the_threads():
    data = Numbers(10_000, delay=1e-4)
    loader = Loader(data, 10, workers=3, prefetch=4)
    with contextlib.closing(loader.epoch(0)) as batches:
        next(batches)
        assert threads()
    wait_for_no_threads()
    assert data.loaded <= 10 * (1 + 4 + 3)  # no more than was allowed ahead
    iterator = loader.epoch(1)
    next(iterator)
    del iterator  # dropped, not closed
    wait_for_no_threads()


def test_prefetch_is_bounded():
    data = Numbers(1000)
    batches = Loader(data, 10, workers=2, prefetch=3).epoch(0)
    next(batches)
    time.sleep(0.2)  # time enough to read everything, were it allowed
    assert data.loaded <= 40
    batches.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size 0: a whole number from 1"),
        ({"batch_size": 2.5}, "batch_size 2.5"),
        ({"workers": 0}, "workers 0"),
        ({"max_bad": -1}, "max_bad -1"),
        ({"rank": 2, "size": 2}, "rank 2 of 2 processes: 0 to 1"),
        ({"last": "pad"}, "last 'pad'"),
        ({"batch_size": 6, "size": 2}, "the data set has only 10 images"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        Loader(Numbers(10), **{"batch_size": 2, **arguments})
