"""The forms in which people hold faces, one file per form, each read as a `FaceSource`.

`photo_folder` is no source: it finds photographs that are still to be aligned, and reads landmarks.
"""

from __future__ import annotations

import typing

from ...errors import InputError
from ...files import StrPath
from .options import SourceOptions
from .source import FaceSource

__all__ = ["FaceSource", "open_source"]


def open_source(
    path_or_paths: StrPath | typing.Sequence[StrPath],
    root: StrPath | None = None,
    person: str | int | None = None,
    split: str | None = None,
    strip: str | None = None,
    columns: typing.Mapping[str, str] | str | None = None,
    group: str | typing.Sequence[str] | None = None,
    allow_missing: bool = False,
) -> FaceSource:
    """Return faces with identities as one object, in whatever form they are held.

    What lies at the path says in which form: its first bytes, not its name.

    Parameters
    ----------
    path_or_paths : str, pathlib.Path, or a sequence of these
        Folders of people, list files, RecordIO, zip or tar archives, WebDataset shards, Parquet,
        Arrow, LMDB or TFRecord. ``{0000..0099}``, ``{a,b}`` and ``*`` stand for several files;
        several files are one set with shared identities.
    root : str or pathlib.Path, optional
        The folder to which the paths in a list are relative; by default that of the list.
    person : {"first", "last"} or int, optional
        Of images that lie deeper than PERSON/IMAGE: which folder is the person. ``last``: the path
        of the last folder, and the first one is the group. A number counts folders from the root.
    split : str, optional
        The split of a data set of Hugging Face, or ``all``.
    strip : str, optional
        A prefix to cut off the paths in a list.
    columns : dict of str to str, or str, optional
        Names of the columns of a table or list: ``{"path": ..., "identity": ...}``, ``image`` for
        Parquet, or the same as text, ``path=...,identity=...``. Of a list without a header:
        numbers from 1.
    group : str or sequence of str, optional
        Names of the columns of the group.
    allow_missing : bool, default False
        Read a list of which more than half of the images are not there. Fewer missing ones are left
        out with a warning.

    Returns
    -------
    FaceSource
        ``len``, ``identity(i)``, ``group(i)``, ``name(i)``, ``read(i)`` (the bytes as they are
        stored) and ``num_identities``.

    Raises
    ------
    InputError, DataError
        When it is none of these, is damaged, or can be read in two ways; says what was recognised.
    MissingExtraError
        When a package is missing; says which.
    """
    from .detect import open_files, open_folder
    from .shard_patterns import expand_paths

    options = SourceOptions(root, person, split, strip, columns, group, allow_missing)
    paths = expand_paths(path_or_paths)
    folders = [path for path in paths if path.is_dir()]
    if len(paths) == 1 and folders:
        return open_folder(paths[0], options)
    if not folders:
        return open_files(paths, options)
    if len(folders) < len(paths):
        other = next(path for path in paths if path not in folders)
        raise InputError(f"{folders[0]} is a folder and {other} a file; name things of one kind")
    from .folders import IdentityFolders

    options.allow("folders of people", "person")
    for path in folders:
        if not isinstance(open_folder(path, SourceOptions(person="first")), IdentityFolders):
            raise InputError(
                f"{path} is no folder of people; of several folders only those can be one set"
            )
    return IdentityFolders(folders, options.person)
