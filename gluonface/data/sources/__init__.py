"""The forms in which people hold faces, one file per form, each read as a `FaceSource`.

`photo_folder` is no source: it finds photographs that are still to be aligned, and reads landmarks.
"""

from __future__ import annotations

import pathlib

from ...errors import InputError
from ...files import StrPath
from .source import FaceSource

__all__ = ["FaceSource", "open_source"]


def open_source(path: StrPath, root: StrPath | None = None) -> FaceSource:
    """Return the faces at a path as a source; what lies there says in which form they are.

    Parameters
    ----------
    path : str or pathlib.Path
        A folder with a folder of images per person, a list file, or a record set.
    root : str or pathlib.Path, optional
        The folder to which the paths in a list file are relative; by default that of the list.

    Raises
    ------
    InputError, DataError
        When it is none of these.
    """
    from .folders import IdentityFolders
    from .list_file import ListFile
    from .records import Records

    path = pathlib.Path(path)
    if path.suffix == ".rec" or (path.is_dir() and list(path.glob("*.rec"))):
        return Records(path)
    if path.is_dir():
        return IdentityFolders(path)
    if path.is_file():
        return ListFile(path, root)
    raise InputError(
        f"{path} is not there; a folder of people, a list file or a record set was expected"
    )
