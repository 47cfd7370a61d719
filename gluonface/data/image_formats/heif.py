"""HEIC and AVIF photographs, which Pillow reads: OpenCV's packages have no decoder for them."""

from __future__ import annotations

import io
import typing
import warnings

import numpy as np

from ...errors import DataError

__all__ = ["decode_heif", "heif_defect", "heif_format", "heif_size"]

_BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIC": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
}


def heif_format(data: bytes) -> str | None:
    """Return ``"AVIF"`` or ``"HEIC"`` by the brands in the first bytes; None for other files."""
    if data[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length - 3, 4))}
    return next((name for name, known in _BRANDS.items() if brands & known), None)


def heif_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) as it is shown; None when it cannot be read here."""
    try:
        width, height = _open(data).size
    except DataError:
        return None
    return height, width


def heif_defect(data: bytes) -> str | None:
    """Return why the header of a HEIC or AVIF image cannot be read here; None when it can."""
    try:
        _open(data)
    except DataError as error:
        return str(error)
    return None


def decode_heif(data: bytes) -> np.ndarray:
    """Decode a HEIC or AVIF image to uint8 (H, W, 3), blue first, upright.

    Raises
    ------
    DataError
        When it is damaged, or no package that reads the format is installed.
    """
    from PIL import ImageOps

    image = _open(data)
    try:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # decoders of plug-ins raise what they like
        raise DataError(f"it is a damaged {heif_format(data)} image: {error}") from error
    return np.ascontiguousarray(np.asarray(upright)[..., ::-1])


def _open(data) -> typing.Any:
    """Return the image, its pixels not yet decoded."""
    name = heif_format(data)
    opener = _opener(name)
    if opener is None:
        raise DataError(
            f"it is {'an' if name == 'AVIF' else 'a'} {name} image, and no package that reads "
            "those is installed: pip install pillow-heif, or convert it to JPEG"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a large picture; `find_defect` has the limit
            return opener(io.BytesIO(data))
    except Exception as error:
        raise DataError(f"it is a damaged {name} image: {error}") from error


def _opener(name):
    """Return a function that opens a file with Pillow, or None."""
    from PIL import Image, features

    if name == "AVIF" and features.check("avif"):
        return lambda file: Image.open(file, formats=["AVIF"])
    try:
        import pillow_heif
    except ImportError:
        return None
    return pillow_heif.HeifImageFile
