"""A list of augmentations: read from a configuration, applied to batches."""

from __future__ import annotations

import functools
import typing

import numpy as np

from ...errors import InputError
from .augmentation import AUGMENTATIONS, Augmentation

__all__ = ["Pipeline", "describe", "read_augmentations"]

_EXAMPLE = "[flip, {color_jitter: {brightness: 0.4}}, random_erasing]"


def read_augmentations(entries: typing.Any, name: str = "augment") -> list[Augmentation]:
    """Return the augmentations of a list as a configuration has it.

    Parameters
    ----------
    entries : iterable
        Each a name, ``{name: {parameter: value}}`` or an `Augmentation`.
    name : str
        What the list is called in messages.

    Raises
    ------
    InputError
        On an unknown name or parameter, a value out of range, an augmentation that is listed
        twice, or two that mix images.
    """
    if isinstance(entries, (str, dict)):
        entries = [entries]
    if not isinstance(entries, (list, tuple)):
        raise InputError(f"{name} = {entries!r} is not a list, such as {_EXAMPLE}")
    found = [one for entry in entries for one in _read(entry, name)]
    names = [one.name for one in found]
    for one in names:
        if names.count(one) > 1:
            raise InputError(f"{name}: {one} is there twice; give it once")
    mixing = [one.name for one in found if one.mixes]
    if len(mixing) > 1:
        raise InputError(f"{name}: {' and '.join(mixing)} both mix two images; take one of them")
    return found


def _read(entry, name):
    if isinstance(entry, Augmentation):
        return [entry]
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or not entry:
        raise InputError(f"{name}: {entry!r} is no augmentation; an example is {_EXAMPLE}")
    found = []
    for key, params in entry.items():
        params = {} if params is None else params
        if not isinstance(params, dict):
            raise InputError(
                f"{name}: {key}: {params!r} are no parameters; write {{{key}: {{p: 0.5}}}}"
            )
        found.append(AUGMENTATIONS.get(key)(**params))
    return found


def describe(augmentations: typing.Iterable[Augmentation]) -> list[dict]:
    """Return the names with all parameters, in the form that `read_augmentations` takes."""
    return [{one.name: {key: getattr(one, key) for key in one.parameters}} for one in augmentations]


class Pipeline:
    """Augmentations in their order. The flip is always first, mixing always last.

    Parameters
    ----------
    augmentations : iterable
        As `read_augmentations` takes it.

    Attributes
    ----------
    flip, mixing : Augmentation or None
    steps : list of Augmentation
        All others.

    Examples
    --------
    One image, as sample 7 of epoch 2 of a run with seed 0::

        Pipeline([{"color_jitter": {"hue": 0.1}}, "cutout"]).image(image, seed=0, epoch=2, sample=7)
    """

    def __init__(self, augmentations: typing.Any = ()):
        found = read_augmentations(augmentations)
        self.flip = next((one for one in found if one.name == "flip"), None)
        self.mixing: typing.Any = next((one for one in found if one.mixes), None)
        self.steps = [one for one in found if one.name != "flip" and not one.mixes]

    def __iter__(self) -> typing.Iterator[Augmentation]:
        return iter([one for one in (self.flip, *self.steps, self.mixing) if one is not None])

    def flips(self, seed: int, epoch: int, keys: np.ndarray) -> list[bool]:
        """Return which samples are mirrored."""
        if self.flip is None:
            return [False] * len(keys)
        return [plan is not None for plan in self.flip.plans(seed, epoch, keys, None)]

    def changes(
        self, seed: int, epoch: int, keys: np.ndarray, shape: typing.Sequence[int]
    ) -> typing.Sequence[typing.Callable[[np.ndarray], np.ndarray] | None]:
        """Return what `steps` do with each sample.

        Parameters
        ----------
        seed, epoch, keys, shape
            As for `Augmentation.plans`.

        Returns
        -------
        list
            For each sample a function from an image, uint8 (H, W, 3) RGB, to the changed one, which
            may overwrite its argument; None leaves the image as it is.
        """
        if not self.steps:
            return [None] * len(keys)
        plans = [step.plans(seed, epoch, keys, shape) for step in self.steps]
        changes = []
        for row in zip(*plans):
            work = [(step.apply, plan) for step, plan in zip(self.steps, row) if plan is not None]
            changes.append(functools.partial(_apply, work) if work else None)
        return changes

    def image(
        self, image: np.ndarray, seed: int = 0, epoch: int = 0, sample: int = 0
    ) -> np.ndarray:
        """Return one image, uint8 (H, W, 3) RGB, as the loader gives it, but not mixed."""
        keys = np.array([sample])
        image = image[:, ::-1] if self.flips(seed, epoch, keys)[0] else image
        image = np.array(image, order="C")
        (change,) = self.changes(seed, epoch, keys, image.shape[:2])
        return image if change is None else change(image)

    def mix(
        self, images: np.ndarray, others: np.ndarray, seed: int, epoch: int, keys: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix each image of a batch with its partner.

        Parameters
        ----------
        images, others : numpy.ndarray
            uint8 (B, 3, H, W); not changed.
        seed, epoch : int
        keys : numpy.ndarray
            int64 (B,), the samples.

        Returns
        -------
        tuple of numpy.ndarray
            The mixtures, uint8 (B, 3, H, W), and the share of `images` in each, float32 (B,).
        """
        plans = self.mixing.plans(seed, epoch, keys, images.shape[2:])
        mixed, shares = np.empty_like(images), np.ones(len(images), np.float32)
        for at, plan in enumerate(plans):
            if plan is None:
                mixed[at] = images[at]
            else:
                shares[at] = self.mixing.mix(images[at], others[at], mixed[at], plan)
        return mixed, shares


def _apply(work, image):
    for apply, plan in work:
        image = apply(image, plan)
    return image
