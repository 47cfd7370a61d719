"""Pictures of a set or a pack: a contact sheet, and how many identities have how many images."""

from __future__ import annotations

import pathlib

import numpy as np

from ..._compat import cv2
from ...errors import DataError, InputError
from ...files import StrPath, atomic_write
from .. import images
from ..formats.file_kind import recognise_file
from ..recordio.dataset import RecordDataset
from ..sources import FaceSource
from ..verification_pack import VerificationPack

__all__ = ["contact_sheet", "plot_identities"]

BACKGROUND = 235  # grey level


def contact_sheet(
    path: StrPath | FaceSource, out: StrPath, rows: int = 8, columns: int = 12
) -> list:
    """Write a picture of a set, a row per identity, or of a pack, several pairs in a row.

    Parameters
    ----------
    path : str, pathlib.Path or FaceSource
        A training set, as for `RecordDataset`, a ``.bin`` file, or a source.
    out : str or pathlib.Path
        The PNG or JPEG file to write; its suffix says which.
    rows, columns : int, default 8 and 12
        At most. Images that cannot be read stay black.

    Returns
    -------
    list
        The identities, or the first pairs, of the rows: spread evenly over the set.

    Raises
    ------
    InputError
        When `out` has another suffix.
    """
    if pathlib.Path(out).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{out}: a name that ends in .png or .jpg was expected")
    wanted, numbers, read, size = (
        _of_source(path, rows, columns)
        if isinstance(path, FaceSource)
        else _of_pack(path, rows, columns)
        if _is_pack(path)
        else _of_records(path, rows, columns)
    )
    height, width = size
    shape = len(wanted) * height, max(len(row) for row in wanted) * width, 3
    sheet = np.full(shape, BACKGROUND, np.uint8)
    for row, of_row in enumerate(wanted):
        for column, number in enumerate(of_row):
            try:
                image = read(number)
            except (DataError, OSError):
                image = 0
            sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    with atomic_write(out) as file:
        suffix = pathlib.Path(out).suffix.lower()
        file.write(cv2.imencode(suffix, sheet[..., ::-1])[1].tobytes())
    return numbers


def _is_pack(path):
    path = pathlib.Path(path)
    return path.suffix == ".bin" or (path.is_file() and recognise_file(path).form == "pickle")


def _of_records(path, rows, columns):
    """Return (images of each row, identities, number -> image, size)."""
    dataset = RecordDataset(path, cache=0)
    found = np.unique(dataset.labels)
    chosen = found[np.linspace(0, len(found) - 1, min(rows, len(found))).astype(int)]
    wanted = [np.flatnonzero(dataset.labels == label)[:columns].tolist() for label in chosen]
    return wanted, chosen.tolist(), lambda i: dataset[i][0], dataset.image_size


def _of_source(source, rows, columns, side=112):
    """Return (images of each row, identities, number -> image, size)."""
    labels = np.asarray(source.labels)
    found = np.unique(labels[labels >= 0])
    chosen = found[np.linspace(0, len(found) - 1, min(rows, len(found))).astype(int)]
    wanted = [np.flatnonzero(labels == label)[:columns].tolist() for label in chosen]
    names = [source.identity_of_label(int(label)) for label in chosen]
    return wanted, names, lambda i: images.fit(images.decode(source.read(i)), side), (side, side)


def _of_pack(path, rows, columns):
    """Return (images of each row, first pairs, number -> image, size)."""
    pack = VerificationPack.load(path)
    each = max(1, columns // 2)
    rows = min(rows, -(-len(pack) // each))
    first = np.linspace(0, max(0, len(pack) - each), rows).astype(int).tolist()
    wanted = [range(2 * pair, min(2 * (pair + each), 2 * len(pack))) for pair in first]
    return wanted, first, pack.image, (pack.size, pack.size)


def plot_identities(found: dict, path: StrPath) -> None:
    """Draw how many identities have how many images.

    Parameters
    ----------
    found : dict
        From `inspect_records`.
    path : str or pathlib.Path
        The picture to write; its suffix is the format (.png, .svg, .pdf).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kind = pathlib.Path(path).suffix[1:].lower()
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"{path}: a name that ends in .png, .svg or .pdf was expected")
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers = np.array(list(found["identities_with"]), float)
    counts = np.array(list(found["identities_with"].values()), float)
    if len(numbers):
        if np.ptp(numbers) < 60:
            axes.bar(numbers, counts, width=0.9, color="#3b6ea8")
            axes.set_xlim(max(0.0, numbers.min() - 5), numbers.max() + 5)
            axes.locator_params(axis="x", integer=True)
        else:
            bins = np.unique(np.floor(np.geomspace(numbers.min(), numbers.max() + 1, 40)))
            axes.hist(numbers, bins.tolist(), weights=counts, color="#3b6ea8")
            axes.set_xscale("log")
        median = found["images_each"]["median"]
        axes.axvline(median, color="#c44", linestyle="--", label=f"median {median:g}")
        axes.legend(loc="upper right", framealpha=0.9)
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    axes.set_xlabel("images of an identity")
    axes.set_ylabel("identities")
    axes.set_title(f"{found['identities']:,} identities, {found['images']:,} images", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path) as file:
        figure.savefig(file, dpi=120, format=kind)
