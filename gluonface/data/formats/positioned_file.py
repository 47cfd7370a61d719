"""A file that any number of threads and processes read at positions of their own."""

from __future__ import annotations

import os
import pathlib
import weakref

from ...errors import DataError, InputError
from ...files import StrPath

__all__ = ["PositionedFile"]


class PositionedFile:
    """A file read with `os.pread`; copies in other processes open it again.

    Parameters
    ----------
    path : str or pathlib.Path
    keep_open : bool, default True
        Keep it open between reads. Sets of many files do not, for a process may have few open.

    Raises
    ------
    InputError
        When it cannot be opened.
    """

    def __init__(self, path: StrPath, keep_open: bool = True):
        self.path = pathlib.Path(path)
        self.keep_open = keep_open
        self._handle: int | None = None
        try:
            self.size = self.path.stat().st_size
            os.close(os.open(self.path, os.O_RDONLY))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`.

        Raises
        ------
        DataError
            When the file is shorter.
        OSError
            When it cannot be read.
        """
        if offset + length > self.size:  # before so much memory is asked for
            raise self._short(offset, length)
        if self.keep_open:
            data = os.pread(self._open(), length, offset)
        else:
            handle = os.open(self.path, os.O_RDONLY)
            try:
                data = os.pread(handle, length, offset)
            finally:
                os.close(handle)
        if len(data) < length:
            raise self._short(offset, length)
        return data

    def _short(self, offset, length):
        return DataError(
            f"{self.path} was cut short: {length} bytes at byte {offset} were expected, but it "
            f"has {self.size} bytes; fetch or write it again"
        )

    def _open(self):
        if self._handle is None:
            handle = os.open(self.path, os.O_RDONLY)
            if self._handle is None:
                self._handle = handle
                weakref.finalize(self, os.close, handle)
            else:  # another thread was faster
                os.close(handle)
        return self._handle

    def __getstate__(self):
        return {**self.__dict__, "_handle": None}
