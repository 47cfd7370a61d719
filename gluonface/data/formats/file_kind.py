"""What a file is: decided by its first bytes, not by its name."""

from __future__ import annotations

import dataclasses
import pathlib
import struct

from ...errors import InputError
from ...files import StrPath, require_content
from ..image_formats.heif import heif_format
from .compressed import COMPRESSIONS, open_compressed
from .crc32c import masked_crc32c

__all__ = ["FileKind", "is_image", "recognise_bytes", "recognise_file"]

HEAD = 4096  # bytes that are looked at

# Form -> what messages call it.
TITLES = {
    "zip": "a zip archive",
    "torch": "a file of torch.save",
    "npz": "an .npz file of NumPy",
    "split zip": "a part of a split zip archive",
    "rar": "a RAR archive",
    "7z": "a 7z archive",
    "zstd": "a file compressed by Zstandard",
    "tar": "a tar archive",
    "parquet": "a Parquet file",
    "arrow": "an Arrow file",
    "arrow stream": "an Arrow stream",
    "lmdb": "an LMDB database",
    "recordio": "a RecordIO file",
    "mat": "a MATLAB file",
    "mat 7.3": "a MATLAB 7.3 (HDF5) file",
    "hdf5": "an HDF5 file",
    "npy": "an .npy file of NumPy",
    "pandas pickle": "a pandas pickle",
    "pickle": "a pickle",
    "tfrecord": "a TFRecord file",
    "sqlite": "an SQLite database",
    "pdf": "a PDF file",
    "image": "an image",
    "text": "a text file",
    "empty": "an empty file",
    "binary": "a binary file of an unknown kind",
}

_MAGIC = (  # first bytes -> form
    (b"PK\x07\x08PK\x03\x04", "split zip"),
    (b"PK\x05\x06", "zip"),  # without members
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\x0a\x23\xd7\xce", "recordio"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"MATLAB 7.3", "mat 7.3"),
    (b"MATLAB 5.0", "mat"),
    (b"\x93NUMPY", "npy"),
    (b"SQLite format 3\0", "sqlite"),
    (b"%PDF-", "pdf"),
)
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


@dataclasses.dataclass(frozen=True)
class FileKind:
    """What a file was recognised as.

    Attributes
    ----------
    form : str
        A key of `TITLES`; for a compressed file, what is inside.
    compression : str or None
        ``gzip``, ``xz`` or ``bzip2``.
    """

    form: str
    compression: str | None = None

    @property
    def title(self) -> str:
        """What messages call it, such as "a tar archive in gzip"."""
        return TITLES[self.form] + (f" in {self.compression}" if self.compression else "")


def recognise_file(path: StrPath) -> FileKind:
    """Return what kind of file lies at a path; a compressed one is looked into.

    Raises
    ------
    InputError
        When the file cannot be read.
    DataError
        When it is a page of the web or a pointer of Git LFS in place of the file, or when its
        compressed content cannot be read.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            size = file.seek(0, 2)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    for compression, magic in COMPRESSIONS.items():
        if head.startswith(magic):
            with open_compressed(path, HEAD) as stream:
                inside = stream.read(HEAD)
            return FileKind(_form(inside, None, path.name), compression)
    if head:
        require_content(head, path)
    return FileKind(_form(head, size, path.name))


def recognise_bytes(head: bytes, size: int | None = None) -> str:
    """Return the form of a file that begins with `head` and has `size` bytes, if that is known."""
    return _form(head, size, "")


def is_image(head: bytes) -> bool:
    """Return whether bytes begin as an encoded image does."""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    bmp = head[:2] == b"BM" and len(head) >= 26 and head[14] in (12, 40, 52, 56, 108, 124)
    return webp or bmp or bool(heif_format(head)) or head.startswith(_IMAGES)


def _form(head, size, name):
    if not head:
        return "empty"
    if head.startswith(b"PK\x03\x04"):
        return _zip_form(head)
    for magic, form in _MAGIC:
        if head.startswith(magic):
            return form
    if is_image(head):
        return "image"
    if _is_tar(head):
        return "tar"
    if head[16:20] == b"\xde\xc0\xef\xbe":
        return "lmdb"
    if head[:4] == b"\xff\xff\xff\xff" and 0 < int.from_bytes(head[4:8], "little") < 1 << 30:
        return "arrow stream"
    if head[0] == 0x80 and head[1:2] and 2 <= head[1] <= 5:
        return "pandas pickle" if b"pandas" in head else "pickle"
    if _is_tfrecord(head) or name.lower().endswith((".tfrecord", ".tfrecords")):
        return "tfrecord"
    if size is not None and _may_be_tfrecord(head, size):
        return "tfrecord"
    return "text" if _is_text(head) else "binary"


def _zip_form(head):
    """Tell the zips of torch.save and np.savez from others by the name of the first member."""
    length = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + length]
    if name.endswith(
        (b"/data.pkl", b"/byteorder", b"/.format_version", b"/.data/serialization_id")
    ):
        return "torch"
    return "npz" if name.endswith(b".npy") else "zip"


def _is_tar(head):
    """Return whether a block is a tar header: its sum is right, with or without ``ustar``."""
    block = head[:512]
    if len(block) < 512:
        return False
    if block[257:262] == b"ustar":
        return True
    try:
        stored = int(block[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return block[0] != 0 and stored == sum(block) - sum(block[148:156]) + 8 * 32


def _is_tfrecord(head):
    return len(head) >= 12 and masked_crc32c(head[:8]) == struct.unpack_from("<I", head, 8)[0]


def _may_be_tfrecord(head, size):
    """Return whether a wrong sum of the first length is likelier than another kind of file."""
    if len(head) < 16 or _is_text(head):
        return False
    length = struct.unpack_from("<Q", head)[0]
    return length == size - 16 or (0 < length < size - 16 and head[12:13] == b"\x0a")


def _is_text(head):
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == HEAD  # cut within a character
    return True
