"""Clusters as a folder: a table, a contact sheet, and a folder for each cluster if it is asked for.

Everything is written into a folder beside the result, which becomes the result when it is complete.
A run that was interrupted finds there what it had done.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import pathlib
import shutil
import typing

import numpy as np

from ...data.arrays import load_arrays
from ...data.text_files import write_table
from ...data.tools.staging_dir import staging_dir
from ...errors import DataError, InputError
from ...files import atomic_write, open_to_write, write_npz
from .clusters import QUERIES, Clustering, cluster_faces
from .contact_sheet import SheetFace, write_contact_sheet
from .face_source import FaceList, content_hash

__all__ = ["HEAD", "ClusterFolder", "GraphFiles", "write_clusters"]

HEAD = ("image", "face", "cluster", "score", "note")
LINKS = (None, "link", "copy")


@dataclasses.dataclass(frozen=True, eq=False)
class ClusterFolder:
    """What `write_clusters` wrote.

    Attributes
    ----------
    faces : FaceList
    clustering : Clustering
    names : dict of int to str
        Of clusters.
    """

    faces: FaceList
    clustering: Clustering
    names: dict[int, str]


class GraphFiles(collections.abc.MutableMapping):
    """Blocks of a graph on disk by their first face, each file written whole.

    Parameters
    ----------
    folder : pathlib.Path
    key : str
        Hash of what the blocks depend on: files of other keys are not seen.
    """

    def __init__(self, folder: pathlib.Path, key: str):
        self.folder, self.key = folder, key

    def _file(self, start):
        return self.folder / f"graph-{self.key}-{start}.npz"

    def __getitem__(self, start: str) -> tuple[np.ndarray, ...]:
        try:
            arrays = load_arrays(self._file(start))
            return tuple(arrays[name] for name in ("one", "other", "cosine"))
        except (InputError, DataError, KeyError):
            raise KeyError(start) from None

    def __setitem__(self, start: str, block: tuple[np.ndarray, ...]) -> None:
        with atomic_write(self._file(start)) as file:
            write_npz(file, dict(zip(("one", "other", "cosine"), block)))

    def __delitem__(self, start: str) -> None:
        self._file(start).unlink()

    def __iter__(self) -> typing.Iterator[str]:
        for file in sorted(self.folder.glob(f"graph-{self.key}-*.npz")):
            yield file.stem.rpartition("-")[2]

    def __len__(self) -> int:
        return sum(1 for _ in self)


def write_clusters(
    out: str | os.PathLike,
    make_faces: typing.Callable[[pathlib.Path], FaceList],
    threshold: typing.Callable[[int], float],
    facts: typing.Callable[[FaceList], typing.Mapping[str, typing.Any]],
    smallest: int = 2,
    seed: int = 0,
    links: str | None = None,
    name_clusters: typing.Callable[[np.ndarray], list[str]] | None = None,
    **options: typing.Any,
) -> ClusterFolder:
    """Cluster faces and write a folder.

    Parameters
    ----------
    out : str or pathlib.Path
        Where nothing is yet.
    make_faces : function
        From the folder of unfinished work to the faces.
    threshold : function
        From the number of faces that take part to the threshold.
    facts : function
        From the faces to what the page says above the clusters.
    smallest, seed
        As for `cluster_faces`.
    links : {"link", "copy"}, optional
        Make a folder for each cluster with links to its pictures, or copies.
    name_clusters : function, optional
        From the sums of the outputs of each cluster (m, D) to their names, "" for nobody.
    **options
        As for `near_graph`.

    Returns
    -------
    ClusterFolder

    Raises
    ------
    InputError
        `out` is there already or cannot be written, or there are no pictures to link to.
    """
    out = pathlib.Path(out)
    if links not in LINKS:
        raise InputError(f"links is {links!r}; expected 'link' or 'copy'")
    if out.exists():
        raise InputError(f"{out} is there already; give the name of a new folder")
    files: list[str] = []
    with staging_dir(out, files, new=True) as work:
        faces = make_faces(work)
        if links and faces.folder is None:
            raise InputError("embeddings have no pictures to link to or copy; give --pictures")
        limit = threshold(int(np.count_nonzero(~faces.aside)))
        kept = GraphFiles(work, content_hash(faces.outputs, faces.aside, limit, QUERIES))
        clustering = cluster_faces(
            faces.outputs, limit, smallest, seed, faces.aside, kept=kept, **options
        )
        count = len(clustering.sizes)
        names: dict[int, str] = {}
        if name_clusters is not None and count:
            sums = np.stack(
                [
                    faces.outputs[clustering.label == number].astype(np.float64).sum(axis=0)
                    for number in range(1, count + 1)
                ]
            )
            names = {n: name for n, name in enumerate(name_clusters(sums), 1) if name}
        if links:
            files += _link(work, faces, clustering, links)
        rows = [(f"{number:04d}", names.get(number, "")) for number in range(1, count + 1)]
        write_table(work / "names.csv", ("cluster", "name"), rows)
        sheet = [
            SheetFace(face.picture, face.note, _reader(faces, number))
            for number, face in enumerate(faces.faces)
        ]
        write_contact_sheet(work, clustering, sheet, facts(faces), names)
        write_table(work / "clusters.csv", HEAD, _rows(faces, clustering))
        files += ["names.csv", "index.html", "clusters.csv"]
    return ClusterFolder(faces, clustering, names)


def _reader(faces, number):
    return None if faces.folder is None else lambda: faces.crop(number)


def _rows(faces, clustering):
    for face, label, score in zip(faces.faces, clustering.label.tolist(), clustering.score):
        cluster = (str(label), f"{score:.6f}") if label else ("", "")
        yield (face.picture, face.number, *cluster, face.note)


def _link(work, faces, clustering, links):
    """Make a folder for each cluster; return their names."""
    folders = []
    for number in range(1, len(clustering.sizes) + 1):
        folder = work / f"{number:04d}"
        shutil.rmtree(folder, ignore_errors=True)  # of an interrupted run
        folder.mkdir()
        folders.append(folder.name)
        for place in np.flatnonzero(clustering.label == number).tolist():
            face = faces.faces[place]
            source = (faces.folder / face.picture).resolve()
            target = folder / face.picture.replace("/", "-")
            if target.exists() or target.is_symlink():  # another face of this picture
                target = folder / f"{face.number}-{target.name}"
            if links == "link":
                target.symlink_to(source)
            else:
                with open(source, "rb") as picture, open_to_write(target) as file:
                    shutil.copyfileobj(picture, file)
    return folders
