"""Verification packs from pairs of faces in any form."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Sequence

from tqdm import tqdm

from ...errors import DataError
from ...files import StrPath
from .. import images
from ..sources.pairs import open_pairs
from ..verification_pack import VerificationPack

__all__ = ["pack_pairs"]


def pack_pairs(
    pairs: StrPath | Sequence[StrPath],
    root: StrPath | None,
    out: StrPath,
    size: int = 112,
    resize: bool = False,
    quality: int = 95,
    progress: bool = True,
    **options: typing.Any,
) -> VerificationPack:
    """Write a verification pack.

    Folds and groups of the pairs are kept in it, where other readers stop.

    Parameters
    ----------
    pairs : str or pathlib.Path, or a list of them
        See `gluonface.data.open_pairs`.
    root : str or pathlib.Path, or None
        The folder of the images, None where the pairs say where they are. For pairs in LFW's form
        that of ``NAME/NAME_0001.jpg``.
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
    **options
        The other options of `open_pairs`.

    Returns
    -------
    VerificationPack

    Raises
    ------
    InputError, DataError
        Names the line of a pair whose image is missing, or the image that is broken; no pair is
        left out.
    """
    images.check_size_and_quality(size, quality)
    opened = open_pairs(pairs, root=root, **options)
    loaded = []
    numbers = tqdm(range(opened.num_images), unit="image", disable=None if progress else True)
    for number in numbers:
        try:
            loaded.append(images.resize_encoded(opened.read(number), size, resize, quality))
        except DataError as error:
            raise DataError(f"{opened.name}: {opened.image_name(number)}: {error}") from error
    pack = VerificationPack(
        [loaded[number] for pair in opened.sides.tolist() for number in pair],
        opened.issame.tolist(),
        name=pathlib.Path(out).stem,
        folds=None if opened.folds is None else opened.folds.tolist(),
        groups=opened.groups,
        group_lists=opened.group_lists,
    )
    pack.save(out)
    return pack
