"""Groups of a file of their own: by pair, image or person."""

import pytest
from pair_files import ANN, BO, CY, PAIRS, lfw_line, path_of, write_people

from gluonface.data import open_pairs
from gluonface.data.sources.pairs.group_file import read_groups, read_pair_groups
from gluonface.errors import DataError, InputError

OF = {ANN: "f", BO: "m", CY: "f"}
WANTED = [OF[a[0]] if OF[a[0]] == OF[b[0]] else "f | m" for a, b, _ in PAIRS]


@pytest.fixture
def pairs(tmp_path):
    people = write_people(tmp_path / "people")
    (tmp_path / "pairs.txt").write_text("\n".join(lfw_line(*one) for one in PAIRS))
    return open_pairs(tmp_path / "pairs.txt", root=people)


def written(tmp_path, head, rows):
    path = tmp_path / "groups.csv"
    path.write_text("\n".join([head, *rows]))
    return path


def test_by_pair(tmp_path, pairs):
    assert read_groups(written(tmp_path, "group", WANTED), pairs) == WANTED
    rows = [f"{n},{OF[a[0]]},{OF[b[0]]}" for n, (a, b, _) in enumerate(PAIRS)]
    path = written(tmp_path, "number,race1,race2", rows)
    assert read_groups(path, pairs) == WANTED
    assert read_pair_groups(path, 8) == WANTED
    with pytest.raises(DataError, match="8 lines below its head; there are 7 pairs"):
        read_pair_groups(path, 7)


def test_by_image_and_by_person(tmp_path, pairs):
    rows = [f"{path_of((who, n))},{OF[who]}" for who in OF for n in (1, 2, 3)]
    assert read_groups(written(tmp_path, "Path,Race", rows), pairs) == WANTED
    rows = [f"{who},{group}" for who, group in OF.items()]
    assert read_groups(written(tmp_path, "identity,group", rows), pairs) == WANTED
    with pytest.raises(DataError, match=r"has no group of .*Cy_Cole_0001\.png"):
        read_groups(written(tmp_path, "identity,group", rows[:2]), pairs)


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        ("identity,sex", ["a,f"], "no column group; its columns are identity, sex"),
        ("sex", ["f"] * 8, "no column group, nor group1 and group2; its columns are sex"),
        ("identity,group", ["a,f", "a"], "line 3 has 1 fields"),
        ("identity,group", [",f"], "line 2 has an empty identity or group"),
        ("identity,group", ["a,f", "a,m"], "line 3 gives a a second group"),
        ("group", [], "holds no groups"),
    ],
)
def test_files_that_are_none(tmp_path, pairs, head, rows, message):
    with pytest.raises((DataError, InputError), match=message):
        read_groups(written(tmp_path, head, rows), pairs)
