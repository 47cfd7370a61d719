"""Reading the small text files that users write: lists, pairs, landmarks, maps."""

import pathlib

from ..errors import DataError, InputError

__all__ = ["read_text"]


def read_text(path):
    """Return a UTF-8 file's text, without a byte order mark.

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        If it is not text.
    """
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file ({error.reason})") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
