"""Images that are members of archives."""

import numpy as np
from face_forms import FACES, tarred, zipped

from gluonface.data.formats.tar_members import TarMembers
from gluonface.data.formats.zip_members import ZipMembers
from gluonface.data.sources.archives.archive_files import ArchiveFiles


def test_members_of_two_archives(tmp_path):
    archives = [ZipMembers(zipped(tmp_path / "a")), TarMembers(tarred(tmp_path / "b"))]
    source = ArchiveFiles(archives, [(1, 0), (0, 4)], np.array([7, 7]))
    assert [source.read(i) for i in range(2)] == [FACES[0][1], FACES[4][1]]
    assert source.name(0) == f"{tmp_path}/b.tar: p10/0.png"
    assert source.member(1) == "p3/4.png"
    assert not source.in_order
    stamp = source.stamp()
    zipped(tmp_path / "a", FACES[:4])
    assert source.stamp() != stamp
