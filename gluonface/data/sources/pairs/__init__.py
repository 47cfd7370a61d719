"""The forms in which people hold pairs of faces, one file per form, each read as `FacePairs`."""

from __future__ import annotations

import os
import pathlib
import re
import typing
from collections.abc import Sequence

from ....errors import DataError, InputError
from ....files import StrPath
from ...formats.arrow_rows import is_saved_set
from ...formats.file_kind import FileKind, recognise_file
from ..file_tree import FileTree, open_tree
from . import arrow_pairs, cfp_tree, listed_pairs, mat_pairs, pack_pairs, pixel_pairs, rfw_tree
from .face_pairs import FacePairs

__all__ = ["FacePairs", "open_pairs"]

_PACKS = (".bin", ".pkl", ".pickle")  # files of protocol 0 do not show what they are
_UNKNOWN = ("text", "binary", "empty", "tfrecord")
_PACKED = (*_PACKS, ".xz", ".gz", ".bz2")
_LISTS = (".txt", ".csv", ".tsv", ".list")


def open_pairs(
    path: StrPath | Sequence[StrPath],
    *,
    root: StrPath | None = None,
    protocol: str | None = None,
    folds: int | None = None,
    group: str | Sequence[str] | None = None,
    strip: str | None = None,
    columns: str | dict[str, str] | None = None,
    split: str | None = None,
    color: str | None = None,
) -> FacePairs:
    """Return the pairs of faces at a path; first bytes and file names say in which form they are.

    Parameters
    ----------
    path : str or pathlib.Path, or a list of them
        A verification pack, compressed or not; a list of pairs (LFW's, with the label first or
        last, of two lines a pair, a table with a head); the folder, zip or tar of CFP, RFW,
        SurvFace or LFW as published; AgeDB's ``.mat``; CVLface's Arrow folder; a folder of decoded
        pixels. Several lists, or several packs, are one set.
    root : str or pathlib.Path, optional
        The folder, zip or tar to which listed paths are relative; by default that of the list.
        Nothing outside is read.
    protocol : {"FF", "FP"}, optional
        Of CFP.
    folds : int, optional
        Part the pairs into so many folds: stretches of the list, or, where these would not all hold
        both kinds, parts of the same and of the different pairs.
    group : str or sequence of str, optional
        The column of a table with the groups of the pairs, or the two with those of the images.
    strip : str, optional
        A prefix to cut off listed paths.
    columns : dict of str to str, or str, optional
        Which column of a table is ``first``, ``second``, ``same`` or ``fold``; as text
        ``first=NAME,second=NAME``.
    split : str, optional
        Which one, of an Arrow folder with several splits.
    color : {"RGB", "BGR"}, optional
        The order of the channels of decoded pixels, where the file does not tell.

    Returns
    -------
    FacePairs
        ``len(p)``, ``p.images(i)`` (two byte strings), ``p.issame``, ``p.folds`` and ``p.groups``
        (a value per pair, or None).

    Raises
    ------
    InputError
        When an option is missing, or does not go with the form.
    DataError
        When the files are damaged, of no known form, or images are missing; says what they are.
    """
    options: dict[str, typing.Any] = {
        "root": root,
        "protocol": protocol,
        "group": _names(group),
        "strip": strip,
        "columns": _columns(columns),
        "split": split,
        "color": color,
    }
    if isinstance(path, (str, os.PathLike)):
        paths = [pathlib.Path(path)]
    else:
        paths = [pathlib.Path(one) for one in path]
    if not paths:
        raise InputError("no path of pairs was given")
    for one in paths:
        if not one.exists():
            raise InputError(
                f"{one} is not there; a verification pack, a list of pairs, or a folder or archive "
                "of a set with pairs was expected"
            )
    given = _Options(options)
    pairs = _open(paths, given)
    given.require_used(paths[0])
    if pairs.sha256 is None:  # one pack has said so itself
        pairs.warn_of_one_kind()
    if folds is not None:
        pairs.make_folds(folds)
    return pairs


class _Options(dict):
    """Options that tell which of them no reader took."""

    def __init__(self, options):
        super().__init__(options)
        self._taken = set()

    def take(self, *names):
        """Return options as keyword arguments; the form that is read knows them."""
        self._taken.update(names)
        return {name: self[name] for name in names}

    def require_used(self, path):
        unused = [
            name for name, value in self.items() if value is not None and name not in self._taken
        ]
        if unused:
            raise InputError(
                f"{', '.join(unused)}: {'these options do' if len(unused) > 1 else 'this does'} "
                f"not go with {path}, which is of another form"
            )


def _names(group):
    if group is None:
        return None
    names = group.split(",") if isinstance(group, str) else [str(name) for name in group]
    return [name.strip() for name in names] or None


def _columns(columns):
    """Return ``first=a,second=b``, as text, a list of such or a dict, as a dict."""
    if columns is None or isinstance(columns, dict):
        return columns or None
    parts = columns.split(",") if isinstance(columns, str) else [*columns]
    found = {}
    for part in parts:
        name, sign, value = str(part).partition("=")
        if not sign or not value:
            raise InputError(f"columns: {part!r}; `first=NAME,second=NAME,same=NAME` was expected")
        found[name.strip()] = value.strip()
    return found


def _open(paths, options):
    """Return the pairs of files that are one set."""
    if len(paths) == 1 and paths[0].is_dir():
        return _open_folder(paths[0], options)
    folders = [path for path in paths if path.is_dir()]
    if folders:
        raise InputError(f"{folders[0]} is a folder; of several paths, each is a list or a pack")
    kinds = [recognise_file(path) for path in paths]
    forms = {_form(path, kind) for path, kind in zip(paths, kinds)}
    if len(forms) > 1:
        raise InputError(
            "the files are of several kinds: "
            + ", ".join(f"{path} ({kind.title})" for path, kind in zip(paths, kinds))
        )
    (form,) = forms
    if form == "pack":
        return pack_pairs.open_packs(paths)
    if form == "list":
        return listed_pairs.open_list(paths, **options.take("root", "strip", "columns", "group"))
    if len(paths) > 1:
        raise InputError(f"{paths[0]} is {kinds[0].title}; give one, or several lists or packs")
    return _open_file(paths[0], kinds[0], options)


def _form(path, kind):
    """Return "pack" or "list" for files that may be several, else "other"."""
    if kind.form == "pickle" or (kind.form in _UNKNOWN and path.suffix.lower() in _PACKS):
        return "pack"
    if kind.compression and kind.form != "tar":
        return "list" if kind.form == "text" and _listed_name(path) else "pack"
    return "list" if kind.form == "text" else "other"


def _listed_name(path):
    """Return whether a compressed file is called as a list is, such as ``pairs.txt.gz``."""
    return pathlib.Path(path.stem).suffix.lower() in _LISTS


def _open_file(path, kind: FileKind, options):
    """Return the pairs of a file that is neither a pack nor a list."""
    if kind.form in ("zip", "tar"):
        return _open_tree(open_tree(path, kind), path, options)
    if kind.form in ("mat", "mat 7.3"):
        tree = FileTree(path.parent)
        if path.stem in ("positive_pairs_names", "negative_pairs_names"):
            return _open_folder(path.parent, options)
        return _open_agedb(tree, path.name, options)
    if kind.form == "npy" and pixel_pairs.find_pixels(path):
        return pixel_pairs.open_pixels(path, **options.take("color"))
    more = ""
    if kind.form == "pandas pickle":
        more = ". It is not opened, for it can run code: export it as CSV, and name that"
    if kind.form in ("npz", "npy"):
        more = "; stored embeddings go to `gluonface eval verification --embeddings`"
    if kind.form == "recordio":
        more = "; records hold people, no pairs"
    if kind.form in ("arrow", "arrow stream", "parquet"):
        more = "; of Arrow sets, name the folder with state.json"
    raise DataError(
        f"{path} is {kind.title}; a verification pack, a list of pairs, or a folder or archive of "
        f"a set with pairs was expected{more}"
    )


def _open_folder(path, options):
    """Return the pairs in a folder."""
    if is_saved_set(path):
        return arrow_pairs.open_arrow_pairs(path, **options.take("split"))
    pixels = pixel_pairs.find_pixels(path)
    if pixels is not None:
        return pixel_pairs.open_pixels(pixels, **options.take("color"))
    return _open_tree(FileTree(path), path, options)


def _open_tree(tree, path, options):
    """Return the pairs of a set as published, in a folder or an archive."""
    name = path.resolve().name.split(".")[0] or "pairs"
    folder = ""
    while True:
        found = _known_tree(_Below(tree, folder) if folder else tree, name, options)
        if found is not None:
            return found
        entries = tree.entries(folder)
        if len(entries) != 1 or not tree.is_folder(_join(folder, entries[0])):
            break
        folder = _join(folder, entries[0])  # what unpacking an archive leaves
    return _open_listed_tree(_Below(tree, folder) if folder else tree, path, options)


def _join(folder, name):
    return f"{folder}/{name}" if folder else name


class _Below(FileTree):
    """The files below a folder of a tree."""

    def __init__(self, tree, folder):
        super().__init__(tree.root)
        self._tree, self._folder = tree, folder

    def place(self, name):
        return self._tree.place(_join(self._folder, name) if name else self._folder)

    def is_file(self, name):
        return self._tree.is_file(_join(self._folder, name))

    def is_folder(self, name):
        return self._tree.is_folder(_join(self._folder, name) if name else self._folder)

    def entries(self, name=""):
        return self._tree.entries(_join(self._folder, name) if name else self._folder)

    def read(self, name):
        return self._tree.read(_join(self._folder, name))


def _known_tree(tree, name, options):
    """Return the pairs of CFP, RFW, SurvFace or AgeDB; None where it is none of these."""
    images = open_tree(options["root"]) if options["root"] is not None else None
    cfp = cfp_tree.find_cfp(tree)
    if cfp is not None:
        options.take("root")
        if cfp == "" and type(tree) is FileTree:  # Protocol itself: its lists begin with ../
            root = tree.root.resolve()
            tree, cfp, name = FileTree(root.parent), root.name, "cfp"
        return cfp_tree.open_cfp(tree, cfp, images=images, name=name, **options.take("protocol"))
    rfw = rfw_tree.find_rfw(tree)
    if rfw is not None:
        options.take("root")
        return rfw_tree.open_rfw(tree, rfw, images, name)
    survface = mat_pairs.find_survface(tree)
    if survface is not None:
        options.take("root")
        return mat_pairs.open_survface(
            tree, survface, images=images, name=name, **options.take("strip")
        )
    protocols = [one for one in tree.entries() if re.search(r"(?i)protocol.*\.mat$", one)]
    if protocols:
        thirty = [one for one in protocols if "30" in one] or protocols
        return _open_agedb(tree, thirty[0], options)
    return None


def _open_agedb(tree, file, options):
    """Return AgeDB's pairs; the images lie beside the protocol unless there is a root."""
    options.take("root")
    folder = "" if options["root"] is not None else _agedb_images(tree)
    images = tree if options["root"] is None else open_tree(options["root"])
    return mat_pairs.open_agedb(tree, file, images, folder, **options.take("strip"))


def _agedb_images(tree):
    found = [one for one in tree.entries() if re.search("(?i)protocol_images$", one)]
    return found[0] if found and tree.is_folder(found[0]) else ""


def _open_listed_tree(tree, path, options):
    """Return the pairs of a folder of images with one list of pairs in it."""
    entries = tree.entries()
    lists = [
        one
        for one in entries
        if re.search(r"(?i)pair.*\.(txt|csv|tsv)$", one) and tree.is_file(one)
    ]
    packs = [one for one in entries if one.lower().endswith(_PACKED) and tree.is_file(one)]
    if len(lists) > 1 or (packs and not lists):
        kind, named = ("lists of pairs", lists) if lists else ("packs", packs)
        raise InputError(
            f"{path} has {len(named)} {kind} ({', '.join(named[:8])}): name one, or several that "
            "are one set"
        )
    if not lists:
        raise DataError(_no_pairs(tree, path, entries))
    return listed_pairs.open_tree_list(
        tree, lists[0], **options.take("root", "strip", "columns", "group")
    )


def _no_pairs(tree, path, entries):
    """Return the message about a folder without pairs: it says what it is."""
    if any("gallery" in one.lower() for one in entries) and any(
        "probe" in one.lower() for one in entries
    ):
        return (
            f"{path} is a set for identification (probes and a gallery), and has no pairs: "
            f"gluonface eval identification --set {path}"
        )
    sets = [one for one in entries if tree.is_file(f"{one}/state.json")]
    if sets:
        return f"{path} has the Arrow sets {', '.join(sets[:8])}: name one"
    return (
        f"{path} has no pairs: neither CFP's Protocol and Split, RFW's txts and data, AgeDB's or "
        "SurvFace's .mat files, CVLface's state.json, decoded pixels with issame.txt, nor a list "
        f"*pair*.txt; it holds {', '.join(entries[:8]) or 'nothing'}"
    )
