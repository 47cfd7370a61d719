"""CVLface's pairs in Arrow folders."""

import pytest
from pair_files import SAME, WANTED, arrow_images, check, write_arrow

from gluonface.data import open_pairs
from gluonface.errors import DataError, InputError

pytest.importorskip("pyarrow", reason="needs the extra: pip install 'gluonface[formats]'")

FLAT = [one for pair in WANTED for one in pair]
ORDER = [3, 0, 15, 7, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]  # of the rows in the files


def columns(same=None, index=None, data=FLAT):
    same = [flag for flag in SAME for _ in (0, 1)] if same is None else same
    index = list(range(len(data))) if index is None else index
    return {
        "image": arrow_images([data[row] for row in ORDER[: len(data)]]),
        "index": [index[row] for row in ORDER[: len(data)]],
        "is_same": [same[row] for row in ORDER[: len(data)]],
    }


def test_rows_are_pairs_in_the_order_of_their_index(tmp_path):
    pairs = open_pairs(write_arrow(tmp_path / "lfw", columns(), files=3))
    check(pairs)
    assert pairs.name == "lfw"
    spread = columns(index=[100 * n for n in range(16)])
    check(open_pairs(write_arrow(tmp_path / "calfw", spread)))


def test_a_dict_of_splits(tmp_path):
    folder = write_arrow(tmp_path / "set", columns(), splits=("a", "b"))
    with pytest.raises(InputError, match=r"has the splits a, b: name one \(--split\)"):
        open_pairs(folder)
    check(open_pairs(folder, split="b"))
    with pytest.raises(InputError, match="there is no 'c'"):
        open_pairs(folder, split="c")
    sets = tmp_path / "facerec_val"
    write_arrow(sets / "lfw", columns())
    write_arrow(sets / "calfw", columns())
    with pytest.raises(DataError, match=r"Arrow sets calfw, lfw: name one"):
        open_pairs(sets)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (columns(same=[True] + [False] * 15), "index 0 and 1 are a pair, but is_same is True"),
        (columns(index=[5] * 16), "the index 5 twice"),
        (columns(same=[None] * 16), "is_same is None"),
        ({"image": arrow_images(FLAT[:3]), "index": [0, 1, 2], "is_same": [True] * 3}, "3 rows"),
        ({"image": arrow_images(FLAT[:2]), "index": [0, 1]}, "no column 'is_same'"),
        ({"image": ["a", "b"], "index": [0, 1], "is_same": [True] * 2}, "has no image"),
        (
            {"image": arrow_images([None] * 2), "index": [0, 1], "is_same": [True] * 2},
            "not in the file, only their paths",
        ),
    ],
)
def test_rows_that_are_no_pairs(tmp_path, changed, message):
    with pytest.raises((DataError, InputError), match=message):
        open_pairs(write_arrow(tmp_path / "x", changed, files=1))
