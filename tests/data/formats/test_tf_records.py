"""TFRecord files and their examples."""

import pytest
from face_forms import example, field, framed

from gluonface.data.formats import tf_records
from gluonface.data.formats.tf_records import TFRecordFile, parse_example
from gluonface.errors import DataError


def test_records(tmp_path):
    data = [b"one", b"", b"three" * 9999]
    (tmp_path / "x").write_bytes(b"".join(map(framed, data)))
    file = TFRecordFile(tmp_path / "x")
    offsets = file.offsets().tolist()
    assert offsets == [0, 19, 35]
    assert [file.record(offset) for offset in offsets] == data


def test_damage(tmp_path, monkeypatch):
    whole = framed(b"one") + framed(b"two" * 99)
    path = tmp_path / "x"
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match="was cut short: its last record ends at byte"):
        TFRecordFile(path).offsets()
    path.write_bytes(whole[:4] + b"\1" + whole[5:])
    with pytest.raises(DataError, match="the checksum of the first length is wrong"):
        TFRecordFile(path).offsets()
    path.write_bytes(whole[:40] + b"X" + whole[41:])
    assert len(TFRecordFile(path).offsets()) == 2
    with pytest.raises(DataError, match="record at byte 19 is damaged: its checksum is wrong"):
        TFRecordFile(path).record(19)
    monkeypatch.setattr(tf_records, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="297 bytes, more than"):
        TFRecordFile(path).record(19)


def test_examples():
    found = parse_example(example(image=b"data", a__b=300, zero=0))
    assert found == {"image": ("bytes", [b"data"]), "a/b": ("int64", [300]), "zero": ("int64", [0])}
    # not packed, negative, and floats
    many = b"\x08\x05\x08" + b"\xff" * 9 + b"\x01"
    feature = field(1, field(1, b"n") + field(2, field(3, many)))
    floats = field(1, field(1, b"f") + field(2, field(2, field(1, b"\0\0\x80\x3f" * 2))))
    assert parse_example(field(1, feature + floats)) == {
        "n": ("int64", [5, -1]),
        "f": ("float", [1.0, 1.0]),
    }


@pytest.mark.parametrize(
    "data", [b"\x0a\xff", b"\x0a", b"\x0b", b"\x80" * 20, field(1, field(1, b"\x0a\x7f"))]
)
def test_what_is_no_example(data):
    with pytest.raises(DataError):
        parse_example(data)
