"""Faces in Arrow files."""

import json

import pytest
from face_forms import FACES, arrow, table

from gluonface.data.sources import open_source
from gluonface.errors import DataError, InputError

pa = pytest.importorskip("pyarrow")


def test_the_order_is_that_of_the_state(tmp_path):
    source = open_source(arrow(tmp_path / "x"))
    assert [source.read(i) for i in range(5)] == [data for _, data in FACES]
    assert [path.name[:10] for path in source.paths] == ["data-00001", "data-00000"]


@pytest.mark.parametrize("write", [pa.ipc.new_stream, pa.ipc.new_file])
def test_a_file_by_itself(write, tmp_path):
    made = table()
    with pa.OSFile(str(tmp_path / "x"), "wb") as file, write(file, made.schema) as writer:
        writer.write_table(made)
    source = open_source(tmp_path / "x")
    assert [source.identity(i) for i in range(5)] == [person for person, _ in FACES]


def test_splits(tmp_path):
    for split in ("train", "validation"):
        arrow(tmp_path / split)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    with pytest.raises(InputError, match="has the splits train, validation; say which"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, split="validation")) == 5
    source = open_source(tmp_path, split="all")
    assert (len(source), source.num_identities) == (10, 3)
    with pytest.raises(InputError, match="has no split test"):
        open_source(tmp_path, split="test")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["../x"]}')
    with pytest.raises(DataError, match="names no splits"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ("[]", DataError, "holds no object"),
        ("{", DataError, "is no JSON"),
        ("{}", DataError, "names no data files"),
        ('{"_data_files": [{"filename": "/etc/passwd"}]}', DataError, "names no data files"),
        ('{"_data_files": [{"filename": "x.arrow"}]}', InputError, r"x\.arrow is missing"),
    ],
)
def test_other_states(state, error, message, tmp_path):
    path = arrow(tmp_path / "x")
    (path / "state.json").write_text(state)
    with pytest.raises(error, match=message):
        open_source(path)


def test_other_columns_and_images_that_are_not_there(tmp_path):
    path = arrow(tmp_path / "x")
    made = table()
    name = json.loads((path / "state.json").read_text())["_data_files"][1]["filename"]
    with pa.OSFile(str(path / name), "wb") as f, pa.ipc.new_stream(f, made.schema) as writer:
        writer.write_table(made)
    with pytest.raises(InputError, match=f"{name} has the columns image, person, other ones"):
        open_source(path)
    made = table([(person, None) for person, _ in FACES])
    with pa.OSFile(str(tmp_path / "y"), "wb") as f, pa.ipc.new_stream(f, made.schema) as writer:
        writer.write_table(made)
    with pytest.raises(DataError, match="the images are not in the file"):
        open_source(tmp_path / "y")


def test_cut_files(tmp_path):
    path = arrow(tmp_path / "x") / "data-00000-of-00002.arrow"
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(DataError, match="is an Arrow file that cannot be read"):
        open_source(tmp_path / "x")
