"""The text files of IJB-B and IJB-C, read and checked."""

import dataclasses
import pathlib

import numpy as np

from ...data.text_files import whole_number
from ...errors import DataError, InputError
from ...files import sha256
from .text_tables import (
    line_of_row,
    line_of_template,
    read_integers,
    read_lines,
    read_template_subjects,
)

__all__ = [
    "Images",
    "Pairs",
    "check_templates",
    "find",
    "read_images",
    "read_pairs",
    "read_template_subjects",
]

# What each file is called behind "ijbb_" or "ijbc_".
FILES = {
    "media": "face_tid_mid.txt",
    "points": "name_5pts_score.txt",
    "pairs": "template_pair_label.txt",
    "probes": "1N_probe_mixed.csv",
}
GALLERIES = ("1N_gallery_G1.csv", "1N_gallery_G2.csv", "1N_gallery_S1.csv", "1N_gallery_S2.csv")
_POINTS = 12  # name, five points, detector score


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """The images of a set in the order of its lists.

    Attributes
    ----------
    names : list of str
    template, media : numpy.ndarray, shape (n,), int64
    points : numpy.ndarray, shape (n, 5, 2), float32, or None
        Eyes, nose and corners of the mouth in the loose crop: x, y in pixels.
    quality : numpy.ndarray, shape (n,), float64, or None
        Scores of the face detector.
    sha256 : dict of str to str
        Of the files, by their names.
    """

    names: list
    template: np.ndarray
    media: np.ndarray
    points: object
    quality: object
    sha256: dict

    def __len__(self):
        return len(self.names)


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """The listed pairs: template ids `first` and `second`, and whether they are the `same`."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    path: str
    sha256: dict

    def __len__(self):
        return len(self.first)

    def line(self, row):
        """Return the number of the line with pair `row` (from 0)."""
        return line_of_row(self.path, row) if pathlib.Path(self.path).is_file() else row + 1


def find(folder, kind, optional=False):
    """Return the file of a `kind` ("media", "points", "pairs", "probes", "galleries") in a folder.

    Its name may have any prefix, such as ``ijbb_`` or ``ijbc_``; it may lie in a folder ``meta``
    inside. "galleries" gives a list.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; the IJB lists were expected in it")
    endings = GALLERIES if kind == "galleries" else (FILES[kind],)
    found = []
    for place in (folder, folder / "meta"):
        for ending in endings:
            here = sorted(place.glob(f"*{ending}"))
            if len(here) > 1:
                raise InputError(
                    f"{place} holds several files *{ending}: "
                    f"{', '.join(file.name for file in here)}; give one set a folder"
                )
            found += here
        if found:
            break
    if not found and not optional:
        raise InputError(f"{folder} holds no file named *{' or *'.join(endings)}")
    if kind == "galleries":
        return found
    return found[0] if found else None


def read_images(media, points=None):
    """Read ``*_face_tid_mid.txt`` and, if given, ``*_name_5pts_score.txt``.

    Raises
    ------
    DataError
        A malformed line, or lists that differ in length or in a name; the line is named.
    """
    names, ids = [], []
    for number, line in read_lines(media, "a list of image name, template id, media id"):
        fields = line.split()
        numbers = [whole_number(field) for field in fields[1:]]
        if len(fields) != 3 or None in numbers:
            raise DataError(
                f"{media}, line {number}: {line[:80]!r}; expected image name, template id, media id"
            )
        names.append(fields[0])
        ids.append(numbers)
    if not names:
        raise DataError(f"{media} lists no image")
    ids = np.array(ids, np.int64)
    digests = {pathlib.Path(media).name: sha256(media)}
    landmarks = quality = None
    if points is not None:
        landmarks, quality = _read_points(points, names, media)
        digests[pathlib.Path(points).name] = sha256(points)
    return Images(names, ids[:, 0], ids[:, 1], landmarks, quality, digests)


def _read_points(path, names, media):
    lines = read_lines(path, "a list of image name, five points, score")
    values = np.empty((len(lines), _POINTS - 1))
    for row, (number, line) in enumerate(lines):
        fields = line.split()
        try:
            if len(fields) != _POINTS:
                raise ValueError
            values[row] = [float(field) for field in fields[1:]]
            if not np.isfinite(values[row]).all():
                raise ValueError
        except ValueError:
            raise DataError(
                f"{path}, line {number}: {line[:80]!r}; expected {_POINTS} columns: image name, "
                "x y of five points, detector score"
            ) from None
        if row < len(names) and fields[0] != names[row]:
            raise DataError(
                f"{path}, line {number} is about {fields[0]}, but image {row + 1} of {media} is "
                f"{names[row]}; both lists must be in the same order"
            )
    if len(lines) != len(names):
        raise DataError(f"{path} lists {len(lines)} images and {media} {len(names)}")
    return values[:, :10].reshape(-1, 5, 2).astype(np.float32), values[:, 10]


def read_pairs(path):
    """Read ``*_template_pair_label.txt``: template, template, 1 if they are of one subject."""
    first, second, label = read_integers(path, 3, "template id, template id, label 1 or 0")
    if label.max() > 1:
        at = int(np.argmax(label > 1))
        line = line_of_row(path, at)
        raise DataError(f"{path}, line {line}: the label is {label[at]}; expected 1 or 0")
    same = label.astype(bool)
    if same.all() or not same.any():
        kind = "same" if same.all() else "different"
        raise DataError(f"{path}: all {len(same)} pairs are {kind} pairs; both kinds are needed")
    return Pairs(first, second, same, str(path), {pathlib.Path(path).name: sha256(path)})


def check_templates(path, templates, subjects, known, unique=False):
    """Check a list of 1:N.

    Parameters
    ----------
    path : pathlib.Path
    templates, subjects : numpy.ndarray of int, shape (n,)
        As `read_template_subjects` returns them.
    known : numpy.ndarray of int
        Templates that have images.
    unique : bool, default False
        Whether a subject may be listed with one template only, as in a gallery.

    Raises
    ------
    DataError
        A template without image, or a second template of a subject; the line is named.
    """
    missing = templates[~np.isin(templates, known)]
    if len(missing):
        raise DataError(
            f"{path}, line {line_of_template(path, missing[0])}: template {missing[0]} has no "
            f"image ({len(missing)} templates of this list have none)"
        )
    values, number = np.unique(subjects, return_counts=True)
    if unique and (number > 1).any():
        double = values[np.argmax(number > 1)]
        one, other = templates[subjects == double][:2]
        raise DataError(
            f"{path}, line {line_of_template(path, other)}: subject {double} is enrolled with "
            f"template {other} here and with {one} in line {line_of_template(path, one)}; a "
            "gallery holds a subject once"
        )
