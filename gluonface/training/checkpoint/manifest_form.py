"""The form of a checkpoint's manifest, checked before anything of it is used."""

from __future__ import annotations

import contextlib
import math
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import DataError, GluonfaceError, InputError, TrainingError, shown, shown_text

__all__ = ["MAX_CLASSES", "check_form", "names_of_checkpoint"]

MAX_CLASSES = 1 << 40
ROW = re.compile(r"[\w.]{1,100}")
FILE = re.compile(r"[\w-][\w.-]{0,200}")


def check_form(manifest: Any, path: pathlib.Path) -> dict[str, Any]:
    """Return a manifest whose entries have the form that `save_state` writes.

    Raises
    ------
    DataError
        The entry, its value and what was expected are named.
    """
    for keys, (check, expected) in FORMS.items():
        value = manifest
        for key in keys.split("."):
            if not isinstance(value, dict) or key not in value:
                raise DataError(f"{path} has no {keys}; the checkpoint is damaged, use another")
            value = value[key]
        if not check(value):
            raise DataError(
                f"{path} has {keys} {shown(value)}; expected {expected}. The checkpoint is "
                "damaged, use another"
            )
    return manifest


@contextlib.contextmanager
def names_of_checkpoint(folder: pathlib.Path) -> Iterator[None]:
    """Turn what Python, NumPy and MXNet raise of a damaged checkpoint into a DataError."""
    from ..._compat import mx

    try:
        yield
    except GluonfaceError as error:
        if str(folder) in str(error):
            raise
        kind = next((k for k in (TrainingError, InputError) if isinstance(error, k)), DataError)
        raise kind(f"{folder}: {error}") from error
    except (
        *(AttributeError, EOFError, IndexError, KeyError, OverflowError, TypeError, ValueError),
        *(RecursionError, zipfile.BadZipFile, NotImplementedError, mx.MXNetError),
    ) as error:
        reason = (str(error).strip().splitlines() or [""])[-1]
        raise DataError(
            f"{folder} does not hold what a checkpoint of this run does "
            f"({type(error).__name__}: {shown_text(reason)}); it is damaged, use another"
        ) from error


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _dict(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1000 and value.isprintable()


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)


def _rows(value: Any) -> bool:
    # The names become those of files.
    return _dict(lambda entry: isinstance(entry, dict))(value) and all(map(ROW.fullmatch, value))


def _files(value: Any) -> bool:
    # Names in the folder of the checkpoint, and nothing that leads out of it.
    return _dict(lambda entry: isinstance(entry, dict))(value) and all(map(FILE.fullmatch, value))


def _state(value: Any) -> bool:
    return _number(value) or (isinstance(value, list) and all(map(_state, value)))


_count = _whole(0, 1 << 62)
# Of an entry of the manifest: whether its value has the form, and the form in words.
FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "classes": (_whole(1, MAX_CLASSES), "a whole number, 1 or more"),
    "embedding_size": (_whole(1, 1 << 20), "a whole number, 1 or more"),
    "head.loss": (_text, "the name of a loss"),
    "head.subcenters": (_whole(1, 1 << 20), "a whole number, 1 or more"),
    "head.state": (_dict(_state), "{name: number}"),
    "optimizer.head_counts": (_dict(_count), "{name: whole number}"),
    "rows": (_rows, "{name: {tail, dtype}}"),
    "files": (_files, "{file: {bytes, sha256}}"),
    "trainer.progress": (
        _dict(lambda value: value is None or _number(value)),
        "{name: number or null}",
    ),
    "trainer.progress.step": (_count, "a whole number"),
}
