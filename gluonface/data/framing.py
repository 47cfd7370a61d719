"""One RecordIO record: how it is framed, cut in parts and headed.

A record is ``magic (uint32), kind << 29 | length (uint32), payload, padding to 4 bytes``. A payload
that itself holds the magic number at a multiple of 4 is cut there into parts (kind 1 first,
2 middle, 3 last; 0 is a whole record) and the reader puts the magic number back. A payload of the
image kind starts with a header: ``flag (uint32), label (float32), id (uint64), id2 (uint64)`` and,
when flag > 0, that many more float32, which then are the label.
"""

import struct

import numpy as np

from ..errors import DataError

__all__ = [
    "FRAME",
    "HEADER",
    "LENGTH",
    "MAGIC",
    "MAGIC_BYTES",
    "first_label",
    "frame",
    "pack",
    "unpack",
]

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
FRAME = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH = (1 << 29) - 1


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


def frame(payload):
    """Return `payload` as it stands in a file: framed, cut at magic numbers, padded."""
    if len(payload) > LENGTH:
        raise DataError(f"a record of {len(payload)} bytes is longer than RecordIO's {LENGTH}")
    cuts, at = [], payload.find(MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0 and at + 4 <= len(payload) // 4 * 4:
            cuts.append(at)
            at = payload.find(MAGIC_BYTES, at + 4)
        else:
            at = payload.find(MAGIC_BYTES, at + 1)
    out, start = [], 0
    for part, end in enumerate([*cuts, len(payload)]):
        kind = 0 if not cuts else 1 if part == 0 else 3 if part == len(cuts) else 2
        length = end - start
        out += [FRAME.pack(MAGIC, kind << 29 | length), payload[start:end], b"\0" * (-length % 4)]
        start = end + 4
    return b"".join(out)
