"""`open_pairs`: which form lies at a path, over all forms; the reference cases."""

import bz2
import gzip
import hashlib
import json
import lzma
import pathlib
import tarfile
import zipfile

import numpy as np
import pytest
from pair_files import (
    FOLDS,
    PAIRS,
    SAME,
    cfp_pairs,
    check,
    content,
    lfw_line,
    path_of,
    write_cfp,
    write_pack,
    write_people,
    write_rfw,
)

from gluonface.data import images, open_pairs
from gluonface.errors import DataError, InputError

EXPECTED = pathlib.Path(__file__).resolve().parents[5] / "shared/reference/formats/expected.json"
CASES = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.is_file() else {}


def digest(data):
    return hashlib.sha256(data).hexdigest()[:12]


def partition(values):
    known = {}
    return [known.setdefault(value, len(known)) for value in values]


def cases(*kinds):
    found = [name for name, case in CASES.items() if case["kind"] in kinds]
    return pytest.mark.parametrize("name", found or ["absent"])


def opened(shared, name, **more):
    case = CASES[name]
    options = dict(case.get("options") or {})
    root = shared / "reference/formats"
    if "root" in options:
        options["root"] = root / options["root"]
    if "Arrow" in name or name.startswith("cvlface"):
        pytest.importorskip("pyarrow")
    return case, open_pairs(root / case["source"], **options, **more)


@cases("verification")
def test_reference_pairs(shared, name):
    case, pairs = opened(shared, name)
    assert (len(pairs), pairs.issame.sum()) == (case["pairs"], case["same"])
    listed = [[digest(one) for one in pair] for pair in content(pairs)]
    assert listed == [row[:2] for row in case["list"]]
    assert pairs.issame.astype(int).tolist() == [row[2] for row in case["list"]]
    folds, groups = ([row[place] for row in case["list"]] for place in (3, 4))
    if folds[0] is None:
        assert pairs.folds is None
    else:
        assert partition(pairs.folds.tolist()) == partition(folds)
    assert pairs.groups == (None if groups[0] is None else groups)


@cases("pixels")
def test_reference_pixels(shared, name):
    color = "BGR" if "BGR" in CASES[name]["colour"] else None
    case, pairs = opened(shared, name, color=color)
    decoded = [images.decode(one) for pair in content(pairs) for one in pair]
    assert [digest(one.transpose(2, 0, 1).tobytes()) for one in decoded] == case["pixels"]
    assert pairs.issame.astype(int).tolist() == case["issame"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pack_half_bin", r"issame\[0\] is 0\.5"),
        ("pack_zeros_xz", "what it unpacks to is no pack"),
        ("pairs_unlabelled", "two images each and no label .*FRCSyn"),
        ("bfw_pkl", "pandas.* can run code: export .*CSV"),
        ("tinyface_mat", "set for identification"),
        ("lmdb_other", "an LMDB database"),
        ("tfrecord_broken", "a TFRecord file"),
    ],
)
def test_reference_refusals(shared, name, reason):
    with pytest.raises(DataError, match=reason):
        opened(shared, name)


# --- the same pairs in every form


def list_of(root, mark="\t"):
    lines = [f"{path_of(a)}{mark}{path_of(b)}{mark}{int(same)}" for a, b, same in PAIRS]
    return "\n".join(lines) + "\n"


def test_a_list_beside_its_images_and_elsewhere(tmp_path):
    people = write_people(tmp_path / "people")
    (people / "my pairs.txt").write_text(list_of(people))
    check(open_pairs(people / "my pairs.txt"))
    (tmp_path / "list.csv").write_text("﻿" + list_of(people, ","), encoding="utf-8")
    check(open_pairs(str(tmp_path / "list.csv"), root=str(people)))
    with pytest.raises(DataError, match=r"none of the 8 images .*--root.*--strip"):
        open_pairs(tmp_path / "list.csv")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_lists_and_packs(tmp_path, compress):
    people = write_people(tmp_path / "people")
    (tmp_path / "pairs.txt.gz").write_bytes(compress(list_of(people).encode()))
    check(open_pairs(tmp_path / "pairs.txt.gz", root=people))
    (tmp_path / "x").write_bytes(compress(write_pack(tmp_path / "x.bin").read_bytes()))
    check(open_pairs(tmp_path / "x"))


@pytest.mark.parametrize("below", ["", "lfw/", "a/b/"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_a_tree_with_its_list_in_folders_and_archives(tmp_path, kind, below):
    people = write_people(tmp_path / "made" / below)
    (people / "pairs.txt").write_text("2\t2\n" + "\n".join(lfw_line(*one) for one in PAIRS))
    path = archived(tmp_path, tmp_path / "made", kind)
    check(open_pairs(path), FOLDS)


def archived(tmp_path, folder, kind):
    """Return a folder, or an archive of it."""
    if kind == "folder":
        return folder
    path = tmp_path / f"set.{kind}"
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
            for file in files:
                archive.add(file, "./" + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_the_root_may_be_an_archive(tmp_path, kind):
    people = write_people(tmp_path / "people")
    path = archived(tmp_path, people, kind)
    (tmp_path / "pairs.txt").write_text(list_of(people))
    check(open_pairs(tmp_path / "pairs.txt", root=path))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_cfp_and_rfw_in_folders_and_archives(tmp_path, kind):
    cfp = archived(tmp_path, write_cfp(tmp_path / "made" / "cfp-dataset").parent, kind)
    for protocol in ("FF", "fp"):
        pairs = open_pairs(cfp, protocol=protocol)
        wanted = cfp_pairs(protocol.upper())
        assert content(pairs) == [one[:2] for one in wanted]
        assert pairs.folds.tolist() == [one[3] for one in wanted]
    with pytest.raises(InputError, match=r"FF \(8 pairs\), FP \(8 pairs\)"):
        open_pairs(cfp)
    (tmp_path / "set.zip").unlink(missing_ok=True)
    rfw = archived(tmp_path, write_rfw(tmp_path / "other" / "test").parent, kind)
    pairs = open_pairs(rfw)
    assert pairs.groups == ["African"] * 8 + ["Asian"] * 8
    assert pairs.issame.tolist() == SAME + SAME


# --- options, folds


def test_options_of_other_forms_are_not_dropped_in_silence(tmp_path):
    pack = write_pack(tmp_path / "x.bin")
    for options in ({"root": tmp_path}, {"protocol": "FF"}, {"columns": "first=a"}, {"group": "a"}):
        with pytest.raises(InputError, match=f"{next(iter(options))}.*does not go with"):
            open_pairs(pack, **options)


def test_folds_are_made_on_demand(tmp_path):
    people = write_people(tmp_path / "people")
    (people / "x.txt").write_text(list_of(people))
    assert open_pairs(people / "x.txt", folds=2).folds.tolist() == FOLDS
    pairs = open_pairs(people / "x.txt", folds=4)  # stretches of two would be of one kind
    assert pairs.folds.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert "sorted by kind" in pairs.notes[-1]
    for folds in (1, 9, 2.5, True):
        with pytest.raises(InputError, match="folds"):
            open_pairs(people / "x.txt", folds=folds)
    (people / "x.txt").write_text("2 2\n" + "\n".join(lfw_line(*one, " ") for one in PAIRS))
    assert open_pairs(people / "x.txt", folds=2).notes == []
    assert "its own 2 folds are not used" in open_pairs(people / "x.txt", folds=4).notes[0]


def test_what_is_there_is_said(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        open_pairs(tmp_path / "none")
    with pytest.raises(InputError, match="no path"):
        open_pairs([])
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.savez(tmp_path / "b.npz", e=np.ones(3))
    (tmp_path / "c.rec").write_bytes(b"\x0a\x23\xd7\xce" + bytes(20))
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff" + bytes(20))
    (tmp_path / "e.pkl").write_bytes(b"\x80\x04cpandas.core.frame\nDataFrame\n.")
    for name, what in (
        ("a.npy", "npy file of NumPy.*--embeddings"),
        ("b.npz", "npz file of NumPy.*--embeddings"),
        ("c.rec", "RecordIO file.*no pairs"),
        ("d.jpg", "is an image"),
        ("e.pkl", "pandas pickle.*export it as CSV"),
    ):
        with pytest.raises(DataError, match=what):
            open_pairs(tmp_path / name)
    write_pack(tmp_path / "x.bin")
    with pytest.raises(InputError, match=r"of several kinds: .*pickle.*image"):
        open_pairs([tmp_path / "x.bin", tmp_path / "d.jpg"])
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DataError, match=r"has no pairs: .* nothing"):
        open_pairs(folder)
    write_pack(folder / "lfw.bin")
    write_pack(folder / "cfp.bin")
    with pytest.raises(InputError, match=r"2 packs \(cfp\.bin, lfw\.bin\): name one"):
        open_pairs(folder)
    with pytest.raises(InputError, match="is a folder"):
        open_pairs([folder, tmp_path / "x.bin"])
