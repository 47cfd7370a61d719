import numpy as np
import pytest

from gluonface.errors import DataError
from gluonface.evaluation.scores import listed_pairs


def test_sparse_ids_are_found_as_dense_ones():
    ids = np.array([3, 10**7, 2 * 10**9])
    assert listed_pairs.positions(ids, [10**7, 3, 3, 2 * 10**9], "list").tolist() == [1, 0, 0, 2]
    with pytest.raises(DataError, match="line 2: template 9 has"):
        listed_pairs.positions(ids, [3, 9], "list")
