"""Members of a zip archive, read in place by any number of threads."""

from __future__ import annotations

import bz2
import pathlib
import stat
import struct
import zipfile
import zlib

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from .member_names import MOST_BYTES, clean_name
from .positioned_file import PositionedFile

__all__ = ["ZipMembers"]

_LOCAL = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12


class ZipMembers:
    """The files in a zip archive. Nothing is extracted.

    `path` and `keep_open` are those of `PositionedFile`.

    Attributes
    ----------
    names : list of str
        Of the files, in the order of the archive's directory, as POSIX paths.
    passed_over : list of (str, str)
        Other members and why: links, names that lead out of the archive.

    Raises
    ------
    InputError
        When it cannot be read; when it is encrypted or a part of a split archive.
    DataError
        When it is damaged, or a member unpacks to more than `MOST_BYTES`.
    """

    def __init__(self, path: StrPath, keep_open: bool = True):
        self.path = pathlib.Path(path)
        self._file = PositionedFile(path, keep_open)
        self.names: list[str] = []
        self.passed_over: list[tuple[str, str]] = []
        rows = []
        for member in self._directory():
            if member.is_dir():
                continue
            name = member.filename
            if "/" not in name:  # old programs of Windows
                name = name.replace("\\", "/")
            name, reason = clean_name(name)
            mode = member.external_attr >> 16
            if reason is None and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                reason = "it is a link" if stat.S_ISLNK(mode) else "it is no file"
            if reason is not None:
                self.passed_over.append((f"{path}: {name}", reason))
                continue
            if member.flag_bits & 1:
                raise InputError(
                    f"{path} is an encrypted zip archive ({name}); unpack it with its password, "
                    "and name the folder"
                )
            if member.file_size > MOST_BYTES:
                raise DataError(
                    f"{path}: {name} unpacks to {member.file_size:,} bytes, more than the "
                    f"{MOST_BYTES:,} that a member may have; the archive is refused"
                )
            if member.compress_type not in (_STORED, _DEFLATED, _BZIP2):
                raise InputError(
                    f"{path}: {name} is packed by method {member.compress_type}; stored, deflate "
                    "and bzip2 are read: pack it again"
                )
            self.names.append(name)
            rows.append(
                (member.header_offset, member.compress_size, member.file_size, member.CRC,
                 member.compress_type)
            )  # fmt: skip
        fields = np.array(rows, np.int64).reshape(-1, 5)
        if len(fields) and np.min(fields[:, 0]) < 0:
            raise DataError(f"{path} is a damaged zip archive: a member begins before the file")
        self._rows = fields

    def _directory(self):
        split = [self.path.with_suffix(f".{letter}01") for letter in "zZ"]
        if any(part.exists() for part in split):
            raise InputError(
                f"{self.path} is the last part of a split zip archive (.z01, ...); join the parts "
                "with `zip -s 0`"
            )
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.infolist()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from error
        except Exception as error:  # a damaged directory can raise nearly anything
            if "disk" in str(error):
                raise InputError(
                    f"{self.path} is a part of a split zip archive; join the parts with `zip -s 0`"
                ) from error
            raise DataError(
                f"{self.path} is a zip archive that cannot be read ({error}); it was cut short or "
                "is damaged: fetch it again"
            ) from error

    def __len__(self):
        return len(self.names)

    def size(self, index: int) -> int:
        """Return the bytes of file `index`, as the archive's directory says."""
        return int(self._rows[index, 2])

    def read(self, index: int) -> bytes:
        """Return the content of file `index`.

        Raises
        ------
        DataError
            When it is damaged: the data does not unpack to the size and the checksum of the
            archive's directory.
        """
        offset, packed, size, checksum, method = self._rows[index].tolist()
        where = f"{self.path}: {self.names[index]}"
        magic, *fields = _LOCAL.unpack(self._file.read(offset, _LOCAL.size))
        if magic != b"PK\x03\x04":
            raise DataError(f"{where} is damaged: there is no member at byte {offset}")
        start = offset + _LOCAL.size + fields[-2] + fields[-1]
        data = self._file.read(start, packed)
        if method != _STORED:
            data = _unpack(data, size, method, where)
        if len(data) != size or zlib.crc32(data) != checksum:
            raise DataError(
                f"{where} is damaged: its content is not what its checksum in the archive says"
            )
        return data


def _unpack(data, size, method, where):
    """Unpack a member; one byte more than it should have shows that it is another size."""
    stream = zlib.decompressobj(-15) if method == _DEFLATED else bz2.BZ2Decompressor()
    try:
        return stream.decompress(data, size + 1)
    except (zlib.error, OSError, ValueError, EOFError) as error:
        raise DataError(f"{where} is damaged: {error}") from error
