"""Class labels as exact integers, checked on the host."""

import numpy as np

from ..errors import InputError

__all__ = ["host_labels"]


def host_labels(label, num_classes):
    """Return labels as int64 on the host, each checked to be a class.

    MXNet does not check them: `pick` takes the nearest column and `one_hot` gives a row of zeros.

    Parameters
    ----------
    label : NumPy array, NDArray or sequence (N,)
        Integers, or floats with whole values. An NDArray on the CPU costs no wait, unless it is
        still being computed.
    num_classes : int
        C; labels are in [0, C).

    Returns
    -------
    numpy.ndarray (N,) int64

    Raises
    ------
    InputError
        If a label is no class, or the dtype cannot hold class ids exactly.
    """
    values = label.asnumpy() if hasattr(label, "asnumpy") else np.asarray(label)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"labels must have the shape (N,), got {values.shape}")
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind not in "iuf" or (kind == "f" and size < 4):
        raise InputError(
            f"labels have the dtype {values.dtype}, which cannot hold class ids exactly; "
            "keep them int32 or int64, and never cast them with the network's inputs"
        )
    if kind == "f" and size == 4 and num_classes > 1 << 24:
        raise InputError(
            f"labels are float32, which merges class ids above {1 << 24}, and there are "
            f"{num_classes} classes; keep them int32 or int64"
        )
    good = (values >= 0) & (values < num_classes)
    if kind == "f":
        good &= values == np.floor(values)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"label {values[row]} of sample {row} of the batch is not a class; expected whole "
            f"numbers from 0 to {num_classes - 1}. Check the labels against num_classes."
        )
    return values.astype(np.int64)
