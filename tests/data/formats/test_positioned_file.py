"""Reading at positions."""

import pickle

import pytest

from gluonface.data.formats.positioned_file import PositionedFile
from gluonface.errors import DataError, InputError


@pytest.mark.parametrize("keep_open", [True, False])
def test_reading(keep_open, tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    file = PositionedFile(tmp_path / "x", keep_open)
    for one in (file, pickle.loads(pickle.dumps(file))):
        assert one.read(3, 4) == b"3456"
        with pytest.raises(DataError, match="was cut short"):
            one.read(8, 1 << 40)
    (tmp_path / "x").write_bytes(b"012")
    with pytest.raises(DataError, match="was cut short"):
        file.read(3, 4)
    with pytest.raises(InputError, match="cannot be read"):
        PositionedFile(tmp_path / "y")
