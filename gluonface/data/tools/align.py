"""Aligning a folder of photographs: one crop per face, and a report of what happened to each."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import pathlib

from tqdm import tqdm

from ...errors import DataError, InputError
from ...files import atomic_write
from .. import images
from ..alignment import align_face, five_points
from ..sources.photo_folder import find_others, find_photos, read_landmarks
from ..text_files import write_table
from .journal import Journal, file_stamp
from .record_job import thread_count

__all__ = ["align_photos"]

SEVERAL = ("largest", "skip", "all")
COLUMNS = ("photo", "result", "faces", "confidence", "crops", "detail")


def align_photos(
    photos,
    out,
    landmarks=None,
    detector=None,
    several="largest",
    confidence=0.9,
    size=112,
    quality=95,
    workers=None,
    progress=True,
):
    """Cut the aligned faces out of all photographs of a folder.

    OUT gets the folders of PHOTOS with a crop in place of each photograph, and ``report.csv``, a
    row per photograph. What an earlier run did, with the same settings and an unchanged
    photograph, is not done again; crops of an earlier run that belong to no photograph, or were
    made with other settings, are taken away.

    Parameters
    ----------
    photos, out : str or pathlib.Path
        The folder of photographs, and the folder to write.
    landmarks : str or pathlib.Path, optional
        A file with the landmarks of every photograph, see `read_landmarks`.
    detector : callable, optional
        In place of `landmarks`: image -> list of `Face`. The default is `Mtcnn`.
    several : {"largest", "skip", "all"}
        Of a photograph with several faces: cut out the largest, none, or all of them.
    confidence : float, default 0.9
        Faces that the detector gives less are passed over. 0..1.
    size : int, default 112
        Height and width of the crops.
    quality : int, default 95
        JPEG quality 1 to 100; above 100 the crops are PNG.
    workers : int, optional
        Threads. The default is one per usable core.
    progress : bool, default True
        Show a progress bar on standard error.

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
        When a crop cannot be written; what was done is kept.
    """
    photos, out = pathlib.Path(photos), pathlib.Path(out)
    if several not in SEVERAL:
        raise InputError(f"several={several!r}: one of {', '.join(SEVERAL)} was expected")
    if not 0.0 <= confidence <= 1.0:
        raise InputError(f"confidence={confidence!r}: a number from 0 to 1 was expected")
    images.check_output(size, quality)
    if photos.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"{out} is in {photos}; choose a folder outside the photographs")
    workers = thread_count(workers)
    names = find_photos(photos)
    settings = {"several": several, "confidence": confidence, "size": size, "quality": quality}
    points = None
    if landmarks is not None:
        points = read_landmarks(landmarks)
        settings["landmarks"] = file_stamp(landmarks)
        detector = None
    elif detector is None:
        from ..detectors import Mtcnn

        detector = Mtcnn()
    if detector is not None:
        settings["detector"] = type(detector).__name__
        settings["smallest"] = getattr(detector, "smallest", None)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder for the crops was expected")
    out.mkdir(parents=True, exist_ok=True)
    crops = _Crops(out, names, quality)
    task = _Task(photos, crops, points, detector, several, confidence, size, quality)
    rows = []
    with (
        Journal(out / ".align.jsonl", settings) as journal,
        tqdm(total=len(names), unit="photo", disable=None if progress else True) as bar,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        crops.take_away(journal.replaced)
        open_tasks = collections.deque()
        waiting = iter(names)
        while True:
            for name in itertools.islice(waiting, 4 * workers - len(open_tasks)):
                key = [name, *_stamp(photos / name)]
                done = journal.get(str(key))
                if done is not None and all((out / crop).is_file() for crop in done["crops"]):
                    open_tasks.append((key, done, None))
                else:
                    open_tasks.append((key, None, pool.submit(task, name)))
            if not open_tasks:
                break
            key, row, future = open_tasks.popleft()
            if row is None:
                row = future.result()
                if not row.pop("again", False):
                    journal[str(key)] = row
            rows.append(row)
            bar.update()
        crops.take_away(journal.values(), but=rows)
    rows += [_row(name, "passed over", reason) for name, reason in find_others(photos)]
    shown = [{**row, "crops": ";".join(row["crops"])} for row in rows]
    write_table(out / "report.csv", COLUMNS, ([row[c] for c in COLUMNS] for row in shown))
    counts = collections.Counter(row["result"] for row in rows)
    return {
        "photos": len(names),
        "crops": sum(len(row["crops"]) for row in rows),
        **{name: counts[name] for name in _RESULTS},
    }


_RESULTS = (
    "aligned", "several", "skipped", "no face", "no landmarks", "broken", "passed over"
)  # fmt: skip


def _stamp(path):
    """Return `file_stamp`, and nothing of a link to nowhere, which the report then has."""
    try:
        return file_stamp(path)
    except OSError:
        return []


def _row(name, result="", detail=""):
    """Return a row of the report."""
    row = {"photo": name, "result": result, "faces": 0, "confidence": "", "crops": []}
    return {**row, "detail": detail}


class _Crops:
    """The files of the crops."""

    def __init__(self, out, names, quality):
        self.out = out
        self.suffix = ".jpg" if quality <= 100 else ".png"
        self.stems, self.taken = {}, set()
        for name in names:
            # "a.jpg" and "a.png" of one folder are two photographs and must not share a crop.
            stem = name[:-4] if name.endswith(".jpg") else name
            while stem in self.taken:
                stem += "_"
            self.taken.add(stem)
            self.stems[name] = stem

    def write(self, name, encoded):
        """Write the crops of a photograph; return their names."""
        written = []
        for number, data in enumerate(encoded):
            stem = self.stems[name]
            if number:
                stem += f"_{number}"
                while stem in self.taken:  # "a_1.jpg" is a photograph too
                    stem += "_"
            target = self.out / f"{stem}{self.suffix}"
            os.makedirs(target.parent, exist_ok=True)
            with atomic_write(target) as file:
                file.write(data)
            written.append(f"{stem}{self.suffix}")
        return written

    def take_away(self, rows, but=()):
        """Remove the crops of `rows` that are none of `but`, and folders that are empty then."""
        kept = {crop for row in but for crop in row["crops"]}
        for crop in {crop for row in rows for crop in row["crops"]} - kept:
            path = self.out / crop
            with contextlib.suppress(OSError):
                path.unlink()
                path.parent.rmdir()


class _Task:
    """What is done with one photograph. Called by many threads."""

    def __init__(self, photos, crops, points, detector, several, confidence, size, quality):
        self.photos, self.crops, self.points, self.detector = photos, crops, points, detector
        self.several, self.confidence = several, confidence
        self.size, self.quality = size, quality

    def __call__(self, name):
        row, encoded = _row(name), []
        try:
            data = (self.photos / name).read_bytes()
        except OSError as error:  # its bytes and its time stay when that is mended
            return {**_row(name, "broken", f"it cannot be read: {error.strerror}"), "again": True}
        try:
            image, faces = self._faces(name, data, row)
            encoded = [self._crop(image, face) for face in faces]
        except (DataError, InputError) as error:
            row.update(result="broken", detail=str(error))
        row["crops"] = self.crops.write(name, encoded)
        return row

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

    def _crop(self, image, points):
        return images.encode(align_face(image, five_points(points), self.size), self.quality)
