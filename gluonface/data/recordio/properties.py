"""The files of a training set: which they are, and what `property` says."""

import pathlib
import re

from ...errors import DataError, InputError

__all__ = ["find_rec", "read_property"]


def read_property(path):
    """Read a ``property`` file: "num_classes,height,width".

    Returns
    -------
    tuple of int, or None
        (num_classes, height, width); None when there is no such file.

    Raises
    ------
    DataError
        When it holds anything but three whole numbers above 0.
    """
    try:
        text = pathlib.Path(path).read_bytes()[:200].decode("utf-8-sig", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    numbers = re.split(r"[\s,;]+", text.strip())
    if len(numbers) != 3 or not all(re.fullmatch("[0-9]{1,9}", n) and int(n) for n in numbers):
        raise DataError(
            f"{path} holds {text[:60]!r}; num_classes,height,width was expected, such as "
            "85742,112,112. Correct it, or remove it to take the number of classes from the labels"
        )
    return tuple(int(n) for n in numbers)


def find_rec(path):
    """Return the .rec file that a path names, or that lies in the folder that it names.

    Raises
    ------
    InputError
        When there is none, or several.
    """
    if path.suffix == ".rec":
        return path
    if not path.is_dir():
        raise InputError(f"{path} is not there; a .rec file or a folder with one was expected")
    if (path / "train.rec").exists():
        return path / "train.rec"
    found = sorted(path.glob("*.rec"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(rec.name for rec in found[:5])
    raise InputError(
        f"{path} has {'no .rec file' if not found else f'several .rec files ({names})'}; "
        "a folder with train.rec or a path of one .rec file was expected"
    )
