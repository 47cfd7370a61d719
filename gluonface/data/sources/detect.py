"""In which form faces lie at a path: what is there decides, not its name."""

from __future__ import annotations

import os
import pathlib
import re
import typing

from ...errors import DataError, InputError
from ..formats.file_kind import FileKind, recognise_file
from .options import SourceOptions
from .photo_folder import SUFFIXES, is_junk, is_photo
from .shard_patterns import require_complete
from .source import FaceSource, natural_key

__all__ = ["open_files", "open_folder"]

_SPLITS = {"train", "test", "val", "valid", "validation", "dev"}
_LOOKED = 10_000  # files in folders that are looked into, where there are no images
CONTAINERS = ("zip", "tar", "parquet", "arrow", "arrow stream", "lmdb", "tfrecord")
_SUFFIXES = {
    ".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".parquet", ".arrow", ".lmdb", ".mdb", ".tfrecord"
}  # fmt: skip
_LISTS = (".txt", ".csv", ".tsv", ".lst")
_HINTS = {
    "pickle": "it is not opened, for it can run code. Export a table of pandas as CSV; a "
    "verification pack, of pairs, is for `gluonface eval verification --pack`",
    "pandas pickle": "it is not opened, for it can run code: export it as CSV",
    "torch": "export its images, or name the source that it was made of",
    "npz": "NumPy arrays have no encoded images",
    "npy": "NumPy arrays have no encoded images",
    "mat": "a list of pairs? Name its folder",
    "image": "name the folder that it is in",
    "split zip": "join the parts with `zip -s 0`",
    "recordio": "its name should end with .rec",
}
# What stands before the number of a shard: the split, in files of Hugging Face.
_SHARD = re.compile(r"(.*?)[-_.]?[0-9]+(-of-[0-9]+)?(-[0-9a-f]{16})?\.[a-z.]+", re.IGNORECASE)


def open_folder(path: pathlib.Path, options: SourceOptions) -> FaceSource:
    """Return the faces in a folder; see `open_source`."""
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        from .tables.arrow_files import ArrowFiles, saved_files

        options.allow("a data set that save_to_disk wrote", "split", "columns", "group")
        files, features = saved_files(path, options.split)
        return ArrowFiles(files, options.columns, options.group, features)
    if any(path.glob("*.rec")):
        from .records import Records, record_files

        options.allow("records", "split")
        return Records(record_files(path, options.split))
    if (path / "data.mdb").is_file():
        return open_files([path / "data.mdb"], options)
    _refuse_pairs(path)
    files, folders = _look(path)
    kinds = {name: _kind(path / name) for name in files if not is_photo(name)}
    held = {name: kind for name, kind in kinds.items() if kind.form in CONTAINERS}
    photos = any(map(is_photo, files)) or any(_has_photos(path / name) for name in folders)
    if held and photos:
        name = next(iter(held))
        raise InputError(
            f"{path} is of mixed kinds: there are images in folders, and {path / name} is "
            f"{held[name].title}. Name the archives, or the folders"
        )
    if photos:
        from .folders import IdentityFolders

        options.allow("folders of people", "person")
        return IdentityFolders(path, options.person)
    if not held:
        lists = [name for name, kind in kinds.items() if kind == FileKind("text")]
        lists = [name for name in lists if name.lower().endswith(_LISTS)]
        if lists:
            from .list_file import ListFile

            return _list_file(
                ListFile, [path / name for name in lists], options, root=path, group_by_list=True
            )
        others = [file for name in folders for file in _all_files(path / name)][:_LOOKED]
        below = [file for file in others if _kind(file).form in CONTAINERS]
        if below:
            return _shards(path, below, options)
        suffixes = sorted({file.suffix.lower() for file in others if file.suffix})[:5]
        raise InputError(
            f"{path} has no photographs ({', '.join(SUFFIXES)}), in folders or not"
            + "".join(f"; {name} is {kind.title}" for name, kind in list(kinds.items())[:3])
            + (f"; there are files with {', '.join(suffixes)}: convert images" if suffixes else "")
        )
    return _shards(path, [path / name for name in held], options)


def _kind(path):
    """Return what a file in a folder is; a page of the web beside faces is nothing to stop at."""
    try:
        return recognise_file(path)
    except DataError:
        if path.suffix.lower() in _SUFFIXES:
            raise
        return FileKind("binary")


def _look(path):
    """Return the names of the files and folders of a folder, in natural order, without junk."""
    try:
        with os.scandir(path) as entries:
            found = [
                (entry.name, entry.is_dir())
                for entry in entries
                if not is_junk(entry.name) and (entry.is_dir() or entry.is_file())
            ]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    found.sort(key=lambda item: natural_key(item[0]))
    files = [name for name, is_folder in found if not is_folder]
    return files, [name for name, is_folder in found if is_folder]


def _walk(path):
    for folder, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if os.path.islink(folder) and os.path.realpath(path).startswith(real):
            folders[:] = []  # a link to a folder above: an endless loop
            continue
        folders[:] = sorted((name for name in folders if not is_junk(name)), key=natural_key)
        yield folder, sorted((name for name in files if not is_junk(name)), key=natural_key)


def _has_photos(path):
    return any(is_photo(name) for _, files in _walk(path) for name in files)


def _all_files(path):
    return [pathlib.Path(folder, name) for folder, files in _walk(path) for name in files]


def _refuse_pairs(path):
    """Raise InputError for folders of pairs, which are for `open_pairs`."""
    cfp = path / "Protocol" if (path / "Protocol").is_dir() else path
    if (cfp / "Split").is_dir() and list(cfp.glob("Pair_list_*.txt")):
        raise InputError(
            f"{path} is the protocol of CFP, which are pairs: see `gluonface eval verification`. "
            "For its images as people name the folder Data/Images"
        )
    tables = [*path.glob("*pairs*.mat"), *path.glob("Testing_Set/*pairs*.mat")]
    if tables:
        raise InputError(
            f"{path} has {tables[0].name}, a protocol of pairs or of a search (QMUL-SurvFace, "
            "TinyFace): see `gluonface eval verification` and `gluonface eval identification`. Its "
            "folders are no people"
        )
    if (path / "txts").is_dir() and (path / "data").is_dir():
        raise InputError(
            f"{path} is laid out as RFW, which are pairs: see `gluonface eval verification`. For "
            f"its images as people name {path / 'data'}, with --person last"
        )


def _shards(path, files, options):
    """Open the files in a folder that are archives or shards of one kind; choose a split."""
    splits: dict[str, list[pathlib.Path]] = {}
    for file in files:
        found = _SHARD.fullmatch(file.name)
        name = found[1] if found and found[1] else ""
        if not name and file.parent != path:
            name = file.parent.name
        splits.setdefault(name, []).append(file)
    named = options.split
    if named is not None and named != "all":
        if named not in splits:
            raise InputError(
                f"{path} has no split {named}; it has {', '.join(filter(None, splits)) or 'none'}"
            )
        files = splits[named]
    elif named is None and len(splits) > 1 and _are_splits(files[0], splits):
        raise InputError(
            f"{path} has the splits {', '.join(splits)}; say which, or all: --split NAME (split=)"
        )
    require_complete(files)
    return open_files(files, options, folder=path)


def _are_splits(file, names):
    """Return whether what stands before the numbers of shards are splits, not parts of a set."""
    words = {re.split(r"[-_.]", name.lower())[-1] for name in names}
    return bool(words & _SPLITS) or _kind(file).form in ("parquet", "arrow", "arrow stream")


def open_files(
    paths: typing.Sequence[pathlib.Path],
    options: SourceOptions,
    folder: pathlib.Path | None = None,
) -> FaceSource:
    """Return the faces in files that are one set; see `open_source`.

    `folder` is what the user named, where the files were found in it.
    """
    if all(path.suffix.lower() == ".rec" for path in paths):
        from .records import Records

        options.allow("records")
        return Records(paths)
    kinds = [recognise_file(path) for path in paths]
    families = [_family(kind) for kind in kinds]
    other = next((i for i, family in enumerate(families) if family != families[0]), None)
    if other is not None:
        raise InputError(
            f"{paths[0]} is {kinds[0].title} and {paths[other]} is {kinds[other].title}; files of "
            "one kind are one set"
        )
    family = families[0]
    if family in ("zip", "tar"):
        return _archives(paths, kinds, options, folder)
    if family in ("text", "list"):
        return _lists(paths, options)
    if family in _TABLES:
        return _TABLES[family](paths, options)
    title = f"{paths[0]} is {kinds[0].title}"
    if family == "compressed":
        raise DataError(f"{title}, which is no form of faces; unpack it if there are some inside")
    hint = _HINTS.get(family, "")
    raise DataError(
        f"{title}, which is no form of faces with identities" + (f"; {hint}" if hint else "")
    )


def _family(kind):
    if kind.form == "tar":
        return "tar"
    if kind.compression is not None:
        return "pickle" if kind.form == "pickle" else "compressed"
    return "arrow" if kind.form == "arrow stream" else kind.form


def _archives(paths, kinds, options, folder):
    from .archives.archive_tree import ArchiveTree, is_image_member
    from .archives.open_archive import open_archives
    from .archives.webdataset import WebDataset, check_shard_list, has_samples, is_label_member

    archives = open_archives(paths, kinds, is_image_member, is_label_member)
    if kinds[0].form == "tar":
        samples = [has_samples(archive.names) for archive in archives]
        if any(samples):
            if not all(samples):
                raise InputError(
                    f"{paths[samples.index(True)]} is a WebDataset and "
                    f"{paths[samples.index(False)]} has no samples of image and label; files of "
                    "one kind are one set"
                )
            options.allow("a WebDataset", "columns", "split")
            if folder is not None and options.split is None:
                check_shard_list(folder, archives)
            return WebDataset(archives, options.columns.get("identity"))
    options.allow("folders in archives", "person", "split")
    return ArchiveTree(archives, options.person, kinds[0].form)


def _lists(paths, options):
    from .list_file import ListFile
    from .tfrecord import TFRecordList, is_record_list

    if is_record_list(paths[0]):
        options.allow("a list of TFRecords")
        if len(paths) > 1:
            raise InputError(f"{paths[0]} is a list of TFRecords; name one list")
        return TFRecordList(paths[0], options.root)
    return _list_file(ListFile, paths, options)


def _list_file(kind, paths, options, root=None, **more):
    options.allow("a list of images", "strip", "columns", "group", "person")
    root = options.root if options.root is not None else root
    return kind(
        paths,
        root,
        options.strip,
        options.columns,
        options.group,
        options.person,
        allow_missing=options.allow_missing,
        **more,
    )


def _parquet(paths, options):
    from .tables.parquet import Parquet

    options.allow("Parquet", "columns", "group", "split")
    return Parquet(paths, options.columns, options.group)


def _arrow(paths, options):
    from .tables.arrow_files import ArrowFiles

    options.allow("Arrow", "columns", "group", "split")
    return ArrowFiles(paths, options.columns, options.group)


def _lmdb(paths, options):
    from .lmdb_set import LmdbSet

    options.allow("LMDB")
    if len(paths) > 1:
        raise InputError(
            f"{paths[0]} and {len(paths) - 1} more are LMDB databases, whose labels are their own: "
            "pack each, and join the sets with `gluonface data merge`"
        )
    return LmdbSet(paths[0])


def _tfrecord(paths, options):
    from .tfrecord import TFRecordFeatures

    options.allow("TFRecord", "columns", "split")
    return TFRecordFeatures(paths, options.columns)


_TABLES = {"parquet": _parquet, "arrow": _arrow, "lmdb": _lmdb, "tfrecord": _tfrecord}
