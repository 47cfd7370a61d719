"""Aligning photographs: a crop per face, and a report with a row per photograph."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import errno
import logging
import os
import pathlib
import typing

import numpy as np
from tqdm import tqdm

from ...errors import DataError, InputError
from ...files import (
    FileLock,
    StrPath,
    atomic_write,
    place_inside,
    remove_unfinished,
    require_folder_inside,
)
from .. import images
from ..alignment import align_face
from ..detectors import Mtcnn, Turning
from ..prefetch import map_ahead
from ..sources import FaceSource, open_source
from ..sources.person_folders import count_readings
from ..sources.photo_folder import find_others, find_photos, is_photo, read_landmarks
from ..text_files import write_table
from .journal import Journal, file_stamp
from .resumable_writer import thread_count

__all__ = ["align_photos"]

logger = logging.getLogger(__name__)

JOURNAL = ".align.jsonl"  # in OUT
SEVERAL = ("largest", "skip", "all")
COLUMNS = ("photo", "result", "faces", "confidence", "crops", "detail")
RESULTS = (
    "aligned", "several", "skipped", "no face", "no landmarks", "broken", "passed over"
)  # fmt: skip


def align_photos(
    photos: StrPath | typing.Sequence[StrPath],
    out: StrPath,
    landmarks: StrPath | None = None,
    detector: typing.Callable | None = None,
    several: str = "largest",
    confidence: float = 0.9,
    size: int = 112,
    quality: int = 95,
    workers: int | None = None,
    smallest: int = 40,
    progress: bool = True,
    **options: typing.Any,
) -> dict:
    """Cut the aligned faces out of all photographs of a folder, or of another source.

    OUT gets the folders of PHOTOS with a crop in place of each photograph, and ``report.csv``, a
    row per photograph. The crops of an earlier run with the same settings are kept where the
    photograph has not changed; crops of an earlier run that belong to no photograph, or were
    made with other settings, are removed.

    Parameters
    ----------
    photos : str, pathlib.Path, or a sequence of these
        The folder of photographs, with people's folders in it or not; or faces in any form that
        `open_source` takes.
    out : str or pathlib.Path
        The folder to write.
    landmarks : str or pathlib.Path, optional
        A file with the landmarks of every photograph, see `read_landmarks`. By default those that
        the source itself has (DeepGlint's lists), else those that `detector` finds.
    detector : callable, optional
        In place of `landmarks`: image -> list of `Face`. The default is `Mtcnn`.
    several : {"largest", "skip", "all"}
        Of a photograph with several faces: cut out the largest, none, or all of them.
    confidence : float, default 0.9
        Faces with less confidence of the detector are ignored. 0..1.
    size : int, default 112
        Height and width of the crops.
    quality : int, default 95
        JPEG quality 1 to 100; above 100 the crops are PNG.
    workers : int, optional
        Threads. The default is one per usable core.
    smallest : int, default 40
        Pixels of the smallest face that `Mtcnn` looks for.
    progress : bool, default True
        Show a progress bar on standard error.
    **options
        ``root``, ``person``, ``split``, ``strip``, ``columns`` and ``group`` of `open_source`.

    Returns
    -------
    dict
        ``photos``, ``crops``, and how many photographs had each result: ``aligned``, ``several``
        (cut out as `several` says), ``skipped``, ``no face``, ``no landmarks``, ``broken``; and
        ``passed over``, files that are no photographs and empty folders.

    Raises
    ------
    InputError, DataError, MissingExtraError
    OSError
        When a crop cannot be written; the crops so far are kept.
    """
    out = pathlib.Path(out)
    if several not in SEVERAL:
        raise InputError(f"several={several!r}: one of {', '.join(SEVERAL)} was expected")
    if not 0.0 <= confidence <= 1.0:
        raise InputError(f"confidence={confidence!r}: a number from 0 to 1 was expected")
    images.check_size_and_quality(size, quality)
    for one in [photos] if isinstance(photos, (str, os.PathLike)) else photos:
        if pathlib.Path(one).resolve() in (out.resolve(), *out.resolve().parents):
            raise InputError(f"{out} is in {one}; choose a folder outside the photographs")
    workers = thread_count(workers)
    source = _open_photos(photos, options)
    names = source.names
    settings: dict = {
        "several": several, "confidence": confidence, "size": size, "quality": quality
    }  # fmt: skip
    points = None
    if landmarks is not None:
        points = read_landmarks(landmarks)
        settings["landmarks"] = file_stamp(landmarks)
        detector = None
    elif source.points is not None:
        points, detector = source.points, None
        settings["landmarks"] = "of the source"
    elif detector is None:
        detector = Mtcnn(smallest)
    if points is None:
        settings["detector"] = getattr(detector, "identity", type(detector).__name__)
        settings["turn"] = isinstance(detector, Turning)
        settings["smallest"] = getattr(detector, "smallest", None)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder for the crops was expected")
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".align.lock")
    holder = lock.acquire()
    if holder is not None:
        raise InputError(f"{out} is in use: {holder}, writes crops there; choose another folder")
    try:
        return _align(
            source, out, names, settings, points, detector, several, confidence, size, quality,
            workers, progress,
        )  # fmt: skip
    finally:
        lock.release()


def _align(
    source, out, names, settings, points, detector, several, confidence, size, quality, workers,
    progress,
):  # fmt: skip
    """Align all photographs into a folder that this process holds; see `align_photos`."""
    for folder in {out, *((out / name).parent for name in names)}:  # of runs that were killed
        if out.resolve() in (folder.resolve(), *folder.resolve().parents):  # no link leads out
            remove_unfinished(folder)
    crops = _CropFiles(out, names, quality)
    aligner = _Aligner(source, crops, points, detector, several, confidence, size, quality)
    rows = []
    with (
        Journal(out / JOURNAL, settings, crops.check_row) as journal,
        tqdm(total=len(names), unit="photo", disable=None if progress else True) as bar,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):

        def process(name):
            key = str([name, *source.stamp(name)])
            row = journal.get(key)
            if row is not None and all((out / crop).is_file() for crop in row["crops"]):
                return key, row, False
            return key, *aligner(name)

        crops.remove(journal.replaced)
        for key, row, lasting in map_ahead(pool, process, names, 4 * workers):
            if lasting:
                journal[key] = row
            rows.append(row)
            bar.update()
        crops.remove(list(journal.values()), but=rows)
    rows += [_row(name, "passed over", reason) for name, reason in source.others()]
    shown = [{**row, "crops": ";".join(row["crops"])} for row in rows]
    write_table(out / "report.csv", COLUMNS, ([row[c] for c in COLUMNS] for row in shown))
    counts = collections.Counter(row["result"] for row in rows)
    return {
        "photos": len(names),
        "crops": sum(len(row["crops"]) for row in rows),
        **{name: counts[name] for name in RESULTS},
    }


def _open_photos(photos, options):
    """Return a `_PhotoFolder` or `_SourcePhotos`."""
    path = pathlib.Path(photos) if isinstance(photos, (str, os.PathLike)) else None
    if path is not None and path.is_dir() and not (
        (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()
    ):  # fmt: skip
        # Photographs need no person's folder: they keep their places.
        loose = any(is_photo(name) for name in os.listdir(path))
        if loose or not any(value for value in options.values()):
            try:
                return _PhotoFolder(path)
            except InputError:  # no photographs: archives, records, shards
                if loose:
                    raise
    source = open_source(photos, **options)
    return _PhotoFolder(path) if source.kind == "folders" and path else _SourcePhotos(source)


class _PhotoFolder:
    """Photographs in a folder and its folders; a name is the path from the folder."""

    points: dict | None = None

    def __init__(self, root):
        self.root = root
        self.names = find_photos(root)
        first, last = count_readings([name for name in self.names if "/" in name])
        if first != last:
            logger.warning(
                "%s has photographs deeper than PERSON/IMAGE: by the first folder there are %d "
                "people, by the last folder %d. The crops keep the folders; `gluonface data pack` "
                "and others will ask for --person first or --person last",
                root, first, last,
            )  # fmt: skip

    def read(self, name):
        return (self.root / name).read_bytes()

    def stamp(self, name):
        """Return `file_stamp`, or [] for a broken link, which is then reported as unreadable."""
        try:
            return file_stamp(self.root / name)
        except OSError:
            return []

    def others(self):
        return find_others(self.root)


class _SourcePhotos:
    """Photographs of a `FaceSource`; the crops of an identity lie in its folder."""

    def __init__(self, source: FaceSource):
        self.source = source
        self._stamp = source.content_stamp()
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        for index in range(len(source)):
            name = source.relative_name(index)
            if source.kind == "list":  # the list's identity counts, not the folder
                person = FaceSource.relative_name(source, index).split("/")[0]
                name = f"{person}/{name.rpartition('/')[2]}"
            while name in self._numbers:
                stem, dot, suffix = name.rpartition(".")
                name = f"{stem}_{dot}{suffix}" if dot and "/" not in suffix else f"{name}_"
            self._numbers[name] = index
            self.names.append(name)
        found = ((name, source.points(i)) for name, i in self._numbers.items())
        points = {name: values for name, values in found if values is not None}
        self.points = points or None

    def read(self, name):
        return self.source.read(self._numbers[name])

    def stamp(self, name):
        return [self._stamp, self._numbers[name]]

    def others(self):
        return self.source.ignored()


def _row(name, result="", detail=""):
    """Return a row of the report."""
    row = {"photo": name, "result": result, "faces": 0, "confidence": "", "crops": []}
    return {**row, "detail": detail}


class _CropFiles:
    """Writes and removes the files of crops, each with a name of its own."""

    def __init__(self, out, names, quality):
        self.out = out
        self.suffix = ".jpg" if quality <= 100 else ".png"
        self.stems, self.taken = {}, set()
        for name in names:
            # "a.jpg" and "a.png" of one folder are two photographs and must not share a crop.
            self.stems[name] = self._free(name[:-4] if name.endswith(".jpg") else name)
            self.taken.add(self.stems[name])

    def _free(self, stem):
        while stem in self.taken:
            stem += "_"
        return stem

    def write(self, name, encoded):
        """Write the crops of a photograph; return their names."""
        written = []
        for number, data in enumerate(encoded):
            stem = self.stems[name]
            if number:  # "a_1.jpg" may be a photograph too
                stem = self._free(f"{stem}_{number}")
            target = require_folder_inside(self.out, f"{stem}{self.suffix}")
            with atomic_write(target) as file:
                file.write(data)
            written.append(f"{stem}{self.suffix}")
        return written

    def remove(self, rows, but=()):
        """Remove the crops of `rows` that are none of `but`, and folders that are empty then."""
        kept = {crop for row in but for crop in row["crops"]}
        for crop in {crop for row in rows for crop in row["crops"]} - kept:
            path = place_inside(self.out, crop)
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()

    def check_row(self, row):
        """Return whether a row of a journal can be one of ours: it is read from OUT."""
        if not isinstance(row, dict) or set(row) != {*COLUMNS}:
            return False
        crops = row["crops"]
        whole = (
            isinstance(crops, list)
            and all(isinstance(crop, str) for crop in crops)
            and all(isinstance(row[name], str) for name in ("photo", "result", "detail"))
            and row["result"] in RESULTS
            and isinstance(row["faces"], int)
            and isinstance(row["confidence"], (float, int, str))
        )
        outside = [crop for crop in crops if place_inside(self.out, crop) is None] if whole else []
        if outside:
            logger.warning(
                "%s names %s, which is not in this folder; the line is ignored",
                self.out / JOURNAL, outside[0],
            )  # fmt: skip
        return whole and not outside


@dataclasses.dataclass
class _Aligner:
    """Aligns one photograph; called by many threads. The fields are those of `align_photos`."""

    photos: typing.Any
    crops: _CropFiles
    points: dict[str, np.ndarray] | None
    detector: typing.Callable | None
    several: str
    confidence: float
    size: int
    quality: int

    def __call__(self, name):
        """Write the crops; return the row, and whether it holds as long as the file is the same."""
        row, encoded = _row(name), []
        try:
            data = self.photos.read(name)
        except DataError as error:
            return _row(name, "broken", str(error)), False
        except OSError as error:  # a later repair may leave size and time as they are
            return _row(name, "broken", f"it cannot be read: {error.strerror}"), False
        try:
            image, faces = self._faces(name, data, row)
            for points in faces:
                encoded.append(images.encode(align_face(image, points, self.size), self.quality))
        except (DataError, InputError) as error:
            row.update(result="broken", detail=str(error))
            encoded.clear()
        try:
            row["crops"] = self.crops.write(name, encoded)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            why = f"its crop would have a name that is too long: {error.strerror}"
            return _row(name, "broken", why), False
        return row, row["result"] != "broken"  # a package that reads it may come

    def _faces(self, name, data, row):
        """Return the image and the landmarks of the faces to cut out; fill in the row."""
        if self.points is not None:
            if name not in self.points:
                row["result"] = "no landmarks"
                return None, ()
            image, points = images.decode(data), self.points[name]
            if not ((points >= 0) & (points < image.shape[1::-1])).all(axis=1).any():
                raise DataError(f"its landmarks lie outside, the first at {points[0].tolist()}")
            row.update(result="aligned", faces=1)
            return image, [points]
        image = images.decode(data)
        faces = [face for face in self.detector(image) if face.confidence >= self.confidence]
        row["faces"] = len(faces)
        if not faces:
            row["result"] = "no face"
            return image, ()
        row["confidence"] = round(faces[0].confidence, 4)
        row["result"] = "aligned"
        if len(faces) > 1:
            row["result"] = "skipped" if self.several == "skip" else "several"
        if row["result"] == "skipped":
            return image, ()
        chosen = faces if self.several == "all" else faces[:1]
        return image, [face.points for face in chosen]
