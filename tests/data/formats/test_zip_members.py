"""Zip archives in place."""

import struct
import zipfile

import pytest

from gluonface.data.formats import zip_members
from gluonface.data.formats.zip_members import ZipMembers
from gluonface.errors import DataError, InputError

FILES = {"a/1.png": b"one" * 99, "b/2.png": b"two", "./c/3.png": b"three"}


def write(path, files=FILES, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_files_are_read_in_place(method, tmp_path):
    path = write(tmp_path / "x.zip", {"d/": b"", **FILES}, method)
    path.write_bytes(b"a program that unpacks itself" + path.read_bytes())
    members = ZipMembers(path)
    assert members.names == ["a/1.png", "b/2.png", "c/3.png"]
    assert [members.read(i) for i in range(3)] == list(FILES.values())
    assert [members.size(i) for i in range(3)] == [len(data) for data in FILES.values()]
    assert members.passed_over == []


def test_what_is_passed_over(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../up.png", "x")
        archive.writestr("in\\windows\\1.png", "y")
    members = ZipMembers(path)
    assert members.names == ["in/windows/1.png"]
    assert [reason for _, reason in members.passed_over] == [
        "it is a link",
        "its name leads out of the archive",
    ]


def test_encrypted_split_and_other_methods(tmp_path):
    path = write(tmp_path / "x.zip", method=zipfile.ZIP_STORED)
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02")
    path.write_bytes(whole[: at + 8] + b"\x01" + whole[at + 9 :])
    with pytest.raises(InputError, match="is an encrypted zip archive"):
        ZipMembers(path)
    path.write_bytes(whole[: at + 10] + b"\x63" + whole[at + 11 :])
    with pytest.raises(InputError, match="packed by method 99"):
        ZipMembers(path)
    (tmp_path / "x.z01").write_bytes(b"")
    with pytest.raises(InputError, match="last part of a split zip"):
        ZipMembers(path)


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_members, "MOST_BYTES", 1000)
    path = write(tmp_path / "x.zip", {"a.png": bytes(5000)})
    with pytest.raises(DataError, match="more than the 1,000"):
        ZipMembers(path)
    whole = path.read_bytes()  # the directory says less than there is
    at = whole.index(b"PK\x01\x02")
    path.write_bytes(whole[: at + 24] + struct.pack("<I", 999) + whole[at + 28 :])
    with pytest.raises(DataError, match=r"a\.png is damaged"):
        ZipMembers(path).read(0)


def test_damage(tmp_path):
    path = write(tmp_path / "x.zip", method=zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short or is damaged"):
        ZipMembers(path)
    path.write_bytes(whole.replace(b"three", b"thrfe"))
    members = ZipMembers(path)
    with pytest.raises(DataError, match=r"c/3\.png is damaged"):
        members.read(2)
