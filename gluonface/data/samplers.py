"""Which samples an epoch has and in which order.

The order is that of all ranks together and a pure function of (seed, epoch): a run can resume from
epoch and position, on any number of ranks with the same global batch.
"""

from __future__ import annotations

import typing

import numpy as np

from ..errors import InputError
from ..parameters import Declared, Parameter, declare
from ..registry import Registry
from .arrays import load_arrays
from .augment import hash64

__all__ = [
    "SAMPLERS",
    "ClassWeighted",
    "IdentityBalanced",
    "Sampler",
    "Sequential",
    "Shuffled",
    "get_sampler",
]

SAMPLERS = Registry("sampler")

# Streams of random numbers, see gluonface.data.augment.
_IMAGES, _PEOPLE, _CLASSES = 0x10000, 0x10001, 0x10002


class Sampler(Declared):
    """Template of the samplers.

    Attributes
    ----------
    length : int
        Samples of an epoch, all ranks together.
    repeats : bool
        Whether a sample may come twice in an epoch.
    group : int
        A batch of a rank must be a multiple of this.
    """

    repeats = False
    group = 1
    length: int

    def bind(self, dataset: typing.Any, batch_size: int, seed: int, size: int = 1) -> Sampler:
        """Set the data set and the batch for which `order` is computed.

        Parameters
        ----------
        dataset : RecordDataset
            Or anything with ``len`` and, where identities count, ``labels``.
        batch_size : int
            Of each rank.
        seed : int
        size : int, default 1
            How many ranks there are.

        Returns
        -------
        Sampler
            Itself.

        Raises
        ------
        InputError
            If the batch is no multiple of `group`.
        """
        if batch_size % self.group:
            raise InputError(
                f"batch_size {batch_size} on {size} process{'es' if size > 1 else ''}: {self.name} "
                f"puts {self.group} images of each identity into a batch; take a multiple of that"
            )
        self.seed, self.count, self.batch_size = seed, len(dataset), batch_size * size
        self.length = self.count
        return self

    def order(self, epoch: int) -> np.ndarray:
        """Return the positions in the data set of an epoch, int64 (length,)."""
        raise NotImplementedError


@SAMPLERS.register("sequential")
class Sequential(Sampler):
    """In the order of the data set."""

    name = "sequential"

    def order(self, epoch: int) -> np.ndarray:
        """See `Sampler.order`."""
        return np.arange(self.count, dtype=np.int64)


@SAMPLERS.register("shuffled", aliases=("shuffle",))
class Shuffled(Sampler):
    """Every image once, in an order that is new in each epoch."""

    name = "shuffled"

    def order(self, epoch: int) -> np.ndarray:
        """See `Sampler.order`."""
        # NumPy keeps the bits of a bit generator the same in all versions, but not those of
        # Generator.permutation (NEP 19).
        key = np.array([n % (1 << 64) for n in (self.seed, epoch)], np.uint64)
        return np.random.Philox(key=key).random_raw(self.count).argsort(kind="stable")


class _ByIdentity(Sampler):
    """Draws identities first and then images of them.

    An identity's images come in an order that changes with the epoch; none is repeated before all
    were drawn.
    """

    repeats = True

    def bind(self, dataset: typing.Any, batch_size: int, seed: int, size: int = 1) -> Sampler:
        """See `Sampler.bind`."""
        super().bind(dataset, batch_size, seed, size)
        self.labels = np.asarray(dataset.labels)
        self.sizes = np.bincount(self.labels)
        self.starts = np.cumsum(self.sizes) - self.sizes
        return self

    def pick(self, epoch, people, turns):
        """Return image number ``turns[i]`` of identity ``people[i]``; numbers wrap around."""
        mixed = hash64(self.seed, epoch, np.arange(self.count), _IMAGES) >> np.uint64(24)
        # One sort by (label, random bits) shuffles within identities: labels are below 2 ** 24.
        mixed |= self.labels.astype(np.uint64) << np.uint64(40)
        shuffled = mixed.argsort(kind="stable")
        return shuffled[self.starts[people] + turns % self.sizes[people]]


@SAMPLERS.register("identity_balanced", aliases=("pk", "p_k"))
class IdentityBalanced(_ByIdentity):
    """P identities with K images each in every batch, for triplet and contrastive losses.

    The identities come in rounds: each round has all of them once, shuffled, except for the few
    that do not fill a batch. So no identity is twice in one batch of all ranks. An epoch has as
    many batches as the shuffled one. An identity with fewer than K images repeats some, with other
    augmentations; one with fewer than `min_images` is left out.
    """

    name = "identity_balanced"
    images: int
    min_images: int
    parameters = declare(
        images=Parameter(4, "images of each identity in a batch (K)", low=2, whole=True),
        min_images=Parameter(
            2,
            "identities with fewer images are left out",
            low=1,
            whole=True,
            why="one image makes no pair",
        ),
    )

    @property
    def group(self):
        """See `Sampler`."""
        return self.images

    def bind(self, dataset: typing.Any, batch_size: int, seed: int, size: int = 1) -> Sampler:
        """See `Sampler.bind`.

        Raises
        ------
        InputError
            If the batch is no multiple of K, or there are fewer than P identities for all ranks.
        """
        super().bind(dataset, batch_size, seed, size)
        batch_size *= size
        self.people = np.flatnonzero(self.sizes >= self.min_images)
        per_batch = batch_size // self.images
        if len(self.people) < per_batch:
            raise InputError(
                f"a batch of {batch_size} needs {per_batch} identities with {self.min_images} "
                f"images or more, the data set has {len(self.people)}; take a smaller batch or "
                "more images of each"
            )
        self.per_batch = per_batch
        self.length = self.count // batch_size * batch_size
        return self

    def order(self, epoch: int) -> np.ndarray:
        """See `Sampler.order`."""
        visits = self.length // self.images
        each = len(self.people) // self.per_batch * self.per_batch  # visits of one round
        rounds = -(-visits // each)
        mixed = hash64(self.seed, epoch, np.arange(rounds * len(self.people)), _PEOPLE)
        shuffled = mixed.reshape(rounds, -1).argsort(axis=1, kind="stable")[:, :each]
        people = self.people[shuffled.reshape(-1)[:visits]]
        k = np.arange(self.images)
        turns = cumulative_count(people)[:, None] * self.images + k
        return self.pick(epoch, np.repeat(people, self.images), turns.reshape(-1))


@SAMPLERS.register("class_weighted", aliases=("weighted",))
class ClassWeighted(_ByIdentity):
    """Draw an identity by its weight, then one of its images.

    The weight of an identity with n images is ``n ** power``, times its entry in `weights`. An
    epoch has as many samples as the data set has images.
    """

    name = "class_weighted"
    power: float
    parameters = declare(
        power=Parameter(
            0.5,
            "1: as many images as it has; 0: all identities alike; 0.5: square-root sampling",
            low=0,
            high=1,
        ),
    )

    def __init__(self, weights=None, **params):
        super().__init__(**params)
        self.weights = weights

    def bind(self, dataset: typing.Any, batch_size: int, seed: int, size: int = 1) -> Sampler:
        """See `Sampler.bind`.

        Raises
        ------
        InputError
            If the weights are not one number, 0 or more, for each identity.
        """
        super().bind(dataset, batch_size, seed, size)
        weight = np.where(self.sizes > 0, self.sizes.astype(np.float64) ** self.power, 0.0)
        if self.weights is not None:
            given = _read_weights(self.weights)
            if given.shape != weight.shape:
                raise InputError(
                    f"sampler.weights has the shape {given.shape}; the data set has "
                    f"{len(weight)} identities, one number for each was expected"
                )
            weight *= given
        if not weight.any():
            raise InputError("sampler.weights leaves no identity that has images")
        self.edges = np.cumsum(weight / weight.sum())
        self.last = int(np.flatnonzero(weight)[-1])
        return self

    def order(self, epoch: int) -> np.ndarray:
        """See `Sampler.order`."""
        drawn = (hash64(self.seed, epoch, np.arange(self.length), _CLASSES) >> np.uint64(11)) * (
            2.0**-53
        )
        people = np.minimum(np.searchsorted(self.edges, drawn, side="right"), self.last)
        return self.pick(epoch, people, cumulative_count(people))


def _read_weights(weights):
    """Return weights as float64 (C,), from an array or a .npy file."""
    where = "sampler.weights"
    if isinstance(weights, str):
        where = f"sampler.weights: {weights}"
        weights = load_arrays(weights)
    try:
        values = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: numbers or a .npy file of them were expected") from error
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any():
        raise InputError(f"{where}: one finite number, 0 or more, for each identity was expected")
    return values


def cumulative_count(values: np.ndarray) -> np.ndarray:
    """Return how many equal values stand before each value, int64 (n,): 5 6 5 5 -> 0 0 1 2."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.ones(len(values), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    place = np.arange(len(values))
    result = np.empty(len(values), np.int64)
    result[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return result


def get_sampler(entry: str | dict | Sampler, name: str = "sampler") -> Sampler:
    """Return a sampler of a configuration: a name, ``{name: {parameter: value}}``, or itself.

    Raises
    ------
    InputError
        On an unknown name or parameter, or a value out of range.
    """
    if isinstance(entry, Sampler):
        return entry
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise InputError(
            f"{name} = {entry!r} is no sampler; write a name ({', '.join(SAMPLERS.list())}) or "
            "{identity_balanced: {images: 4}}"
        )
    ((key, params),) = entry.items()
    params = {} if params is None else params
    if not isinstance(params, dict):
        raise InputError(f"{name}: {key}: {params!r} are no parameters; write {{images: 4}}")
    return SAMPLERS.get(key)(**params)
