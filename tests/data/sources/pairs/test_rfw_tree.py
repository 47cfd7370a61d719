"""RFW: a list and a folder for each race."""

import pytest
from pair_files import SAME, WANTED, content, write_people, write_rfw

from gluonface.data import open_pairs
from gluonface.errors import DataError

RACES = ("Indian", "African", "Caucasian")


@pytest.mark.parametrize("below", ["", "test"])
def test_all_races_are_one_set_with_groups(tmp_path, below):
    write_rfw(tmp_path / below, RACES)
    pairs = open_pairs(tmp_path)
    assert content(pairs) == WANTED * 3
    assert pairs.issame.tolist() == SAME * 3
    assert pairs.groups == [race for race in sorted(RACES) for _ in range(8)]
    assert pairs.folds is None
    assert pairs.group_lists
    assert len(pairs.inputs) == 3


def test_an_aligned_copy_is_the_root(tmp_path):
    write_rfw(tmp_path / "rfw", RACES)
    for race in RACES:
        write_people(tmp_path / "aligned" / race)
    pairs = open_pairs(tmp_path / "rfw", root=tmp_path / "aligned")
    assert pairs.image_name(0).startswith(str(tmp_path / "aligned"))
    assert content(pairs) == WANTED * 3


def test_what_is_missing_is_named(tmp_path):
    root = write_rfw(tmp_path / "rfw", RACES)
    (root / "data/African/Ann_Abel/Ann_Abel_0002.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of the 8 images .*African_pairs\.txt.*Ann_Abel_0002"):
        open_pairs(root)
    (root / "data/African").rename(root / "data/Africans")
    with pytest.raises(DataError, match="no folder data/African"):
        open_pairs(root)
    (root / "txts/Asian").mkdir()
    with pytest.raises(DataError, match=r"Asian has 0 files \*_pairs\.txt"):
        open_pairs(root)
