"""What the columns of lists mean."""

import pytest

from gluonface.data.sources.list_columns import read_image_table
from gluonface.errors import DataError, InputError

POINTS = " ".join(f"{n}.5" for n in range(10))


def table(tmp_path, text, columns=(), **options):
    file = tmp_path / "faces.txt"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_image_table(file, dict(columns), **options)


@pytest.mark.parametrize(
    ("text", "paths", "identities"),
    [
        ("a/1.jpg 7\nb/2.JPG 007\n", ["a/1.jpg", "b/2.JPG"], ["7", "007"]),
        ("a b/1.jpg Ann\n", ["a b/1.jpg"], ["Ann"]),
        ("Lee, Ann/1.jpg 7\nLee, Bo/1.jpg 8\n", ["Lee, Ann/1.jpg", "Lee, Bo/1.jpg"], ["7", "8"]),
        ("Lee, Ann/1.jpg\nLee, Ann/2.jpg\n", ["Lee, Ann/1.jpg", "Lee, Ann/2.jpg"], None),
        ("Lee, Ann/1.jpg,7\nx/2.jpg,8\n", ["Lee, Ann/1.jpg", "x/2.jpg"], ["7", "8"]),
        ("7,a/1.jpg\n7,b/2.jpg\n", ["a/1.jpg", "b/2.jpg"], ["7", "7"]),
        ('"Lee, Ann/1.jpg",7\n"x/2.jpg",8\n', ["Lee, Ann/1.jpg", "x/2.jpg"], ["7", "8"]),
        ("a/1.png\tAnn Abel\nb/1.png\tBo\n", ["a/1.png", "b/1.png"], ["Ann Abel", "Bo"]),
        ("a/1.png;Ann\r\nb/1.png;Bo\r\n", ["a/1.png", "b/1.png"], ["Ann", "Bo"]),
        ("7 a/1.png\n7 b/1.png\n", ["a/1.png", "b/1.png"], ["7", "7"]),
        ("0\t3.000000\ta b/1.jpg\n5\t12.000000\tc.jpg\n", ["a b/1.jpg", "c.jpg"], ["3", "12"]),
        ("0\t3.0\t9.5\ta/1.jpg\n1\t4.0\ta/2.jpg\n", ["a/1.jpg", "a/2.jpg"], ["3", "4"]),
        ("0 3.0 a b/1.jpg\n1 4.0 a/2.jpg\n", ["a b/1.jpg", "a/2.jpg"], ["3", "4"]),
        ("0\ta/1.jpg\t3\n1\ta/2.jpg\t0\n", ["a/1.jpg", "a/2.jpg"], ["3", "0"]),
        ("1\ta/1.jpg\t3\t10\t20\n1\ta/2.jpg\t0\n", ["a/1.jpg", "a/2.jpg"], ["3", "0"]),
        ("# made by hand\n\na/1.jpg\nb c/2.jpg\n", ["a/1.jpg", "b c/2.jpg"], None),
        ("\ufeffpath,identity\na/1.jpg,Ann\n", ["a/1.jpg"], ["Ann"]),
        ("Id;person;split\na/1.jpg;Ann;train\n", ["a/1.jpg"], ["Ann"]),
        ("target FILE_NAME\n4 a/1.jpg\n", ["a/1.jpg"], ["4"]),
        (",image_id,label\n0,1.jpg,3\n1,2.jpg,4\n", ["1.jpg", "2.jpg"], ["3", "4"]),
        ("db_code image_path\nD1 Ann/1.jpg\n", ["Ann/1.jpg"], None),
        ("a/1.jpg -1\nb/1.jpg 4\n", ["a/1.jpg", "b/1.jpg"], [None, "4"]),
        ("a/1.jpg 0 7 0\nb/1.jpg 0 8 0\n", ["a/1.jpg", "b/1.jpg"], ["7", "8"]),  # MagFace
        ("a/1.jpg,train,7\nb/1.jpg,val,8\n", ["a/1.jpg", "b/1.jpg"], ["7", "8"]),
        ("a/1.jpg 7 0.5\nb/1.jpg 8 0.75\n", ["a/1.jpg", "b/1.jpg"], ["7", "8"]),  # a score
        ("path,label,split\na/1.jpg,7,train\nb/1.jpg,8,val\n", ["a/1.jpg", "b/1.jpg"], ["7", "8"]),
        ("a/1.jpg 7 0\na/2.jpg 7 0\n", ["a/1.jpg", "a/2.jpg"], ["7", "7"]),
    ],
)
def test_forms(tmp_path, text, paths, identities):
    found = table(tmp_path, text)
    assert (found.paths, found.identities) == (paths, identities)


def test_landmarks_of_deepglint(tmp_path):
    found = table(tmp_path, f"a/1.jpg 86876 {POINTS}\nb/1.jpg 86877 {POINTS}\n")
    assert found.identities == ["86876", "86877"]
    assert found.points.shape == (2, 5, 2)
    assert found.points[1, 2].tolist() == [4.5, 5.5]


def test_columns_and_groups_that_the_user_names(tmp_path):
    text = "pic,who,race,code\na/1.jpg,Ann,x,7\nb/1.jpg,Bo,y,8\n"
    found = table(tmp_path, text, {"path": "pic", "identity": "code"})
    assert (found.identities, found.groups) == (["7", "8"], ["x", "y"])
    found = table(tmp_path, text, {"path": "pic", "identity": "who"}, group=["race", "code"])
    assert found.groups == ["x | 7", "y | 8"]
    found = table(tmp_path, "x 9 a/1.jpg\n", {"path": "3", "identity": "2"})
    assert (found.paths, found.identities) == (["a/1.jpg"], ["9"])
    assert table(tmp_path, text, {"path": "pic"}).identities is None


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", DataError, "lists no images"),
        ("path,label\n", DataError, "only a header"),
        ("foo,bar\na/1.jpg,3\n", InputError, r"has the columns foo, bar; none is a known name of"),
        ("path,who\na/1.jpg,3\n", InputError, "none may be the identity: say which: --columns"),
        ("path,name,label\na/1.jpg,A,3\n", InputError, "name and label may be the identity"),
        ('NAME_ID,P1X,P1Y\n"n0/1",1,2\n', InputError, "no list of images"),
        ("a/1.jpg b/2.jpg 1\n", InputError, "a list of pairs"),
        ("label a b\n1 a/1.jpg b/2.jpg\n", InputError, "columns"),
        ("1\t2\n3\t4\n", DataError, "line 1 is '1 2'; no field of it ends with"),
        ("a/1.jpg 0 7\nb/1.jpg 1 8\n", InputError, "the identity may be in 2 or 3"),
        ("a/1.jpg,train,dev\nb/1.jpg,train,val\n", InputError, "the identity may be in none"),
        ("7 a/1.jpg train\n7 a/2.jpg train\n8 b/1.jpg train\n", InputError, "may be in 1 "),
        ("a/1.jpg 3\nb/1.xyz 4\n", DataError, "line 2 is 'b/1.xyz 4'"),
        ("a/1.jpg 3\n4 a/2.jpg\n", DataError, "line 2 is '4 a/2.jpg', whose path is in another"),
        ("a/1.jpg 1.5\n", DataError, "line 1 has the label 1.5"),
        ("a/1.jpg\t\n", DataError, "line 1 has no identity"),
        ("0 a/1.jpg\n1 a/2.jpg\n2 b/1.jpg\n", InputError, "another number for each of its 3"),
        ("a/1.jpg 3 x y\n", InputError, "other things than numbers; say which: --columns"),
        (b"\x00\x01", DataError, "is not a text file"),
    ],
)
def test_lists_that_are_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message) as raised:
        table(tmp_path, text)
    assert "faces.txt" in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": "7"}, "has no column 7; there are pic, who"),
        ({"path": "pic", "identity": "pic"}, "cannot be both"),
    ],
)
def test_columns_that_are_not_there(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        table(tmp_path, "pic,who\na/1.jpg,Ann\n", columns)
    with pytest.raises(InputError, match="has no header"):
        table(tmp_path, "a/1.jpg 3\n", group=["race"])
