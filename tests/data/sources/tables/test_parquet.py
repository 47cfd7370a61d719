"""Faces in Parquet files."""

import numpy as np
import pytest
from face_forms import FACES, faces_of, parquet, table
from record_files import png

from gluonface.data.sources import open_source
from gluonface.data.sources.tables import parquet as module
from gluonface.errors import DataError, InputError, MissingExtraError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
IMAGE = pa.array([{"bytes": png(n), "path": None} for n in range(3)])


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def identities(source):
    return [source.identity(i) for i in range(len(source))]


def test_classes_without_images_are_not_counted(tmp_path, caplog):
    path = parquet(tmp_path / "x", classes=("nobody", "p3", "p2", "p10"))
    source = open_source(path)
    assert identities(source) == [person for person, _ in FACES]
    assert source.keys == ["p2", "p3", "p10"]
    assert "1 of 4 named classes have no image, such as nobody" in caplog.text


@pytest.mark.parametrize(
    ("column", "values", "wanted"),
    [
        ("label", pa.array([7, 7, 9], pa.int8()), ["7", "7", "9"]),
        ("id", pa.array([7, 7, 1 << 62], pa.uint64()), ["7", "7", str(1 << 62)]),
        ("person", pa.array(["b", "b", "007"]), ["b", "b", "007"]),
        ("subject", pa.array(["b", "b", "a"], pa.large_string()), ["b", "b", "a"]),
        ("name", pa.array(["b", "b", "a"]).dictionary_encode(), ["b", "b", "a"]),
        ("target", pa.array([7, -1, 9]), ["7", "9"]),
        ("class_id", pa.array([7, None, 9]), ["7", "9"]),
        ("identity", pa.array(["b", None, "a"]), ["b", "a"]),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_columns(column, values, wanted, bare, tmp_path):
    image = pa.array([png(n) for n in range(3)], pa.binary()) if bare else IMAGE
    path = write(tmp_path / "x", size=pa.array([1, 2, 3]), image=image, **{column: values})
    source = open_source(path)
    assert identities(source) == wanted
    kept = [0, 1, 2] if len(wanted) == 3 else [0, 2]
    assert [source.read(i) for i in range(len(source))] == [png(n) for n in kept]
    assert len(source.ignored()) == 3 - len(kept)


def test_groups_and_named_columns(tmp_path):
    path = write(tmp_path / "x", face=IMAGE, who=["a", "b", "b"], race=["x", "y", "y"], n=[1, 1, 2])
    with pytest.raises(InputError, match=r"face \(struct.*none may be the identity.*--columns"):
        open_source(path)
    source = open_source(path, columns={"identity": "who"})
    assert [source.group(i) for i in range(3)] == ["x", "y", "y"]
    source = open_source(path, columns="image=face,identity=who", group=["race", "n"])
    assert [source.group(i) for i in range(3)] == ["x | 1", "y | 1", "y | 2"]
    for options in ({"columns": {"identity": "nobody"}}, {"group": "nobody"}):
        with pytest.raises(InputError, match="there is no nobody"):
            open_source(path, **{"columns": {"identity": "who"}, **options})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": IMAGE, "b": IMAGE, "label": [1, 2, 3]}, "a and b may be the image"),
        ({"label": [1, 2, 3]}, "none holds the bytes of images"),
        ({"image": IMAGE, "label": [0.5, 1.0, 2.0]}, "neither text nor whole numbers"),
        ({"image": IMAGE, "label": [1, 2, 3], "id": [1, 2, 3]}, "label and id may be the identity"),
        ({"image": IMAGE, "index": [1, 2, 3], "is_same": [1, 0, 1]}, "a list of pairs"),
        ({"image": IMAGE, "label": pa.array([None] * 3, pa.int64())}, "without images"),
    ],
)
def test_tables_that_are_refused(columns, message, tmp_path):
    with pytest.raises(InputError, match=message):
        open_source(write(tmp_path / "x", **columns))


def test_labels_beyond_the_names(tmp_path):
    made = table(FACES, ["p3", "p2", "p10"])
    made = made.set_column(1, "label", pa.array([0, 1, 2, 3, 0]))
    pq.write_table(made, tmp_path / "x")
    with pytest.raises(DataError, match="label has the label 3; 0 to 2 were expected"):
        open_source(tmp_path / "x")


def test_images_that_are_not_in_the_file(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    some = [{"bytes": png(), "path": None}, {"bytes": None, "path": "a.jpg"}, None]
    source = open_source(write(tmp_path / "x", image=pa.array(some, kind), label=[1, 2, 3]))
    assert source.read(0) == png()
    for index in (1, 2):
        with pytest.raises(DataError, match=rf"row {index}: the image is not in the file"):
            source.read(index)
    with pytest.raises(DataError, match="in which the images are not"):
        open_source(write(tmp_path / "y", image=pa.array(some[1:], kind), label=[2, 3]))


@pytest.mark.parametrize("group", [7, 100, 1000])
def test_a_large_set_is_read_in_its_order(tmp_path, monkeypatch, group):
    faces = faces_of(300, side=16)
    monkeypatch.setattr(module, "CACHE", 20_000)
    monkeypatch.setattr(module, "_IN_ORDER", 1000)
    path = parquet(tmp_path / "x", faces, classes=None, group=group)
    source = open_source(path)
    assert source.in_order
    assert [source.read(i) for i in range(300)] == [data for _, data in faces]
    assert source._held <= 5 * 32 * max(len(data) for _, data in faces)
    order = [299, 0, 150, 149, 20, 299]  # slow, but right
    assert [source.read(i) for i in order] == [faces[i][1] for i in order]


def test_a_small_set_is_kept_only_if_its_people_are_scattered(tmp_path):
    faces = faces_of(40, side=16)
    scattered = [faces[i] for i in np.random.default_rng(0).permutation(40)]
    kept = {}
    for name, rows in (("sorted", faces), ("scattered", scattered)):
        source = open_source(parquet(tmp_path / name, rows, classes=None))
        assert not source.in_order
        kept[name] = source._most
    assert kept == {"sorted": module.CACHE // 16, "scattered": module.CACHE}


def test_splits_of_a_folder(tmp_path):
    (tmp_path / "data").mkdir()
    for split, faces in (("train", FACES[:3]), ("test", FACES[3:])):
        parquet(tmp_path / "data" / f"{split}-00000-of-00001", faces)
    with pytest.raises(InputError, match="has the splits test, train; say which"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, split="train")) == 3
    assert len(open_source(tmp_path, split="all")) == 5
    with pytest.raises(InputError, match="has no split dev; it has test, train"):
        open_source(tmp_path, split="dev")
    (tmp_path / "data" / "train-00000-of-00001.parquet").unlink()
    assert len(open_source(tmp_path)) == 2


def test_files_of_one_set(tmp_path):
    paths = [parquet(tmp_path / "a", FACES[:3]), parquet(tmp_path / "b", FACES[3:])]
    source = open_source(paths)
    assert identities(source) == [person for person, _ in FACES]
    assert source.name(4).endswith("b.parquet: row 1")
    write(tmp_path / "b.parquet", image=IMAGE, person=["a", "b", "c"])
    with pytest.raises(InputError, match="and not label as"):
        open_source(paths)


def test_damaged_files(tmp_path):
    path = parquet(tmp_path / "x")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"x\.parquet is a Parquet file that cannot be read"):
        open_source(path)


def test_without_pyarrow(tmp_path, monkeypatch):
    path = parquet(tmp_path / "x")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gluonface\[formats\]'"):
        open_source(path)
