"""Tables of clusters: what `gluonface cluster` writes, and who is truly on each image."""

from __future__ import annotations

import csv
import os

from ...data.text_files import read_text
from ...errors import DataError

__all__ = ["match_tables", "read_clusters"]

LABELS = ("cluster", "person", "identity", "label", "name")


def read_clusters(path: str | os.PathLike) -> dict[tuple[str, str | None], str]:
    """Read a table with a line for each image or face.

    Parameters
    ----------
    path : str or pathlib.Path
        CSV whose first line names the columns: ``image``, ``cluster`` (or ``person``,
        ``identity``, ``label``, ``name``), and ``face`` if an image has several.

    Returns
    -------
    dict of (str, str or None) to str
        Image and face (None without that column) -> label. An empty one: of no cluster.

    Raises
    ------
    InputError
        There is no such file.
    DataError
        It is no such table; the line is named.
    """
    found: dict[tuple[str, str | None], str] = {}
    lines = csv.reader(read_text(path).splitlines())
    try:
        head = [field.strip().lower() for field in next(lines, [])]
        label = next((name for name in LABELS if name in head), None)
        if "image" not in head or label is None:
            raise DataError(
                f"{path}: the first line has {', '.join(head)[:80] or 'nothing'}; expected the "
                f"columns image and cluster (or {', '.join(LABELS[1:])})"
            )
        places = head.index("image"), head.index(label)
        face = head.index("face") if "face" in head else None
        for row in lines:
            if not row:
                continue
            if len(row) != len(head):
                raise DataError(
                    f"{path}, line {lines.line_num}: {len(row)} fields; expected {len(head)}"
                )
            key = row[places[0]], None if face is None else row[face].strip()
            if key in found:
                raise DataError(f"{path}, line {lines.line_num}: {key[0]} is listed twice")
            found[key] = row[places[1]].strip()
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.line_num}: no line of CSV ({error})") from None
    if not found:
        raise DataError(f"{path} lists no image")
    return found


def match_tables(
    found: dict[tuple[str, str | None], str],
    true: dict[tuple[str, str | None], str],
    what: str = "the table of people",
) -> tuple[list[str], list[str], int]:
    """Bring clusters and people into one order.

    Parameters
    ----------
    found, true : dict
        As `read_clusters` returns them. An image without face number is its largest face, 1.
    what : str
        What to call `true` in an error.

    Returns
    -------
    people, clusters : list of str
        Of the images of `true`. What is in no cluster is a cluster of its own.
    unknown : int
        How many images of `found` are not in `true`.

    Raises
    ------
    DataError
        An image of `true` is not in `found`, or nobody is named for it.
    """
    clusters = {(image, face or "1"): label for (image, face), label in found.items()}
    people: list[str] = []
    labels: list[str] = []
    for (image, face), person in true.items():
        key = image, face or "1"
        if key not in clusters:
            raise DataError(
                f"{image}, which {what} lists, is not among the clusters; {len(clusters):,} "
                "faces are"
            )
        if not person:
            raise DataError(f"{what} does not say who is on {image}")
        people.append(person)
        # A name that no table can hold stands for a cluster of one.
        labels.append(clusters[key] or f"\n{len(labels)}")
    return people, labels, len(clusters) - len(people)
