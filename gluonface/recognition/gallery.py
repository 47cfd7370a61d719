"""A gallery: the people that a system knows, in one SQLite file.

A transaction holds whole people, so that a process that is killed leaves no half of one. What is
removed is overwritten. Every embedding has a checksum, and one sum is over all other values: a
damaged file is refused, never searched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import sqlite3
import tempfile
import typing
import unicodedata
import zlib

import numpy as np
import numpy.typing as npt

from ..errors import DataError, InputError
from ..evaluation.scores.feature_matrix import unit_matrix
from .nearest import nearest

__all__ = [
    "TEMPLATES",
    "Added",
    "EnrolledFace",
    "Gallery",
    "check_name",
    "described",
    "make_templates",
]

APPLICATION, VERSION = 0x67666731, 1
PAGE = 8192  # bytes: 512 numbers fill half a page of SQLite's usual 4096, and two need another
WAIT = 5.0  # seconds for another process that writes
TEMPLATES = ("sum", "mean", "max")
LONGEST_NAME = 200

_FACE = "id, person, output, crc, norm, picture, picture_sha256, box, quality, added"
_SCHEMA = {
    "about": "CREATE TABLE about(key TEXT PRIMARY KEY, value TEXT)",
    "person": "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL)",
    "face": "CREATE TABLE face(id INTEGER PRIMARY KEY, "
    "person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE, output BLOB NOT NULL, "
    "crc INTEGER NOT NULL, norm REAL, picture TEXT, picture_sha256 TEXT, box TEXT, quality TEXT, "
    "added TEXT)",
    "face_person": "CREATE INDEX face_person ON face(person)",
    "face_picture_sha256": "CREATE INDEX face_picture_sha256 ON face(picture_sha256)",
}
_PRAGMAS = (
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA journal_mode=DELETE",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)
_NUMBER, _TEXT = {float, type(None)}, {str, type(None)}
_HEADER = b"SQLite format 3\0"


@dataclasses.dataclass(frozen=True, eq=False)
class EnrolledFace:
    """One face of a person.

    Attributes
    ----------
    output : numpy.ndarray, shape (D,)
        What the network gives, not normalised; of flip "sum" the sum of both outputs.
    picture : str or None
        Path of the picture, as it was given.
    picture_sha256 : str or None
        Of the picture's bytes. A picture is enrolled once.
    box : tuple of float or None
        (left, top, width, height) of the face in the picture, pixels.
    quality : dict or None
        What is known of the quality, as JSON can hold it.
    """

    output: np.ndarray
    picture: str | None = None
    picture_sha256: str | None = None
    box: tuple | None = None
    quality: dict | None = None


@dataclasses.dataclass(frozen=True)
class Added:
    """What `Gallery.add` did.

    Attributes
    ----------
    people, faces : int
        How many people are new, and how many faces.
    known : dict of str to int
        People who were there already, and how many faces they had.
    skipped : list of (str or None, str)
        Pictures that are enrolled already, and whose they are there.
    """

    people: int
    faces: int
    known: dict[str, int]
    skipped: list[tuple[str | None, str]]


class Gallery:
    """The people of a gallery file, with what was read when it was opened.

    `create` makes a file, `open` reads one. Changes are written at once.

    Parameters
    ----------
    path : str or pathlib.Path
        An existing gallery.

    Attributes
    ----------
    path : pathlib.Path
    about : dict
        ``model`` (name, sha256, embedding_size), ``flip``, ``input``, ``template``,
        ``calibration``, ``check``, ``created``.
    names : dict of int to str
        The people by their numbers, ascending.

    Raises
    ------
    InputError
        There is no such file.
    DataError
        It is no gallery, is damaged (the face is named), or is locked by another process.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.about: dict[str, typing.Any] = {}
        self.names: dict[int, str] = {}
        self._content = ""
        self._ids: list[int] = []
        self._rows: list[tuple] = []  # person, norm and the texts of each face
        self._blocks: list[np.ndarray] = []
        self._known: set[str | None] | None = None  # the SHA-256 of all pictures
        with self._connection() as db, _explained(self.path):
            db.execute("BEGIN")
            self._load(db)

    @classmethod
    def open(cls, path: str | os.PathLike) -> Gallery:
        """Read a gallery; the same as ``Gallery(path)``."""
        return cls(path)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike,
        model: typing.Mapping[str, typing.Any],
        flip: str = "sum",
        input: str = "crops",
        template: str = "sum",
        calibration: typing.Mapping[str, typing.Any] | None = None,
    ) -> Gallery:
        """Make an empty gallery, which only its owner may read.

        Parameters
        ----------
        path : str or pathlib.Path
            Where nothing is yet.
        model : dict
            ``name``, ``sha256`` (a dict by the kind of file), ``embedding_size``.
        flip : {"sum", "none", "concat"}
        input : str
            How faces were cut out: "crops", or the detector.
        template : {"sum", "mean", "max"}
            What stands for a person: the sum of the outputs, in which weak images weigh little;
            the mean of unit vectors; or the best of all faces.
        calibration : dict, optional
            As `Calibration.to_dict` gives it.

        Raises
        ------
        InputError
            Something is there already, or an argument is wrong.
        """
        path = pathlib.Path(path)
        if template not in TEMPLATES:
            raise InputError(f"template is {template!r}; expected one of {', '.join(TEMPLATES)}")
        size = model.get("embedding_size")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"embedding_size is {size!r}; expected a whole number, 1 or more")
        if not model.get("sha256"):
            raise InputError(
                f"{model.get('name') or 'the model'} has no sha256: random weights are others each "
                "time; a gallery needs a model from files"
            )
        about = {
            "model": dict(model),
            "flip": flip,
            "input": input,
            "template": template,
            "calibration": None if calibration is None else dict(calibration),
            "check": None,
            "created": _now(),
        }
        rows = {key: json.dumps(value, sort_keys=True) for key, value in about.items()}
        rows["content"] = str(sum(_row_sum("about", row) for row in rows.items()))
        try:
            handle, name = tempfile.mkstemp(
                prefix=f".{path.name}.", suffix=".part", dir=path.parent
            )
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}; choose a folder that is there and "
                "may be written"
            ) from None
        os.close(handle)  # mkstemp makes files that only the owner may read
        try:
            with (
                _explained(path),
                contextlib.closing(sqlite3.connect(name, isolation_level=None)) as db,
            ):
                db.execute("PRAGMA synchronous=FULL")
                db.execute(f"PRAGMA page_size={PAGE}")
                db.execute(f"PRAGMA application_id={APPLICATION}")
                db.execute(f"PRAGMA user_version={VERSION}")
                db.execute("BEGIN")
                for statement in _SCHEMA.values():
                    db.execute(statement)
                db.executemany("INSERT INTO about VALUES (?, ?)", rows.items())
                db.execute("COMMIT")
            os.link(name, path)  # unlike a renaming, this fails where something is
        except FileExistsError:
            raise InputError(f"{path} is there already; open it, or choose another name") from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        finally:
            os.unlink(name)
        return cls(path)

    # --- what is in it ----------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many faces there are."""
        return len(self._ids)

    @property
    def embedding_size(self) -> int:
        """The length of an embedding."""
        return self.about["model"]["embedding_size"]

    @property
    def outputs(self) -> np.ndarray:
        """The outputs of all faces, float32 (n, D), not normalised."""
        if len(self._blocks) != 1:
            empty = np.zeros((0, self.embedding_size), np.float32)
            self._blocks = [np.concatenate([empty, *self._blocks])]
        return self._blocks[0]

    @property
    def person(self) -> np.ndarray:
        """The number of each face's person, int64 (n,)."""
        return np.array([row[0] for row in self._rows], np.int64)

    @property
    def pictures(self) -> list[str | None]:
        """The path of each face's picture."""
        return [row[2] for row in self._rows]

    def holds_picture(self, picture_sha256: str) -> bool:
        """Return whether a picture with this SHA-256 is enrolled."""
        if self._known is None:
            self._known = {row[3] for row in self._rows}
        return picture_sha256 in self._known

    def templates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what stands for the people.

        Returns
        -------
        person : numpy.ndarray, shape (m,), int64
            Ascending. With the template "max" a person has a row for each face.
        templates : numpy.ndarray, shape (m, D), float32
            Of unit length.
        """
        return make_templates(self.outputs, self.person, self.about["template"])

    def search(self, outputs: np.ndarray, top: int = 5) -> list[list[tuple[str, float]]]:
        """Return the people who are nearest to each of some faces.

        Parameters
        ----------
        outputs : numpy.ndarray, shape (q, D)
            What the network gives; any length.
        top : int, default 5
            How many people, if there are so many.

        Returns
        -------
        list of list of (str, float)
            For each face names and cosines, the nearest first. Of equal ones the person who was
            enrolled first.
        """
        probes, _ = unit_matrix(outputs, "the faces to look for")
        if probes.shape[1] != self.embedding_size:
            raise InputError(
                f"the faces to look for have {probes.shape[1]} values, those in {self.path} "
                f"{self.embedding_size}; embeddings of one model were expected"
            )
        if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 1:
            raise InputError(f"top is {top!r}; expected a whole number, 1 or more")
        person, templates = self.templates()
        if not len(person):
            return [[] for _ in probes]
        most = int(np.max(np.unique(person, return_counts=True)[1]))  # 1, but for "max"
        cosines, rows = nearest(probes, templates, min(top * most, len(person)))
        found = []
        for scores, numbers in zip(cosines.tolist(), person[rows].tolist()):
            best: dict[int, float] = {}
            for score, number in zip(scores, numbers):
                best.setdefault(number, score)
            found.append([(self.names[n], score) for n, score in list(best.items())[:top]])
        return found

    def counts(self) -> dict[str, int]:
        """Return how many faces each person has, by name in the order of the names."""
        number = dict.fromkeys(self.names, 0)
        for row in self._rows:
            number[row[0]] += 1
        return dict(sorted((self.names[key], count) for key, count in number.items()))

    def require_model(
        self,
        model: typing.Mapping[str, typing.Any],
        flip: str | None = None,
        input: str | None = None,
    ) -> None:
        """Raise InputError unless embeddings of `model` may be compared with those in here.

        Parameters
        ----------
        model : dict
            ``name`` and ``sha256``.
        flip, input : str, optional
            As for `create`; None is not compared.
        """
        held = self.about["model"]
        if not set(held["sha256"].values()) & set(model.get("sha256", {}).values()):
            raise InputError(
                f"{self.path} holds embeddings of {described(held)}, not of {described(model)}; "
                "enrol again, or give that model with --model"
            )
        if flip not in (None, self.about["flip"]):
            raise InputError(
                f"{self.path} holds embeddings with flip {self.about['flip']!r}, not {flip!r}; "
                "the two are not comparable: enrol again, or give that flip"
            )
        if input not in (None, self.about["input"]):
            raise InputError(
                f"the faces in {self.path} were cut out by {self.about['input']!r}, not by "
                f"{input!r}; enrol again, or cut out the new ones in the same way"
            )

    # --- changes ----------------------------------------------------------------------------------

    def add(
        self, people: typing.Iterable[tuple[str, typing.Sequence[EnrolledFace]]], paths: bool = True
    ) -> Added:
        """Add faces of people; all or, if something is wrong, none.

        Parameters
        ----------
        people : iterable of (str, sequence of EnrolledFace)
            A name that is there already gets more faces. A picture whose SHA-256 is there already
            is skipped.
        paths : bool, default True
            Whether to store the paths of the pictures.

        Returns
        -------
        Added

        Raises
        ------
        InputError
            A name or an output cannot be stored; nothing was changed.
        DataError
            The gallery is locked, may not be written, or has been damaged.
        """
        groups = [(check_name(name), [self._checked(name, f) for f in faces])
                  for name, faces in people]  # fmt: skip
        with self._writing() as db:
            numbers = {name: key for key, name in self.names.items()}
            had = self.counts()
            owner = {row[3]: row[0] for row in self._rows if row[3] is not None}
            new_people: dict[int, str] = {}
            rows, outputs, skipped = [], [], []
            next_person = max(self.names, default=0) + 1
            next_face = max(self._ids, default=0) + 1
            touched = set()
            for name, faces in groups:
                fresh = []
                for face, output in faces:
                    if face.picture_sha256 is not None and face.picture_sha256 in owner:
                        person = owner[face.picture_sha256]
                        whose = self.names.get(person) or new_people[person]
                        skipped.append((face.picture, whose))
                    else:
                        number = numbers.get(name)
                        if number is None:
                            number = numbers[name] = next_person
                            new_people[number] = name
                            next_person += 1
                        if face.picture_sha256 is not None:
                            owner[face.picture_sha256] = number
                        fresh.append((face, output))
                if fresh:
                    touched.add(name)
                for face, output in fresh:
                    rows.append(_face_row(next_face, numbers[name], face, output, paths))
                    outputs.append(output)
                    next_face += 1
            total = sum(_row_sum("person", row) for row in new_people.items())
            total += sum(_face_sum(row) for row in rows)
            db.executemany("INSERT INTO person VALUES (?, ?)", new_people.items())
            db.executemany(f"INSERT INTO face({_FACE}) VALUES ({', '.join('?' * 10)})", rows)
            self._set_content(db, total)
        self.names.update(new_people)
        self._ids += [row[0] for row in rows]
        self._rows += [(row[1], *row[4:]) for row in rows]
        if outputs:
            self._blocks.append(np.stack(outputs))
        known = {name: had[name] for name in sorted(touched) if had.get(name)}
        return Added(len(new_people), len(rows), known, skipped)

    def remove(self, name: str) -> int:
        """Remove a person, overwrite what was stored, and return how many faces there were.

        Raises
        ------
        InputError
            There is nobody of that name.
        """
        with self._writing() as db:
            number = self._number(name)
            total = _row_sum("person", (number, self.names[number]))
            columns = _FACE.replace(" output,", "")
            gone = db.execute(f"SELECT {columns} FROM face WHERE person = ?", (number,)).fetchall()
            total += sum(_row_sum("face", row) for row in gone)
            db.execute("DELETE FROM face WHERE person = ?", (number,))
            db.execute("DELETE FROM person WHERE id = ?", (number,))
            self._set_content(db, -total)
        keep = [place for place, row in enumerate(self._rows) if row[0] != number]
        self._blocks = [self.outputs[keep]]
        self._ids = [self._ids[place] for place in keep]
        self._rows = [self._rows[place] for place in keep]
        del self.names[number]
        return len(gone)

    def rename(self, old: str, new: str) -> None:
        """Give a person another name.

        Raises
        ------
        InputError
            There is nobody called `old`, or somebody called `new`.
        """
        new = check_name(new)
        with self._writing() as db:
            number = self._number(old)
            if new in self.names.values():
                raise InputError(
                    f"{new!r} is in {self.path} already; two people need two names, and one person "
                    "under two names is joined by removing one and enrolling those pictures again"
                )
            db.execute("UPDATE person SET name = ? WHERE id = ?", (new, number))
            change = _row_sum("person", (number, new))
            self._set_content(db, change - _row_sum("person", (number, self.names[number])))
        self.names[number] = new

    def set_about(self, key: str, value: typing.Any) -> None:
        """Store the JSON value of ``check`` or ``calibration``."""
        with self._writing() as db:
            row = (key, json.dumps(value, sort_keys=True))
            (before,) = db.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
            db.execute("UPDATE about SET value = ? WHERE key = ?", (row[1], key))
            self._set_content(db, _row_sum("about", row) - _row_sum("about", (key, before)))
        self.about[key] = value

    def _number(self, name):
        name = unicodedata.normalize("NFC", str(name)).strip()
        for number, known in self.names.items():
            if known == name:
                return number
        import difflib

        near = difflib.get_close_matches(name, self.names.values(), 1)
        hint = f"; the nearest name is {near[0]!r}" if near else ""
        raise InputError(f"there is no {name!r} in {self.path}{hint}")

    def _checked(self, name, face):
        """Return the face and its output as it is stored."""
        output = np.asarray(face.output)
        what = f"the output for {face.picture or 'a face'} of {name}"
        if output.shape != (self.embedding_size,) or output.dtype.kind not in "fiu":
            raise InputError(
                f"{what} has shape {output.shape} and dtype {output.dtype}; {self.path} holds "
                f"embeddings of {self.embedding_size} numbers"
            )
        with np.errstate(over="ignore"):
            output = output.astype("<f4")
        if not np.isfinite(output).all() or not output.any():
            raise InputError(f"{what} is zero or not finite; it cannot be compared with anything")
        return face, output

    # --- the file ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _connection(self):
        """Yield an open file whose header and schema are those of a gallery."""
        path = self.path
        if not path.is_file():
            raise InputError(
                f"there is no gallery {path}; gluonface gallery enrol {path} PHOTOS makes one"
            )
        try:
            with open(path, "rb") as file:
                head = file.read(100)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        if not head.startswith(_HEADER) or len(head) < 100:
            raise DataError(f"{path} is no gallery: it is not a file of SQLite")
        if int.from_bytes(head[68:72], "big") != APPLICATION:
            raise DataError(f"{path} is a file of SQLite, but no gallery of gluonface")
        version = int.from_bytes(head[60:64], "big")
        if version != VERSION:
            raise DataError(f"{path} is a gallery of version {version}; expected {VERSION}")
        if head[18:20] != b"\x01\x01":
            raise DataError(f"{path} is damaged: its journal is not that of a gallery")
        # A process that was killed may have left a journal. Rolling it back is writing.
        address = f"{path.absolute().as_uri()}?mode=rw"
        with _explained(self.path):
            db = sqlite3.connect(address, timeout=WAIT, isolation_level=None, uri=True)
        with contextlib.closing(db), _explained(self.path):
            for pragma in _PRAGMAS:
                db.execute(pragma).fetchall()
            self._check_schema(db)
            yield db

    def _check_schema(self, db):
        held = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if dict(held) != _SCHEMA or len(held) != len(_SCHEMA):
            raise DataError(f"{self.path} is damaged: its tables are not those of a gallery")

    @contextlib.contextmanager
    def _writing(self):
        """Yield the file in a transaction that is kept when the block succeeds."""
        if not self.path.exists():
            raise InputError(f"there is no gallery {self.path} any more")
        # SQLite writes wherever root may. A file that nobody may write is meant to stay.
        if not self.path.stat().st_mode & 0o222 or not os.access(self.path, os.W_OK):
            raise DataError(
                f"{self.path} is read-only; nothing was changed. chmod u+w {self.path} allows it"
            )
        with self._connection() as db, _explained(self.path):
            db.execute("BEGIN IMMEDIATE")
            try:
                (content,) = db.execute("SELECT value FROM about WHERE key='content'").fetchone()
                if content != self._content:  # another process has written
                    self._load(db)
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                self._content = ""  # what is in memory may not be what is in the file
                raise

    def _set_content(self, db, change):
        self._known = None
        content = str((int(self._content) + change) % (1 << 64))
        db.execute("UPDATE about SET value = ? WHERE key = 'content'", (content,))
        self._content = content

    def _load(self, db):
        """Read and check everything."""
        about = dict(self._rows_of(db, "SELECT key, value FROM about", (str, str)))
        names = dict(self._rows_of(db, "SELECT id, name FROM person ORDER BY id", (int, str)))
        content = about.pop("content", None)
        total = sum(_row_sum("about", row) for row in about.items())
        total += sum(_row_sum("person", row) for row in names.items())
        self.about, size = self._read_about(about)
        ids, rows, blocks = [], [], []
        faces = db.execute(f"SELECT {_FACE} FROM face ORDER BY id")
        while True:
            some = faces.fetchmany(4096)
            if not some:
                break
            for row in some:
                self._check_face(row, size, names)
                total += _face_sum(row)
                ids.append(row[0])
                rows.append((row[1], *row[4:]))
            outputs = np.frombuffer(b"".join(row[2] for row in some), "<f4").reshape(-1, size)
            bad = ~np.isfinite(outputs).all(axis=1) | ~outputs.any(axis=1)
            if bad.any():
                number = some[int(np.argmax(bad))][0]
                raise self._damaged(f"the embedding of face {number} is zero or not finite")
            blocks.append(outputs.astype(np.float32, copy=False))
        if content != str(total % (1 << 64)):
            raise self._damaged("its values do not add up to the sum that it was written with")
        self.names, self._content = names, content
        self._ids, self._rows, self._blocks = ids, rows, blocks

    def _rows_of(self, db, query, types):
        for row in db.execute(query):
            if tuple(map(type, row)) != types:
                raise self._damaged(f"it holds {str(row)[:80]} among its texts")
            yield row

    def _read_about(self, rows):
        try:
            about = {key: json.loads(value) for key, value in rows.items()}
            model = about["model"]
            size = model["embedding_size"]
            digests = model["sha256"].values()
            right = (
                isinstance(size, int)
                and 0 < size <= 1 << 16
                and all(isinstance(digest, str) for digest in digests)
                and about["template"] in TEMPLATES
                and isinstance(about["flip"], str)
                and isinstance(about["input"], str)
                and {"calibration", "check", "created"} <= about.keys()
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            right = False
        if not right:
            raise self._damaged("what it says of its model cannot be read")
        return about, size

    def _check_face(self, row, size, names):
        number, person, output, crc, norm, *texts = row
        right = (
            isinstance(output, bytes)
            and len(output) == 4 * size
            and isinstance(person, int)
            and crc == _crc(number, person, output)
        )
        if not right:
            raise self._damaged(f"the embedding of face {number} does not have its checksum")
        if person not in names:
            raise self._damaged(f"face {number} is of person {person}, who is not in it")
        if type(norm) not in _NUMBER or not _TEXT.issuperset(map(type, texts)):
            raise self._damaged(f"a value of face {number} is of another type")

    def _damaged(self, reason):
        return DataError(f"{self.path} is damaged: {reason}; use a backup")


@contextlib.contextmanager
def _explained(path):
    """Turn the errors of SQLite into sentences."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise DataError(
                f"{path} is locked: {_lockers(path)} uses it (waited {WAIT:g} s); "
                "try again when that has ended"
            ) from None
        if "readonly" in text or "unable to open" in text:
            raise DataError(
                f"{path} may not be written, or its folder may not, where SQLite keeps "
                f"its journal ({text}); change the permissions, or copy the gallery"
            ) from None
        if "full" in text:
            raise DataError(f"{path}: the disk is full; nothing was changed") from None
        if "disk I/O" in text:
            raise DataError(
                f"{path} cannot be written or read ({text}): a limit of the file's size or of the "
                "user's space, or a fault of the disk; nothing was changed"
            ) from None
        raise DataError(f"{path} is damaged: {text}; use a backup") from None


def make_templates(
    outputs: np.ndarray,
    person: np.ndarray,
    template: str = "sum",
    dtype: npt.DTypeLike = np.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the people, ascending, and their templates.

    Parameters
    ----------
    outputs : numpy.ndarray, shape (n, D)
        Not normalised.
    person : numpy.ndarray of int, shape (n,)
    template : {"sum", "mean", "max"}
    dtype : default float32
        Of the templates.

    Returns
    -------
    person : numpy.ndarray, shape (m,)
    templates : numpy.ndarray, shape (m, D)
        Of unit length. With "max", a row for each face.
    """
    order = np.argsort(person, kind="stable")
    if template == "max":
        return person[order], unit_matrix(outputs[order], "outputs", dtype)[0]
    people, starts = np.unique(person[order], return_index=True)
    sums = np.empty((len(people), outputs.shape[1]))
    ends = np.append(starts[1:], len(order))
    for place, (start, end) in enumerate(zip(starts, ends)):
        own = outputs[order[start:end]].astype(np.float64)
        if template == "mean":
            own /= np.linalg.norm(own, axis=1, keepdims=True)
        sums[place] = own.sum(axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return people, (sums / np.where(norms > 0, norms, 1)).astype(dtype)


def check_name(name: typing.Any) -> str:
    """Return the name of a person as it is stored, or raise InputError."""
    text = unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else ""
    try:
        text.encode()
    except UnicodeEncodeError:  # a half of a pair, as a file name that is no UTF-8 gives
        text = ""
    wrong = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
    if not text or wrong or "/" in text or len(text) > LONGEST_NAME:
        raise InputError(
            f"{str(name)[:80]!r} is no name of a person; expected 1 to {LONGEST_NAME} letters "
            "without / and control characters"
        )
    return text


def described(model: typing.Mapping[str, typing.Any]) -> str:
    """Return the name of a model with the beginning of its SHA-256."""
    digests = list(model.get("sha256", {}).values())
    digest = f"sha256 {digests[0][:12]}..." if digests else "no sha256"
    return f"{model.get('name') or 'a model without name'} ({digest})"


def _now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _crc(number, person, output):
    head = number.to_bytes(8, "little", signed=True) + person.to_bytes(8, "little", signed=True)
    return zlib.crc32(output, zlib.crc32(head))


def _face_row(number, person, face, output, paths):
    content = output.tobytes()
    return (
        number,
        person,
        content,
        _crc(number, person, content),
        float(np.sqrt(np.square(output, dtype=np.float64).sum())),
        _text(face.picture) if paths else None,
        face.picture_sha256,
        None if face.box is None else json.dumps([float(v) for v in face.box]),
        None if face.quality is None else json.dumps(face.quality, sort_keys=True),
        _now(),
    )


def _text(path):
    """Return a path as text: bytes of a file name that are no UTF-8 become escapes."""
    return None if path is None else path.encode("utf-8", "backslashreplace").decode()


def _row_sum(table, row):
    """Return the checksum of a row; the sum of all is stored under ``content``."""
    return zlib.crc32(repr((table, *row)).encode("utf-8", "surrogatepass"))


def _face_sum(row):
    return _row_sum("face", (*row[:2], *row[3:]))  # the output has its own checksum


def _lockers(path):
    """Return who holds a lock of a file, as text."""
    status = os.stat(path)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if device in fields and fields[4].isdigit() and int(fields[4]) != os.getpid():
                return f"process {fields[4]}"
    return "another process"
