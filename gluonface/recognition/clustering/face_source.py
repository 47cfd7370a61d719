"""Faces to be clustered: of photographs, of crops, or stored embeddings."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import pathlib
import typing

import numpy as np

from ...data.alignment import align_face
from ...data.embedding_origin import EmbeddingOrigin
from ...data.sources.photo_folder import find_photos
from ...data.tools.journal import Journal, file_stamp
from ...errors import DataError
from ...evaluation.files.feature_files import load_features
from ...evaluation.scores.flip import merge_outputs
from ..faces import CROPS, FaceReader, read_photo

__all__ = ["FaceList", "FoundFace", "faces_of_folder", "faces_of_npz"]

JOURNAL = "faces.jsonl"


@dataclasses.dataclass(frozen=True)
class FoundFace:
    """One face that was found.

    Attributes
    ----------
    picture : str
        Path below the folder.
    number : int
        From 1, the largest face of the picture first.
    note : str
        Why it takes no part: its quality. Empty: it does.
    points : tuple or None
        Five landmarks in the picture; None for a crop.
    """

    picture: str
    number: int
    note: str = ""
    points: tuple | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class FaceList:
    """Faces with what the network gave for them.

    Attributes
    ----------
    faces : list of FoundFace
    outputs : numpy.ndarray, shape (n, D), float32
    folder : pathlib.Path or None
        Of the pictures; None where there are none.
    left_out : list of (str, str)
        Pictures that could not be used, and why.
    origin : EmbeddingOrigin or None
        What made the outputs.
    input : str or None
        How faces were cut out; None if that is not known.
    """

    faces: list[FoundFace]
    outputs: np.ndarray
    folder: pathlib.Path | None
    left_out: list[tuple[str, str]]
    origin: EmbeddingOrigin | None
    input: str | None

    @property
    def aside(self) -> np.ndarray:
        """Which faces take no part, bool (n,)."""
        return np.array([bool(face.note) for face in self.faces], bool)

    def crop(self, number: int) -> np.ndarray:
        """Return the aligned crop of a face, uint8 (112, 112, 3) RGB."""
        if self.folder is None:
            raise DataError("embeddings have no pictures")
        face = self.faces[number]
        image = read_photo(self.folder / face.picture)[0]
        return image if face.points is None else align_face(image, np.array(face.points))


def faces_of_folder(
    folder: str | os.PathLike,
    reader: FaceReader,
    work: pathlib.Path,
    progress: typing.Callable[[int], typing.Any] | None = None,
) -> FaceList:
    """Find and embed all faces of the pictures below a folder.

    Parameters
    ----------
    folder : str or pathlib.Path
    reader : FaceReader
    work : pathlib.Path
        A folder for what is done, so that interrupted work goes on.
    progress : function, optional
        Called with the number of pictures that are done.

    Returns
    -------
    FaceList
        Faces whose quality is refused have a note and take no part.

    Raises
    ------
    InputError
        There is no such folder, or no picture in it.
    DataError
        No picture has a face.
    """
    folder = pathlib.Path(folder)
    pictures = find_photos(folder)
    faces: list[FoundFace] = []
    outputs, left_out = [], []
    settings = {
        "model": reader.identity.to_dict(),
        "flip": reader.flip,
        "input": reader.input,
        "norms": reader.norms,
        "folder": str(folder.resolve()),
    }
    with Journal(work / JOURNAL, settings) as journal:
        for picture in pictures:
            stamp = file_stamp(folder / picture)
            done = journal.get(picture)
            if done is None or done["stamp"] != stamp:
                done = journal[picture] = {"stamp": stamp, **_read(reader, folder / picture)}
            if done["error"]:
                left_out.append((picture, done["error"]))
            for number, face in enumerate(done["faces"], 1):
                points = face["points"] and tuple(map(tuple, face["points"]))
                faces.append(FoundFace(picture, number, face["note"], points))
                outputs.append(np.frombuffer(base64.b64decode(face["output"]), "<f4"))
            if progress is not None:
                progress(1)
    if not faces:
        raise DataError(
            f"no picture below {folder} has a face (by {reader.input}); the first: {left_out[0][1]}"
        )
    return FaceList(faces, np.stack(outputs), folder, left_out, reader.origin, reader.input)


def _read(reader, path):
    """Return the faces of a picture as JSON can hold them, or why there is none."""
    try:
        found = reader.read(path)
    except DataError as error:
        return {"error": str(error), "faces": []}
    faces = [
        {
            "points": None if face.points is None else face.points.tolist(),
            "note": ", ".join(face.quality.reasons) if face.quality.refused else "",
            "output": base64.b64encode(face.output.astype("<f4").tobytes()).decode(),
        }
        for face in found
    ]
    return {"error": "" if faces else f"no face was found in {path}", "faces": faces}


def faces_of_npz(path: str | os.PathLike, pictures: str | os.PathLike | None = None) -> FaceList:
    """Return stored embeddings as faces.

    Parameters
    ----------
    path : str or pathlib.Path
        A file of `gluonface embed`, or any that `load_features` reads.
    pictures : str or pathlib.Path, optional
        The folder of the crops that the array ``path`` names, for the contact sheet.

    Raises
    ------
    InputError, DataError
        As of `load_features`.
    """
    held = load_features(path)
    origin = held.origin
    if held.f is None:
        outputs = np.asarray(held.e, np.float32)
    else:
        outputs = merge_outputs(held.e, held.f, "sum").astype(np.float32)
        origin = origin and EmbeddingOrigin(origin.model, "sum")
    count = len(outputs)
    names = [f"row {row}" for row in range(count)] if held.names is None else held.names.tolist()
    folder = None if pictures is None or held.names is None else pathlib.Path(pictures)
    faces = [FoundFace(name, 1) for name in names]
    return FaceList(faces, outputs, folder, [], origin, CROPS if folder is not None else None)


def content_hash(*values: typing.Any) -> str:
    """Return a short hash of arrays and of what else kept results depend on."""
    digest = hashlib.sha256()
    for value in values:
        array = isinstance(value, np.ndarray)
        digest.update(np.ascontiguousarray(value).tobytes() if array else repr(value).encode())
    return digest.hexdigest()[:16]
