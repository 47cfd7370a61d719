"""Verification packs from a list of pairs and a folder of images."""

from __future__ import annotations

import pathlib

from tqdm import tqdm

from ...errors import DataError, InputError
from ...files import StrPath
from .. import images
from ..sources.photo_folder import SUFFIXES
from ..text_files import numbered_lines, split_fields
from ..verification_pack import VerificationPack

__all__ = ["pack_pairs", "read_pairs"]


def pack_pairs(
    pairs: StrPath,
    root: StrPath,
    out: StrPath,
    size: int = 112,
    resize: bool = False,
    quality: int = 95,
    progress: bool = True,
) -> VerificationPack:
    """Write a verification pack.

    Parameters
    ----------
    pairs : str or pathlib.Path
        See `read_pairs`.
    root : str or pathlib.Path
        The folder of the images; ``ROOT/NAME/NAME_0001.jpg`` for pairs in LFW's form.
    out : str or pathlib.Path
        The ``.bin`` file.
    size : int, default 112
        Height and width of the images.
    resize : bool, default False
        Bring images of another size to it; by default they are an error, for photographs are to
        be aligned first (`align_photos`).
    quality : int, default 95
        JPEG quality of resized images; the bytes of the others stay as they are. Above 100: PNG.
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    VerificationPack

    Raises
    ------
    InputError, DataError
        Names the line of a pair whose image is missing or broken; no pair is left out.
    """
    images.check_size_and_quality(size, quality)
    listed = read_pairs(pairs)
    root = pathlib.Path(root)
    loaded: dict[str, bytes] = {}
    if not root.is_dir():
        raise InputError(
            f"{root} is not a folder; the one that the pairs' images are in was expected"
        )
    bins = []
    for line, first, second, _ in tqdm(listed, unit="pair", disable=None if progress else True):
        for name in (first, second):
            if name not in loaded:
                try:
                    data = _find(root, name).read_bytes()
                    loaded[name] = images.resize_encoded(data, size, resize, quality)
                except (DataError, OSError) as error:
                    reason = error.strerror if isinstance(error, OSError) else error
                    raise DataError(f"{pairs}: line {line}: {root / name}: {reason}") from error
            bins.append(loaded[name])
    pack = VerificationPack(bins, [same for *_, same in listed], name=pathlib.Path(out).stem)
    pack.save(out)
    return pack


def _find(root, name):
    """Return the path of an image; LFW's form has no suffixes."""
    path = root / name
    if path.suffix.lower() in SUFFIXES:
        return path
    for suffix in SUFFIXES:
        if path.with_name(path.name + suffix).exists():
            return path.with_name(path.name + suffix)
    return path.with_name(f"{path.name}.jpg")


def read_pairs(path: StrPath) -> list[tuple[int, str, str, bool]]:
    """Read a list of pairs.

    Parameters
    ----------
    path : str or pathlib.Path
        Either LFW's form, fields separated by tabs or blanks: a first line with one or two
        numbers, then ``NAME n1 n2`` for two images of a person and ``NAME1 n1 NAME2 n2`` for two
        people. Or a line ``image,image,same`` per pair, separated by commas, tabs or blanks, the
        images below the root and ``same`` 1 or 0.

    Returns
    -------
    list of (int, str, str, bool)
        Line number, the two images, whether they show the same person.

    Raises
    ------
    InputError
        When there is no such file.
    DataError
        Names the line that is something else.
    """
    lines, result = numbered_lines(path), []
    first = lines[0][1].split() if lines and lines[0][0] == 1 else []
    lfw = 1 <= len(first) <= 2 and all(word.isdigit() for word in first)
    for number, line in lines[1:] if lfw else lines:
        pair = (
            _lfw_pair(split_fields(line, "\t")) if lfw else _plain_pair(split_fields(line, ",\t"))
        )
        if pair is None:
            form = "NAME n1 n2 or NAME1 n1 NAME2 n2" if lfw else "image,image,1 or image,image,0"
            raise DataError(f"{path}: line {number} is {line[:60]!r}; {form} was expected")
        result.append((number, *pair))
    if not result:
        raise DataError(f"{path} lists no pairs")
    return result


def _lfw_pair(words):
    if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
        return _lfw_image(*words[:2]), _lfw_image(words[0], words[2]), True
    if len(words) == 4 and words[1].isdigit() and words[3].isdigit():
        return _lfw_image(*words[:2]), _lfw_image(*words[2:]), False
    return None


def _lfw_image(name, number):
    return f"{name}/{name}_{int(number):04d}"


def _plain_pair(fields):
    if len(fields) != 3 or fields[2] not in ("0", "1") or not (fields[0] and fields[1]):
        return None
    return fields[0], fields[1], fields[2] == "1"
