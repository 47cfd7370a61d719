"""The page that shows clusters: a contact sheet for each, the largest first."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing

import numpy as np

from ..._compat import cv2
from ...errors import DataError
from ...evaluation.report import page_blocks as blocks
from ...evaluation.report.report_folder import write_page
from ...evaluation.report.worst_errors import data_uri
from .clusters import Clustering

__all__ = ["FACES", "SHEETS", "write_contact_sheet"]

FACES = 60  # shown of a cluster: the most doubtful one is always among them
SHEETS = 300  # clusters shown
SINGLE = 300  # faces shown that are not grouped
THUMBNAIL = 80  # pixels


@dataclasses.dataclass(frozen=True)
class SheetFace:
    """A face as the page needs it.

    Attributes
    ----------
    name : str
        Of the picture.
    note : str
        Why it was not grouped, or nothing.
    read : function
        Returns its crop, uint8 (H, W, 3) RGB; None where there is no picture.
    """

    name: str
    note: str
    read: typing.Callable[[], np.ndarray] | None


def write_contact_sheet(
    folder: str | os.PathLike,
    clustering: Clustering,
    faces: typing.Sequence[SheetFace],
    facts: typing.Mapping[str, typing.Any],
    names: typing.Mapping[int, str] | None = None,
) -> pathlib.Path:
    """Write ``index.html``, which needs no other file.

    Parameters
    ----------
    folder : str or pathlib.Path
        It is there.
    clustering : Clustering
    faces : sequence of SheetFace
        In its order.
    facts : dict
        What to say above: the threshold, what it means, the model.
    names : dict of int to str, optional
        Names of clusters.

    Returns
    -------
    pathlib.Path
    """
    names = names or {}
    label, score = clustering.label, clustering.score
    sizes = clustering.sizes
    grouped = int(np.count_nonzero(label))
    content = [blocks.facts(facts)]
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(label.max(initial=0) + 2))
    for number in range(1, min(len(sizes), SHEETS) + 1):
        own = order[starts[number] : starts[number + 1]]
        own = own[np.argsort(-score[own], kind="stable")]
        shown = own if len(own) <= FACES else np.append(own[: FACES - 1], own[-1])
        doubtful = int(own[-1]) if len(own) > 1 else -1
        small = f"{len(own):,} faces"
        if len(shown) < len(own):
            small += f", {len(shown)} of them shown"
        title = f"{number}: {names[number]}" if names.get(number) else str(number)
        cells = [_cell(faces[face], f"{score[face]:.3f}", face == doubtful) for face in shown]
        content.append({"kind": "sheet", "title": title, "small": small, "faces": cells})
    if len(sizes) > SHEETS:
        content.append(
            blocks.text("note", f"{len(sizes) - SHEETS:,} smaller clusters are in clusters.csv")
        )
    alone = order[: starts[1]] if len(starts) > 1 else order
    if len(alone):
        small = f"{len(alone):,} faces"
        small += f", {SINGLE} of them shown" if len(alone) > SINGLE else ""
        cells = [_cell(faces[face], faces[face].note, False) for face in alone[:SINGLE]]
        content.append({"kind": "sheet", "title": "Not grouped", "small": small, "faces": cells})
    page = {
        "title": f"{len(sizes):,} clusters",
        "heading": f"{len(sizes):,} clusters of {grouped:,} faces",
        "summary": "The number below a face is its cosine to the sum of its cluster; the most "
        "doubtful face of each cluster has a frame. ",
        "blocks": content,
    }
    return write_page(folder, page, "gluonface cluster", announce=False)


def _cell(face, text, marked):
    if marked:
        text += " most doubtful"
    try:
        image = None if face.read is None else data_uri(_thumbnail(face.read()))
    except (DataError, OSError):
        image = None  # the picture has gone since it was read; its name is shown
    # A file name may hold bytes that are no text.
    name = face.name.encode("utf-8", "backslashreplace").decode()
    return {"name": name, "text": text, "marked": marked, "image": image}


def _thumbnail(crop):
    """Return a crop at the size of a thumbnail."""
    return cv2.resize(crop, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
