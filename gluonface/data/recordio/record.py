"""The bytes of one RecordIO record: frame, header, label, image, checksum.

A record is ``magic (uint32), kind << 29 | length (uint32), payload, padding to 4 bytes``. A payload
that itself holds the magic number at a multiple of 4 is cut there into parts (kind 1 first,
2 middle, 3 last; 0 is a whole record) and the reader puts the magic number back. The payload of an
image starts with a header: ``flag (uint32), label (float32), id (uint64), id2 (uint64)`` and,
when flag > 0, that many more float32, which then are the label.

Readers ignore id2, and most writers leave it 0. Our writer stores a checksum of the rest of the
payload there, marked by 0x6766 in the upper 16 bits.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from ...errors import DataError

__all__ = [
    "FRAME",
    "HEADER",
    "LENGTH",
    "MAGIC",
    "MAGIC_BYTES",
    "RANGE_RECORD",
    "add_checksum",
    "checksum_matches",
    "first_label",
    "frame",
    "pack",
    "size_in_file",
    "unpack",
]

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
FRAME = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH = (1 << 29) - 1
# A whole record, frame included, with two label values and no image: header or identity record.
RANGE_RECORD = np.dtype(
    [
        *(("magic", "<u4"), ("length", "<u4"), ("flag", "<u4"), ("label", "<f4")),
        *(("ids", "<u8", (2,)), ("range", "<f4", (2,))),
    ]
)
_CHECKSUM_MARK = 0x6766 << 48  # "gf"


def pack(label, number, data=b""):
    """Return the payload of one record: header, label and image bytes.

    Parameters
    ----------
    label : float, int or sequence of float
        A sequence is stored as an array with flag = its length.
    number : int
        The record's key, kept in the header's id.
    data : bytes
        The encoded image; empty for the header and identity records.
    """
    if np.ndim(label) == 0:
        return HEADER.pack(0, label, number, 0) + data
    label = np.asarray(label, "<f4")
    return HEADER.pack(label.size, 0.0, number, 0) + label.tobytes() + data


def unpack(payload):
    """Split a payload into (flag, label, data).

    Returns
    -------
    tuple of (int, float or numpy.ndarray, bytes)
        The label is an array of `flag` float32 when flag > 0.

    Raises
    ------
    DataError
        When the payload is shorter than its header says.
    """
    if len(payload) < HEADER.size:
        raise DataError(f"its {len(payload)} bytes are fewer than the {HEADER.size} of a header")
    flag, label, _, _ = HEADER.unpack_from(payload)
    if flag == 0:
        return 0, label, payload[HEADER.size :]
    start = HEADER.size + 4 * flag
    if start > len(payload):
        raise DataError(
            f"its header announces {flag} label values, more than its {len(payload)} bytes hold"
        )
    return flag, np.frombuffer(payload, "<f4", flag, HEADER.size), payload[start:]


def first_label(payload):
    """Return (flag, label) from the first 28 bytes of a payload; of an array, its first value."""
    if len(payload) < HEADER.size:
        raise DataError(f"its {len(payload)} bytes are fewer than the {HEADER.size} of a header")
    flag, label, _, _ = HEADER.unpack_from(payload)
    if flag:
        if len(payload) < HEADER.size + 4:
            raise DataError(f"its header announces {flag} label values, but there are none")
        label = struct.unpack_from("<f", payload, HEADER.size)[0]
    return flag, label


def add_checksum(payload):
    """Return `payload` with a checksum in its header, for `checksum_matches`."""
    return payload[:16] + struct.pack("<Q", _checksum(payload)) + payload[24:]


def checksum_matches(payload):
    """Return whether a payload has the checksum in its header: bool, or None without a checksum."""
    number = struct.unpack_from("<Q", payload, 16)[0]
    return None if number >> 48 != _CHECKSUM_MARK >> 48 else number == _checksum(payload)


def _checksum(payload):
    digest = hashlib.blake2b(payload[:16], digest_size=6)
    digest.update(payload[24:])
    return _CHECKSUM_MARK | int.from_bytes(digest.digest(), "little")


def _cuts(payload):
    """Return where a payload is cut: the places of the magic number in it, list of int."""
    cuts, at = [], payload.find(MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0 and at + 4 <= len(payload) // 4 * 4:
            cuts.append(at)
            at = payload.find(MAGIC_BYTES, at + 4)
        else:
            at = payload.find(MAGIC_BYTES, at + 1)
    return cuts


def size_in_file(payload):
    """Return the number of bytes of ``frame(payload)``."""
    # A cut replaces the magic number (4 bytes) with the frame of the next part (8 bytes).
    return FRAME.size + (len(payload) + 3) // 4 * 4 + 4 * len(_cuts(payload))


def frame(payload):
    """Return the record of a payload as it is stored: framed, cut at magic numbers, padded."""
    if len(payload) > LENGTH:
        raise DataError(f"a record of {len(payload)} bytes is longer than RecordIO's {LENGTH}")
    cuts = _cuts(payload)
    out, start = [], 0
    for part, end in enumerate([*cuts, len(payload)]):
        kind = 0 if not cuts else 1 if part == 0 else 3 if part == len(cuts) else 2
        length = end - start
        out += [FRAME.pack(MAGIC, kind << 29 | length), payload[start:end], b"\0" * (-length % 4)]
        start = end + 4
    return b"".join(out)
