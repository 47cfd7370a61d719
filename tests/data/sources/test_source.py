"""Every form of faces is the same small object."""

import pytest
from record_files import png

from gluonface.data import RecordWriter
from gluonface.data.sources import FaceSource, open_source
from gluonface.errors import InputError


def folders(root):
    for person, count in (("p10", 1), ("p2", 2)):
        (root / person).mkdir(parents=True)
        for number in range(count):
            (root / person / f"{number}.png").write_bytes(png(10 * count + number))
    (root / "p2" / "note.txt").write_text("no image")
    return root, "folders", ["p10", "p2", "p2"], [10, 20, 21]


def list_file(root):
    folders(root / "images")
    (root / "faces.lst").write_text("images/p2/1.png\t7\nimages/p10/0.png\t3\n")
    return root / "faces.lst", "list", ["7", "3"], [21, 10]


def records(root):
    with RecordWriter(root / "set") as writer:
        for label, seed in ((4, 1), (4, 2), (5, 3)):
            writer.add(png(seed), label)
    return root / "set", "records", ["4", "4", "5"], [1, 2, 3]


@pytest.mark.parametrize("make", [folders, list_file, records])
def test_a_source_is_read(make, tmp_path):
    path, kind, identities, seeds = make(tmp_path)
    source = open_source(path)
    assert isinstance(source, FaceSource)
    assert (source.kind, len(source)) == (kind, len(seeds))
    assert source.num_identities == len(set(identities))
    assert [source.identity(i) for i in range(len(source))] == identities
    assert [source.read(i) for i in range(len(source))] == [png(seed) for seed in seeds]
    assert {source.group(i) for i in range(len(source))} == {None}
    assert len({source.name(i) for i in range(len(source))}) == len(seeds)
    assert source.stamp() == open_source(path).stamp()
    reasons = [reason for _, reason in source.ignored()]
    assert len(reasons) == (1 if kind == "folders" else 0)


def test_what_is_no_source(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        open_source(tmp_path / "nothing")
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="has no photographs"):
        open_source(tmp_path / "x")
