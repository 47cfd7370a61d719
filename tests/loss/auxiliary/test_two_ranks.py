"""Two real processes compute the auxiliary losses of one, through Horovod over Gloo."""

import pathlib

import aux_two_ranks
import numpy as np
from two_processes import run_in_two

HERE = pathlib.Path(__file__).resolve().parent


def test_two_processes_are_as_one(tmp_path):
    parts = run_in_two(HERE / "aux_two_ranks.py", tmp_path)
    want = aux_two_ranks.alone()
    grads = [part.pop("grad") for part in parts]
    assert len(grads[0]) == aux_two_ranks.SPLIT
    # The sum of the terms' gradients rounds by the number of rows at once, no more.
    whole = want.pop("grad")
    np.testing.assert_allclose(np.concatenate(grads), whole, rtol=1e-6, atol=1e-6)
    for part in parts:
        assert set(part) == set(want)
        for key, value in want.items():
            np.testing.assert_array_equal(part[key], value, err_msg=key)
