"""Rows of Arrow streams. Pairs in them: sources/pairs/test_arrow_pairs.py."""

import sys

import pytest
from pair_files import arrow_images, write_arrow

from gluonface.data.formats import arrow_rows
from gluonface.errors import DataError, InputError, MissingExtraError


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra: pip install 'gluonface[formats]'")
    columns = {"image": arrow_images([b"a", b"b", b"c", None]), "index": [0, 1, 2, 3]}
    return write_arrow(tmp_path / "set", columns, files=3)


def test_files_are_joined_in_the_order_of_the_state(folder):
    assert arrow_rows.is_saved_set(folder)
    rows = arrow_rows.open_saved(folder)
    assert (len(rows), rows.columns) == (4, ["image", "index"])
    assert rows.values("index") == [0, 1, 2, 3]
    assert [rows.images()(row) for row in range(3)] == [b"a", b"b", b"c"]
    with pytest.raises(DataError, match="row 3 has no image; the images are not in the file"):
        rows.images()(3)
    with pytest.raises(InputError, match="no column 'label'; its columns are image, index"):
        rows.values("label")
    with pytest.raises(InputError, match="has no splits"):
        arrow_rows.open_saved(folder, "test")


def test_damaged_folders(folder):
    for name, text, message in (
        ("state.json", "{", "is not JSON"),
        ("state.json", "[]", "no object"),
        ("state.json", "{}", "names no _data_files"),
        ("state.json", '{"_data_files": []}', "names no _data_files"),
        ("state.json", '{"_data_files": [{"filename": "../x.arrow"}]}', "leads out of"),
        ("state.json", '{"_data_files": [{"filename": "none.arrow"}]}', "no Arrow stream"),
        ("dataset_dict.json", '{"splits": [3]}', "names no splits"),
        ("dataset_dict.json", '{"splits": ["../a"]}', "leads out of"),
    ):
        (folder / name).write_text(text)
        with pytest.raises(DataError, match=message):
            arrow_rows.open_saved(folder)


def test_without_pyarrow_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gluonface\[formats\]'"):
        arrow_rows.open_saved(folder)
