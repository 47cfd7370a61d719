"""Embeddings of a whole record set in one file, memory-mapped, bound to the set and to the model.

``NAME.npy`` is float16 or float32 (images, views, D): the outputs of a network, not normalised, for
each image of the set in the order of its index, and with two views for its mirror as well.
``NAME.json`` beside it says of which records and which model they are. Training reads rows of it as
a teacher's embeddings.
"""

from __future__ import annotations

import collections.abc
import hashlib
import pathlib
import typing

import numpy as np

from ..errors import DataError, InputError, shown
from ..files import StrPath, atomic_write, parse_json, sha256, write_json
from .embedding_origin import ModelIdentity

__all__ = ["StoredEmbeddings", "identify_records", "write_embeddings"]

FORM = "gluonface embeddings"
DTYPES = ("float16", "float32")
VIEWS = (1, 2)


def identify_records(dataset: typing.Any) -> dict[str, typing.Any]:
    """Return by what a `RecordDataset` is known: images, bytes of the .rec, SHA-256 of the .idx.

    The index has the place of every record, so another set, or another order, has another sum.
    The .rec file, which may be hundreds of gigabytes, is not read.
    """
    path = pathlib.Path(dataset.path)
    return {
        "images": len(dataset),
        "bytes": path.stat().st_size,
        "index_sha256": sha256(path.with_suffix(".idx")),
    }


def write_embeddings(
    path: StrPath,
    blocks: collections.abc.Iterable[np.ndarray],
    records: dict[str, typing.Any],
    model: ModelIdentity,
    views: int,
    dtype: str = "float16",
) -> tuple[int, int]:
    """Write embeddings block by block; nothing is left when it fails.

    Parameters
    ----------
    path : str or pathlib.Path
        Ends in ``.npy``.
    blocks : iterable of numpy.ndarray
        float32 (n, views, D), in the order of the set, as many as it has images.
    records : dict
        From `identify_records`.
    model : ModelIdentity
    views : {1, 2}
    dtype : {"float16", "float32"}

    Returns
    -------
    images, embedding_size : int

    Raises
    ------
    DataError
        If a value is beyond the range of float16, or the number of images is another.
    """
    path, count = pathlib.Path(path), 0
    size = int(typing.cast(int, model.embedding_size))
    shape = (records["images"], views, size)
    with atomic_write(path) as file:
        digest = hashlib.sha256()
        header = _Collected()
        descr = np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
        np.lib.format.write_array_header_1_0(
            header, {"descr": descr, "fortran_order": False, "shape": shape}
        )
        digest.update(header.content)
        file.write(header.content)
        for block in blocks:
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(block, np.dtype(dtype).newbyteorder("<"))
            if not np.isfinite(rows).all():
                raise DataError(
                    f"{path}: outputs of {model.name} from image {count} on reach "
                    f"{np.abs(block).max():g}, more than {dtype} can hold; add --dtype float32"
                )
            content = rows.tobytes()
            digest.update(content)
            file.write(content)
            count += len(rows)
        if count != shape[0]:
            raise DataError(f"{path}: {count} embeddings for {shape[0]} images")
    about = {
        "format": FORM,
        "version": 1,
        "images": count,
        "views": views,
        "embedding_size": size,
        "dtype": dtype,
        "model": model.to_dict(),
        "records": records,
        "sha256": digest.hexdigest(),
    }
    write_json(path.with_suffix(".json"), about)
    return count, size


class _Collected:
    """A file in memory."""

    def __init__(self):
        self.content = b""

    def write(self, content):
        self.content += content


class StoredEmbeddings:
    """The embeddings that `write_embeddings` wrote, memory-mapped.

    Parameters
    ----------
    path : str or pathlib.Path
        The ``.npy`` file.

    Attributes
    ----------
    images, views, embedding_size : int
    model : ModelIdentity
        That made them.
    sha256 : str
        Of the file, as it was written.

    Raises
    ------
    InputError
        If there is no such file.
    DataError
        If its description is missing or damaged, or does not fit.
    """

    def __init__(self, path: StrPath):
        self.path = pathlib.Path(path)
        self.about = self.path.with_suffix(".json")
        if self.path.suffix != ".npy" or not self.path.is_file():
            raise InputError(
                f"{self.path} is no .npy file of embeddings; `gluonface embed --model SOURCE "
                "--input RECORDS --views --out FILE.npy` writes one"
            )
        self._read_about()
        try:
            self._rows = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{self.path} is not an array: {error}. {self._remedy}") from error
        expected = (self.images, self.views, self.embedding_size)
        if self._rows.shape != expected or self._rows.dtype.name != self._dtype:
            raise DataError(
                f"{self.path} holds {self._rows.dtype} {self._rows.shape}, {self.about.name} says "
                f"{self._dtype} {expected}; they belong to different files. {self._remedy}"
            )

    _remedy = "Embed the set again"

    def _read_about(self):
        try:
            text = self.about.read_bytes()
        except OSError as error:
            raise DataError(
                f"{self.about}: {error.strerror}; it says of which set and model the embeddings "
                f"in {self.path.name} are. {self._remedy}"
            ) from error
        about = parse_json(text, self.about)
        checks: dict[str, typing.Callable] = {
            "format": lambda value: value == FORM,
            "version": lambda value: value == 1,
            "images": lambda value: type(value) is int and value > 0,
            "views": lambda value: value in VIEWS,
            "embedding_size": lambda value: type(value) is int and 0 < value < 1 << 20,
            "dtype": lambda value: value in DTYPES,
            "model": _is_model,
            "records": lambda value: isinstance(value, dict),
            "sha256": lambda value: isinstance(value, str) and len(value) == 64,
        }
        for key, check in checks.items():
            value = about.get(key) if isinstance(about, dict) else None
            if not check(value):
                raise DataError(
                    f"{self.about}: {key} is {shown(value)}, which `gluonface embed` does not "
                    f"write. {self._remedy}"
                )
        model = about["model"]
        self.model = ModelIdentity(model["name"], model["sha256"], about["embedding_size"])
        self.images, self.views = about["images"], about["views"]
        self.embedding_size, self._dtype = about["embedding_size"], about["dtype"]
        self.records, self.sha256 = about["records"], about["sha256"]

    def require_records(self, dataset: typing.Any) -> None:
        """Raise DataError unless the embeddings are of these records."""
        own = identify_records(dataset)
        words = {
            "images": "images",
            "bytes": "bytes in its .rec file",
            "index_sha256": "as the SHA-256 of its index",
        }
        for key, what in words.items():
            if self.records.get(key) != own[key]:
                raise DataError(
                    f"{self.path} is of a set with {shown(self.records.get(key))} {what}, "
                    f"{dataset.path} has {own[key]}: another set, or another order. Embed this "
                    f"one: gluonface embed --model SOURCE --input {dataset.path.parent} --views "
                    "--out FILE.npy"
                )

    def require_whole(self) -> None:
        """Raise DataError if the file is not as it was written. Reads all of it."""
        found = sha256(self.path)
        if found != self.sha256:
            raise DataError(
                f"{self.path} has the SHA-256 {found}, {self.about.name} says {self.sha256}; the "
                f"file was altered or cut. {self._remedy}"
            )

    def rows(self, index: np.ndarray, mirrored: np.ndarray | None = None) -> np.ndarray:
        """Return the embeddings of some images, float32 (n, D).

        Parameters
        ----------
        index : numpy.ndarray (n,) of int
            Positions in the set.
        mirrored : numpy.ndarray (n,) of bool, optional
            For which of them those of the mirrored image are wanted; with two views.
        """
        view = 0 if mirrored is None or self.views == 1 else np.asarray(mirrored, np.int64)
        return np.asarray(self._rows[np.asarray(index, np.int64), view], np.float32)

    def class_means(self, labels: np.ndarray, num_classes: int) -> ClassMeans:
        """Return the mean directions of the classes, as an array that is computed when read."""
        return ClassMeans(self, np.asarray(labels), num_classes)


class ClassMeans:
    """The mean of the unit embeddings of each class, (C, D), computed for the rows asked for.

    Only slices ``means[a:b]`` are read. A class without images has a row of zeros.
    """

    ndim = 2

    def __init__(self, stored, labels, num_classes):
        self._stored, self._labels = stored, labels
        self._order = np.argsort(labels, kind="stable")
        self.shape = (num_classes, stored.embedding_size)

    def __getitem__(self, rows):
        first, last, _ = rows.indices(self.shape[0])
        ordered = self._labels[self._order]
        begin, end = np.searchsorted(ordered, [first, last])
        means = np.zeros((max(0, last - first), self.shape[1]), np.float64)
        for start in range(begin, end, 1 << 14):
            index = self._order[start : min(end, start + (1 << 14))]
            for view in range(self._stored.views):
                some = self._stored.rows(index, np.full(len(index), bool(view)))
                some /= np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
                np.add.at(means, self._labels[index] - first, some)
        return means.astype(np.float32)


def _is_model(value):
    """Return whether a value has the form of `ModelIdentity.to_dict`."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    digests = value.get("sha256")
    return (
        isinstance(digests, dict)
        and bool(digests)
        and all(isinstance(each, str) and len(each) == 64 for each in digests.values())
    )
