"""Every form of faces is the same small object."""

import pickle

import pytest
from face_forms import FACES, FORMS, TABLES, folders
from record_files import png

from gluonface.data.sources import FaceSource, open_source
from gluonface.data.sources.source import natural_key, number_keys
from gluonface.errors import InputError


@pytest.fixture(params=FORMS)
def form(request, tmp_path):
    if request.param in TABLES:
        pytest.importorskip("pyarrow" if request.param != "lmdb" else "lmdb")
    write, name, ordered = FORMS[request.param]
    return write(tmp_path / "x"), name, ordered


def test_a_source_is_read(form):
    path, name, ordered = form
    source = open_source(path)
    assert isinstance(source, FaceSource)
    numbers = range(len(source))
    assert source.num_identities == 3
    found = [(source.identity(i), source.read(i)) for i in numbers]
    wanted = [(name.replace("2", person[1:]), data) for person, data in FACES]
    assert (found if ordered else sorted(found)) == (wanted if ordered else sorted(wanted))
    assert [source.read(i) for i in reversed(numbers)] == [data for _, data in reversed(found)]
    assert {source.group(i) for i in numbers} == {None}
    for names in (source.name, source.relative_name):
        assert len({names(i) for i in numbers}) == len(FACES)
    assert all(not source.relative_name(i).startswith(("/", "..")) for i in numbers)
    assert source.stamp() == open_source(str(path)).stamp()
    assert source.content_stamp() == open_source([path]).content_stamp()
    assert source.ignored() == []
    copy = pickle.loads(pickle.dumps(source))  # each process opens its own
    assert [copy.read(i) for i in numbers] == [data for _, data in found]


def test_identities_are_numbered_in_natural_order(form):
    path, name, _ = form
    source = open_source(path)
    people = [name.replace("2", number) for number in ("2", "3", "10")]
    assert [
        source.identity_of_label(label) for label in sorted({*source.labels.tolist()})
    ] == people


def test_what_is_no_source(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        open_source(tmp_path / "nothing")
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="has no photographs"):
        open_source(tmp_path / "x")


def test_several_folders_are_one_set(tmp_path):
    folders(tmp_path / "a", FACES[:2])
    folders(tmp_path / "b", FACES[2:])
    source = open_source([tmp_path / "a", tmp_path / "b"])
    assert (len(source), source.num_identities) == (5, 3)
    with pytest.raises(InputError, match="is a folder and"):
        open_source([tmp_path / "a", tmp_path / "a" / "p2" / "1.png"])


def test_natural_order():
    names = ["p10", "p2", "P2", "p02", "p2a", "7", "007", "9" * 5000, "²"]
    assert sorted(names, key=natural_key)[:2] == ["007", "7"]
    assert sorted(names, key=natural_key).index("p2") < sorted(names, key=natural_key).index("p10")
    labels, keys = number_keys(["b", None, "a", "b"])
    assert (labels.tolist(), keys) == ([1, -1, 0, 1], ["a", "b"])


def test_stored_bytes_go_through_unchanged(tmp_path):
    folders(tmp_path, [("p1", b"\xff\xd8 not an image"), ("p1", png())])
    assert open_source(tmp_path).read(0) == b"\xff\xd8 not an image"
