"""Rows in NDArrays, as on a GPU."""

import numpy as np

from gluonface._compat import mx
from gluonface.head.storage import DeviceStore


def test_rows_are_read_and_written():
    store, index = DeviceStore(6, mx.cpu()), np.array([0, 5])
    store.add("weight", 2, lambda a, b: np.arange(2 * a, 2 * b, dtype="f").reshape(-1, 2))
    rows = store.read("weight", index)
    np.testing.assert_array_equal(rows.asnumpy(), [[0, 1], [10, 11]])
    out = store.buffer(2, 2)
    assert store.read("weight", index, out=out) is out
    store.write("weight", index, out * 2)
    store.put("weight", 1, np.zeros((1, 2), "f"))
    want = [[0, 2], [0, 0], [4, 5], [6, 7], [8, 9], [20, 22]]
    np.testing.assert_array_equal(store.export("weight"), want)
