"""Folders of people in archives."""

import zipfile

import pytest
from face_forms import FACES, add, tarred, webdataset, zipped
from record_files import png

from gluonface.data.sources import open_source
from gluonface.errors import DataError, InputError


def people(source):
    return sorted({source.identity(i) for i in range(len(source))})


def test_folders_above_all_images_of_all_archives_are_left_away(tmp_path):
    zipped(tmp_path / "0", [("q1", png(1)), ("q2", png(2))], "Web/all/")
    zipped(tmp_path / "1", [("q3", png(3))], "Web/all/")
    source = open_source(tmp_path)
    assert (source.kind, people(source)) == ("zip", ["q1", "q2", "q3"])
    assert source.relative_name(0) == "q1/0.png"
    alone = open_source(tmp_path / "1.zip")  # a person is left
    assert people(alone) == ["q3"]


def test_groups_in_archives(tmp_path):
    zipped(tmp_path / "x", [("African/ann", png()), ("African/bo", png(1)), ("Asian/cy", png())])
    with pytest.raises(InputError, match=r"there are 2 identities .* by the last folder 3"):
        open_source(tmp_path / "x.zip")
    source = open_source(tmp_path / "x.zip", person="last")
    assert [source.group(i) for i in range(3)] == ["African", "African", "Asian"]


def test_equal_people_of_two_archives_are_one(tmp_path):
    tarred(tmp_path / "a", [("p1", png())])
    tarred(tmp_path / "b", [("p1", png(1))])
    with pytest.raises(DataError, match=r"p1/0\.png is there twice, also in .*a\.tar"):
        open_source([tmp_path / "a.tar", tmp_path / "b.tar"])
    zipped(tmp_path / "c", [("p2", png()), ("p1", png(1))])
    zipped(tmp_path / "d", [("p1", png(2)), ("p3", png())])
    source = open_source([tmp_path / "c.zip", tmp_path / "d.zip"])
    assert (len(source), people(source)) == (4, ["p1", "p2", "p3"])


def test_junk_and_other_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("p/1.png", "__MACOSX/p/._1.png", "p/.hidden.png", "p/notes.txt", "p/b.gif"):
            archive.writestr(name, png())
        archive.writestr("empty/", "")
    source = open_source(tmp_path / "x.zip")
    assert len(source) == 1
    assert [name.rpartition("/")[2] for name, _ in source.ignored()] == ["notes.txt", "b.gif"]


def test_archives_without_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a/b.txt", "text")
    with pytest.raises(InputError, match=r"is a zip archive without images .*it holds a/b\.txt"):
        open_source(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("b.png", png())
    with pytest.raises(InputError, match=r"b\.png is in no person's folder"):
        open_source(tmp_path / "x.zip")


def test_mixed_kinds(tmp_path):
    zipped(tmp_path / "a")
    tarred(tmp_path / "b")
    with pytest.raises(InputError, match=r"a\.zip is a zip archive and .*b\.tar is a tar archive"):
        open_source(tmp_path)
    webdataset(tmp_path / "c")
    with pytest.raises(InputError, match=r"c\.tar is a WebDataset and .*b\.tar has no samples"):
        open_source([tmp_path / "b.tar", tmp_path / "c.tar"])
    (tmp_path / "a.zip").rename(tmp_path / "p2.zip")
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "1.png").write_bytes(png())
    with pytest.raises(InputError, match="of mixed kinds"):
        open_source(tmp_path)


def test_order_and_people_of_a_compressed_tar(tmp_path):
    source = open_source(tarred(tmp_path / "x", FACES, "w:bz2", ".tar.bz2"))
    assert source.in_order
    assert [source.read(i) for i in (3, 1, 1, 4)] == [FACES[i][1] for i in (3, 1, 1, 4)]


def test_names_that_are_no_utf8(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "x.tar", "w", encoding="latin-1") as archive:
        add(archive, "J\xf6rg/1.png", png())
    source = open_source(tmp_path / "x.tar")
    assert source.read(0) == png()
    assert source.stamp()
