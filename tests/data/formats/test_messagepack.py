"""MessagePack against what the specification says of each type."""

import pytest

from gluonface.data.formats.messagepack import unpack
from gluonface.errors import DataError

IMAGE = bytes(range(256)) * 300


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x07", 7),
        (b"\xff", -1),
        (b"\xcc\xff", 255),
        (b"\xcd\x01\x00", 256),
        (b"\xce\x00\x01\x00\x00", 65536),
        (b"\xcf" + bytes(7) + b"\x05", 5),
        (b"\xd0\x80", -128),
        (b"\xd3" + b"\xff" * 8, -1),
        (b"\xc4\x02ab", b"ab"),
        (b"\xc6" + len(IMAGE).to_bytes(4, "big") + IMAGE, IMAGE),
        (b"\xa2ab", b"ab"),
        (b"\xda\x00\x02ab", b"ab"),
        (b"\x92\xc4\x01x\x03", [b"x", 3]),
        (b"\xdc\x00\x01\xc0", [None]),
        (b"\xdd\x00\x00\x00\x02\xc2\xc3", [False, True]),
    ],
)
def test_values(data, value):
    assert unpack(data) == value
    assert unpack(memoryview(data)) == value
    if len(data) > 1:
        with pytest.raises(DataError, match="cut short"):
            unpack(data[:-1])
    with pytest.raises(DataError, match="ends at byte"):
        unpack(data + b"\0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"\xdd\xff\xff\xff\xff", "cut short"),
        (b"\x91" * 9 + b"\x01", "nested"),
        (b"\x81\x01\x01", "type 0x81"),
        (b"\xcb" + bytes(8), "type 0xcb"),
    ],
)
def test_other_values(data, message):
    with pytest.raises(DataError, match=message):
        unpack(data)
