"""The `property` file of a training set: number of classes, height and width of the images."""

from __future__ import annotations

import re

from ...errors import DataError
from ...files import StrPath, stand_in

__all__ = ["read_property"]


def read_property(path: StrPath) -> tuple[int, ...] | None:
    """Read a ``property`` file: "num_classes,height,width".

    InsightFace's RecBuilder adds a second line, the number of images.

    Returns
    -------
    tuple of int, or None
        (num_classes, height, width) or (num_classes, height, width, images); None when there is no
        such file.

    Raises
    ------
    DataError
        When it holds anything but three whole numbers above 0, and perhaps a fourth in a line
        of its own.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(200)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    what = stand_in(content)
    if what is not None:
        raise DataError(f"{path} is {what}")
    text = content.decode("utf-8-sig", "replace")
    found = re.fullmatch(
        r"\s*([0-9]{1,9})[\s,;]+([0-9]{1,9})[\s,;]+([0-9]{1,9})(?:\s*\n\s*([0-9]{1,9}))?\s*", text
    )
    numbers = [int(n) for n in found.groups() if n is not None] if found else []
    if not numbers or not all(numbers):
        raise DataError(
            f"{path} holds {text[:60]!r}; num_classes,height,width was expected, such as "
            "85742,112,112. Correct it, or remove it to take the number of classes from the labels"
        )
    return tuple(numbers)
