"""Paths of several files of one set: lists, folders, and patterns with braces or stars."""

from __future__ import annotations

import glob
import itertools
import os
import pathlib
import re
import typing

from ...errors import InputError
from ...files import StrPath
from .source import natural_key

__all__ = ["expand_paths", "require_complete"]

_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")
MOST = 1_000_000  # files that a pattern may stand for


def expand_paths(paths: StrPath | typing.Sequence[StrPath]) -> list[pathlib.Path]:
    """Return the files and folders that are named.

    Parameters
    ----------
    paths : str, pathlib.Path or a sequence of these
        ``{0000..0099}`` (leading zeros are kept), ``{a,b}``, ``*`` and ``?`` stand for several
        files. A path that is there is taken as it is.

    Raises
    ------
    InputError
        When one is not there (named); when one is a URL or a command.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    found: list[pathlib.Path] = []
    for path in paths:
        found += _expand(os.fspath(path))
    if not found:
        raise InputError("no path was given; a folder or a file of faces was expected")
    if len(set(found)) < len(found):
        twice = next(path for path in found if found.count(path) > 1)
        raise InputError(f"{twice} is named twice")
    return found


def _expand(text):
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) or text.startswith("pipe:"):
        raise InputError(
            f"{text} is not a file of this machine; nothing is fetched or run: download it, and "
            "name the files"
        )
    if os.path.lexists(text) or not re.search(r"[{*?\[]", text):
        names = [text]
    else:
        names = []
        for name in _braces(text):
            if re.search(r"[*?\[]", name):
                some = sorted(glob.glob(name), key=natural_key)
                if not some:
                    raise InputError(f"{name} fits no file")
                names += some
            else:
                names.append(name)
    missing = [name for name in names if not os.path.exists(name)]
    if missing and len(names) > 1:
        raise InputError(
            f"{missing[0]} is missing ({len(missing)} of the {len(names)} files of {text}); fetch "
            "it, or name the files that are there"
        )
    if missing:
        raise InputError(
            f"{missing[0]} is not there; a folder of people, a list file, a record set or another "
            "form of faces was expected"
        )
    return [pathlib.Path(name) for name in names]


def _braces(text):
    """Return the texts that a pattern with braces stands for, in its order."""
    parts, count = [], 1
    for number, part in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if number % 2 == 0:
            parts.append([part])
            continue
        span = _RANGE.fullmatch(part)
        if span:
            first, last = int(span[1][:18]), int(span[2][:18])
            if first > last or last - first >= MOST:
                raise InputError(f"{text}: {{{part}}} is no range of at most {MOST:,} files")
            width = max(map(len, span.groups())) if "0" in (span[1][0], span[2][0]) else 0
            parts.append([f"{value:0{width}d}" for value in range(first, last + 1)])
        else:
            parts.append(part.split(","))
        count *= len(parts[-1])
        if count > MOST:
            raise InputError(f"{text} stands for more than {MOST:,} files")
    return ["".join(words) for words in itertools.product(*parts)]


def require_complete(paths: typing.Sequence[pathlib.Path]) -> None:
    """Raise InputError when numbered files of a folder have a gap, or are fewer than they say.

    Files are numbered when their names differ in one number with leading zeros; ``-of-00012``
    says how many there are.
    """
    series: dict[tuple, list[int]] = {}
    for path in paths:
        # Hugging Face adds 16 digits of a hash in some versions.
        name = re.sub(r"-[0-9a-f]{16}(?=\.)", "", path.name)
        found = re.fullmatch(r"(.*?)(0[0-9]+|[0-9]{4,})((?:-of-([0-9]+))?\D*)", name)
        if found:
            head, number, tail, total = found.groups()
            series.setdefault((head, len(number), tail, total), []).append(int(number))
    for (head, width, tail, total), numbers in series.items():
        if total is None and len(numbers) < 2:
            continue
        wanted = range(int(total)) if total else range(min(numbers), max(numbers) + 1)
        if len(wanted) > MOST:
            continue
        missing = sorted(set(wanted) - set(numbers))
        if missing:
            raise InputError(
                f"{paths[0].parent / f'{head}{missing[0]:0{width}d}{tail}'} is missing: there are "
                f"{len(numbers)} of {len(wanted)} numbered files. Fetch it, or name the files that "
                "are to be read"
            )
