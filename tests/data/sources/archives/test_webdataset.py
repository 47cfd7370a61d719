"""WebDataset shards."""

import gzip
import json
import tarfile

import pytest
from face_forms import FACES, add, tarred, webdataset
from record_files import png

from gluonface.data.sources import open_source
from gluonface.errors import DataError, InputError


def shard(path, *members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            add(archive, name, data)
    return path


def identities(source):
    return [source.identity(i) for i in range(len(source))]


@pytest.mark.parametrize(
    "label",
    [
        lambda p: ("cls", p.encode()),
        lambda p: ("CLS", f"{p}\n".encode()),
        lambda p: ("cls.txt", f"{p}\r\n".encode()),
        lambda p: ("id", p.encode()),
        lambda p: ("json", json.dumps({"label": p, "width": 112}).encode()),
        lambda p: ("json", json.dumps({"subject": p, "x": None}).encode()),
        lambda p: ("json", json.dumps(p).encode()),
    ],
)
def test_labels(label, tmp_path):
    source = open_source(webdataset(tmp_path / "x", label=label))
    assert source.kind == "webdataset"
    assert identities(source) == [person for person, _ in FACES]


def test_labels_of_txt_are_whole_numbers(tmp_path):
    path = webdataset(tmp_path / "x", label=lambda p: ("txt", p[1:].encode()))
    assert identities(open_source(path)) == [person[1:] for person, _ in FACES]
    path = webdataset(tmp_path / "y", label=lambda p: ("txt", b"a smiling face"))
    with pytest.raises(DataError, match=r"00000000\.txt holds .*a whole number was expected"):
        open_source(path)


def test_shards_share_labels_and_patterns_name_them(tmp_path):
    for number in range(3):
        webdataset(tmp_path / f"x-{number:04d}", FACES[number : number + 2])
    for paths in (
        f"{tmp_path}/x-{{0000..0002}}.tar",
        f"{tmp_path}/x-*.tar",
        tmp_path,
        [tmp_path / f"x-{number:04d}.tar" for number in range(3)],
    ):
        source = open_source(paths)
        assert (len(source), source.num_identities) == (6, 2)
    (tmp_path / "x-0001.tar").unlink()
    for paths in (f"{tmp_path}/x-{{0000..0002}}.tar", tmp_path):
        with pytest.raises(InputError, match=r"x-0001\.tar is missing"):
            open_source(paths)


def test_the_list_of_shards(tmp_path):
    webdataset(tmp_path / "a")
    listed = {"shardlist": [{"url": "a.tar", "nsamples": len(FACES)}]}
    file = tmp_path / "datasets_webdataset.json"
    file.write_text(json.dumps(listed))
    assert len(open_source(tmp_path)) == len(FACES)
    listed["shardlist"][0]["nsamples"] += 1
    file.write_text(json.dumps(listed))
    with pytest.raises(DataError, match=r"a\.tar has 5 samples, datasets_webdataset\.json says 6"):
        open_source(tmp_path)
    listed["shardlist"].append({"url": "b.tar", "nsamples": 1})
    file.write_text(json.dumps(listed))
    with pytest.raises(InputError, match=r"b\.tar is missing"):
        open_source(tmp_path)
    file.write_text("[[")
    assert len(open_source(tmp_path)) == len(FACES)


def test_keys_that_follow_each_other(tmp_path):
    members = [(f"m.0b/1.{s}", d) for d in (b"7", b"8") for s, d in (("png", png()), ("cls", d))]
    source = open_source(shard(tmp_path / "x.tar", *members))
    assert identities(source) == ["7", "8"]
    assert source.member(0) == "m.0b/1.png"


def test_a_tree_is_no_webdataset(tmp_path):
    path = shard(tmp_path / "x.tar", ("p/m.0_1.png", png()), ("p/notes.txt", b"7"))
    assert open_source(path).kind == "tar"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("1.png", png()), ("1.jpg", png()), ("1.cls", b"7")], r"1 has 2 images \(jpg, png\)"),
        ([("1.png", png()), ("1.cls", b"")], r"1\.cls holds ''; a label"),
        ([("1.png", png()), ("1.cls", b"1\n2")], "a label in one line"),
        ([("1.png", png()), ("1.cls", b"\xff\xfe")], "is no text"),
        ([("1.png", png()), ("1.cls", bytes(2 << 20))], "has more than 1,048,576 bytes"),
        ([("1.png", png()), ("1.json", b"{")], "is no JSON"),
        ([("1.png", png()), ("1.json", b"[" * 99999)], "is no JSON"),
        ([("1.png", png()), ("1.json", b"[1]")], "an object with a label"),
        ([("1.png", png()), ("1.json", b'{"a": 1, "b": 2}')], "the fields a, b; none may be"),
        ([("1.png", png()), ("1.json", b'{"id": 1, "label": 2}')], "label and id may be"),
        ([("1.png", png()), ("1.json", b'{"label": [1]}')], "label is '\\[1\\]'"),
    ],
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_samples_that_are_refused(members, message, mode, tmp_path):
    with pytest.raises((DataError, InputError), match=message):
        open_source(shard(tmp_path / "x.tar", *members, mode=mode))


def test_the_field_of_json_can_be_named(tmp_path):
    path = shard(tmp_path / "x.tar", ("1.json", b'{"id": 1, "label": 2}'), ("1.png", png()))
    assert identities(open_source(path, columns={"identity": "id"})) == ["1"]


def test_samples_of_nobody(tmp_path):
    members = [
        ("1.png", png()),
        ("1.cls", b"-1"),
        ("2.png", png()),
        ("3.png", png()),
        ("3.cls", b"4"),
        ("4.cls", b"5"),
        ("5.json", b'{"label": null}'),
        ("5.png", png()),
    ]
    source = open_source(shard(tmp_path / "x.tar", *members))
    assert identities(source) == ["4"]
    assert [name.rpartition(" ")[2] for name, _ in source.ignored()] == ["1", "2", "5"]


def test_cut_shards(tmp_path):
    whole = webdataset(tmp_path / "x").read_bytes()
    (tmp_path / "x.tar").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DataError, match=r"x\.tar is a tar archive that"):
        open_source(tmp_path / "x.tar")
    (tmp_path / "y.tar").write_bytes(gzip.compress(whole)[:-200])
    with pytest.raises(DataError, match=r"y\.tar .*cut short"):
        open_source(tmp_path / "y.tar")
    with pytest.raises(InputError, match="has no meaning for"):
        open_source(tarred(tmp_path / "z"), columns="identity=x")
