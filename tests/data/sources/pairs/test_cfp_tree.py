"""CFP: numbered images, and pairs of numbers by protocol and fold."""

import pytest
from pair_files import cfp_pairs, content, write_cfp

from gluonface.data import open_pairs
from gluonface.errors import DataError, InputError


@pytest.mark.parametrize("protocol", ["FF", "FP"])
@pytest.mark.parametrize("place", ["", "Protocol"])
def test_protocols(tmp_path, protocol, place):
    root = write_cfp(tmp_path / "cfp")
    pairs = open_pairs(root / place, protocol=protocol)
    wanted = cfp_pairs(protocol)
    assert content(pairs) == [one[:2] for one in wanted]
    assert pairs.issame.tolist() == [one[2] for one in wanted]
    assert pairs.folds.tolist() == [one[3] for one in wanted]
    assert pairs.name == f"cfp-{protocol}"


def test_an_aligned_copy_is_the_root(tmp_path):
    root = write_cfp(tmp_path / "cfp")
    (root / "Data").rename(tmp_path / "Data")
    with pytest.raises(DataError, match="none of the"):
        open_pairs(root, protocol="FP")
    pairs = open_pairs(root, protocol="FP", root=tmp_path)
    assert content(pairs) == [one[:2] for one in cfp_pairs("FP")]


def test_one_protocol_need_not_be_named(tmp_path):
    root = write_cfp(tmp_path / "cfp")
    with pytest.raises(InputError, match=r"FF \(8 pairs\), FP \(8 pairs\): say which"):
        open_pairs(root)
    with pytest.raises(InputError, match="protocol is 'PP'"):
        open_pairs(root, protocol="PP")
    (root / "Protocol/Split/FF").rename(tmp_path / "FF")
    assert len(open_pairs(root)) == 8


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "Pair_list_P.txt",
            "1 ../Data/a.jpg\n1 x.jpg\n",
            "line 2 .*second time",
        ),
        ("Pair_list_P.txt", "1\n", "line 1 is '1'; `number path`"),
        ("Pair_list_P.txt", "1 ../Data/Images/001/profile/01.jpg\n", "line 2 names image 3"),
        ("Pair_list_F.txt", "1 ../../etc/x.jpg\n2 ../Data/a.jpg\n4 x.jpg\n7 x.jpg", "leads out of"),
        ("Split/FP/02/same.txt", "0,1\n", "line 1 names image 0"),
        ("Split/FP/02/same.txt", "1;2\n", "line 1 is '1;2'; `a,b`"),
        ("Split/FP/02/same.txt", "1,2,3\n", "line 1 is '1,2,3'"),
    ],
)
def test_broken_lists_are_named(tmp_path, file, text, message):
    root = write_cfp(tmp_path / "cfp")
    (root / "Protocol" / file).write_text(text)
    with pytest.raises(DataError, match=message) as error:
        open_pairs(root, protocol="FP")
    assert str(root) in str(error.value)
    (root / "Protocol/Split/FP/02/same.txt").unlink()
    with pytest.raises(DataError, match=r"has no file same\.txt"):
        open_pairs(root, protocol="FP")
