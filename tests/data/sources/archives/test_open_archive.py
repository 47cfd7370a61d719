"""A compressed tar as an archive."""

import tarfile

import pytest
from face_forms import add, faces_of, tar_gz

from gluonface.data.sources.archives import open_archive
from gluonface.data.sources.archives.open_archive import StreamedTar
from gluonface.errors import DataError


def test_what_is_read_later_is_kept_for_a_while(tmp_path, monkeypatch):
    faces = faces_of(30, side=16)
    path = tar_gz(tmp_path / "x", faces)
    reads = []
    plain = open_archive.stream_tar

    def counted(*args):
        reads.append(1)
        return plain(*args)

    archive = StreamedTar(path, lambda name: True, lambda name: False)
    monkeypatch.setattr(open_archive, "stream_tar", counted)
    order = [3, 0, 1, 2, 7, 5, 4, 6, 29, 20, 8]
    assert [archive.read(i) for i in order] == [faces[i][1] for i in order]
    assert len(reads) == 1  # one pass served them all
    assert archive.read(3) == faces[3][1]  # taken already: from the beginning
    assert len(reads) == 2
    monkeypatch.setattr(open_archive, "_AHEAD", 4)
    assert archive.read(25) == faces[25][1]
    assert len(archive._kept) <= 4  # memory is bounded


def test_a_file_that_changes(tmp_path):
    path = tar_gz(tmp_path / "x", faces_of(3, side=16))
    archive = StreamedTar(path, lambda name: True, lambda name: False)
    tar_gz(tmp_path / "x", faces_of(1, side=16))
    with pytest.raises(DataError, match="has changed"):
        archive.read(2)


def test_hard_links_in_a_compressed_tar(tmp_path, monkeypatch):
    faces = faces_of(3, side=16)
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for number, (_, data) in enumerate(faces):
            add(archive, f"p/{number}.png", data)
        for number in range(3):
            link = tarfile.TarInfo(f"q/{number}.png")
            link.type, link.linkname = tarfile.LNKTYPE, f"./p/{number}.png"
            archive.addfile(link)
    archive = StreamedTar(path, lambda name: True, lambda name: False)
    wanted = [data for _, data in faces] * 2
    assert [archive.read(i) for i in range(6)] == wanted
    monkeypatch.setattr(open_archive, "_SHARED", 1)  # read again in place of kept
    archive = StreamedTar(path, lambda name: True, lambda name: False)
    assert [archive.read(i) for i in range(6)] == wanted
