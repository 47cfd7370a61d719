"""Files compressed with gzip, xz or bzip2, unpacked within limits. Their first bytes tell."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import typing
import zlib

from ..errors import DataError

__all__ = ["MAX_UNPACKED", "compression", "unpack"]

MAX_UNPACKED = 8 << 30  # bytes of a pack
# Encoded images hardly shrink; what grows more than this is a bomb. Small files may: text does.
_MAX_RATIO, _SMALL = 200, 64 << 20
_BLOCK = 1 << 20

_SIGNS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
_OPENERS: dict[str, typing.Callable] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "xz": lambda file: lzma.LZMAFile(file),
    "bzip2": lambda file: bz2.BZ2File(file),
}


def compression(start: bytes) -> str | None:
    """Return "gzip", "xz" or "bzip2" for a file that begins with `start`, else None."""
    return next((kind for sign, kind in _SIGNS.items() if start.startswith(sign)), None)


def unpack(data: bytes, expect: typing.Callable[[bytes], bool] = bool) -> bytes:
    """Return the content of a compressed file; several streams one after another are one file.

    Parameters
    ----------
    data : bytes
        The compressed file.
    expect : function, optional
        Takes the first bytes of the content and says whether they are those of a file that is
        wanted. What is none is not unpacked further.

    Raises
    ------
    DataError
        When it is cut short or damaged, is not what was expected, or unpacks to more than 8 GiB or
        200 times its size.
    """
    kind = compression(data)
    if kind is None:
        raise DataError(f"it is not compressed (it starts with {data[:8]!r})")
    limit = min(MAX_UNPACKED, max(_SMALL, _MAX_RATIO * len(data)))
    blocks: list[bytes] = []
    size = 0
    try:
        with _OPENERS[kind](io.BytesIO(data)) as file:
            while block := file.read(_BLOCK):
                if not blocks and not expect(block[:64]):
                    raise DataError(
                        f"it is compressed with {kind}, and what it unpacks to is no such file "
                        f"(it starts with {block[:8]!r})"
                    )
                size += len(block)
                if size > limit:
                    raise DataError(
                        f"its {len(data):,} bytes unpack to more than {limit:,}; encoded images do "
                        "not shrink so far"
                    )
                blocks.append(block)
    except EOFError as error:
        raise DataError(f"it is a {kind} file that was cut short; fetch it again") from error
    except (OSError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise DataError(f"it is a {kind} file that is damaged ({error}); fetch it again") from error
    except MemoryError as error:
        raise DataError("it unpacks to more than the memory there is") from error
    if not blocks:
        raise DataError(f"it is a {kind} file of nothing")
    return b"".join(blocks)
