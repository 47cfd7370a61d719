"""Batches of decoded images: shuffled, sharded over ranks, decoded ahead by threads."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import typing

import numpy as np

from .._compat import usable_cores
from ..errors import DataError, InputError
from .augment import Pipeline
from .prefetch import map_ahead
from .samplers import Sampler, Sequential, Shuffled, cumulative_count, get_sampler

__all__ = ["Batch", "Loader"]

logger = logging.getLogger(__name__)


class Batch(typing.NamedTuple):
    """One batch.

    Attributes
    ----------
    images : numpy.ndarray
        uint8 (B, 3, H, W), RGB.
    labels : numpy.ndarray
        int32 (B,).
    index : numpy.ndarray
        int64 (B,), positions in the data set.
    others : numpy.ndarray or None
        With Mixup or CutMix: int32 (B,), the label of the image that was mixed in.
    shares : numpy.ndarray or None
        With Mixup or CutMix: float32 (B,), the share of the own image, 0 to 1.
    mirrored : numpy.ndarray or None
        bool (B,), which of the images are mirrored.
    """

    images: np.ndarray
    labels: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
    others: np.ndarray | None = None
    shares: np.ndarray | None = None
    mirrored: np.ndarray | None = None


class Loader:
    """Read a data set in shuffled batches, the same on any number of workers.

    The order of an epoch depends on (seed, epoch) only, the augmentation of a sample on (seed,
    epoch, sample). Batch b of all ranks together is the slice ``b * batch_size * size`` to
    ``(b + 1) * batch_size * size`` of that order, rank after rank: ranks never share a sample
    within an epoch and see equally many batches, and a run with twice the ranks and half the batch
    size sees the same global batches.

    Parameters
    ----------
    dataset : RecordDataset
        Or anything with ``len``, ``image_size`` and ``load(index, out, flip, change) -> label``, as
        `RecordDataset.load`; `change` is only given where there is one.
    batch_size : int
        Images per batch of this rank.
    shuffle : bool, default True
        False reads in the order of the data set. Not used when a sampler is given.
    seed : int, default 0
        The same on all ranks.
    rank, size : int, default 0 and 1
        Which process this is, of how many.
    flip : bool, default True
        Mirror half of the samples; which ones changes with the epoch.
    workers : int, optional
        Threads that decode; by default the cores this process may use, at most 4 (each decodes
        about 15,000 crops/s).
    prefetch : int, optional
        How many batches are decoded ahead at most; by default twice the workers.
    last : {"drop", "keep"}, default "drop"
        What happens to the remainder that does not fill a batch on every rank. "drop": it is left
        out of this epoch (when shuffled, another one in each epoch). "keep": it makes one smaller
        batch, padded with the first samples of the epoch so that all ranks get equally many.
    max_bad : int, default 0
        How many different unreadable records are tolerated. Each is logged, added to `bad` and
        replaced by the next readable record of the data set; one more raises a `DataError`.
    augment : list, default ()
        Augmentations in their order, see `gluonface.data.augment.read_augmentations`. ``flip`` is
        added unless `flip` is False.
    sampler : str, dict or Sampler, optional
        Another order than the shuffled one, see `gluonface.data.samplers.get_sampler`.

    Attributes
    ----------
    bad : list of (int, str)
        Positions and reasons of the unreadable records so far, in the order of the batches.

    Raises
    ------
    InputError
        When an argument cannot be used, or the data set is smaller than one batch of all ranks.
    """

    def __init__(
        self,
        dataset: typing.Any,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        size: int = 1,
        flip: bool = True,
        workers: int | None = None,
        prefetch: int | None = None,
        last: str = "drop",
        max_bad: int = 0,
        augment: typing.Sequence = (),
        sampler: str | dict | Sampler | None = None,
    ):
        workers = min(4, usable_cores()) if workers is None else workers
        prefetch = 2 * workers if prefetch is None else prefetch
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("size", size, 1),
            ("workers", workers, 1),
            ("prefetch", prefetch, 1),
            ("max_bad", max_bad, 0),
        ):
            if int(value) != value or value < least:
                raise InputError(f"{name} {value!r}: a whole number from {least} was expected")
        if not 0 <= rank < size:
            raise InputError(f"rank {rank} of {size} processes: 0 to {size - 1} was expected")
        if last not in ("drop", "keep"):
            raise InputError(f'last {last!r}: "drop" or "keep" was expected')
        if sampler is None:
            sampler = Shuffled() if shuffle else Sequential()
        sampler = get_sampler(sampler)
        if last == "drop" and len(dataset) < batch_size * size:
            raise InputError(
                f"batch_size {batch_size} on {size} process{'es' if size > 1 else ''}: the data "
                f"set has only {len(dataset)} images; take a smaller batch"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.size = size
        self.flip = flip
        self.workers = workers
        self.prefetch = prefetch
        self.last = last
        self.max_bad = max_bad
        self.bad: list[tuple[int, str]] = []
        self.sampler = sampler.bind(dataset, batch_size, seed, size)
        self.pipeline = Pipeline(augment)
        if flip and self.pipeline.flip is None:
            self.pipeline = Pipeline(["flip", *self.pipeline])
        elif self.pipeline.flip is not None and not flip:
            raise InputError("flip is in the list of augmentations, but flip=False switches it off")
        if self.pipeline.mixing is not None and sampler.group > 1:
            raise InputError(
                f"{self.pipeline.mixing.name} mixes neighbours of a batch, which are images of one "
                f"identity with the sampler {sampler.name}; take one of the two"
            )

    def __len__(self) -> int:
        whole, rest = divmod(self.sampler.length, self.batch_size * self.size)
        return whole + (1 if rest and self.last == "keep" else 0)

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of all ranks' samples in an epoch, int64 (n,)."""
        return self.sampler.order(epoch)

    def epoch(self, epoch: int, start: int = 0) -> typing.Generator[Batch, None, None]:
        """Return an iterator over the batches of an epoch.

        Parameters
        ----------
        epoch : int
            Its number, 0 or more.
        start : int, default 0
            The first batch to yield. The batches from there on equal those of an uninterrupted
            epoch, so a checkpoint needs (epoch, start) only.

        Returns
        -------
        generator of Batch
            Closing or dropping it ends its threads.
        """
        if not 0 <= start <= len(self):
            raise InputError(f"start {start}: batches 0 to {len(self)} were expected")
        order = self.order(epoch)
        # A sample that is drawn again in an epoch is augmented differently.
        keys = order + (cumulative_count(order) << 40) if self.sampler.repeats else order
        jobs = (self._job(order, keys, batch) for batch in range(start, len(self)))
        return self._stream(jobs, epoch)

    def _job(self, order, keys, batch):
        """Return (samples, their keys, slots of their partners) of this rank's share of a batch."""
        begin = batch * self.batch_size * self.size
        each = min(self.batch_size, -(-(len(order) - begin) // self.size))
        begin += self.rank * each
        places = np.arange(begin, begin + each)
        if self.pipeline.mixing is None:
            places %= len(order)
            return order[places], keys[places], None
        # Partners for mixing are neighbours in the order of all ranks. At most two belong to
        # another rank; they are loaded after this rank's samples.
        partners = places ^ 1
        slots = partners - begin
        outside = (slots < 0) | (slots >= each)
        slots[outside] = each + np.arange(outside.sum())
        places = np.concatenate([places, partners[outside]]) % len(order)
        return order[places], keys[places], slots

    def batches(
        self, indices: typing.Iterable, epoch: int = 0
    ) -> typing.Generator[Batch, None, None]:
        """Return an iterator over batches of given samples, to replay a run.

        Parameters
        ----------
        indices : iterable of sequence of int
            The positions of each batch, for instance an array (batches, batch_size).
        epoch : int, default 0
            The epoch of the augmentations.
        """
        return self._stream((self._replay(index) for index in indices), epoch)

    def _replay(self, index):
        index = np.array(index, np.int64)
        slots = None
        if self.pipeline.mixing is not None:
            slots = np.arange(len(index)) ^ 1
            slots = np.where(slots < len(index), slots, len(index) - 1)
        return index, index, slots

    def _stream(self, jobs, epoch):
        pool = concurrent.futures.ThreadPoolExecutor(self.workers, "gluonface-loader")
        try:
            make = functools.partial(self._make, epoch=epoch)
            for batch, bad in map_ahead(pool, make, jobs, self.prefetch):
                self._count_bad(bad)
                yield batch
        finally:
            # No wait: a thread ends after its current batch. Waiting could deadlock when the
            # garbage collector closes this generator in one of these threads.
            pool.shutdown(wait=False, cancel_futures=True)

    def _count_bad(self, bad):
        """Log the unreadable records of a batch and add them to `bad`."""
        known = {index for index, _ in self.bad}
        for index, reason in bad.items():
            if index in known:
                continue
            known.add(index)
            self.bad.append((index, reason))
            if len(self.bad) > self.max_bad:
                raise DataError(self._too_many(reason))
            logger.warning(
                "unreadable image %d is replaced by the next one (%d of at most %d): %s",
                index,
                len(self.bad),
                self.max_bad,
                reason,
            )

    def _too_many(self, reason):
        if self.max_bad == 0:
            return f"{reason}. (max_bad=N lets training go on with up to N unreadable records)"
        listed = ", ".join(str(index) for index, _ in self.bad[:10])
        return (
            f"{len(self.bad)} unreadable records, more than max_bad={self.max_bad}: images {listed}"
            f"{', ...' if len(self.bad) > 10 else ''}. The last: {reason}"
        )

    def _make(self, job, epoch):
        """Read, decode and augment one batch; return it and {position: reason} of bad records."""
        index, keys, slots = job
        images, labels, index, mirrored, bad = self._load(np.array(index), keys, epoch)
        if slots is None:
            return Batch(images, labels, index, mirrored=mirrored), bad
        own = slice(len(slots))  # after these come the partners of another rank
        mixed, shares = self.pipeline.mix(images[own], images[slots], self.seed, epoch, keys[own])
        batch = Batch(mixed, labels[own], index[own], labels[slots], shares, mirrored[own])
        return batch, bad

    def _load(self, index, keys, epoch):
        """Read and decode; write the replacements of bad records into `index`."""
        images = np.empty((len(index), 3, *self.dataset.image_size), np.uint8)
        labels = np.empty(len(index), np.int32)
        bad = {}
        mirror = self.pipeline.flips(self.seed, epoch, keys)
        changes = self.pipeline.changes(self.seed, epoch, keys, images.shape[2:])
        load = self.dataset.load
        for at, (position, flip, change) in enumerate(zip(index.tolist(), mirror, changes)):
            options = (images[at], flip) if change is None else (images[at], flip, change)
            try:
                labels[at] = load(position, *options)
            except DataError as error:
                bad[position] = str(error)
                index[at], labels[at] = self._replace(position, options, bad)
                if index[at] < 0:
                    break  # more than max_bad: `_count_bad` raises
        return images, labels, index, np.array(mirror, bool), bad

    def _replace(self, position, options, bad):
        """Load the next readable record instead; return its position and label."""
        for step in range(1, len(self.dataset)):
            if len(bad) > self.max_bad:
                return -1, 0
            after = (position + step) % len(self.dataset)
            try:
                return after, self.dataset.load(after, *options)
            except DataError as error:
                bad[after] = str(error)
        raise DataError(f"no record of the data set is readable. The last: {bad[position]}")
