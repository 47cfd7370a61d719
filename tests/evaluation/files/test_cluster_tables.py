import pytest

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files.cluster_tables import match_tables, read_clusters


def write(path, text):
    path.write_text(text)
    return path


def test_tables_of_both_kinds(tmp_path):
    found = read_clusters(
        write(tmp_path / "f.csv", 'image,face,cluster,score\n"a,1.jpg",1,2,0.5\nb,1,,\nb,2,2,0.1\n')
    )
    assert found == {("a,1.jpg", "1"): "2", ("b", "1"): "", ("b", "2"): "2"}
    true = read_clusters(write(tmp_path / "t.csv", '\ufeffperson,image\nanna,b\n\nbo,"a,1.jpg"\n'))
    assert true == {("b", None): "anna", ("a,1.jpg", None): "bo"}
    people, clusters, unknown = match_tables(found, true)
    assert people == ["anna", "bo"]
    assert clusters[1] == "2"
    assert clusters[0] not in ("", "2")
    assert unknown == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first line has nothing"),
        ("a,b\n", "the first line has a, b"),
        ("image,score\n", "expected the columns image and cluster"),
        ("image,cluster\na\n", "line 2: 1 fields; expected 2"),
        ("image,cluster\na,1\na,2\n", "line 3: a is listed twice"),
        ("image,cluster\n", "lists no image"),
        ("image,cluster\na,\0\n", "zero byte"),
    ],
)
def test_no_such_table(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read_clusters(write(tmp_path / "x.csv", text))


def test_what_does_not_match(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_clusters(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"c\.jpg, which T lists, is not among the clusters"):
        match_tables({("a", "1"): "1"}, {("c.jpg", None): "x"}, "T")
    with pytest.raises(DataError, match="does not say who is on a"):
        match_tables({("a", "1"): "1"}, {("a", None): ""})
