"""Files of folders and archives, and what lies outside of them."""

import io
import tarfile
import zipfile

import pytest

from gluonface.data.sources.file_tree import open_tree, read_list_text
from gluonface.errors import DataError, InputError

FILES = {
    "a/1.jpg": b"one",
    "a/b/2.txt": b"two",
    "3.txt": b"three",
    ".hidden": b"",
    "Thumbs.db": b"",
}


def made(tmp_path, kind):
    root = tmp_path / "set"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (tmp_path / "secret.txt").write_text("secret")
    if kind == "folder":
        return root
    path = tmp_path / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in FILES.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:xz" if kind == "tar.xz" else "w") as archive:
            archive.add(root, ".")
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.xz"])
def test_files_by_their_paths(tmp_path, kind):
    tree = open_tree(made(tmp_path, kind))
    assert tree.entries() == ["3.txt", "a"]
    assert tree.entries("a") == ["1.jpg", "b"]
    assert (tree.read("a/1.jpg"), tree.read_text("a/b/2.txt")) == (b"one", "two")
    assert [tree.is_file(name) for name in ("a/1.jpg", "a", "x")] == [True, False, False]
    assert [tree.is_folder(name) for name in ("a/b", "a/1.jpg", "x")] == [True, False, False]
    with pytest.raises(DataError, match=r"set.*x"):
        tree.read("x")
    assert not tree.is_file("a" * 5000)
    assert tree.place("a/1.jpg").endswith("a/1.jpg")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_no_path_leads_out(tmp_path, kind):
    tree = open_tree(made(tmp_path, kind))
    assert tree.within("../3.txt", "a") == "3.txt"
    assert tree.within("./b/../1.jpg", "a") == "a/1.jpg"
    assert tree.within(".") == ""
    for name in ("../secret.txt", "..", "a/../../secret.txt", "/etc/passwd", "a\0"):
        assert tree.within(name) is None
    assert tree.within("../../secret.txt", "a") is None


def test_what_is_no_tree(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        open_tree(tmp_path / "none")
    (tmp_path / "x.zip").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="is a pickle; a folder, or a zip or tar"):
        open_tree(tmp_path / "x.zip")
    with tarfile.open(tmp_path / "y.tar", "w") as archive:
        for data in (b"1", b"2"):
            member = tarfile.TarInfo("a.jpg")
            member.size = 1
            archive.addfile(member, io.BytesIO(data))
    with pytest.raises(DataError, match=r"holds a\.jpg twice"):
        open_tree(tmp_path / "y.tar")


def test_lists_may_be_compressed_and_must_be_text(tmp_path):
    import gzip

    (tmp_path / "x.gz").write_bytes(gzip.compress("ü\n".encode("utf-8-sig")))
    assert read_list_text(tmp_path / "x.gz") == "ü\n"
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"\xff\xfe"))
    with pytest.raises(DataError, match=r"x\.gz is not a text file"):
        read_list_text(tmp_path / "x.gz")
