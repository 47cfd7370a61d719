"""Rows of arrays in this process's memory, read and updated by compiled functions.

``native/class_rows.cc`` fetches the rows that come next ahead, and reads and writes each once:
measured, 50,000 rows of 128 numbers out of 500,000, it reads them with their squared lengths in 5
ms and updates them in 11, where NumPy took 20 and 45.
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ...native.plain import load_plain

__all__ = ["CompiledRows", "compiled_rows"]


class CompiledRows:
    """The compiled functions, for arrays of float32, and of int64 for ids of rows.

    All are C-contiguous but those of all rows, whose rows may lie apart.
    """

    def __init__(self, library):
        array, count, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        self._read, self._update = library.gluonface_read_rows, library.gluonface_update_rows
        self._read.argtypes = (
            *(array, count, array, count, array, count, count),
            *(array, count, array, array),
        )
        self._update.argtypes = (
            *(array, count, array, count, array, count, count),
            *(array, array, ctypes.c_int, array, number, number, number),
        )
        self._read.restype = self._update.restype = None

    def read(
        self,
        table: np.ndarray,
        index: np.ndarray,
        out: np.ndarray,
        squares: np.ndarray | None = None,
        missed: np.ndarray | None = None,
        state: np.ndarray | None = None,
    ) -> None:
        """Copy rows of `table` (n, width) to `out` (m, width).

        Parameters
        ----------
        table : numpy.ndarray (n, width)
        index : numpy.ndarray (m,)
        out : numpy.ndarray (m, width)
        squares : numpy.ndarray (m k,), optional
            Gets the squared lengths of the k centres that a row has.
        missed : numpy.ndarray (m, 2, 2), optional
            From `LazyUpdates.matrices`: the updates that the rows are to make first.
        state : numpy.ndarray (n, width), optional
            The momentum, for `missed`.
        """
        count, width = out.shape
        index = np.ascontiguousarray(index, np.int64)
        parts = 1 if squares is None or not count else len(squares) // count
        self._read(
            *(_pointer(table), _step(table), _pointer(state), _step(state)),
            *(_pointer(index), count, width),
            *(_pointer(missed), parts, _pointer(out), _pointer(squares)),
        )

    def update(
        self,
        table: np.ndarray,
        state: np.ndarray | None,
        index: np.ndarray | None,
        given: np.ndarray,
        gradient: np.ndarray,
        radial: bool,
        squares: np.ndarray | None,
        factor: float,
        decay: float,
        momentum: float,
    ) -> None:
        """Do ``v <- momentum v + factor gradient - decay w; w <- w + v`` for rows of `table`.

        Parameters
        ----------
        table : numpy.ndarray (n, width)
        state : numpy.ndarray (n, width) or None
            The momentum.
        index : numpy.ndarray (m,) or None
            The rows; None for the m rows of `table` as they come.
        given, gradient : numpy.ndarray (m, width)
            The rows as the step read them, and their gradients.
        radial : bool
            Whether to subtract the gradients' components along the rows first.
        squares : numpy.ndarray (m,), optional
            The rows' squared lengths, if they are known.
        factor, decay, momentum : float
        """
        count, width = given.shape
        index = None if index is None else np.ascontiguousarray(index, np.int64)
        self._update(
            *(_pointer(table), _step(table), _pointer(state), _step(state)),
            *(_pointer(index), count, width),
            *(_pointer(given), _pointer(gradient), radial, _pointer(squares)),
            *(factor, decay, momentum),
        )


def _pointer(array):
    return None if array is None else array.ctypes.data


def _step(table):
    """Return the numbers from the beginning of a row to that of the next."""
    return 0 if table is None else table.strides[0] // 4


@functools.lru_cache(maxsize=1)
def compiled_rows() -> CompiledRows | None:
    """Return the compiled functions, or None where there are none."""
    library = load_plain("class_rows", "NumPy updates the class centres, slower", vectors=True)
    return None if library is None else CompiledRows(library)
