"""The lists of MegaFace challenge 1: probes, distractors, and the noise among them."""

import pathlib
import re

import numpy as np

from ...errors import DataError
from .text_tables import read_json, read_lines

__all__ = ["mark_distractors", "mark_probes", "read_distractors", "read_noise", "read_probes"]


def read_probes(path):
    """Read a probe list: JSON with ``path`` and ``id``. Returns (paths, identities)."""
    content = read_json(path, "a list of probes")
    paths, ids = _strings(content, "path", path), _strings(content, "id", path)
    if len(paths) != len(ids):
        raise DataError(f"{path} lists {len(paths)} paths and {len(ids)} ids")
    _require_distinct(paths, path)
    return paths, np.array(ids)


def read_distractors(path):
    """Read a distractor list: JSON with ``path``. Returns the paths."""
    paths = _strings(read_json(path, "a list of distractors"), "path", path)
    _require_distinct(paths, path)
    return paths


def read_noise(path):
    """Read a noise list: a path a line, or ``number<TAB>path``; ``#`` begins a comment."""
    names = set()
    for _, line in read_lines(path, "a list of noisy images"):
        if not line.startswith("#"):
            names.add(re.split(r"\t", line)[-1].strip())
    return names


def mark_probes(paths, noise):
    """Return a mask of the noisy probes. Names are compared without folders: the list has none."""
    noise = {pathlib.PurePosixPath(name).name for name in noise}
    return np.array([pathlib.PurePosixPath(path).name in noise for path in paths])


def mark_distractors(paths, noise):
    """Return a mask of the noisy distractors. The whole relative path has to agree."""
    return np.array([path in noise for path in paths])


def _strings(content, name, path):
    values = content.get(name) if isinstance(content, dict) else None
    if not isinstance(values, list) or not values:
        raise DataError(f"{path}: expected an object with a list {name!r} that is not empty")
    for number, value in enumerate(values):
        if not isinstance(value, str) or not value:
            raise DataError(f"{path}: {name}[{number}] is {value!r}; expected text")
    return values


def _require_distinct(paths, file):
    if len(set(paths)) < len(paths):
        seen = set()
        double = next(path for path in paths if path in seen or seen.add(path))
        raise DataError(f"{file} lists {double} twice")
