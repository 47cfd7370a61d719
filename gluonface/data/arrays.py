"""Reading .npy and .npz files that users give: arrays, or an error that names the file."""

import pathlib

import numpy as np

from ..errors import DataError, InputError

__all__ = ["load_arrays"]


def load_arrays(path, mapped=False):
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
        mode = "r" if mapped and path.suffix == ".npy" else None
        found = np.load(path, mmap_mode=mode, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return {name: found[name] for name in found.files}
    except (
        Exception
    ) as error:  # damaged headers end in nearly any error of NumPy, zipfile, tokenize
        text = f"{type(error).__name__}: {str(error)[:120]}"
        raise DataError(f"{path} cannot be read as plain arrays of NumPy ({text})") from error
