"""Tar archives in place and in one pass."""

import gzip
import io
import tarfile

import pytest

from gluonface.data.formats import tar_members
from gluonface.data.formats.tar_members import TarMembers, stream_tar
from gluonface.errors import DataError

LONG = "n" * 150 + "/" + "m" * 150 + ".png"
FILES = {"./a/1.png": b"one" * 400, LONG: b"two", "c/3.png": b""}


def add(archive, name, data=b"", kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, link
    archive.addfile(member, io.BytesIO(data))


def write(path, form=tarfile.GNU_FORMAT, extra=(), files=FILES):
    with tarfile.open(path, "w", format=form) as archive:
        add(archive, "a", kind=tarfile.DIRTYPE)
        for name, data in files.items():
            add(archive, name, data)
        for item in extra:
            add(archive, *item)
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_are_read(form, tmp_path):
    files = {n: d for n, d in FILES.items() if n != LONG or form != tarfile.USTAR_FORMAT}
    path = write(tmp_path / "x.tar", form, files=files)
    members = TarMembers(path)
    names = [name.replace("./", "") for name in files]
    assert members.names == names
    assert [members.read(i) for i in range(len(names))] == list(files.values())
    assert members.size(0) == 1200
    (tmp_path / "y").write_bytes(gzip.compress(path.read_bytes()))
    passed = []
    found = [(name, data) for name, data, _ in stream_tar(tmp_path / "y", passed)]
    assert found == list(zip(names, files.values()))
    assert passed == []
    found = stream_tar(tmp_path / "y", passed, lambda name: name[0] == "a")
    wanted = {name: data for name, data, _ in found}
    assert wanted.pop("a/1.png") == FILES["./a/1.png"]
    assert set(wanted.values()) == {None}


def test_links_and_names_that_lead_out(tmp_path):
    extra = [
        ("hard.png", b"", tarfile.LNKTYPE, "a/1.png"),
        ("soft.png", b"", tarfile.SYMTYPE, "/etc/passwd"),
        ("later.png", b"", tarfile.LNKTYPE, "d/4.png"),
        ("../../up.png", b"x"),
        ("/abs.png", b"x"),
        ("dev.png", b"", tarfile.CHRTYPE),
        ("d/4.png", b"four"),
    ]
    path = write(tmp_path / "x.tar", extra=extra)
    members = TarMembers(path)
    assert members.names[3:] == ["hard.png", "d/4.png"]
    assert members.read(3) == FILES["./a/1.png"]
    assert members.read(4) == b"four"
    reasons = [reason for _, reason in members.passed_over]
    assert [reason[:20] for reason in reasons] == [
        "it is a symbolic lin",
        "it is a link to d/4.",
        "its name leads out o",
        "its name is an absol",
        "it is no ordinary fi",
    ]
    (tmp_path / "y").write_bytes(gzip.compress(path.read_bytes()))
    passed = []
    assert [link for *_, link in stream_tar(tmp_path / "y", passed)] == [None] * 3 + [0, None]
    assert passed == [(name.replace("x.tar", "y"), why) for name, why in members.passed_over]


def test_damage(tmp_path):
    path = write(tmp_path / "x.tar")
    whole = path.read_bytes()
    for size in (600, 3 * 512, len(whole) // 2 // 512 * 512 - 100, 12 * 512):
        if whole[size:].strip(b"\0"):
            path.write_bytes(whole[:size])
            with pytest.raises(DataError, match=r"x\.tar is a tar archive that .*cut short"):
                TarMembers(path)
            (tmp_path / "y").write_bytes(gzip.compress(whole[:size]))
            with pytest.raises(DataError, match="cut short"):
                list(stream_tar(tmp_path / "y", []))
    at = whole.index(b"c/3.png")
    path.write_bytes(whole[:at] + b"C" + whole[at + 1 :])
    with pytest.raises(DataError, match=f"damaged: a member or the end mark .* byte {at}"):
        TarMembers(path)


def test_members_without_end(tmp_path, monkeypatch):
    path = write(tmp_path / "x.tar")
    monkeypatch.setattr(tar_members, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="more than the 1,000"):
        TarMembers(path)
