"""Reading the .npy and .npz files of users: arrays, or an error that names the file."""

from __future__ import annotations

import pathlib

import numpy as np

from ..errors import DataError, InputError
from ..files import StrPath, require_no_stand_in

__all__ = ["load_arrays"]


def load_arrays(path: StrPath, mapped: bool = False) -> np.ndarray | dict[str, np.ndarray]:
    """Return the array of a .npy file or the dict of a .npz file; never a pickle.

    Parameters
    ----------
    path : str or pathlib.Path
    mapped : bool, default False
        Map a .npy file into memory instead of reading it.

    Raises
    ------
    InputError
        When there is no such file.
    DataError
        When it cannot be read.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        mapped = mapped and path.suffix == ".npy"
        found = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            arrays = {name: found[name] for name in found.files}
        for name, value in arrays.items():
            if not isinstance(value, np.ndarray):  # NumPy gives a member of another kind as bytes
                raise ValueError(f"its member {name[:60]!r} is no array")
        return arrays
    except Exception as error:  # NumPy, zipfile and tokenize raise nearly anything here
        require_no_stand_in(path)
        text = f"{type(error).__name__}: {str(error)[:120]}"
        raise DataError(f"{path} cannot be read as plain arrays of NumPy ({text})") from error
