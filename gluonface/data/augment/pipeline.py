"""A list of augmentations: read from a configuration, applied to batches."""

import functools

import numpy as np

from ...errors import InputError
from ._base import AUGMENTATIONS, Augmentation

__all__ = ["Pipeline", "describe", "read_augmentations"]

_EXAMPLE = "[flip, {color_jitter: {brightness: 0.4}}, random_erasing]"


def read_augmentations(entries, name="augment"):
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
        On an unknown name or parameter, a value out of range, an augmentation that is there
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


def describe(augmentations):
    """Return what `read_augmentations` takes: the names with all parameters."""
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

    def __init__(self, augmentations=()):
        found = read_augmentations(augmentations)
        self.flip = next((one for one in found if one.name == "flip"), None)
        self.mixing = next((one for one in found if one.mixes), None)
        self.steps = [one for one in found if one.name != "flip" and not one.mixes]

    def __iter__(self):
        return iter([one for one in (self.flip, *self.steps, self.mixing) if one is not None])

    def flips(self, seed, epoch, keys):
        """Say which samples are mirrored: list of bool."""
        if self.flip is None:
            return [False] * len(keys)
        return [plan is not None for plan in self.flip.plans(seed, epoch, keys, None)]

    def changes(self, seed, epoch, keys, shape):
        """Return what is to be done with each sample, but for the flip and the mixing.

        Parameters
        ----------
        seed, epoch : int
        keys : numpy.ndarray
            int64 (n,), which samples.
        shape : tuple of int
            (height, width) of the images.

        Returns
        -------
        list
            For each sample a function of an image, uint8 (H, W, 3) RGB, that returns the changed
            one and may overwrite the given; None leaves it as it is.
        """
        if not self.steps:
            return [None] * len(keys)
        plans = [step.plans(seed, epoch, keys, shape) for step in self.steps]
        changes = []
        for todo in zip(*plans):
            work = [(step.apply, plan) for step, plan in zip(self.steps, todo) if plan is not None]
            changes.append(functools.partial(_apply, work) if work else None)
        return changes

    def image(self, image, seed=0, epoch=0, sample=0):
        """Return one image, uint8 (H, W, 3) RGB, as the loader would give it, but not mixed."""
        keys = np.array([sample])
        image = image[:, ::-1] if self.flips(seed, epoch, keys)[0] else image
        image = np.array(image, order="C")
        (change,) = self.changes(seed, epoch, keys, image.shape[:2])
        return image if change is None else change(image)

    def mix(self, images, others, seed, epoch, keys):
        """Mix each image of a batch with its partner.

        Parameters
        ----------
        images, others : numpy.ndarray
            uint8 (B, 3, H, W); not changed.
        seed, epoch : int
        keys : numpy.ndarray
            int64 (B,), which samples.

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
