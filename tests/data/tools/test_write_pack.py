"""Pairs into packs."""

import pytest
from packed_faces import QUIET, SIZE, face

from gluonface.data import VerificationPack
from gluonface.data.tools.unpack import unpack_pack
from gluonface.data.tools.write_pack import pack_pairs
from gluonface.errors import DataError


def test_pairs_in_lfws_form_and_plain(people, tmp_path):
    root = tmp_path / "lfw"
    for person, number in (("Ann_B", 1), ("Ann_B", 2), ("Cid", 12)):
        (root / person).mkdir(parents=True, exist_ok=True)
        (root / person / f"{person}_{number:04d}.png").write_bytes(face(number))
    (tmp_path / "pairs.txt").write_text("1\t1\nAnn_B\t1\t2\r\nAnn_B\t2\tCid\t12\n")
    packed = pack_pairs(tmp_path / "pairs.txt", root, tmp_path / "a.bin", size=SIZE, **QUIET)
    assert packed.issame.tolist() == [True, False]
    read = VerificationPack.load(tmp_path / "a.bin")
    assert read.bins == [face(1), face(2), face(2), face(12)]
    found = unpack_pack(tmp_path / "a.bin", tmp_path / "files", **QUIET)
    assert found == {"pairs": 2, "images": 4}
    pack_pairs(tmp_path / "files/pairs.csv", tmp_path / "files", tmp_path / "b.bin", SIZE, **QUIET)
    again = VerificationPack.load(tmp_path / "b.bin")
    assert (again.bins, again.issame.tolist()) == (read.bins, read.issame.tolist())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\nAnn 1\n", "line 2"),
        ("a.png,b.png\n", "no label"),
        ("a.png,b.png,1\na.png,b.png,2\n", "line 2"),
        ("# nothing\n", "no pairs"),
        ("a.png b.png 1\n", r"none of the 2 images .* a\.png .*line 1"),
    ],
)
def test_pairs_that_are_none(tmp_path, text, message):
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        pack_pairs(tmp_path / "pairs.txt", tmp_path, tmp_path / "x.bin", **QUIET)


def test_images_of_another_size_and_broken_ones_are_named(people, tmp_path):
    (tmp_path / "a.png").write_bytes(face(1, 20))
    (tmp_path / "b.png").write_bytes(face(2))
    (tmp_path / "x.txt").write_text("b.png a.png 1\nb.png b.png 0\n")
    with pytest.raises(DataError, match=r"a\.png: it has 20 x 20 pixels"):
        pack_pairs(tmp_path / "x.txt", None, tmp_path / "x.bin", SIZE, **QUIET)
    packed = pack_pairs(tmp_path / "x.txt", None, tmp_path / "x.bin", SIZE, True, 101, **QUIET)
    assert packed.bins[0] == face(2)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png: it is not a JPEG"):
        pack_pairs(tmp_path / "x.txt", None, tmp_path / "x.bin", SIZE, **QUIET)
