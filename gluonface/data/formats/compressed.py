"""gzip, xz and bzip2, unpacked within bounds: output is counted, and memory of xz is limited."""

from __future__ import annotations

import bz2
import io
import lzma
import pathlib
import typing
import zlib

from ...errors import DataError, InputError
from ...files import StrPath

__all__ = ["COMPRESSIONS", "compression_of", "open_compressed", "read_unpacked"]

COMPRESSIONS = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "bzip2": b"BZh"}
MOST = 8 << 30  # bytes of an unpacked pack
XZ_MEMORY = 512 << 20  # `xz -9` needs 65 MB; a header may ask for 4 GB
_CHUNK = 1 << 16


def compression_of(head: bytes) -> str | None:
    """Return how a file that begins with `head` is compressed, None if it is not."""
    return next((name for name, magic in COMPRESSIONS.items() if head.startswith(magic)), None)


def open_compressed(path: StrPath, limit: int | None = None) -> io.BufferedReader:
    """Open a gzip, xz or bzip2 file for reading its content.

    Parameters
    ----------
    path : str or pathlib.Path
        Its first bytes say how it is compressed. Several streams in a file are one.
    limit : int, optional
        Stop at the end after so many bytes of content, without an error.

    Raises
    ------
    InputError
        When it cannot be opened.
    DataError
        While reading: when it is damaged or cut short.
    """
    path = pathlib.Path(path)
    try:
        file = open(path, "rb")  # noqa: SIM115  (closed with the stream)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    kind = compression_of(file.read(8))
    file.seek(0)
    if kind is None:
        file.close()
        raise DataError(f"{path} is neither gzip nor xz nor bzip2")
    return io.BufferedReader(_Unpacked(file, kind, str(path), limit), _CHUNK)


def read_unpacked(path: StrPath, limit: int = MOST) -> bytes:
    """Return the content of a file, unpacked if it is gzip, xz or bzip2 (whatever its name).

    Raises
    ------
    InputError
        When it cannot be read.
    DataError
        When it unpacks to more than `limit` bytes; it is not read further. When it is damaged.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            if compression_of(head) is None:
                return head + file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    blocks, total = [], 0
    with open_compressed(path) as stream:
        while block := stream.read(1 << 20):
            total += len(block)
            if total > limit:
                raise DataError(
                    f"{path} ({compression_of(head)}) unpacks to more than {limit:,} bytes; it is "
                    "refused"
                )
            blocks.append(block)
    return b"".join(blocks)


def _decompressor(kind) -> typing.Any:
    if kind == "gzip":
        return _Gzip()
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    return bz2.BZ2Decompressor()


class _Gzip:
    """zlib's object for one gzip member with the interface of the other two."""

    def __init__(self):
        self._object = zlib.decompressobj(31)
        self._rest = b""

    @property
    def eof(self):
        return self._object.eof

    @property
    def needs_input(self):
        return not self._rest and not self.eof

    @property
    def unused_data(self):
        return self._object.unused_data

    def decompress(self, data, max_length):
        out = self._object.decompress(self._rest + data, max_length)
        self._rest = self._object.unconsumed_tail
        return out


class _Unpacked(io.RawIOBase):
    """The content of a compressed file as a stream that is read once."""

    def __init__(self, file, kind, name, limit):
        self._file, self._kind, self._name = file, kind, name
        self._left = limit
        self._object = _decompressor(kind)

    def readable(self):
        return True

    def close(self):
        self._file.close()
        super().close()

    def readinto(self, buffer):
        size = len(buffer) if self._left is None else min(len(buffer), self._left)
        if not size:
            return 0
        try:
            data = self._next(size)
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
            raise DataError(
                f"{self._name} ({self._kind}) cannot be unpacked: {error}; it is damaged"
            ) from error
        except MemoryError as error:
            raise DataError(f"{self._name} ({self._kind}) asks for too much memory") from error
        if self._left is not None:
            self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def _next(self, size):
        """Return up to `size` bytes of content, none at the end of the file."""
        while True:
            if self._object.eof:
                rest = self._object.unused_data.lstrip(b"\0")  # padding between streams
                while not rest:
                    rest = self._file.read(_CHUNK)
                    if not rest:
                        return b""
                    rest = rest.lstrip(b"\0")
                self._object = _decompressor(self._kind)
                data = self._object.decompress(rest, size)
            elif self._object.needs_input:
                block = self._file.read(_CHUNK)
                if not block:
                    raise EOFError("it was cut short")
                data = self._object.decompress(block, size)
            else:
                data = self._object.decompress(b"", size)
            if data:
                return data
