"""Tables: columns by their names, in any order."""

import pytest
from pair_files import FOLDS, PAIRS, check, path_of, write_people

from gluonface.data import open_pairs
from gluonface.errors import DataError, InputError

GROUPS = ["x", "y", "z", "x", "x", "y", "z", "x"]
ROWS = [(path_of(a), path_of(b), int(s), f, g) for (a, b, s), f, g in zip(PAIRS, FOLDS, GROUPS)]


@pytest.fixture
def people(tmp_path):
    return write_people(tmp_path / "people")


def written(tmp_path, head, rows, mark=","):
    path = tmp_path / "table.csv"
    lines = [head, *(mark.join(map(str, row)) for row in rows)]
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def some(*places):
    return [[row[place] for place in places] for row in ROWS]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("first", "second", "same"),
        ("img1", "img2", "issame"),
        ("image1", "image2", "is_same"),
        ("Path1", "Path2", "Label"),
        ("p1", "p2", "match"),
        ("photo_1", "photo_2", "target"),
        ("file1", "file2", "isSame"),
    ],
)
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_names_of_columns(tmp_path, people, first, second, same, mark):
    head = mark.join(["note", same, second, "Fold", first, "group"])
    rows = [["a note", s, b, f, a, g] for a, b, s, f, g in ROWS]
    check(open_pairs(written(tmp_path, head, rows, mark), root=people), FOLDS, GROUPS)
    rows = [[s, b, a] for a, b, s, _, _ in ROWS]
    check(
        open_pairs(written(tmp_path, f"{same}{mark}{second}{mark}{first}", rows, mark), root=people)
    )


def test_an_index_without_a_name_and_scores_are_passed_over(tmp_path, people):
    rows = [[n, a, b, s, 0.5] for n, (a, b, s, _, _) in enumerate(ROWS)]
    check(open_pairs(written(tmp_path, ",p1,p2,label,senet50", rows), root=people))


def test_groups_of_two_columns(tmp_path, people):
    rows = [[a, b, s, g, h] for (a, b, s, _, g), h in zip(ROWS, "xyxxxyzz")]
    wanted = ["x", "y", "x | z", "x", "x", "y", "z", "x | z"]
    path = written(tmp_path, "p1,p2,label,att1,att2", rows)
    check(open_pairs(path, root=people), None, wanted)
    check(open_pairs(path, root=people, group=["att1", "att2"]), None, wanted)
    check(open_pairs(path, root=people, group="att1,att2"), None, wanted)
    check(open_pairs(path, root=people, group="att1"), None, [row[3] for row in rows])


def test_groups_that_may_be_several_are_not_guessed(tmp_path, people):
    rows = [[a, b, s, g, g, "F", "F", 3, 4] for a, b, s, _, g in ROWS]
    path = written(tmp_path, "p1,p2,label,att1,att2,a1,a2,e1,e2", rows)
    pairs = open_pairs(path, root=people)
    check(pairs)
    assert (
        "several columns may be the groups (att1 and att2; a1 and a2; e1 and e2)" in pairs.notes[0]
    )
    check(open_pairs(path, root=people, group=["a1", "a2"]), None, ["F"] * 8)
    with pytest.raises(InputError, match=r"no columns 'race'; its columns are p1, p2, label"):
        open_pairs(path, root=people, group="race")
    with pytest.raises(InputError, match=r"one column .* or two"):
        open_pairs(path, root=people, group=["a1", "a2", "e1"])


def test_columns_can_be_named(tmp_path, people):
    rows = [[b, a, s, f, g] for a, b, s, f, g in ROWS]
    path = written(tmp_path, "left,right,same person,part,who", rows)
    with pytest.raises(InputError, match=r"no column is known to be the first image.*left, right"):
        open_pairs(path, root=people)
    names = {"first": "right", "second": "left", "same": "same person", "fold": "part"}
    check(open_pairs(path, root=people, columns=names), FOLDS)
    text = "first=right,second=left,same=same person"
    check(open_pairs(path, root=people, columns=text, group="who"), None, GROUPS)
    check(open_pairs(path, root=people, columns=text + ",group=who"), None, GROUPS)
    with pytest.raises(InputError, match="no columns 'nose'"):
        open_pairs(path, root=people, columns="first=nose,second=left,same=part")
    with pytest.raises(InputError, match="mouth is no column of pairs"):
        open_pairs(path, root=people, columns="mouth=left")
    with pytest.raises(InputError, match="`first=NAME,second=NAME,same=NAME`"):
        open_pairs(path, root=people, columns="left")


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        ("first,img1,second,same", [["a.jpg", "a.jpg", "b.jpg", 1]], "several columns may be"),
        ("first,second", [["a.jpg", "b.jpg"]], "no column is known to be the label.*first, second"),
        ("first,second,same", [["a.jpg", "b.jpg", 1], ["a.jpg", "b.jpg"]], "line 3 has 2 fields"),
        ("first,second,same", [["a.jpg", "b.jpg", 1, 2]], "line 2 has 4 fields"),
        ("first,second,same", [["a.jpg", "b.jpg", 7]], "line 2 has '7' in the column 'same'"),
        ("first,second,same", [["a.jpg", "", 1]], "line 2 has '1' .* images 'a.jpg' and ''"),
        ("first,second,same,fold", [["a.jpg", "b.jpg", 1, "x"]], "line 2 has the fold 'x'"),
        ("first,second,group,same", [["a.jpg", "b.jpg", "", 1]], "line 2 has an empty group"),
        ("name,images", [["Ann", 4]], "expected a list of pairs|no column is known"),
        ("name,imagenum1,imagenum2,x", [["Ann", 1, 2]], "name,imagenum1,imagenum2 or"),
        ("name,imagenum1,imagenum2,", [["Ann", 1, "x"]], "line 2 is 'Ann,1,x'"),
        ("name,imagenum1,name,imagenum2", [["Ann", 1, 2]], "line 2 is 'Ann,1,2'"),
    ],
)
def test_tables_that_are_none(tmp_path, head, rows, message):
    path = written(tmp_path, head, rows)
    with pytest.raises((DataError, InputError), match=message) as error:
        open_pairs(path)
    assert str(path) in str(error.value)


def test_kaggles_tables_alone_and_two_together(tmp_path, people):
    def fields(first, second, same):
        return [first[0], first[1], *([second[1], ""] if same else second)]

    path = written(tmp_path, "name,imagenum1,imagenum2,", [fields(*one) for one in PAIRS])
    check(open_pairs(path, root=people))
    same = written(
        tmp_path, "name,imagenum1,imagenum2", [fields(*one)[:3] for one in PAIRS if one[2]]
    )
    same = same.rename(tmp_path / "matchpairsDevTest.csv")
    different = [fields(*one) for one in PAIRS if not one[2]]
    other = written(tmp_path, "name,imagenum1,name,imagenum2", different)
    pairs = open_pairs([same, other], root=people)
    assert pairs.issame.tolist() == [True] * 4 + [False] * 4
    assert pairs.notes == []
    assert open_pairs([same, other], root=people, folds=2).folds.tolist() == [0, 0, 1, 1] * 2
