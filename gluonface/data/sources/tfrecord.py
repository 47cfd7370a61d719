"""Faces in TFRecord files: labels in the records, or in TFace's list beside them."""

from __future__ import annotations

import os
import pathlib
import re
import typing

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from .. import images
from ..formats.file_kind import is_image
from ..formats.tf_records import TFRecordFile, parse_example
from ..text_files import numbered_lines
from .list_columns import IDENTITY_COLUMNS, choose_column, shorten
from .source import FaceSource, number_keys

__all__ = ["TFRecordFeatures", "TFRecordList", "is_record_list"]

_IMAGE_FEATURES = ("image/encoded", "image_raw", "image", "jpeg", "img", "encoded")
_LABEL_FEATURES = (
    *IDENTITY_COLUMNS, "image/source_id", "image/class/label", "image/label", "image/identity"
)  # fmt: skip
_KEPT_OPEN = 200
_BGR_SIDE = 112


class _Records(FaceSource):
    """Images that lie at offsets in files."""

    def __init__(self, files, which, offsets, labels, keys):
        self.files = files
        self._which = np.asarray(which, np.int32)
        self._offsets = np.asarray(offsets, np.int64)
        self.labels, self.keys = labels, keys

    def _record(self, index):
        file = self.files[int(self._which[index])]
        offset = int(self._offsets[index])
        try:
            return parse_example(file.record(offset))
        except DataError as error:
            if str(file.path) in str(error):
                raise
            raise DataError(f"{file.path}: the record at byte {offset}: {error}") from error

    def name(self, index: int) -> str:
        """See `FaceSource`. The file and the byte at which the record begins."""
        path = self.files[int(self._which[index])].path
        return f"{path}: record at byte {int(self._offsets[index])}"

    def stamp(self) -> list:
        """See `FaceSource`. Path, bytes and modification time of the files."""
        states = [(file.path, os.stat(file.path)) for file in self.files]
        return [[str(path), state.st_size, state.st_mtime_ns] for path, state in states]


class TFRecordFeatures(_Records):
    """TFRecord files whose records have an image and a label.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    columns : dict of str to str
        Names of the features ``image``, ``identity`` and ``group``, where they are not known ones.

    Raises
    ------
    InputError
        When there is no image or no label in the records; the features are listed.
    DataError
        When a file is damaged.
    """

    kind = "tfrecord"

    def __init__(
        self, paths: typing.Sequence[pathlib.Path], columns: typing.Mapping[str, str] | None = None
    ):
        columns = columns or {}
        files = [TFRecordFile(path, len(paths) <= _KEPT_OPEN) for path in paths]
        which, offsets, identities = [], [], []
        self._image: str | None = None
        self._left_out: list[tuple[str, str]] = []
        label: str | None = None
        for number, file in enumerate(files):
            for offset in file.offsets().tolist():
                try:
                    features = parse_example(file.record(offset, check=False))
                except DataError as error:
                    if str(file.path) in str(error):
                        raise
                    raise DataError(f"{file.path}: the record at byte {offset}: {error}") from error
                if self._image is None:
                    self._image, label = _choose(features, columns, file.path)
                who = _label(features.get(label or ""), f"{file.path}, byte {offset}: {label}")
                if who == "-1":
                    self._left_out.append((f"{file.path}: record at byte {offset}", "nobody"))
                    continue
                which.append(number)
                offsets.append(offset)
                identities.append(who)
        if not which:
            raise InputError(f"{paths[0]} is a TFRecord file without images")
        super().__init__(files, which, offsets, *number_keys(identities))

    def read(self, index: int) -> bytes:
        """See `FaceSource`. Bare BGR pixels of 112 x 112 become a PNG."""
        kind, values = self._record(index).get(self._image, ("none", []))
        if kind != "bytes" or len(values) != 1:
            raise DataError(f"{self.name(index)} has no {self._image}")
        data = values[0]
        if len(data) == 3 * _BGR_SIDE**2 and not is_image(data):
            pixels = np.frombuffer(data, np.uint8).reshape(_BGR_SIDE, _BGR_SIDE, 3)
            return images.encode(np.ascontiguousarray(pixels[..., ::-1]), 101)
        return data

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Records of nobody."""
        return self._left_out


def _choose(features, columns, path):
    """Return the names of the features of image and label."""
    there = f"{path} is a TFRecord file whose records have {shorten(features) or 'no features'}"
    image = columns.get("image") or columns.get("path")
    if image is None:
        known = [name for name in _IMAGE_FEATURES if features.get(name, ("",))[0] == "bytes"]
        sniffed = [
            name
            for name, (kind, values) in features.items()
            if kind == "bytes" and len(values) == 1 and is_image(values[0])
        ]
        found = known[:1] or sniffed
        if len(found) != 1:
            raise InputError(
                f"{there}; no image is among them, perhaps only its path. Records with the bytes "
                "of an image were expected (--columns image=NAME,identity=NAME)"
            )
        image = found[0]
    label = columns.get("identity")
    if label is None:
        found = choose_column([n for n in features if n != image], _LABEL_FEATURES)
        found = [name for name in found if features[name][0] in ("int64", "bytes")]
        if not found:
            raise InputError(
                f"{there}, no label. Of TFace's sets name the list, NAME.txt (lines NAME, shard, "
                "offset, label); else say --columns image=NAME,identity=NAME"
            )
        if len(found) > 1 and "label" in found:
            found = (
                ["label"]
                if not any(n in IDENTITY_COLUMNS for n in found if n != "label")
                else found
            )
        if len(found) > 1:
            raise InputError(
                f"{there}; {' and '.join(found)} may be the identity: say --columns identity=NAME"
            )
        label = found[0]
    for name in (image, label):
        if name not in features:
            raise InputError(f"{there}; there is no {name}")
    return image, label


def _label(feature, where):
    kind, values = feature if feature is not None else ("none", [])
    if kind not in ("int64", "bytes") or len(values) != 1:
        raise DataError(f"{where} has {len(values)} values of kind {kind}; one label was expected")
    value = values[0].decode("utf-8", "replace") if kind == "bytes" else str(values[0])
    if not value or len(value) > 500:
        raise DataError(f"{where} is {value[:40]!r}; a label was expected")
    return value


_LINE = re.compile(r"([^\t]+)\t([0-9]{1,5})\t([0-9]{1,18})\t(-?[0-9]{1,18})\s*")


def is_record_list(path: StrPath) -> bool:
    """Return whether a text file is TFace's list: four fields, three of them whole numbers.

    A list of images has an image's suffix in a field; its first fields may be numbers too.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        lines = [line.rstrip("\r\n") for line, _ in zip(file, range(50))]
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    return bool(lines) and all(_LINE.fullmatch(line) for line in lines)


class TFRecordList(_Records):
    """TFace's list of records: a line ``NAME<TAB>shard<TAB>offset<TAB>label`` per image.

    Parameters
    ----------
    path : str or pathlib.Path
        The list; it may leave records out.
    root : str or pathlib.Path, optional
        The folder with ``NAME/NAME-00000.tfrecord``; by default that of the list.

    Raises
    ------
    InputError
        When a file that it names is missing.
    DataError
        Names the line that is something else.
    """

    kind = "tfrecord"

    def __init__(self, path: StrPath, root: StrPath | None = None):
        folder = pathlib.Path(root) if root is not None else pathlib.Path(path).parent
        shards: dict[tuple[str, int], int] = {}
        files: list[TFRecordFile] = []
        which, offsets, identities = [], [], []
        self._left_out: list[tuple[str, str]] = []
        for number, line in numbered_lines(path):
            found = _LINE.fullmatch(line)
            if not found:
                raise DataError(
                    f"{path}: line {number} is {line[:60]!r}; NAME, shard, offset, label, parted "
                    "by tabs, were expected"
                )
            name, shard = found[1], int(found[2])
            if found[4] == "-1":
                self._left_out.append((f"{path}: line {number}", "its label is -1, nobody"))
                continue
            if (name, shard) not in shards:
                shards[name, shard] = len(files)
                files.append(_open_shard(path, folder, name, shard))
            which.append(shards[name, shard])
            offsets.append(int(found[3]))
            identities.append(int(found[4]))
        if not which:
            raise DataError(f"{path} lists no images")
        labels = np.array(identities, np.int64)
        super().__init__(files, which, offsets, *number_keys(labels))
        first = self._record(0)  # another set's records, or offsets, show at once
        if first.get("image", ("",))[0] != "bytes":
            raise InputError(
                f"{files[0].path}: its records have {shorten(first) or 'no features'}, not image"
            )

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        kind, values = self._record(index).get("image", ("none", []))
        if kind != "bytes" or len(values) != 1:
            raise DataError(f"{self.name(index)} has no image")
        return values[0]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Lines of nobody."""
        return self._left_out


def _open_shard(path, folder, name, shard):
    if name in (".", "..") or set(name) & set("/\\") or not name.isprintable() or len(name) > 200:
        raise DataError(f"{path} names the set {name[:60]!r}; the name of a folder was expected")
    file = folder / name / f"{name}-{shard:05d}.tfrecord"
    if not file.is_file():
        raise InputError(
            f"{path} is a list of TFRecords of TFace, but {file} is not there; --root DIR says "
            f"where {name}/ is (root=)"
        )
    real, base = os.path.realpath(file), os.path.realpath(folder)
    if not real.startswith(base.rstrip("/") + "/"):
        raise InputError(f"{path}: {file} is outside {folder}; --root DIR says where the files are")
    return TFRecordFile(file)
