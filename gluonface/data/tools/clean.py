"""Finding mislabelled images of a training set by their angle to the centre of their class.

The method is that of sub-centre ArcFace: a class has K sub-centres, mislabelled and hard images
gather at others than the clean ones, and the sub-centre that most images of the class are nearest
to, the dominant one, stands for the person. Images far from it are noise.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath, atomic_write
from ..text_files import write_table
from .resumable_writer import copy_images, digest, write_renumbered

__all__ = ["CleaningResult", "class_means", "find_mislabelled", "write_clean", "write_dropped"]

KEPT, FAR, SMALL = 0, 1, 2
REASONS = ("kept", "angle", "class")  # the names of the numbers above in reports
BLOCK = 1 << 21  # values of gathered centres in memory at a time: 16 MB
BIN = 5  # degrees of one bar of the histogram


@dataclasses.dataclass
class CleaningResult:
    """Angles of all images to their class, and which images stay.

    Parameters
    ----------
    labels : array (n,) int
        The class of each image.
    angle : array (n,) float64
        Degrees, 0 to 180, between an image and the dominant sub-centre of its class.
    nearest : array (n,) int
        The sub-centre of its class that an image is nearest to.
    dominant : array (C,) int
        The dominant sub-centre of each class; 0 for a class without images.
    reason : array (n,) uint8
        0 kept, 1 its angle exceeds the limit, 2 its class keeps too few images.
    limit : float
        Degrees.
    min_images : int
    """

    labels: np.ndarray
    angle: np.ndarray
    nearest: np.ndarray
    dominant: np.ndarray
    reason: np.ndarray
    limit: float
    min_images: int

    @property
    def kept(self) -> np.ndarray:
        """Which images stay: bool (n,)."""
        return self.reason == KEPT

    @property
    def classes(self) -> np.ndarray:
        """The classes that keep images, in ascending order: int (m,)."""
        return np.unique(self.labels[self.kept])

    def summary(self) -> dict:
        """Return counts and the histogram of angles as a dict that JSON can hold."""
        bars = np.histogram(self.angle, np.arange(0, 180 + BIN, BIN))[0]
        return {
            "images": len(self.labels),
            "kept": int(self.kept.sum()),
            "dropped": int((~self.kept).sum()),
            "dropped_angle": int((self.reason == FAR).sum()),
            "dropped_class": int((self.reason == SMALL).sum()),
            "not_nearest_to_dominant": int((self.nearest != self.dominant[self.labels]).sum()),
            "identities": len(np.unique(self.labels)),
            "identities_kept": len(self.classes),
            "angle_limit": self.limit,
            "min_images": self.min_images,
            "mean_angle": float(self.angle.mean()),
            "histogram": {"degrees": BIN, "images": bars.tolist()},
        }


def find_mislabelled(
    embeddings: np.ndarray,
    labels,
    centers: np.ndarray,
    angle: float = 75.0,
    min_images: int = 1,
    key: typing.Callable[[int], int] | None = None,
    block: int = BLOCK,
) -> CleaningResult:
    """Find the images that are far from the dominant sub-centre of their class.

    Parameters
    ----------
    embeddings : array (n, D)
        Of any length but zero; a memory map is read block by block.
    labels : array (n,) int
        Classes, 0 to C - 1.
    centers : array (C, K, D)
        K sub-centres of each class, of any length but zero. K may be 1.
    angle : float, default 75.0
        Degrees, in (0, 180]. Images farther away are noise. 75 is the paper's value.
    min_images : int, default 1
        Classes that keep fewer images lose these too. 1 drops no image for its class.
    key : callable, optional
        Number of an image -> its record key, for messages.
    block : int, default 2097152
        Values of gathered centres in memory at a time.

    Returns
    -------
    CleaningResult

    Raises
    ------
    InputError
        When shapes do not fit together, or an angle or a number of images is out of range.
    DataError
        When an embedding, or a centre of a class that has images, is zero or not finite.

    Notes
    -----
    Of several sub-centres with equally many images the first one dominates.

    References
    ----------
    Deng, Guo, Liu, Gong, Zafeiriou: Sub-center ArcFace: Boosting Face Recognition by Large-Scale
    Noisy Web Faces, ECCV 2020.
    """
    if not 0.0 < angle <= 180.0:
        raise InputError(f"angle is {angle:g}; more than 0 and at most 180 degrees were expected")
    if min_images < 1:
        raise InputError(f"min_images is {min_images}; 1 or more was expected")
    labels = np.asarray(labels, np.int64)
    if centers.ndim != 3:
        raise InputError(f"centres have the shape {centers.shape}; (C, K, D) was expected")
    _check_rows(embeddings, labels)
    classes, k, size = centers.shape
    if embeddings.shape[1] != size:
        hint = " (embed with --flip sum or none)" if embeddings.shape[1] == 2 * size else ""
        raise InputError(
            f"embeddings have {embeddings.shape[1]} values, centres {size}; both must come from "
            f"one model{hint}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise InputError(
            f"there are centres of {classes} classes, but an image has the label {wrong}; give "
            "the centres of a run on this set"
        )
    cosine = np.empty((len(labels), k), np.float64)
    for rows in _blocks(len(labels), k * size, block):
        unit = _unit(embeddings[rows], lambda row, start=rows.start: _row(start + row, key))
        own, place = np.unique(labels[rows], return_inverse=True)
        near = _unit(
            np.asarray(centers[own]).reshape(-1, size),
            lambda row, own=own: f"sub-centre {row % k} of class {own[row // k]}",
        ).reshape(-1, k, size)
        cosine[rows] = np.matmul(near[place], unit[:, :, None])[:, :, 0]
    nearest = cosine.argmax(1)
    votes = np.bincount(labels * k + nearest, minlength=classes * k).reshape(classes, k)
    dominant = votes.argmax(1)
    own = cosine[np.arange(len(labels)), dominant[labels]]
    degrees = np.degrees(np.arccos(np.clip(own, -1.0, 1.0)))
    reason = np.where(degrees > angle, FAR, KEPT).astype(np.uint8)
    left = np.bincount(labels[reason == KEPT], minlength=classes)
    reason[(reason == KEPT) & (left[labels] < min_images)] = SMALL
    return CleaningResult(labels, degrees, nearest, dominant, reason, float(angle), int(min_images))


def class_means(
    embeddings: np.ndarray,
    labels,
    num_classes: int,
    key: typing.Callable[[int], int] | None = None,
    block: int = BLOCK,
) -> np.ndarray:
    """Return the mean direction of each class, as centres for `find_mislabelled`.

    Parameters
    ----------
    embeddings, labels, key, block
        As for `find_mislabelled`.
    num_classes : int

    Returns
    -------
    numpy.ndarray (num_classes, 1, D) float32
        Of unit length; zero for a class without images.

    Raises
    ------
    InputError, DataError
        As for `find_mislabelled`.
    """
    labels = np.asarray(labels, np.int64)
    _check_rows(embeddings, labels)
    sums = np.zeros((num_classes, embeddings.shape[1]))
    for rows in _blocks(len(labels), embeddings.shape[1], block):
        unit = _unit(embeddings[rows], lambda row, start=rows.start: _row(start + row, key))
        order = np.argsort(labels[rows], kind="stable")
        found, starts = np.unique(labels[rows][order], return_index=True)
        sums[found] += np.add.reduceat(unit[order], starts, axis=0)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(length > 0, length, 1.0)).astype(np.float32)[:, None]


def _check_rows(embeddings, labels):
    if embeddings.ndim != 2:
        raise InputError(f"embeddings have the shape {embeddings.shape}; (n, D) was expected")
    if len(embeddings) != len(labels):
        raise InputError(
            f"there are {len(embeddings)} embeddings of {len(labels)} images; embed this very set"
        )


def _blocks(count, width, block):
    step = max(1, block // width)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _row(row, key):
    return f"row {row} of the embeddings" + (f" (record {key(row)})" if key else "")


def _unit(rows, name):
    """Return the rows in float64 at unit length; ``name(row)`` names a wrong row in messages."""
    rows = np.asarray(rows, np.float64)
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    wrong = ~np.isfinite(length) | (length == 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        state = "zero" if length[row] == 0 else "not finite"
        raise DataError(f"{name(row)} is {state}; the model or the file is broken")
    return rows / length[:, None]


def write_clean(
    dataset,
    found: CleaningResult,
    centers: np.ndarray,
    out: StrPath,
    keep_ids: bool = False,
    **options,
) -> dict:
    """Write the images that stay as a training set, and the dominant centres of its classes.

    The folder gets the record files, the encoded images as they were; ``centers.npy`` (m, D)
    float32, a row per class; and, with new numbers, ``identities.csv``: identity and what it was.
    Interrupted work continues when it is started again.

    Parameters
    ----------
    dataset : RecordDataset
    found : CleaningResult
    centers : array (C, K, D)
    out : str or pathlib.Path
        The folder; it is made when it is not there.
    keep_ids, **options
        As for `gluonface.data.tools.transform_records.subset`.

    Returns
    -------
    dict
        ``images``, ``identities`` and ``left_out``, as of `write_record_set`.

    Raises
    ------
    InputError
        When no image stays, or there is a set already.
    """
    classes = found.classes
    if not len(classes):
        raise InputError(
            f"no image is within {found.limit:g} degrees of its centre, so nothing would stay; "
            "are the centres of this set and of the model of the embeddings?"
        )
    out = pathlib.Path(out)
    rows = np.arange(len(centers)) if keep_ids else classes
    order = np.flatnonzero(found.kept)
    order = order[np.argsort(found.labels[order], kind="stable")]  # a plain set may be mixed
    labels = found.labels[order]

    def write_extras():
        with atomic_write(out / "centers.npy") as file:
            np.save(file, np.asarray(centers[rows, found.dominant[rows]], np.float32))
        write_renumbered(dataset, out, None if keep_ids else classes)

    return copy_images(
        dataset,
        order,
        out,
        labels if keep_ids else np.searchsorted(classes, labels),
        {"clean": digest(order)},
        num_classes=len(rows),
        write_extras=write_extras,
        **options,
    )


def write_dropped(path: StrPath, found: CleaningResult, key: typing.Callable[[int], int]) -> None:
    """Write the dropped images as CSV: record key, identity, angle in degrees, reason.

    The reason is ``angle``, or ``class`` when too few images of the class were left.
    """
    rows = np.flatnonzero(~found.kept).tolist()
    write_table(
        path,
        ("record", "identity", "angle", "reason"),
        (
            (key(i), found.labels[i], f"{found.angle[i]:.3f}", REASONS[found.reason[i]])
            for i in rows
        ),
    )
