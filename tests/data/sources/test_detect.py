"""What lies at a path is said when it is no source of faces."""

import gzip
import pickle
import struct
import zipfile

import numpy as np
import pytest
from face_forms import FACES, folders, tarred, webdataset, zipped
from record_files import png

from gluonface.data import RecordWriter
from gluonface.data.sources import open_source
from gluonface.errors import DataError, GluonfaceError, InputError


def written(path, data):
    path.write_bytes(data)
    return path


def npz(path):
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    return path.with_suffix(".npz")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: written(p, b""), "x is an empty file"),
        (lambda p: written(p, png()), "x is an image.*name the folder"),
        (lambda p: written(p, pickle.dumps([1])), "x is a pickle.*export.*as CSV|Export a table"),
        (
            lambda p: written(p, b"\x80\x04cpandas.core.frame\n"),
            "a pandas pickle.*export it as CSV",
        ),
        (lambda p: written(p, b"\x93NUMPY"), r"an \.npy file"),
        (npz, r"an \.npz file"),
        (lambda p: written(p, b"MATLAB 7.3 MAT-file"), "MATLAB 7.3"),
        (lambda p: written(p, b"\x00\x01\x02"), "a binary file of an unknown kind"),
        (lambda p: written(p, gzip.compress(b"a/1.jpg 7\n")), "a text file in gzip.*unpack it"),
        (lambda p: written(p, gzip.compress(pickle.dumps(1))), "a pickle in gzip"),
        (lambda p: written(p, b"Rar!\x1a\x07\x00"), "a RAR archive"),
        (lambda p: written(p, b"<html>"), "a web page"),
        (lambda p: written(p, b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
        (lambda p: written(p, b"a poem\nof two lines\n"), "no list of images"),
        (
            lambda p: written(p, struct.pack("<QI", 4, 7) + b"\x0a" + bytes(7)),
            "first length is wrong",
        ),
        (lambda p: written(p, b"1\t4\nAnn 1 2\n"), "no field of it ends with"),
    ],
)
def test_what_was_recognised(write, message, tmp_path):
    path = write(tmp_path / "x")
    with pytest.raises(GluonfaceError, match=message) as raised:
        open_source(path)
    assert str(path) in str(raised.value)


def test_names_do_not_decide(tmp_path):
    path = zipped(tmp_path / "a").rename(tmp_path / "faces.tar.gz")
    assert open_source(path).kind == "zip"
    path = tarred(tmp_path / "b", FACES, "w:xz").rename(tmp_path / "faces.zip")
    assert open_source(path).kind == "tar"


def test_folders_of_pairs(tmp_path):
    for name, message in (("txts", "laid out as RFW.*--person last"), ("Protocol/Split", "CFP")):
        folder = tmp_path / name[:4]
        folders(folder, FACES)
        (folder / name).mkdir(parents=True)
        (folder / "data").mkdir()
        (folder / "Protocol").mkdir(exist_ok=True)
        (folder / "Protocol" / "Pair_list_F.txt").write_text("1 a\n")
        with pytest.raises(InputError, match=message):
            open_source(folder)
    folder = folders(tmp_path / "s")
    (folder / "positive_pairs_names.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(InputError, match="a protocol of pairs or of a search"):
        open_source(folder)


def test_side_files_beside_archives(tmp_path):
    zipped(tmp_path / "a")
    for name in ("README.md", "LICENSE.txt", "sums.json", "a.zip.md5", ".DS_Store"):
        (tmp_path / name).write_text("text")
    assert open_source(tmp_path).kind == "zip"


def test_pages_and_links_beside_people(tmp_path):
    folders(tmp_path)
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert len(open_source(tmp_path)) == 5
    (tmp_path / "x.zip").write_text("<html>")
    with pytest.raises(DataError, match=r"x\.zip is a web page"):
        open_source(tmp_path)


def test_splits_of_shards(tmp_path):
    for name in ("faces-train-0000", "faces-val-0000"):
        webdataset(tmp_path / name)
    with pytest.raises(InputError, match="has the splits faces-train, faces-val; say which"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, split="faces-val")) == 5


def test_images_of_other_kinds(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "1.TIF").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"there are files with \.tif: convert"):
        open_source(tmp_path)


def test_chunks_of_records(tmp_path):
    for number, labels in enumerate(((0, 2), (1, 2), (0, 1))):
        with RecordWriter(tmp_path / "made", plain=True) as writer:
            for label in labels:
                writer.add(png(label), label)
        for suffix in ("rec", "idx"):
            (tmp_path / "made" / f"train.{suffix}").rename(tmp_path / f"x_{number}.{suffix}")
    source = open_source(tmp_path)
    assert [source.identity(i) for i in range(6)] == ["0", "2", "1", "2", "0", "1"]
    assert source.num_identities == 3
    assert source.name(3) == "x_1.rec: record 1"
    assert len(open_source([tmp_path / "x_0.rec", tmp_path / "x_2.rec"])) == 4
    (tmp_path / "x_1.rec").rename(tmp_path / "x_4.rec")
    with pytest.raises(InputError, match=r"x_1\.rec is missing; there are 3 chunks of 5"):
        open_source(tmp_path)
    for number, split in ((0, "train"), (2, "val"), (4, "test")):
        for suffix in ("rec", "idx"):
            if (tmp_path / f"x_{number}.{suffix}").exists():
                (tmp_path / f"x_{number}.{suffix}").rename(tmp_path / f"x_{split}.{suffix}")
    with pytest.raises(InputError, match="no numbered chunks of one set: name one of them"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, split="val")) == 2


@pytest.mark.parametrize("data", [b"PK\x07\x08PK\x03\x04" + bytes(40)])
def test_split_archives(data, tmp_path):
    with pytest.raises(DataError, match=r"a part of a split zip archive.*zip -s 0"):
        open_source(written(tmp_path / "x.z01", data))


def test_encrypted_archives(tmp_path):
    path = zipped(tmp_path / "x")
    whole = bytearray(path.read_bytes())
    at = whole.rindex(b"PK\x01\x02")
    whole[at + 8] |= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="is an encrypted zip archive"):
        open_source(path)


def test_bombs(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p/1.png", bytes(70 << 20))
    with pytest.raises(DataError, match=r"p/1\.png unpacks to 73,400,320 bytes"):
        open_source(tmp_path / "x.zip")


def test_options_without_meaning(tmp_path):
    for options in ({"columns": "identity=x"}, {"split": "train"}, {"strip": "/x"}):
        with pytest.raises(InputError, match="has no meaning for folders of people"):
            open_source(folders(tmp_path / "x"), **options)
