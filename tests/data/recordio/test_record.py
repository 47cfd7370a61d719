"""The frame and header of one record, as MXNet has them."""

import numpy as np
import pytest
from record_files import picture, png

from gluonface.data import RecordDataset, RecordWriter, rebuild_index
from gluonface.data.recordio.record import (
    MAGIC_BYTES,
    add_checksum,
    checksum_matches,
    frame,
    pack,
    size_in_file,
    unpack,
)


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 8])
def test_magic_number_inside_an_image(made, tmp_path, gap):
    """Records that hold the magic number are stored in parts; MXNet and we join them."""
    from gluonface._compat import mx

    image = png()
    image += b"\0" * (-len(image) % 4 + gap) + MAGIC_BYTES * 2 + b"ab" + MAGIC_BYTES + b"c" * gap
    with RecordWriter(tmp_path / "set") as writer:
        writer.add(image, 0)
        writer.add(png(1), 1)
    dataset = RecordDataset(tmp_path / "set")
    assert dataset.read(0) == image
    assert dataset.read(1) == png(1)
    assert dataset.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(dataset[0][0], picture())
    stem = str(tmp_path / "set" / "train")
    record = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    assert mx.recordio.unpack(record.read_idx(1))[1] == image
    rebuild_index(f"{stem}.rec")
    assert RecordDataset(tmp_path / "set").read(1) == png(1)


def test_framing_equals_mxnet(tmp_path):
    from gluonface._compat import mx

    payloads = [
        b"",
        b"a",
        MAGIC_BYTES,
        MAGIC_BYTES * 3,
        b"abc" + MAGIC_BYTES,
        b"abcd" + MAGIC_BYTES,
    ]
    writer = mx.recordio.MXRecordIO(str(tmp_path / "theirs.rec"), "w")
    for payload in payloads:
        writer.write(payload)
    writer.close()
    ours = b"".join(frame(payload) for payload in payloads)
    assert ours == (tmp_path / "theirs.rec").read_bytes()


def test_header_equals_mxnet():
    from gluonface._compat import mx

    for label in (3.0, [5.0, 0.0]):
        theirs = mx.recordio.pack(mx.recordio.IRHeader(0, label, 7, 0), b"image")
        assert pack(label, 7, b"image") == theirs
        flag, value, data = unpack(theirs)
        assert (flag, data) == (np.size(label) if np.ndim(label) else 0, b"image")
        assert np.array_equal(value, label)


def test_a_checksum_tells_every_changed_byte():
    payload = pack(3.0, 7, png())
    checksums = add_checksum(payload)
    assert (len(checksums), unpack(checksums)[:2], unpack(checksums)[2]) == (
        len(payload),
        (0, 3.0),
        png(),
    )
    assert checksum_matches(checksums)
    assert checksum_matches(payload) is None
    for at in [*range(16), 18, 21, *range(24, len(payload), 7)]:
        changed = bytearray(checksums)
        changed[at] ^= 1
        assert checksum_matches(bytes(changed)) is False, at


@pytest.mark.parametrize("size", [24, 25, 31, 40])
def test_the_framed_size(size):
    for payload in (bytes(size), MAGIC_BYTES + bytes(size), b"ab" + MAGIC_BYTES * 3 + bytes(size)):
        assert size_in_file(payload) == len(frame(payload))


def test_mxnet_reads_records_with_checksums():
    from gluonface._compat import mx

    header, data = mx.recordio.unpack(add_checksum(pack(3.0, 7, b"image")))
    assert (header.flag, header.label, header.id, data) == (0, 3.0, 7, b"image")
