"""Rows in NumPy arrays: read, written, and buffers that are used again."""

import numpy as np

from gluonface._compat import mx
from gluonface.head.storage import HostStore


def store():
    made = HostStore(10, mx.cpu())
    made.add("weight", 3, lambda a, b: np.arange(3 * a, 3 * b, dtype="f").reshape(-1, 3))
    made.add("bias")
    return made


def test_rows_are_read_and_written():
    made, index = store(), np.array([1, 4, 9])
    rows = made.read("weight", index)
    np.testing.assert_array_equal(rows, [[3, 4, 5], [12, 13, 14], [27, 28, 29]])
    made.write("weight", index, -rows)
    made.write("bias", index, np.ones(3, "f"))
    made.put("bias", 8, np.full(1, 7, "f"))
    want = np.arange(30, dtype="f").reshape(10, 3)
    want[index] *= -1
    np.testing.assert_array_equal(made.export("weight"), want)
    np.testing.assert_array_equal(made.export("bias"), [0, 1, 0, 0, 1, 0, 0, 0, 7, 1])


def test_a_released_buffer_is_used_again():
    made = store()
    first = made.buffer(40, 3)
    other = made.buffer(40, 3)
    assert not np.shares_memory(first, other)
    made.release(first, made.to_step(first))
    assert np.shares_memory(made.buffer(30, 3), first)


def test_blocks_cover_all_rows():
    blocks = list(store().blocks(100_000, 128))
    assert blocks[0].start == 0
    assert blocks[-1].stop == 100_000
    assert all(a.stop == b.start for a, b in zip(blocks, blocks[1:]))
