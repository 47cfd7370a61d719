"""Photographs and a gallery: enrolling people, and naming the faces of a picture."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import typing

import numpy as np

from ..data.sources import open_source
from ..data.sources.photo_folder import SUFFIXES, find_photos
from ..data.text_files import numbered_lines, split_fields
from ..errors import DataError, InputError
from .comparison import main_face
from .faces import FaceReader, PhotoFace, read_bytes
from .gallery import Added, EnrolledFace, Gallery, check_name

__all__ = [
    "Candidate",
    "Enrolled",
    "enrol_photos",
    "find_pictures",
    "identify_photo",
    "list_people",
]

FACES = 256  # that are enrolled in one transaction, or a few more: people stay whole


@dataclasses.dataclass(frozen=True)
class Enrolled:
    """What `enrol_photos` did.

    Attributes
    ----------
    added : Added
    left_out : list of (str, str)
        Pictures that were not enrolled, and why.
    warnings : list of str
    """

    added: Added
    left_out: list[tuple[str, str]]
    warnings: list[str]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A person who may be on a face.

    Attributes
    ----------
    name : str
    score : float
        Cosine to the person's template.
    """

    name: str
    score: float


def list_people(
    photos: str | os.PathLike, person: str | None = None, names: str | os.PathLike | None = None
) -> dict[str, list[str]]:
    """Return the pictures of each person.

    Parameters
    ----------
    photos : str or pathlib.Path
        A folder with a folder for each person; with `person` a picture, or a folder of pictures.
    person : str, optional
        Who is on all of them.
    names : str or pathlib.Path, optional
        Lines FOLDER,NAME, such as the names.csv of `gluonface cluster`: who is in each folder.
        Folders without a name are left out.

    Raises
    ------
    InputError
        There is no such picture or folder, or a name cannot be stored.
    DataError
        `names` is no such table.
    """
    photos = pathlib.Path(photos)
    if person is not None:
        if names is not None:
            raise InputError("person and names were both given; give one of them")
        return {check_name(person): find_pictures(photos)}
    if photos.is_file():
        raise InputError(f"who is on {photos}? Give --person NAME, or a folder for each person")
    table = None if names is None else _read_names(names)
    people: dict[str, list[str]] = {}
    source = open_source(photos)
    for row in range(len(source)):
        path, owner = photos / source.relative_name(row), source.identity(row)
        if not path.is_file():
            raise InputError(f"{photos} is no folder of pictures; unpack it first")
        if table is not None:
            owner = table.get(owner, "")
        if owner:
            people.setdefault(check_name(owner), []).append(str(path))
    if not people:
        raise InputError(f"{names} names none of the folders in {photos}")
    return people


def _read_names(path):
    """Return the names of folders out of a table."""
    table: dict[str, str] = {}
    for number, line in numbered_lines(path):
        fields = split_fields(line, ",")
        if len(fields) != 2 or (fields[0] in table):
            raise DataError(
                f"{path}, line {number}: {line[:80]!r}; expected FOLDER,NAME, each folder once"
            )
        table[fields[0]] = fields[1]
    return table


def find_pictures(photos: str | os.PathLike) -> list[str]:
    """Return a picture, or the pictures below a folder; InputError if there are none."""
    photos = pathlib.Path(photos)
    if photos.is_dir():
        return [str(photos / name) for name in find_photos(photos)]
    if not photos.is_file():
        raise InputError(f"there is no picture or folder {photos}")
    if photos.suffix.lower() not in SUFFIXES:
        raise InputError(f"{photos} is no picture; expected one of {', '.join(SUFFIXES)}")
    return [str(photos)]


def enrol_photos(
    gallery: Gallery,
    reader: FaceReader,
    people: typing.Mapping[str, typing.Sequence[str]],
    min_quality: float | None = None,
    force: bool = False,
    several: str = "largest",
    paths: bool = True,
    progress: typing.Callable[[int], typing.Any] | None = None,
) -> Enrolled:
    """Enrol the largest face of each picture.

    Parameters
    ----------
    gallery : Gallery
    reader : FaceReader
        Of the gallery's model.
    people : dict of str to sequence of str
        Pictures by name, as `list_people` returns them.
    min_quality : float, optional
        Leave out faces whose quality, a percentile of the calibration set in 0..1, is lower.
    force : bool, default False
        Enrol faces that are too small or weak as well.
    several : {"largest", "refuse"}
        What to do with a picture of several faces.
    paths : bool, default True
        Whether to store the paths of the pictures.
    progress : function, optional
        Called with the number of pictures that are done.

    Returns
    -------
    Enrolled
        A picture that cannot be used is left out, and the others are enrolled. One picture alone
        that cannot be used is an error.

    Raises
    ------
    InputError
        The gallery is of another model, flip form or detector.
    DataError
        The gallery cannot be written.
    """
    gallery.require_model(reader.identity.to_dict(), reader.flip, reader.input)
    if min_quality is not None and not 0 <= min_quality <= 1:
        raise InputError(f"min_quality is {min_quality!r}; expected a percentile, 0 to 1")
    if min_quality is not None and reader.norms is None:
        raise InputError(
            "min_quality needs a calibration of the model, which says how long its embeddings are; "
            "gluonface calibrate makes one"
        )
    alone = sum(map(len, people.values())) == 1
    left_out: list[tuple[str, str]] = []
    warnings: list[str] = []
    results, waiting, count = [], [], 0
    for name, pictures in people.items():
        faces = []
        for picture in pictures:
            try:
                face = _read_face(gallery, reader, picture, several, warnings)
                reason = (
                    ""
                    if force or isinstance(face, EnrolledFace)
                    else _refusal(face[0], min_quality)
                )
                if reason:
                    raise DataError(f"{picture}: {reason}")
                faces.append(face if isinstance(face, EnrolledFace) else face[1])
            except DataError as error:
                if alone:
                    raise
                left_out.append((picture, str(error)))
            if progress is not None:
                progress(1)
        waiting.append((name, faces))
        count += len(faces)
        if count >= FACES:
            results.append(gallery.add(waiting, paths))
            waiting, count = [], 0
    results.append(gallery.add(waiting, paths))
    added = Added(
        sum(result.people for result in results),
        sum(result.faces for result in results),
        {name: had for result in results for name, had in result.known.items()},
        [pair for result in results for pair in result.skipped],
    )
    return Enrolled(added, left_out, warnings)


def _read_face(gallery, reader, picture, several, warnings):
    """Return (quality, EnrolledFace) of a picture; the face alone if it is enrolled already."""
    data = read_bytes(picture)
    digest = hashlib.sha256(data).hexdigest()
    if gallery.holds_picture(digest):  # `Gallery.add` will skip it
        return EnrolledFace(np.ones(gallery.embedding_size, np.float32), picture, digest)
    face = main_face(reader, picture, os.path.basename(picture), several, warnings)[0]
    box = None if face.points is None else face.box
    return face.quality, EnrolledFace(face.output, picture, digest, box, face.quality.to_dict())


def _refusal(quality, min_quality):
    if quality.refused:
        reasons = ", ".join(quality.reasons)
        return f"its quality is too low ({reasons}); take a better picture, or give --force"
    if min_quality is not None and quality.percentile < min_quality:
        return f"its quality is {quality.percentile:.0%}, below --min-quality".replace("%", " %")
    return ""


def identify_photo(
    gallery: Gallery, reader: FaceReader, photo: str | os.PathLike, top: int = 5
) -> list[tuple[PhotoFace, list[Candidate]]]:
    """Return every face of a picture with the people who are nearest to it.

    Parameters
    ----------
    gallery : Gallery
    reader : FaceReader
        Of the gallery's model.
    photo : str or pathlib.Path
        See `FaceReader.read`.
    top : int, default 5
        How many people for each face.

    Returns
    -------
    list of (PhotoFace, list of Candidate)
        The largest face first, for each the nearest person first.
    """
    gallery.require_model(reader.identity.to_dict(), reader.flip, reader.input)
    faces = reader.read(photo)
    if not faces:
        return []
    found = gallery.search(np.stack([face.output for face in faces]), top)
    return [(face, [Candidate(*pair) for pair in near]) for face, near in zip(faces, found)]
