"""Names of identities beside records."""

import numpy as np
import pytest

from gluonface.data import RecordWriter, images
from gluonface.data.recordio.identity_names import read_identity_names
from gluonface.data.tools.unpack import unpack_records
from gluonface.errors import DataError


def write(folder, *lines):
    (folder / "identities.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_names_by_number(tmp_path):
    assert read_identity_names(tmp_path) == {}
    write(tmp_path, "identity,was,name", "0,7,ann", '1,3,"Lee, Zoë"', "1,4,other", "2,5,")
    assert read_identity_names(tmp_path) == {0: "ann", 1: "Lee, Zoë"}
    write(tmp_path, "identity,was", "0,7")
    assert read_identity_names(tmp_path) == {}


@pytest.mark.parametrize("line", ["bob", "x,bob", "-1,bob", "1", '1,"' + "b" * 200_000])
def test_a_damaged_table_is_named(tmp_path, line):
    write(tmp_path, "identity,name", "0,ann", line)
    with pytest.raises(DataError, match=r"identities\.csv"):
        read_identity_names(tmp_path)


def test_names_that_are_no_folders_and_names_of_two(tmp_path):
    with RecordWriter(tmp_path / "set") as writer:
        for label in range(5):
            writer.add(images.encode(np.full((8, 8, 3), label, np.uint8), 101), label)
    write(tmp_path / "set", "identity,name", "0,../x", "1,a/b", "2,a_b", "3,..", f"4,{'x' * 300}")
    unpack_records(tmp_path / "set", tmp_path / "out", progress=False)
    found = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert found == ["_", "_x", "a_b", "a_b_2", "x" * 200]
