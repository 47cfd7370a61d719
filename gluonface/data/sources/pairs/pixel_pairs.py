"""Pairs as decoded pixels: an array of all images, and whether each pair is of one person."""

from __future__ import annotations

import json
import math
import pathlib
import warnings

import numpy as np

from ....errors import DataError, InputError
from ....files import sha256
from ... import images
from ...text_files import numbered_lines
from .face_pairs import FacePairs
from .pair_list import read_label

__all__ = ["find_pixels", "open_pixels"]

COLORS = ("RGB", "BGR")


def find_pixels(path: pathlib.Path) -> pathlib.Path | None:
    """Return the array of pixels in a folder (or the .npy file itself), None if there is none."""
    if path.is_file():
        return path if (path.parent / "issame.txt").is_file() else None
    memory = path / "memfile" / "mem_file.dat"
    if memory.is_file():
        return memory
    if path.name == "memfile" and (path / "mem_file.dat").is_file():
        return path / "mem_file.dat"
    if not (path / "issame.txt").is_file():
        return None
    found = sorted(path.glob("*.npy"))
    named = [file for file in found if file.stem == path.name]
    if len(named or found) != 1:
        raise InputError(f"{path} has issame.txt, and {len(found)} files *.npy, not one")
    return (named or found)[0]


def open_pixels(path: pathlib.Path, color: str | None = None) -> FacePairs:
    """Return the pairs of an array of pixels; `images` gives them as PNG, which loses nothing.

    Parameters
    ----------
    path : pathlib.Path
        As `find_pixels` returns it: an .npy file, uint8 (2n, 3, H, W) or (2n, H, W, 3), or a
        memory-mapped file, float32 (x / 255 - 0.5) / 0.5.
    color : {"RGB", "BGR"}, optional
        The order of the channels. An .npy file is RGB; a memory-mapped file does not tell.

    Raises
    ------
    InputError
        When the order of the channels has to be said.
    DataError
        When the arrays are something else, or do not fit each other.
    """
    if color is not None and str(color).upper() not in COLORS:
        raise InputError(f"color is {color!r}; {' or '.join(COLORS)} was expected")
    memory = path.suffix != ".npy"
    if memory and color is None:
        raise InputError(
            f"{path}: the order of its channels is not in the file; say color RGB (face.evoLVe "
            "wrote it) or color BGR (AdaFace's convert.py did), with --color"
        )
    pixels = _map_memory(path) if memory else _load(path)
    if pixels.ndim != 4 or 3 not in (pixels.shape[1], pixels.shape[3]):
        raise DataError(
            f"{path} has the shape {pixels.shape}; (images, 3, height, width) was expected"
        )
    folder = path.parent.parent if memory else path.parent
    issame, source = (_memory_labels if memory else _text_labels)(folder)
    if len(pixels) != 2 * len(issame):
        raise DataError(
            f"{path} holds {len(pixels)} images and {source} {len(issame)} labels; a pair has two "
            f"images, so {2 * len(issame)} were expected"
        )
    first = pixels.shape[1] == 3
    reverse = (color or "RGB").upper() == "BGR"

    def read(number):
        image = _as_bytes(np.array(pixels[number]), f"{path}: image {number}")
        image = image.transpose(1, 2, 0) if first else image
        return images.encode(np.ascontiguousarray(image[:, :, ::-1] if reverse else image), 101)

    return FacePairs(
        folder.name,
        np.arange(len(pixels)).reshape(-1, 2),
        issame,
        read,
        lambda number: f"{path}: image {number}",
        len(pixels),
        inputs={str(path): sha256(path), str(source): sha256(source)},
    )


def _as_bytes(image, where):
    if image.dtype == np.uint8:
        return image
    values = (image.astype(np.float64) * 0.5 + 0.5) * 255
    if not np.isfinite(values).all() or values.min() < -1 or values.max() > 256:
        raise DataError(f"{where} has values beyond -1..1, which (x / 255 - 0.5) / 0.5 has not")
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _load(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header can raise nearly anything
        raise DataError(
            f"{path} is no array of NumPy, or is damaged: {str(error)[:200]}"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise DataError(f"{path} holds {getattr(array, 'dtype', 'no array')}; uint8 was expected")
    return array


def _map_memory(path):
    conf = path.with_name(path.name + ".conf")
    try:
        text = json.loads(conf.read_text(encoding="utf-8"))
        shape, dtype = [int(n) for n in text["shape"]], str(text["dtype"])
    except OSError as error:
        raise DataError(f"{conf} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f'{conf} is not {{"shape": [...], "dtype": "float32"}}: {error}') from error
    if dtype not in ("float32", "uint8") or min(shape, default=0) < 1:
        raise DataError(f"{conf} says {dtype[:20]} {shape[:9]}; float32 of four sizes was expected")
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if path.stat().st_size != size:
        raise DataError(f"{path} has {path.stat().st_size} bytes; {conf.name} says {size}")
    return np.memmap(path, dtype, "r", shape=tuple(shape))


def _text_labels(folder):
    file = folder / "issame.txt"
    labels = []
    for number, line in numbered_lines(file):
        label = read_label(line.strip())
        if label is None or line.strip().startswith("-"):
            raise DataError(f"{file}: line {number} is {line[:40]!r}; 1 or 0 was expected")
        labels.append(label)
    return labels, file


def _memory_labels(folder):
    names = [folder.parent / f"{folder.name}_list.npy", folder / f"{folder.name}_list.npy"]
    file = next((name for name in names if name.is_file()), None)
    if file is None:
        raise DataError(f"{names[0]} is not there; it says which pairs are of one person")
    try:
        array = np.load(file, allow_pickle=False)
    except Exception as error:
        raise DataError(
            f"{file} is no array of NumPy, or is damaged: {str(error)[:200]}"
        ) from error
    if array.ndim != 1 or array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise DataError(f"{file} has {array.dtype} of shape {array.shape}; n truth values expected")
    return array.astype(bool), file
