"""Subsets, merged sets, other orders."""

import numpy as np
import pytest
from packed_faces import QUIET, content, face, table

from gluonface.data import RecordDataset, RecordWriter
from gluonface.data.tools.transform_records import merge, read_identity_map, shuffle, subset
from gluonface.errors import DataError, InputError


def test_subset_by_identity_and_number_of_images(packed, tmp_path):
    found = subset(packed, tmp_path / "a", identities=[2, 0], **QUIET)
    assert (found["images"], found["identities"]) == (5, 2)
    assert table(tmp_path / "a" / "identities.csv")[1:] == [["0", "0", "9"], ["1", "2", "ann"]]
    subset(packed, tmp_path / "b", min_images=3, keep_ids=True, **QUIET)
    assert [label for label, _ in content(tmp_path / "b")] == [1, 1, 1, 2, 2, 2, 2]
    assert RecordDataset(tmp_path / "b").num_classes == 3
    subset(packed, tmp_path / "c", max_images=2, seed=3, **QUIET)
    assert np.bincount([label for label, _ in content(tmp_path / "c")]).tolist() == [1, 2, 2]
    assert set(content(tmp_path / "c")) <= set(content(packed))
    keys = [RecordDataset(packed).key(i) for i in (1, 7)]
    subset(packed, tmp_path / "d", images=keys, **QUIET)
    assert [data for _, data in content(tmp_path / "d")] == [content(packed)[i][1] for i in (1, 7)]
    subset(packed, tmp_path / "e", first=1, **QUIET)
    assert len(content(tmp_path / "e")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identities": [5]}, "no identities 5"),
        ({"images": [99]}, "no images 99"),
        ({"min_images": 9}, "no image is left"),
        ({"min_images": 0}, "1 or more"),
        ({"max_images": 0}, "1 or more"),
        ({"first": 0}, "1 or more"),
        ({"max_images": 1, "seed": -1}, "seed=-1"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_subsets_that_are_none(packed, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        subset(packed, tmp_path / "x", **change, **QUIET)


def test_merging_with_a_map(packed, tmp_path):
    (tmp_path / "map.csv").write_text("set,identity,set,identity\n1,0,0,2\n1,2,1,0\n")
    pairs = read_identity_map(tmp_path / "map.csv")
    found = merge([packed, packed], tmp_path / "two", identity_map=pairs, **QUIET)
    assert (found["images"], found["identities"], found["joined"]) == (16, 4, 2)
    # Set 1: its 0 and 2 are 2 of set 0, and its 1 is new.
    assert np.bincount([label for label, _ in content(tmp_path / "two")]).tolist() == [1, 3, 9, 3]
    assert table(tmp_path / "two" / "identities.csv")[1:] == [
        ["0", "0", "0", "9"],
        ["1", "0", "1", "10"],
        ["2", "0", "2", "ann"],
        ["2", "1", "0", "9"],
        ["2", "1", "2", "ann"],
        ["3", "1", "1", "10"],
    ]
    plain = merge([packed, packed], tmp_path / "offset", **QUIET)
    assert (plain["identities"], plain["joined"]) == (6, 0)


def test_maps_that_are_none(packed, tmp_path):
    with pytest.raises(InputError, match="identity 7 of set 1"):
        merge([packed, packed], tmp_path / "x", identity_map={(1, 7): (0, 0)}, **QUIET)
    with pytest.raises(InputError, match="earlier one"):
        merge([packed, packed], tmp_path / "x", identity_map={(0, 0): (1, 0)}, **QUIET)
    with pytest.raises(InputError, match="two or more"):
        merge([packed], tmp_path / "x", **QUIET)
    (tmp_path / "map.csv").write_text("1,0,0,2\n1,0,0,1\n")
    with pytest.raises(DataError, match="line 2 maps identity 0 a second time"):
        read_identity_map(tmp_path / "map.csv")
    (tmp_path / "map.csv").write_text("1,0,zero,2\n")
    with pytest.raises(DataError, match="line 1"):
        read_identity_map(tmp_path / "map.csv")


def test_sets_of_two_sizes_do_not_merge(packed, tmp_path):
    with RecordWriter(tmp_path / "big") as writer:
        writer.add(face(0, 32), 0)
    with pytest.raises(InputError, match="24 x 24 and 32 x 32"):
        merge([packed, tmp_path / "big"], tmp_path / "x", **QUIET)


def test_shuffled_by_image_and_by_identity(packed, tmp_path):
    shuffle(packed, tmp_path / "a", seed=1, **QUIET)
    mixed = content(tmp_path / "a")
    assert sorted(mixed) == sorted(content(packed))
    assert mixed != content(packed)
    shuffle(packed, tmp_path / "same", seed=1, **QUIET)
    assert content(tmp_path / "same") == mixed
    shuffle(packed, tmp_path / "b", seed=1, by="identity", **QUIET)
    was = {int(a): int(b) for a, b, _ in table(tmp_path / "b" / "identities.csv")[1:]}
    assert sorted((was[label], data) for label, data in content(tmp_path / "b")) == sorted(
        content(packed)
    )
